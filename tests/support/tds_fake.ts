// A server that speaks TDS 7.4, and 8.0 with strict TLS, as far as a reading client needs it. What it answers is given by the test.

import net from "node:net";
import tls from "node:tls";
import { type FakeCounters, type FakeOptions, serveClient } from "./tds/connection.ts";

export type { Answer, FakeOptions, FakeSession, Login, Step } from "./tds/connection.ts";
export { type DatabaseOptions, FakeDatabase } from "./tds/database.ts";
export type { WireColumn, WireValue } from "./tds/types.ts";

export interface FakeServer extends AsyncDisposable {
  readonly port: number;
  readonly counters: FakeCounters;
}

/** A fake on a free port of 127.0.0.1. Disposing it breaks what is still connected. */
export async function openFakeTds(options: FakeOptions): Promise<FakeServer> {
  const counters: FakeCounters = { logins: [], statements: [], attentions: 0, rowsSent: 0, open: 0 };
  const sockets = new Set<net.Socket>();
  let spid = 50;
  const onClient = (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serveClient(socket, options, counters, ++spid);
  };
  const server = options.encryption === "strict"
    ? tls.createServer({ key: options.key!, cert: options.cert!, ALPNProtocols: ["tds/8.0"] }, onClient)
    : net.createServer(onClient);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    port: (server.address() as net.AddressInfo).port,
    counters,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
