// A connection as bytes: one read at a time into the caller's memory, whole writes. Plain, Deno TLS and node TLS look the same.
// It knows nothing of the protocol.

import { Buffer } from "node:buffer";
import net from "node:net";
import tls from "node:tls";
import type { ServerConnection, TlsOptions } from "../source.ts";

export interface Channel {
  /** Fills the start of `view`; null when the server closed. */
  read(view: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
  /** The same connection with TLS on top; this channel must not be used afterwards. */
  startTls(): Promise<Channel>;
  close(): void;
}

type Target = Pick<ServerConnection, "host" | "port" | "tls">;

/** Dials; throws what the platform throws. */
export async function openChannel(target: Target, signal: AbortSignal): Promise<Channel> {
  if (target.tls === null || trustsSystemRoots(target.tls)) return await dialDeno(target, signal);
  return await dialNode(target, target.tls, signal);
}

/**
 * Deno's TLS always adds its default roots to a private CA and cannot skip verification, so it is right in this one case only,
 * where it is also the fastest way.
 */
function trustsSystemRoots(options: TlsOptions): boolean {
  return options.mode === "verify-full" && options.ca === null && !options.acceptInvalidHostnames &&
    options.serverName === undefined;
}

async function dialDeno(target: Target, signal: AbortSignal): Promise<Channel> {
  const conn = await Deno.connect({ hostname: target.host, port: target.port, signal });
  conn.setNoDelay(true);
  conn.setKeepAlive(true);
  return denoChannel(conn, () => Deno.startTls(conn, { hostname: target.host }));
}

function denoChannel(conn: Deno.Conn, upgrade: () => Promise<Deno.TlsConn>): Channel {
  let open = true;
  return {
    read: (view) => conn.read(view),
    async write(bytes) {
      for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
    },
    async startTls() {
      const secured = await upgrade();
      open = false;
      try {
        await secured.handshake();
      } catch (error) {
        secured.close();
        throw error;
      }
      return denoChannel(secured, upgrade);
    },
    close() {
      if (open) conn.close();
      open = false;
    },
  };
}

function dialNode(target: Target, options: TlsOptions, signal: AbortSignal): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: target.host, port: target.port, noDelay: true, keepAlive: true });
    const onAbort = () => socket.destroy(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", reject);
      resolve(nodeChannel(socket, () => secureNode(socket, options.serverName ?? target.host, options)));
    });
  });
}

function secureNode(socket: net.Socket, host: string, options: TlsOptions): Promise<tls.TLSSocket> {
  const checksName = options.mode === "verify-full" && !options.acceptInvalidHostnames;
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      rejectUnauthorized: options.mode !== "require",
      // Server names in TLS are names only; an address is checked against the certificate below all the same.
      ...(net.isIP(host) === 0 ? { servername: host } : {}),
      ...(options.ca === null ? {} : { ca: options.ca }),
      checkServerIdentity: (_name, certificate) => checksName ? tls.checkServerIdentity(host, certificate) : undefined,
    });
    secured.once("error", reject);
    secured.once("secureConnect", () => {
      secured.off("error", reject);
      resolve(secured);
    });
  });
}

function nodeChannel(socket: net.Socket, upgrade: () => Promise<net.Socket>): Channel {
  let failure: Error | null = null;
  let ended = false;
  let rest: Uint8Array = new Uint8Array(0);
  let wake: () => void = () => {};
  const onError = (error: Error) => {
    failure = error;
    wake();
  };
  const onEnd = () => {
    ended = true;
    wake();
  };
  const onReadable = () => wake();
  socket.on("error", onError).on("end", onEnd).on("close", onEnd);
  return {
    async read(view) {
      if (rest.length === 0) {
        socket.on("readable", onReadable);
        try {
          for (;;) {
            const chunk: Buffer | null = socket.read();
            if (chunk !== null) {
              rest = chunk;
              break;
            }
            if (failure !== null) throw failure;
            if (ended) return null;
            await new Promise<void>((resolve) => wake = resolve);
          }
        } finally {
          socket.off("readable", onReadable);
        }
      }
      const taken = rest.subarray(0, view.length);
      view.set(taken);
      rest = rest.subarray(taken.length);
      return taken.length;
    },
    write(bytes) {
      // The stream keeps a reference until it is sent; the caller's buffer may be used again before that.
      const copy = Buffer.from(bytes);
      return new Promise((resolve, reject) => {
        socket.write(copy, (error) => error === null || error === undefined ? resolve() : reject(error));
      });
    },
    async startTls() {
      socket.off("end", onEnd).off("close", onEnd);
      return nodeChannel(await upgrade(), upgrade);
    },
    close() {
      socket.destroy();
    },
  };
}
