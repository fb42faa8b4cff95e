// A TCP proxy before a MySQL server that sees every statement, and may answer some itself, as poolers and routers do.

import net from "node:net";
import { Buffer } from "node:buffer";
import type { ServerConnection } from "../../src/source/mod.ts";

/** What the proxy does with a statement: pass it on, say OK to it, or answer with one value. */
export type Verdict = "pass" | "ok" | { readonly value: string };

export interface MysqlProxy extends AsyncDisposable {
  /** The same account through the proxy. */
  readonly connection: ServerConnection;
  /** All statements of all clients, in order. */
  readonly statements: readonly string[];
}

const COM_QUERY = 0x03;

export async function openMysqlProxy(target: ServerConnection, decide: (sql: string) => Verdict): Promise<MysqlProxy> {
  const statements: string[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.pipe(client, { end: false });
    let pending = Buffer.alloc(0);
    client.on("data", (data: Buffer) => {
      pending = Buffer.concat([pending, data]);
      for (;;) {
        const length = pending.length < 4 ? Infinity : pending.readUIntLE(0, 3) + 4;
        if (pending.length < length) return;
        const packet = pending.subarray(0, length);
        pending = pending.subarray(length);
        const isQuery = packet[3] === 0 && packet[4] === COM_QUERY;
        const sql = isQuery ? packet.toString("utf8", 5) : null;
        if (sql !== null) statements.push(sql);
        const verdict = sql === null ? "pass" : decide(sql);
        if (verdict === "pass") upstream.write(packet);
        else client.write(verdict === "ok" ? okPacket() : oneValue(verdict.value));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    connection: { ...target, host: "127.0.0.1", port },
    statements,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function packet(sequence: number, body: readonly number[]): Buffer {
  return Buffer.from([body.length & 0xff, body.length >> 8, 0, sequence, ...body]);
}

function okPacket(): Buffer {
  return packet(1, [0, 0, 0, 2, 0, 0, 0]);
}

/** A result set of one VAR_STRING column and one row. */
function oneValue(value: string): Buffer {
  const text = [...Buffer.from(value)];
  const lenenc = (bytes: readonly number[]) => [bytes.length, ...bytes];
  const name = [0x76];
  const column = [
    ...lenenc([...Buffer.from("def")]),
    0,
    0,
    0,
    ...lenenc(name),
    0,
    // MariaDB's extended metadata, empty; the real server behind the proxy has negotiated it.
    0,
    0x0c,
    45,
    0,
    255,
    0,
    0,
    0,
    0xfd,
    0,
    0,
    0,
    0,
    0,
  ];
  const eof = [0xfe, 0, 0, 2, 0];
  return Buffer.concat([packet(1, [1]), packet(2, column), packet(3, eof), packet(4, lenenc(text)), packet(5, eof)]);
}
