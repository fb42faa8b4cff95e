// The bytes to and from one server: a TCP connection, under TLS where the connection asks for it.
// Verified TLS by name runs on Deno's own sockets, which read straight into the caller's memory; what they cannot do runs on node:tls.

import type { TLSSocket } from "node:tls";
import { RivetError } from "../../errors.ts";
import type { ServerConnection, TlsOptions } from "../source.ts";
import { translateDial, translateTls } from "./error.ts";
import { ChannelSocket } from "./socket.ts";

export interface Channel {
  /** Waits for bytes and puts them at the start of `into`; how many, or null at the end. One read at a time. */
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
  /** Ends a read that waits. Safe to call again. */
  close(): void;
}

const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Connects and, where asked for, has the server prove itself. `signal` bounds all of it. */
export async function openChannel(server: ServerConnection, signal: AbortSignal): Promise<Channel> {
  const where = `${server.host}:${server.port}`;
  const conn = await dial(server, where, signal);
  const stop = () => close(conn);
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (!("setNoDelay" in conn)) return denoChannel(conn);
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
    if (server.tls === null) return denoChannel(conn);
    await requestTls(conn, where);
    return runsOnDeno(server.tls)
      ? await startDenoTls(conn, server.host, server.tls)
      : await startNodeTls(conn, server.host, server.tls);
  } catch (error) {
    close(conn);
    if (error instanceof RivetError && !signal.aborted) throw error;
    throw translateTls(error, where, signal, (server.tls?.ca ?? null) !== null);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function dial(
  server: ServerConnection,
  where: string,
  signal: AbortSignal,
): Promise<Deno.TcpConn | Deno.UnixConn> {
  try {
    return server.host.startsWith("/")
      ? await Deno.connect({ transport: "unix", path: `${server.host}/.s.PGSQL.${server.port}` })
      : await Deno.connect({ hostname: server.host, port: server.port, signal });
  } catch (error) {
    throw translateDial(error, where, signal);
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    // Closed twice, or handed on to TLS; anything else is a mistake of ours.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function denoChannel(conn: Deno.Conn): Channel {
  return {
    read: (into) => conn.read(into),
    write: async (bytes) => {
      for (let at = 0; at < bytes.length;) at += await conn.write(at === 0 ? bytes : bytes.subarray(at));
    },
    close: () => close(conn),
  };
}

/** The server answers an SSLRequest with `S` or `N`, before anything is known about it. */
async function requestTls(conn: Deno.TcpConn, where: string): Promise<void> {
  await conn.write(SSL_REQUEST);
  const answer = new Uint8Array(1);
  const count = await conn.read(answer);
  if (count !== null && answer[0] === 0x53) return;
  if (count === null) {
    throw new RivetError("RIVET_SOURCE_CONNECT_FAILED", "The server closed the connection when asked for TLS", {
      where,
      retry: "reconnect",
    });
  }
  throw new RivetError("RIVET_SOURCE_CONNECT_FAILED", "The server does not offer TLS", {
    where,
    cure: "Switch TLS on at the server, or accept plaintext with `source.tls.mode: disable`",
  });
}

/** Deno's sockets trust the given CA beside the public roots, which is sound only while the name is checked too. */
function runsOnDeno(options: TlsOptions): boolean {
  // Deno may check another name than the one it dialled only with more rights than a confined lane has.
  if (options.serverName !== undefined) return false;
  switch (options.mode) {
    case "require":
      return false;
    case "verify-ca":
      return options.ca === null;
    case "verify-full":
      return options.ca === null || !options.acceptInvalidHostnames;
    default: {
      const never: never = options.mode;
      return never;
    }
  }
}

function checksName(options: TlsOptions): boolean {
  return options.mode === "verify-full" && !options.acceptInvalidHostnames;
}

async function startDenoTls(conn: Deno.TcpConn, host: string, options: TlsOptions): Promise<Channel> {
  const secure = await Deno.startTls(conn, {
    hostname: host,
    unsafelyDisableHostnameVerification: !checksName(options),
    ...(options.ca === null ? {} : { caCerts: [options.ca] }),
  });
  try {
    await secure.handshake();
    return denoChannel(secure);
  } catch (error) {
    close(secure);
    throw error;
  }
}

/** Any certificate under `require`, else one of the given CA and of no other. */
async function startNodeTls(conn: Deno.TcpConn, host: string, options: TlsOptions): Promise<Channel> {
  const [{ default: tls }, { isIP }] = await Promise.all([import("node:tls"), import("node:net")]);
  const name = options.serverName ?? host;
  const raw = new ChannelSocket(denoChannel(conn));
  raw.on("error", () => {});
  const secure = tls.connect({
    socket: raw,
    rejectUnauthorized: options.mode !== "require",
    checkServerIdentity: (_name, certificate) =>
      checksName(options) ? tls.checkServerIdentity(name, certificate) : undefined,
    ...(options.mode !== "require" && options.ca !== null ? { ca: options.ca } : {}),
    ...(isIP(name) === 0 ? { servername: name } : {}),
  });
  const handshake = Promise.withResolvers<void>();
  secure.once("secureConnect", handshake.resolve);
  secure.once("error", handshake.reject);
  raw.once("close", () => handshake.reject(new Deno.errors.UnexpectedEof("connection closed")));
  try {
    await handshake.promise;
    return nodeChannel(secure, raw);
  } catch (error) {
    secure.destroy();
    raw.destroy();
    throw error;
  }
}

function nodeChannel(secure: TLSSocket, raw: ChannelSocket): Channel {
  let rest: Uint8Array | null = null;
  let wake: () => void = () => {};
  let failure: Error | null = null;
  let ended = false;
  const end = () => {
    ended = true;
    wake();
  };
  secure.on("readable", () => wake());
  secure.on("end", end);
  secure.on("error", (error) => {
    failure = error;
    wake();
  });
  // The end of a connection that breaks is told by the socket below alone; what it brought before lies here already.
  raw.once("close", end);
  return {
    read: async (into) => {
      while (rest === null) {
        rest = secure.read() as Uint8Array | null;
        if (rest !== null) break;
        if (failure !== null) throw failure;
        if (ended) return null;
        await new Promise<void>((resolve) => wake = resolve);
      }
      const taken: Uint8Array = rest.subarray(0, into.length);
      into.set(taken);
      rest = taken.length === rest.length ? null : rest.subarray(taken.length);
      return taken.length;
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        // A socket that closes while it is written to may never call back.
        const closed = () => reject(failure ?? new Error("the connection was closed"));
        raw.once("close", closed);
        secure.write(bytes, (error) => {
          raw.off("close", closed);
          if (error === null || error === undefined) resolve();
          else reject(error);
        });
      }),
    close: () => {
      secure.destroy();
      raw.destroy();
    },
  };
}
