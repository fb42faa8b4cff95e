// Numbers as the text the core parses. A real keeps every bit: its text is the shortest that means the same double.

/** Plain digits with a fraction, so that a real is never taken for an integer; far from 1 with an exponent. */
export function formatReal(value: number): string {
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  const text = Object.is(value, -0) ? "-0" : String(value);
  const e = text.indexOf("e");
  if (e === -1) return text.includes(".") ? text : `${text}.0`;
  const exponent = Number(text.slice(e + 1));
  if (Math.abs(exponent) > EXPANDED_EXPONENT_MAX) return text;
  return expand(text.slice(0, e), exponent);
}

/** No decimal has more than 76 digits, so a longer expansion could never be read as one. */
const EXPANDED_EXPONENT_MAX = 80;

/** `-1.25` and 21 → `-1250000000000000000000.0`. */
function expand(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith("-") ? "-" : "";
  const [whole, fraction = ""] = mantissa.slice(sign.length).split(".");
  const digits = whole! + fraction;
  const point = whole!.length + exponent;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return `${sign}${digits.padEnd(point, "0")}.0`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}
