// Tokens of a response that are not rows: which they are, how long, and how several are put together.

import { RivetError } from "../../errors.ts";
import { readUint32 } from "./numbers.ts";

export const TOKEN = { COLMETADATA: 0x81, ROW: 0xd1, NBCROW: 0xd2, RETURNSTATUS: 0x79 } as const;
/** DONE, DONEPROC and DONEINPROC: status, command and a 64-bit count. */
const DONE_BYTES = 13;

/** Length of a token that is not a row, its type byte included; null when its length is not here yet. */
export function toTokenBytes(input: Uint8Array, at: number, end: number, type: number): number | null {
  switch (type) {
    case 0xfd:
    case 0xfe:
    case 0xff:
      return DONE_BYTES;
    case TOKEN.RETURNSTATUS:
      return 5;
    case 0xe4: // SESSIONSTATE
    case 0xee: // FEDAUTHINFO
      return at + 5 > end ? null : 5 + readUint32(input, at + 1);
    case 0xa4: // TABNAME
    case 0xa5: // COLINFO
    case 0xa9: // ORDER
    case 0xaa: // ERROR
    case 0xab: // INFO
    case 0xad: // LOGINACK
    case 0xe3: // ENVCHANGE
    case 0xed: // SSPI
      return at + 3 > end ? null : 3 + (input[at + 1]! | (input[at + 2]! << 8));
    default:
      throw new RivetError(
        "RIVET_SOURCE_QUERY_FAILED",
        `The server sent the unknown token 0x${type.toString(16)}`,
        { cure: "Check that the source is a SQL Server, and that the query is one SELECT" },
      );
  }
}

/** Several arrays as one. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
