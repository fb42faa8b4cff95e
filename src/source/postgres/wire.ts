// Which of the server's types arrive in which wire form. A wire form that does not fit a type would read other values than the server holds.

const SCALARS: Readonly<Record<string, { readonly types: readonly number[]; readonly arrays: readonly number[] }>> = {
  bool: { types: [16], arrays: [1000] },
  int2: { types: [21], arrays: [1005] },
  int4: { types: [23], arrays: [1007] },
  int8: { types: [20], arrays: [1016] },
  oid: { types: [26], arrays: [1028] },
  float4: { types: [700], arrays: [1021] },
  float8: { types: [701], arrays: [1022] },
  numeric: { types: [1700], arrays: [1231] },
  date: { types: [1082], arrays: [1182] },
  time: { types: [1083], arrays: [1183] },
  timestamp: { types: [1114], arrays: [1115] },
  timestamptz: { types: [1184], arrays: [1185] },
  interval: { types: [1186], arrays: [1187] },
  // text, character varying, character, name
  text: { types: [25, 1043, 1042, 19], arrays: [1009, 1015, 1014, 1003] },
  bytea: { types: [17], arrays: [1001] },
  json: { types: [114], arrays: [199] },
  jsonb: { types: [3802], arrays: [3807] },
  uuid: { types: [2950], arrays: [2951] },
};

/** Whether values of the type with this oid arrive in this wire form. */
export function isWireOf(wire: string, oid: number): boolean {
  const item = /^array<(.*)>$/.exec(wire)?.[1];
  const forms = item === undefined ? SCALARS[wire]?.types : SCALARS[item]?.arrays;
  return forms?.includes(oid) ?? false;
}
