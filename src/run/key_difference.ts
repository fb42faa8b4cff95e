// Two sets of lines `key…,hash`, those of the stored files and those of the source, and the keys in which they differ. Pure.

import { RivetError } from "../errors.ts";
import type { KeysResult } from "../plan/mod.ts";

/** Rows of one slice that are compared by key, at most: what is held grows with them. */
const ROWS_MAX = 5_000_000;

/** Complete lines of a stream of bytes. Quoted fields may hold line ends. */
class Lines {
  readonly #decoder = new TextDecoder();
  #rest = "";

  *push(bytes: Uint8Array): Generator<string> {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    let start = 0;
    let quotes = 0;
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (char === 34) quotes++;
      else if (char === 10 && quotes % 2 === 0) {
        yield text.slice(start, i);
        start = i + 1;
      }
    }
    this.#rest = text.slice(start);
  }
}

export class KeyDifference {
  /** Lines of stored rows that were not met in the source yet → how many. */
  readonly #stored = new Map<string, number>();
  /** Keys of the source's rows that no stored row equals. */
  readonly #unmatched: string[] = [];
  readonly #lines = { stored: new Lines(), source: new Lines() };
  #rows = 0;

  addStored(bytes: Uint8Array): void {
    for (const line of this.#lines.stored.push(bytes)) {
      this.#stored.set(line, (this.#stored.get(line) ?? 0) + 1);
      if (++this.#rows > ROWS_MAX) throw tooMany();
    }
  }

  endStored(): void {
    this.#rows = 0;
  }

  addSource(bytes: Uint8Array): void {
    for (const line of this.#lines.source.push(bytes)) {
      const left = this.#stored.get(line) ?? 0;
      if (left === 0) this.#unmatched.push(keyOf(line));
      else if (left === 1) this.#stored.delete(line);
      else this.#stored.set(line, left - 1);
      if (++this.#rows > ROWS_MAX) throw tooMany();
    }
  }

  /** `missing` are in the source alone, `extra` in the files alone. */
  finish(keysMax: number): KeysResult {
    const left = new Map<string, number>();
    for (const [line, count] of this.#stored) left.set(keyOf(line), (left.get(keyOf(line)) ?? 0) + count);
    const missing: string[] = [];
    const changed: string[] = [];
    for (const key of this.#unmatched) {
      const count = left.get(key) ?? 0;
      (count === 0 ? missing : changed).push(key);
      if (count > 0) left.set(key, count - 1);
    }
    const extra = [...left].flatMap(([key, count]) => Array.from({ length: count }, () => key));
    return {
      missing: missing.slice(0, keysMax),
      extra: extra.slice(0, keysMax),
      changed: changed.slice(0, keysMax),
      counts: { missing: missing.length, extra: extra.length, changed: changed.length },
    };
  }
}

/** What stands before the hash; of rows without a key, the hash itself. */
function keyOf(line: string): string {
  const at = line.lastIndexOf(",");
  return at < 0 ? line : line.slice(0, at);
}

function tooMany(): RivetError {
  return new RivetError("RIVET_CLI_OPTION_UNSUPPORTED", `More than ${ROWS_MAX} rows in one chunk`, {
    cure: "Leave `--keys` away, or export in smaller chunks",
  });
}
