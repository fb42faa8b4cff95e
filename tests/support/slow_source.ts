// A source whose statements claim to have taken a millisecond for every row, so that a test of slow statements needs no clock.

import type { Source } from "../../src/source/mod.ts";

export interface SlowSource {
  readonly wrap: (inner: Source) => Source;
  /** Rows of every statement that read, in the order they ended. */
  readonly statements: number[];
}

export function slowSource(): SlowSource {
  const statements: number[] = [];
  const wrap = (inner: Source) =>
    new Proxy(inner, {
      get(source, name) {
        if (name === "read") {
          return async (...args: Parameters<Source["read"]>) => {
            const report = await source.read(...args);
            statements.push(report.rows);
            return { ...report, longestStatementMs: report.rows };
          };
        }
        const value = Reflect.get(source, name) as unknown;
        return typeof value === "function" ? value.bind(source) : value;
      },
    });
  return { wrap, statements };
}
