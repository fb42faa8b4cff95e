// The bytes to and from one server: a TCP connection, under TLS where the connection asks for it.
// Verified TLS by name runs on Deno's own sockets, which read straight into the caller's memory; what they cannot do runs on node:tls.

import net from "node:net";
import tls from "node:tls";
import { RivetError } from "../../errors.ts";
import type { ServerConnection, TlsOptions } from "../source.ts";
import { translateDial, translateTls } from "./error.ts";

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
  return server.tls !== null && !runsOnDeno(server.tls)
    ? await openNodeTls(server, server.tls, signal)
    : await openDeno(server, signal);
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

async function openDeno(server: ServerConnection, signal: AbortSignal): Promise<Channel> {
  const where = `${server.host}:${server.port}`;
  let conn: Deno.TcpConn | Deno.TlsConn | Deno.UnixConn;
  try {
    conn = server.host.startsWith("/")
      ? await Deno.connect({ transport: "unix", path: `${server.host}/.s.PGSQL.${server.port}` })
      : await Deno.connect({ hostname: server.host, port: server.port, signal });
  } catch (error) {
    throw translateDial(error, where, signal);
  }
  const stop = () => close(conn);
  signal.addEventListener("abort", stop, { once: true });
  try {
    if ("setNoDelay" in conn) {
      conn.setNoDelay(true);
      conn.setKeepAlive(true);
      if (server.tls !== null) conn = await startDenoTls(conn, server, server.tls, where);
    }
    return denoChannel(conn);
  } catch (error) {
    close(conn);
    throw error instanceof RivetError && !signal.aborted ? error : translateTls(error, where, signal);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function startDenoTls(
  conn: Deno.TcpConn,
  server: ServerConnection,
  options: TlsOptions,
  where: string,
): Promise<Deno.TlsConn> {
  await conn.write(SSL_REQUEST);
  const answer = new Uint8Array(1);
  checkAnswer(await conn.read(answer) === null ? null : answer[0]!, where);
  const secure = await Deno.startTls(conn, {
    hostname: server.host,
    unsafelyDisableHostnameVerification: !checksName(options),
    ...(options.ca === null ? {} : { caCerts: [options.ca] }),
  });
  try {
    await secure.handshake();
  } catch (error) {
    close(secure);
    throw error;
  }
  return secure;
}

/** The server answers an SSLRequest with `S` or `N`, before anything is known about it. */
function checkAnswer(byte: number | null, where: string): void {
  if (byte === 0x53) return;
  if (byte === null) {
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

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    // Closed twice; anything else is a mistake of ours.
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

async function openNodeTls(server: ServerConnection, options: TlsOptions, signal: AbortSignal): Promise<Channel> {
  const where = `${server.host}:${server.port}`;
  const socket = net.connect(server.port, server.host);
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
  const stop = () => socket.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await once(socket, "connect").catch((error) => {
      throw translateDial(error, where, signal);
    });
    socket.write(SSL_REQUEST);
    checkAnswer(await firstByte(socket), where);
    const verify = options.mode !== "require";
    const name = options.serverName ?? server.host;
    const secure = tls.connect({
      socket,
      rejectUnauthorized: verify,
      ...(verify && options.ca !== null ? { ca: options.ca } : {}),
      ...(net.isIP(name) === 0 ? { servername: name } : {}),
      checkServerIdentity: (_name, certificate) =>
        checksName(options) ? tls.checkServerIdentity(name, certificate) : undefined,
    });
    await once(secure, "secureConnect").catch((error) => {
      secure.destroy();
      throw error;
    });
    return nodeChannel(secure);
  } catch (error) {
    socket.destroy();
    throw error instanceof RivetError && !signal.aborted ? error : translateTls(error, where, signal);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Like the one of node:events, but a socket that just closes is a failure too. */
function once(socket: net.Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      socket.off(event, done).off("error", settle).off("close", closed);
      // An error after this belongs to whoever reads or writes then.
      socket.on("error", () => {});
      if (error === undefined) resolve();
      else reject(error);
    };
    const done = () => settle();
    const closed = () => settle(new Deno.errors.UnexpectedEof("connection closed"));
    socket.once(event, done).once("error", settle).once("close", closed);
  });
}

function firstByte(socket: net.Socket): Promise<number | null> {
  return new Promise((resolve) => {
    const data = (chunk: Uint8Array) => {
      // TLS must find the socket as it would be had it connected itself.
      socket.pause();
      settle(chunk[0] ?? null);
    };
    const end = () => settle(null);
    const settle = (byte: number | null) => {
      socket.off("data", data).off("close", end);
      resolve(byte);
    };
    socket.on("data", data).once("close", end);
  });
}

function nodeChannel(socket: tls.TLSSocket): Channel {
  let rest: Uint8Array | null = null;
  let wake: (() => void) | null = null;
  let failure: Error | null = null;
  let ended = false;
  const stir = () => {
    wake?.();
    wake = null;
  };
  socket.on("readable", stir);
  socket.on("end", () => {
    ended = true;
    stir();
  });
  socket.on("close", () => {
    ended = true;
    stir();
  });
  socket.on("error", (error) => {
    failure = error;
    stir();
  });
  return {
    read: async (into) => {
      while (rest === null) {
        rest = socket.read() as Uint8Array | null;
        if (rest !== null) break;
        if (failure !== null) throw failure;
        if (ended) return null;
        await new Promise<void>((resolve) => wake = resolve);
      }
      const count = Math.min(rest.length, into.length);
      into.set(count === rest.length ? rest : rest.subarray(0, count));
      rest = count === rest.length ? null : rest.subarray(count);
      return count;
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        socket.write(bytes, (error) => error === null || error === undefined ? resolve() : reject(error));
      }),
    close: () => {
      socket.destroy();
    },
  };
}
