// Packets and error numbers, without a server.

import assert from "node:assert/strict";
import { fromServerError, toSourceError } from "../../../src/source/mysql/errors.ts";
import { buildQueryPacket, followResult } from "../../../src/source/mysql/packet.ts";

function packet(...body: number[]): Uint8Array {
  return new Uint8Array([body.length & 0xff, body.length >> 8, 0, 1, ...body]);
}

const EOF = packet(0xfe, 0, 0, 2, 0);
const COLUMN = packet(3, 0x64, 0x65, 0x66, 0, 0, 0, 1, 0x61, 0, 12, 45, 0, 0, 0, 0, 0, 253, 0, 0, 0, 0, 0);

function kinds(packets: Uint8Array[]): string[] {
  const follow = followResult();
  return packets.map((p) => follow(p).kind);
}

Deno.test("a statement is one packet with its length, number and command", () => {
  assert.deepEqual([...buildQueryPacket("SELECT 'é'")], [12, 0, 0, 0, 3, ...new TextEncoder().encode("SELECT 'é'")]);
  assert.throws(() => buildQueryPacket("x".repeat(0xffffff)), { code: "RIVET_SOURCE_QUERY_FAILED" });
});

Deno.test("a result is followed from its header to its end", () => {
  assert.deepEqual(kinds([packet(2), COLUMN, COLUMN, EOF, EOF]), ["more", "more", "more", "more", "end"]);
  const follow = followResult();
  follow(packet(1));
  follow(COLUMN);
  follow(EOF);
  assert.deepEqual(follow(packet(0xfe, 3, 1, 2, 0)), { kind: "end", warnings: 259 });
});

Deno.test("an error is told wherever it comes", () => {
  const error = packet(0xff, 0x7a, 0x04, 0x23, ...new TextEncoder().encode("42S02No such thing"));
  const expected = { kind: "error", error: { errno: 1146, message: "No such thing" } };
  assert.deepEqual(followResult()(error), expected);
  const follow = followResult();
  for (const p of [packet(1), COLUMN, EOF]) follow(p);
  assert.deepEqual(follow(error), expected);
  // Before the greeting the server sends errors without a state.
  assert.deepEqual(followResult()(packet(0xff, 0x10, 0x04, 0x6e, 0x6f)), {
    kind: "error",
    error: { errno: 1040, message: "no" },
  });
});

Deno.test("what is no single result set is unexpected", () => {
  assert.deepEqual(kinds([packet(0, 0, 0, 2, 0, 0, 0)]), ["unexpected"]);
  assert.deepEqual(kinds([packet(0xfb, 0x2f, 0x65)]), ["unexpected"]);
  assert.deepEqual(kinds([packet(2), COLUMN, EOF]), ["more", "more", "unexpected"]);
  assert.deepEqual(kinds([packet(1), COLUMN, EOF, packet(0xfe, 0, 0, 10, 0)]).at(-1), "unexpected");
});

Deno.test("server error numbers decide code and retry", () => {
  const cases: [number, string, string, number][] = [
    [1040, "RIVET_SOURCE_CONNECT_FAILED", "reconnect", 15_000],
    [1053, "RIVET_SOURCE_CONNECT_FAILED", "reconnect", 15_000],
    [1045, "RIVET_SOURCE_CONNECT_FAILED", "never", 0],
    [1049, "RIVET_SOURCE_CONNECT_FAILED", "never", 0],
    [1146, "RIVET_SOURCE_TABLE_NOT_FOUND", "never", 0],
    [1205, "RIVET_SOURCE_QUERY_FAILED", "same_connection", 0],
    [1213, "RIVET_SOURCE_QUERY_FAILED", "same_connection", 1_000],
    [1969, "RIVET_SOURCE_STATEMENT_TIMEOUT", "never", 0],
    [3024, "RIVET_SOURCE_STATEMENT_TIMEOUT", "never", 0],
    [1412, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ", "never", 0],
    [1927, "RIVET_SOURCE_CONNECTION_LOST", "reconnect", 0],
    // Unknown numbers are never retried, whatever their text says.
    [1317, "RIVET_SOURCE_QUERY_FAILED", "never", 0],
    [9999, "RIVET_SOURCE_QUERY_FAILED", "never", 0],
  ];
  for (const [errno, code, retry, delay] of cases) {
    const error = fromServerError({ errno, message: "connection reset, timeout, deadlock" }, "mysql://h:1/d");
    assert.deepEqual([error.code, error.retry, error.retryDelayMs], [code, retry, delay], String(errno));
  }
});

Deno.test("system codes decide, and what has none is not retried", () => {
  const of = (more: object) => toSourceError(Object.assign(new Error("timeout"), more), "mysql://h:1/d");
  assert.equal(of({ code: "ECONNRESET", errno: -104 }).retry, "reconnect");
  assert.equal(of({ code: "PROTOCOL_CONNECTION_LOST" }).retry, "reconnect");
  assert.equal(of({ code: "ENOTFOUND", errno: -3008 }).retry, "never");
  assert.equal(of({ name: "ConnectionReset" }).retry, "reconnect");
  assert.equal(of({ code: "ER_NO_SUCH_TABLE", errno: 1146 }).code, "RIVET_SOURCE_TABLE_NOT_FOUND");
  assert.equal(of({}).retry, "never");
  const known = of({ errno: 1213 });
  assert.equal(toSourceError(known, "elsewhere"), known);
});
