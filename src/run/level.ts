// How well what is read fits together: a recorded level can become less, never more.

import type { Consistency, Source } from "../source/mod.ts";
import type { Picture } from "./run.ts";

const LEVELS: readonly Consistency[] = ["none", "slice", "snapshot"];

export function worst(...levels: readonly Consistency[]): Consistency {
  return LEVELS[Math.min(...levels.map((level) => LEVELS.indexOf(level)))]!;
}

/** The picture that was just begun, at the level it can have. `recorded` is the level as the state has it already. */
export function beginPicture(source: Source, token: string | null, lanes: number, recorded?: Consistency): Picture {
  const level = levelOf(source, token, lanes);
  return { source, token, consistency: level, recorded: recorded ?? level };
}

/** Several lanes see one moment only where they share a picture. */
export function levelOf(source: Source, token: string | null, lanes: number): Consistency {
  const own = source.consistency ?? "snapshot";
  return own === "snapshot" && lanes > 1 && token === null ? "slice" : own;
}
