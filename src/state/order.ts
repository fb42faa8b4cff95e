// The order of two cursor values as their column orders them; null where only the database could tell.

/** Negative, zero or positive as `a` stands before, at or after `b`. `columnType` is the engine's own spelling. */
export function compareCursors(columnType: string, a: string, b: string): number | null {
  const type = columnType.trim().toLowerCase();
  if (
    /^(small|big|tiny|medium)?int(eger)?\d*\b|^(big|small)?serial|^uint\d+|^(numeric|decimal|money|smallmoney|dec)\b/
      .test(type)
  ) {
    return compareDecimals(a, b);
  }
  if (/^(float|double|real)/.test(type)) return compareNumbers(Number(a), Number(b));
  if (/^(timestamp|datetime|smalldatetime|date\b)/.test(type)) return compareTimes(a, b);
  return null;
}

const DECIMAL = /^([+-]?)0*(\d*)(?:\.(\d*))?$/;

/** Exactly, whatever their length. */
function compareDecimals(a: string, b: string): number | null {
  const [x, y] = [DECIMAL.exec(a.trim()), DECIMAL.exec(b.trim())];
  if (x === null || y === null || !/\d/.test(a) || !/\d/.test(b)) return null;
  const scale = Math.max(x[3]?.length ?? 0, y[3]?.length ?? 0);
  return compareBigints(toUnscaled(x, scale), toUnscaled(y, scale));
}

function toUnscaled(match: RegExpExecArray, scale: number): bigint {
  const digits = BigInt(`${match[2] ?? ""}${(match[3] ?? "").padEnd(scale, "0")}` || "0");
  return match[1] === "-" ? -digits : digits;
}

function compareNumbers(a: number, b: number): number | null {
  return Number.isNaN(a) || Number.isNaN(b) ? null : Math.sign(a - b);
}

const TIME =
  /^(\d{4,6})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)? ?(Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?$/;

function compareTimes(a: string, b: string): number | null {
  const [x, y] = [toNanoseconds(a), toNanoseconds(b)];
  if (x === null || y === null || x.zoned !== y.zoned) return null;
  return compareBigints(x.at, y.at);
}

/** An instant where the text has an offset, else a wall clock; to the nanosecond. */
function toNanoseconds(text: string): { at: bigint; zoned: boolean } | null {
  const match = TIME.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone] = match;
  const ms = new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const seconds = BigInt(ms / 1000) + BigInt(Number(hour) * 3600 + Number(minute) * 60 + Number(second));
  const at = (seconds - BigInt(offsetSeconds(zone))) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  return { at, zoned: zone !== undefined };
}

function offsetSeconds(zone: string | undefined): number {
  if (zone === undefined || zone === "Z") return 0;
  const digits = zone.slice(1).replaceAll(":", "").padEnd(6, "0");
  const total = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4)) * 60 + Number(digits.slice(4, 6));
  return zone.startsWith("-") ? -total : total;
}

function compareBigints(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
