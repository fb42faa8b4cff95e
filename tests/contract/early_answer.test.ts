// A server that answers before it has read the whole request, and then drops the connection: an error of the call, never of the process.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import { openDestination, type ResolvedDestination } from "../../src/destination/mod.ts";
import { bodyOf, bytesOf } from "../support/bodies.ts";

/** Reads the head of a request, refuses, and closes with the rest unread, which resets the connection. */
function startRude(waitMs: number): AsyncDisposable & { readonly port: number; readonly answers: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let answers = 0;
  const refuse = async (connection: Deno.Conn) => {
    await connection.read(new Uint8Array(2_000));
    answers++;
    const header = waitMs === 0 ? "close" : "keep-alive";
    const head = `HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: ${header}\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head));
    await new Promise((done) => setTimeout(done, waitMs));
    connection.close();
  };
  const accepting = (async () => {
    for await (const connection of listener) refuse(connection).catch(() => {});
  })();
  return {
    port: listener.addr.port,
    get answers() {
      return answers;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting.catch(() => {});
    },
  };
}

const STORES: Record<string, (endpoint: string) => ResolvedDestination> = {
  s3: (endpoint) => ({
    kind: "s3",
    bucket: "bucket",
    prefix: "",
    region: "us-east-1",
    endpoint,
    oneshotBudgetMb: 64,
    auth: { kind: "keys", accessKeyId: "k", secretAccessKey: "s", sessionToken: null, expiresAtMs: null },
  }),
  gcs: (endpoint) => ({
    kind: "gcs",
    bucket: "bucket",
    prefix: "",
    endpoint,
    oneshotBudgetMb: 64,
    auth: { kind: "token", token: "t", expiresAtMs: null },
  }),
  azure: (endpoint) => ({
    kind: "azure",
    container: "bucket",
    prefix: "",
    endpoint: `${endpoint}/account`,
    accountName: "account",
    oneshotBudgetMb: 64,
    auth: { kind: "key", key: btoa("key") },
  }),
};

for (const [name, toLocation] of Object.entries(STORES)) {
  Deno.test(`${name}: an answer before the end of the request, and a dropped connection, fail the call and nothing else`, async () => {
    for (const waitMs of [0, 20, 200]) await checkRude(toLocation, waitMs);
  });
}

async function checkRude(toLocation: (endpoint: string) => ResolvedDestination, waitMs: number): Promise<void> {
  await using rude = startRude(waitMs);
  await using destination = await openDestination(toLocation(`http://127.0.0.1:${rude.port}`), {
    requestTimeoutMs: 5_000,
  });
  const bytes = bytesOf(4 << 20);
  for (let i = 0; i < 8; i++) {
    const put = destination.put("key", bodyOf(bytes, 1 << 20), {
      contentType: "text/plain",
      signal: new AbortController().signal,
    });
    await assert.rejects(
      put,
      (error: unknown) => error instanceof RivetError && error.code === "RIVET_DEST_WRITE_FAILED",
    );
  }
  assert.ok(rude.answers >= 8);
  // What a socket has to say afterwards, it says now.
  await new Promise((done) => setTimeout(done, 400));
}
