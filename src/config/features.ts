// Keys that are known and not done yet: refused by name, since a key that is silently ignored is a promise broken.

import { RivetError } from "../errors.ts";
import { describePlace } from "./place.ts";
import type { Parsed, Path } from "./yaml.ts";

const TUNING_PLACES = ["source.tuning", "exports.*.tuning"];

/** `*` stands for every entry of a list. A line goes when its feature comes. */
const MISSING: readonly { readonly path: string; readonly instead: string }[] = [
  ...TUNING_PLACES.flatMap((place) => [
    { path: `${place}.adaptive`, instead: "Set `parallel` and `throttle_ms` to what the source can bear" },
    { path: `${place}.min_parallel`, instead: "Set `parallel` to what the source can bear" },
    {
      path: `${place}.max_batch_memory_mb`,
      instead: "Memory is bounded anyway; set `batch_size_memory_mb` for smaller fetches",
    },
    {
      path: `${place}.on_batch_memory_exceeded`,
      instead: "Memory is bounded anyway; set `batch_size_memory_mb` for smaller fetches",
    },
  ]),
];

/** Throws RIVET_CONFIG_FEATURE_NOT_AVAILABLE for the first key of the table that is set. */
export function checkFeatures(parsed: Parsed): void {
  for (const { path, instead } of MISSING) {
    const found = findSet(parsed.value, path.split("."));
    if (found === null) continue;
    throw new RivetError(
      "RIVET_CONFIG_FEATURE_NOT_AVAILABLE",
      `${describePlace(found, parsed)} is not available in this version`,
      {
        where: parsed.where(found),
        cure: `Remove it. ${instead}`,
      },
    );
  }
}

/** Whether this version does what the key asks for. `exports.*.mode` as a path. */
export function isAvailable(path: string): boolean {
  return !MISSING.some((missing) => missing.path === path);
}

/** The path of a value that is set; an empty value and `false` ask for nothing. */
function findSet(value: unknown, path: readonly string[], walked: Path = []): Path | null {
  const [key, ...rest] = path;
  if (key === undefined) return (value ?? false) === false ? null : walked;
  if (typeof value !== "object" || value === null) return null;
  if (key === "*") {
    if (!Array.isArray(value)) return null;
    for (const [index, item] of value.entries()) {
      const found = findSet(item, rest, [...walked, index]);
      if (found !== null) return found;
    }
    return null;
  }
  return Object.hasOwn(value, key) ? findSet(Reflect.get(value, key), rest, [...walked, key]) : null;
}
