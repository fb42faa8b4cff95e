// What stays the same while one config is read.

import { fillIn } from "./fill.ts";
import type { Runtime } from "../runtime.ts";
import type { Parsed } from "./yaml.ts";

export interface Reading {
  /** The file, as errors name it. */
  readonly file: string;
  readonly directory: string;
  readonly params: Readonly<Record<string, string>>;
  readonly runtime: Runtime;
  readonly parsed: Parsed;
  readonly warnings: string[];
  /** Templates of the query files, where they are not to be read from the config's folder. */
  readonly queryFiles: Readonly<Record<string, string>> | null;
}

/** `${name}` in a text that the config refers to. */
export function fillText(text: string, file: string, { params, runtime }: Reading): string {
  return fillIn(text, { params, runtime, file }).text;
}
