// The few packets of the protocol that are not rows: a command out, and the header, EOF and error of a result in.

import { RivetError } from "../../errors.ts";
import type { ServerError } from "./errors.ts";

const COM_QUERY = 0x03;
const HEADER_BYTES = 4;
const PACKET_BYTES_MAX = 0xffffff;

/** A statement as the packet that runs it. */
export function buildQueryPacket(sql: string): Uint8Array {
  const text = new TextEncoder().encode(sql);
  const length = text.length + 1;
  if (length >= PACKET_BYTES_MAX) {
    throw new RivetError("RIVET_SOURCE_QUERY_FAILED", `The statement is too long: ${text.length} bytes`, {
      cure: "Shorten the `query:`",
    });
  }
  const packet = new Uint8Array(HEADER_BYTES + length);
  packet[0] = length & 0xff;
  packet[1] = (length >> 8) & 0xff;
  packet[2] = length >> 16;
  packet[4] = COM_QUERY;
  packet.set(text, HEADER_BYTES + 1);
  return packet;
}

export type Step =
  | { readonly kind: "more" }
  | { readonly kind: "end"; readonly warnings: number }
  | { readonly kind: "error"; readonly error: ServerError }
  /** Not what a SELECT answers. */
  | { readonly kind: "unexpected"; readonly what: string };

const MORE: Step = { kind: "more" };
const SERVER_MORE_RESULTS_EXISTS = 0x0008;

/** Follows the control packets of one result set, each given whole with its header. */
export function followResult(): (packet: Uint8Array) => Step {
  let columns: number | null = null;
  let columnsSeen = 0;
  let inRows = false;
  return (packet) => {
    const body = packet.subarray(HEADER_BYTES);
    const marker = body[0];
    if (marker === 0xff) return { kind: "error", error: parseError(body) };
    if (columns === null) {
      if (marker === 0x00) return { kind: "unexpected", what: "no result set" };
      if (marker === 0xfb) return { kind: "unexpected", what: "a request for a local file" };
      columns = readLength(body);
      return MORE;
    }
    const isEof = marker === 0xfe && body.length < 9;
    if (!inRows) {
      if (!isEof) columnsSeen += 1;
      else if (columnsSeen !== columns) return { kind: "unexpected", what: `${columnsSeen} of ${columns} columns` };
      else inRows = true;
      return MORE;
    }
    if (!isEof) return { kind: "unexpected", what: `a packet 0x${marker?.toString(16)} among the rows` };
    const status = (body[3] ?? 0) | ((body[4] ?? 0) << 8);
    const warnings = (body[1] ?? 0) | ((body[2] ?? 0) << 8);
    if ((status & SERVER_MORE_RESULTS_EXISTS) !== 0) return { kind: "unexpected", what: "several result sets" };
    return { kind: "end", warnings };
  };
}

function readLength(body: Uint8Array): number {
  const first = body[0] ?? 0;
  return first < 0xfb ? first : (body[1] ?? 0) | ((body[2] ?? 0) << 8);
}

/** 0xFF, number, then usually `#` and a five-character state, then text. */
function parseError(body: Uint8Array): ServerError {
  const errno = (body[1] ?? 0) | ((body[2] ?? 0) << 8);
  const text = body.subarray(body[3] === 0x23 ? 9 : 3);
  return { errno, message: new TextDecoder().decode(text) };
}
