// A key without a value is a key that is not there.

/** Leaves out empty values of known, optional keys; everything else stays for the shape check to judge. */
export function dropNulls(value: unknown, shape: unknown): unknown {
  const { fields, element } = open(shape);
  if (Array.isArray(value)) return element === undefined ? value : value.map((item) => dropNulls(item, element));
  if (fields === undefined || typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key, inner]) => inner !== null || !Object.hasOwn(fields, key));
  return Object.fromEntries(
    kept.map(([key, inner]) => [key, Object.hasOwn(fields, key) ? dropNulls(inner, fields[key]) : inner]),
  );
}

/** The fields of an object schema or the element of an array schema, behind `optional`. */
export function open(shape: unknown): { fields?: Readonly<Record<string, unknown>>; element?: unknown } {
  let inner = shape as { unwrap?: () => unknown; shape?: Readonly<Record<string, unknown>>; element?: unknown };
  while (inner.shape === undefined && inner.element === undefined && typeof inner.unwrap === "function") {
    inner = inner.unwrap() as typeof inner;
  }
  return {
    ...(inner.shape === undefined ? {} : { fields: inner.shape }),
    ...(inner.element === undefined ? {} : { element: inner.element }),
  };
}
