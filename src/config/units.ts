// Sizes and durations as people write them.

const SIZES: Record<string, number> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };
const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
const SECONDS_MAX = 2 ** 31 - 1;

/** `512MB`, `1.5 GB` or bare bytes, in bytes; null when it is no size of at least one byte. */
export function parseSize(text: string | number): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)?\s*$/i.exec(String(text));
  if (match === null) return null;
  const bytes = Math.floor(Number(match[1]) * SIZES[(match[2] ?? "B").toUpperCase()]!);
  return bytes >= 1 ? bytes : null;
}

/** `30s`, `5m`, `2h`, `1d`, in seconds; null when it is no whole duration above zero. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+)([smhd])$/.exec(text.trim());
  if (match === null) return null;
  const seconds = Number(match[1]) * SECONDS[match[2]!]!;
  return seconds > 0 && seconds <= SECONDS_MAX ? seconds : null;
}
