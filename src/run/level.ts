// How well what is read fits together: a recorded level can become less, never more.

import type { Consistency } from "../source/mod.ts";

const LEVELS: readonly Consistency[] = ["none", "slice", "snapshot"];

export function worst(...levels: readonly Consistency[]): Consistency {
  return LEVELS[Math.min(...levels.map((level) => LEVELS.indexOf(level)))]!;
}
