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
  /** Key → hashes of the stored rows that have it and were not met in the source yet. */
  readonly #stored = new Map<string, string[]>();
  /** Rows of the source whose key or hash was not among the stored ones. */
  readonly #unmatched: string[] = [];
  readonly #lines = { stored: new Lines(), source: new Lines() };
  #rows = 0;

  addStored(bytes: Uint8Array): void {
    for (const line of this.#lines.stored.push(bytes)) {
      const [key, hash] = split(line);
      const hashes = this.#stored.get(key);
      if (hashes === undefined) this.#stored.set(key, [hash]);
      else hashes.push(hash);
      if (++this.#rows > ROWS_MAX) throw tooMany();
    }
  }

  endStored(): void {
    this.#rows = 0;
  }

  addSource(bytes: Uint8Array): void {
    for (const line of this.#lines.source.push(bytes)) {
      const [key, hash] = split(line);
      const hashes = this.#stored.get(key);
      const at = hashes?.indexOf(hash) ?? -1;
      if (hashes === undefined || at < 0) this.#unmatched.push(key);
      else if (hashes.length === 1) this.#stored.delete(key);
      else hashes.splice(at, 1);
      if (++this.#rows > ROWS_MAX) throw tooMany();
    }
  }

  /** `missing` are in the source alone, `extra` in the files alone. */
  finish(keysMax: number): KeysResult {
    const missing: string[] = [];
    const changed: string[] = [];
    for (const key of this.#unmatched) {
      const hashes = this.#stored.get(key);
      if (hashes === undefined) missing.push(key);
      else {
        changed.push(key);
        if (hashes.length === 1) this.#stored.delete(key);
        else hashes.pop();
      }
    }
    const extra = [...this.#stored].flatMap(([key, hashes]) => hashes.map(() => key));
    return {
      missing: missing.slice(0, keysMax),
      extra: extra.slice(0, keysMax),
      changed: changed.slice(0, keysMax),
      counts: { missing: missing.length, extra: extra.length, changed: changed.length },
    };
  }
}

function split(line: string): [string, string] {
  const at = line.lastIndexOf(",");
  return [line.slice(0, at), line.slice(at + 1)];
}

function tooMany(): RivetError {
  return new RivetError("RIVET_CLI_OPTION_UNSUPPORTED", `More than ${ROWS_MAX} rows in one chunk`, {
    cure: "Leave `--keys` away, or export in smaller chunks",
  });
}
