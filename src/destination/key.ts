// Keys: relative, `/`-separated names below a destination. Pure; a key that could leave the destination is refused here.

import { RivetError } from "../errors.ts";

/** Objects moved aside live below this. */
export const QUARANTINE = "_quarantine/";

/** Refuses a key that is empty, absolute, or climbs. */
export function checkKey(key: string): void {
  if (key === "" || key.startsWith("/") || key.endsWith("/")) refuse(key, key);
  checkSegments(key, key);
}

/** Refuses `.`, `..`, empty segments and NUL in a `/`-separated text. */
export function checkSegments(text: string, where: string): void {
  if (text === "") return;
  for (const segment of text.split("/")) {
    if (segment === "" || segment === "." || segment === ".." || segment.includes("\0")) refuse(segment, where);
  }
}

function refuse(segment: string, where: string): never {
  throw new RivetError("RIVET_CONFIG_PATH_UNSAFE", `'${segment}' is not allowed in a destination path`, { where });
}

/** Where a key goes when it is moved aside for the `attempt`-th time, counted from 0. */
export function quarantineKey(key: string, runId: string, attempt: number): string {
  const folder = runId.replace(/[^A-Za-z0-9._-]/g, "-");
  return `${QUARANTINE}${folder}/${key}${attempt === 0 ? "" : `.${attempt}`}`;
}

/** Orders keys by their UTF-8 bytes, as object stores do; UTF-16 order differs above the basic plane. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    // Halves of a pair stand for characters beyond all that have one unit.
    const [isLeftHalf, isRightHalf] = [isHalf(left), isHalf(right)];
    return isLeftHalf === isRightHalf ? left - right : isLeftHalf ? 1 : -1;
  }
  return a.length - b.length;
}

function isHalf(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
