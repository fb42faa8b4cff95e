// Faults at the n-th effect: every call of a source, a destination and a state counts, before it happens and after it has happened.
// A fault is an error, or the death of the process: from then on nothing works any more, as after kill -9.

import { RivetError } from "../../src/errors.ts";

export type FaultKind = "fail" | "kill";

/** What a dead process would have thrown, had it lived. */
export class Killed extends Error {
  override readonly name = "Killed";
}

export class Faults {
  count = 0;
  dead = false;
  fired: string | null = null;

  /** The fault comes at effect number `at`, from 1; 0 = never. */
  constructor(private readonly at: number, private readonly kind: FaultKind) {}

  /** Effects under way. A process that was killed ends none of them later: a test waits for them before it looks, or starts another. */
  readonly underWay = new Set<Promise<unknown>>();

  /** Called before each effect, also before those that no fault strikes: a process that stands still here is stalled. */
  pause(_name: string): Promise<void> | void {}

  async follow<T>(effect: T): Promise<Awaited<T>> {
    const promise = Promise.resolve(effect);
    const ended = promise.catch(() => {});
    this.underWay.add(ended);
    try {
      return await promise;
    } finally {
      this.underWay.delete(ended);
    }
  }

  /** When nothing is under way any more. */
  async settle(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }

  /** One effect, or the moment after one. */
  point(name: string): void {
    if (this.dead) throw new Killed("dead");
    this.count++;
    if (this.count !== this.at) return;
    this.fired = name;
    if (this.kind === "kill") {
      this.dead = true;
      throw new Killed(name);
    }
    const code = name.startsWith("destination")
      ? "RIVET_DEST_WRITE_FAILED"
      : name.startsWith("state")
      ? "RIVET_STATE_BACKEND_FAILED"
      : "RIVET_SOURCE_QUERY_FAILED";
    throw new RivetError(code, `Injected at ${name}`);
  }
}

type Method = (...args: never[]) => unknown;

/** The same object with a point before and after every asynchronous method; at the quiet ones a process can only stall. */
export function withFaults<T extends object>(
  target: T,
  label: string,
  faults: Faults,
  quiet: readonly string[] = [],
): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name) as unknown;
      if (typeof value !== "function") return value;
      const method = (value as Method).bind(object) as (...args: unknown[]) => unknown;
      if (typeof name === "symbol") return async () => await method();
      if (quiet.includes(name)) {
        return async (...args: unknown[]) => {
          await faults.pause(`${label}.${name}`);
          if (faults.dead) throw new Killed("dead");
          return await method(...args);
        };
      }
      if (name === "list") {
        return (...args: unknown[]) =>
          listWithFaults(method(...args) as AsyncIterable<unknown>, `${label}.list`, faults);
      }
      return async (...args: unknown[]) => {
        await faults.pause(`${label}.${name}`);
        faults.point(`${label}.${name} before`);
        const result = await faults.follow(method(...args));
        try {
          faults.point(`${label}.${name} after`);
        } catch (fault) {
          if (result instanceof ReadableStream) await result.cancel();
          throw fault;
        }
        return result;
      };
    },
  });
}

async function* listWithFaults(inner: AsyncIterable<unknown>, name: string, faults: Faults): AsyncGenerator<unknown> {
  faults.point(name);
  yield* inner;
}
