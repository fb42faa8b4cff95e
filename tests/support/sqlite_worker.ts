// Reads a SQLite table inside a Worker whose permissions the test chose, and answers with its rows or the error's code.

import { toWireError } from "../../src/errors.ts";
import { openSqlite } from "../../src/source/sqlite/mod.ts";
import { keepRows } from "./row_sink.ts";
import { LIMITS, READ } from "./sqlite.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<string>) => void;
  postMessage(message: unknown): void;
};

scope.onmessage = async (event) => {
  try {
    await using source = await openSqlite({ engine: "sqlite", path: event.data }, LIMITS);
    await source.begin(null);
    // An expression, so that the temporary view is made too.
    const { columns } = await source.describe({ kind: "query", sql: "SELECT id, CAST(id + 1 AS INTEGER) AS n FROM t" });
    const sink = keepRows();
    await source.read("SELECT id FROM t ORDER BY id", sink, READ);
    scope.postMessage({ types: columns.map((c) => c.nativeType), rows: sink.texts(1) });
  } catch (error) {
    scope.postMessage({ code: toWireError(error).code });
  }
};
