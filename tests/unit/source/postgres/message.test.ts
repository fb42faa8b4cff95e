// PostgreSQL messages as bytes: what is read from them and what is sent.

import assert from "node:assert/strict";
import {
  findMessage,
  parseColumnTypes,
  parseError,
  parseRowCount,
  TAG,
  toCancelRequest,
  toQueryMessage,
} from "../../../../src/source/postgres/message.ts";
import { isWireOf } from "../../../../src/source/postgres/wire.ts";

function message(tag: string, ...parts: (string | number[])[]): Uint8Array {
  const body = parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part), 0] : part);
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = tag.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, 4 + body.length);
  bytes.set(body, 5);
  return bytes;
}

/** A message in the middle of a larger buffer, as the core hands them out. */
function inside(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length + 7);
  larger.set(bytes, 3);
  return larger.subarray(3, 3 + bytes.length);
}

const column = (name: string, oid: number[]) => [name, [0, 0, 0, 1, 0, 2, ...oid, 0, 4, 255, 255, 255, 255, 0, 1]];

Deno.test("the rows of a command are what it says last", () => {
  assert.equal(parseRowCount(inside(message("C", "FETCH 123"))), 123);
  assert.equal(parseRowCount(inside(message("C", "FETCH 0"))), 0);
  assert.equal(parseRowCount(inside(message("C", "INSERT 0 5"))), 5);
  assert.equal(parseRowCount(inside(message("C", "DECLARE CURSOR"))), null);
});

Deno.test("an error's fields are found in any order, and the severity that no language changes wins", () => {
  const error = parseError(inside(message("E", "SFEHLER", "VERROR", "C42P01", "Mnöt found", "Ddetail", [0])));
  assert.deepEqual(error, {
    code: "42P01",
    message: "nöt found",
    detail: "detail",
    hint: undefined,
    severity: "ERROR",
  });
  assert.equal(parseError(message("E", [0])).code, "XX000");
});

Deno.test("column types are read past names of any length", () => {
  const bytes = message("T", [0, 2], ...column("a", [0, 0, 0, 23]), ...column("ünïcode", [0, 0, 14, 218]));
  assert.deepEqual(parseColumnTypes(inside(bytes)), [23, 3802]);
  assert.deepEqual(parseColumnTypes(message("T", [0, 0])), []);
});

Deno.test("a message is found only when it is whole", () => {
  const head = message("C", "DECLARE CURSOR");
  const description = message("T", [0, 0]);
  const bytes = new Uint8Array([...head, ...description, 0x44]);
  assert.deepEqual(findMessage(bytes, [TAG.rowDescription, TAG.error]), description);
  for (let length = 0; length < head.length + description.length; length++) {
    assert.equal(findMessage(bytes.subarray(0, length), [TAG.rowDescription]), null);
  }
  assert.equal(findMessage(bytes, [TAG.error]), null);
});

Deno.test("a query is sent as UTF-8 with its length in bytes", () => {
  const bytes = toQueryMessage("SELECT 'ü'");
  assert.equal(bytes[0], 0x51);
  assert.equal(new DataView(bytes.buffer).getUint32(1), bytes.length - 1);
  assert.equal(bytes.at(-1), 0);
  assert.equal(new TextDecoder().decode(bytes.subarray(5, -1)), "SELECT 'ü'");
});

Deno.test("a cancel request names process and secret", () => {
  const view = new DataView(toCancelRequest(77, 0xfffffffe).buffer);
  assert.deepEqual([0, 4, 8, 12].map((at) => view.getUint32(at)), [16, 80877102, 77, 0xfffffffe]);
  assert.equal(new DataView(toCancelRequest(1, -2).buffer).getInt32(12), -2);
});

Deno.test("a wire form fits its own types and no other of the same width", () => {
  assert.ok(isWireOf("int8", 20) && isWireOf("text", 1043) && isWireOf("array<int4>", 1007));
  for (
    const [wire, oid] of [["int8", 701], ["timestamp", 1184], ["text", 23], ["array<int4>", 23], ["int4", 1007], [
      "x",
      1,
    ]] as const
  ) {
    assert.equal(isWireOf(wire, oid), false, `${wire} ${oid}`);
  }
});
