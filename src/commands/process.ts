// Whether the process that holds a lease still lives. A doubt counts as alive: its lease then expires by itself.

import type { Runtime } from "../runtime.ts";
import type { Holder } from "../state/mod.ts";

/** The start time of a process as the kernel counts it, which no later process of the same number has; empty where it cannot be told. */
export function processStart(pid: number): string {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The command may contain blanks and brackets: fields are counted after the last one.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** True only for a holder on this host whose process is gone. */
export function isDead(holder: Holder, runtime: Runtime): boolean {
  if (holder.host !== runtime.hostname) return false;
  if (holder.processStart === "") return false;
  return processStart(holder.pid) !== holder.processStart;
}
