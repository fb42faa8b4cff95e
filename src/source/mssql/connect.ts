// Dial, TLS and login. A password is sent only after the certificate was checked as `tls` asks, and never outside TLS unless `tls` is off.

import { connect as dial, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Connection, type ConnectionConfiguration } from "tedious";
import { invariant, RivetError } from "../../errors.ts";
import type { ServerConnection, SessionLimits, TlsOptions } from "../source.ts";
import { HeldEnds } from "./held_end.ts";
import { type ServerMessage, toConnectError, toDriverCode } from "./errors.ts";

export interface Dialled {
  readonly connection: Connection;
  /** Bytes received so far, as they came over the network. */
  bytesRead(): number;
}

/** How the connection is encrypted: inside TDS after a first clear message (7.4), or TLS around everything (8.0). */
type Encryption = "off" | "wrapped" | "strict";

/**
 * Larger packets mean fewer of them; above this an encrypted packet would not fit into one TLS record,
 * which some servers refuse.
 */
const PACKET_BYTES = 16_000;
/** How long the server may take to answer an attention before the connection is given up. */
const CANCEL_MS = 5_000;
/** The longest a timer can wait. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** A connection that is logged in. Throws RIVET_SOURCE_CONNECT_FAILED with the cure for what went wrong. */
export async function dialServer(server: ServerConnection, limits: SessionLimits): Promise<Dialled> {
  if (server.tls === null) return await dialPlain(server, limits);
  try {
    return await dialOnce(server, limits, "wrapped", server.tls);
  } catch (error) {
    // A server with forced strict encryption closes the connection at the first clear byte.
    const code = toDriverCode(error);
    if (code !== "ECONNRESET" && code !== "EPIPE") throw error;
    return await dialStrict(server, limits, server.tls, error);
  }
}

/** Without `tls`: clear text, or encrypted without a check where the server insists. */
async function dialPlain(server: ServerConnection, limits: SessionLimits): Promise<Dialled> {
  try {
    return await dialOnce(server, limits, "off", null);
  } catch (error) {
    if (toDriverCode(error) !== "EENCRYPT") throw error;
    return await dialOnce(server, limits, "wrapped", { mode: "require", ca: null, acceptInvalidHostnames: true });
  }
}

async function dialStrict(
  server: ServerConnection,
  limits: SessionLimits,
  tls: TlsOptions,
  first: unknown,
): Promise<Dialled> {
  if (tls.mode !== "verify-full" || tls.acceptInvalidHostnames) {
    // The protocol knows no unchecked strict connection. Whether the server is a strict one can only be asked by trying.
    const probe = await dialOnce(server, limits, "strict", tls).catch((error) => error as unknown);
    if (!(probe instanceof Error)) return probe as Dialled;
    if (!isCertificateCode(toDriverCode(probe))) throw first;
    throw new RivetError(
      "RIVET_SOURCE_CONNECT_FAILED",
      "The server demands strict encryption, which always checks certificate and host name",
      {
        where: toWhere(server),
        cure: "Set `tls: { mode: verify-full }`, with `ca_file` when the authority is your own",
        cause: probe,
      },
    );
  }
  try {
    return await dialOnce(server, limits, "strict", tls);
  } catch (error) {
    throw isCertificateCode(toDriverCode(error)) || isLoginAnswer(error) ? error : first;
  }
}

function isCertificateCode(code: string | null): boolean {
  return code !== null && /CERT|ISSUER|SIGNATURE|_CA$/.test(code);
}

/** The server answered the login, so it was the right way to dial. */
function isLoginAnswer(error: unknown): boolean {
  return toDriverCode(error) === "ELOGIN";
}

function toWhere(server: ServerConnection): string {
  return `mssql://${server.host}:${server.port}/${server.database}`;
}

async function dialOnce(
  server: ServerConnection,
  limits: SessionLimits,
  encryption: Encryption,
  tls: TlsOptions | null,
): Promise<Dialled> {
  const sockets: Socket[] = [];
  const said: ServerMessage[] = [];
  let reroutedTo: string | null = null;
  let refusal: RivetError | null = null;
  const ends = new HeldEnds();
  const connection = new Connection(
    toConfiguration(server, limits, encryption, tls, (host, socket) => {
      if (sockets.length > 0) reroutedTo = host;
      sockets.push(ends.hold(socket));
    }),
  );
  if (encryption === "strict") holdStrictEnds(connection, ends);
  connection.on("errorMessage", (message) => said.push(message));
  // A connection that breaks fails its request; this second notice of the same would end the process.
  connection.on("error", () => {});
  if (tls !== null && isChainOnly(tls)) {
    connection.on("secure", (socket: TLSSocket) => {
      refusal = checkChain(socket, server);
      if (refusal !== null) connection.close();
    });
  }
  try {
    await new Promise<void>((resolve, reject) => connection.connect((error) => error ? reject(error) : resolve()));
  } catch (error) {
    connection.close();
    if (refusal !== null) throw refusal;
    throw reroutedTo === null || said.length > 0
      ? toConnectError(error, said[0] ?? null, toWhere(server))
      : toRerouteError(server, reroutedTo, error);
  } finally {
    ends.settle();
  }
  connection.removeAllListeners("errorMessage");
  return { connection, bytesRead: () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0) };
}

/** Inside strict TLS the driver listens to a socket of its own making. */
function holdStrictEnds(connection: Connection, ends: HeldEnds): void {
  const maker = connection as unknown as { wrapWithTls(socket: Socket, signal: AbortSignal): Promise<TLSSocket> };
  const original = maker.wrapWithTls;
  invariant(typeof original === "function", "The driver has no wrapWithTls: this is not the pinned version");
  maker.wrapWithTls = async (socket, signal) => ends.hold(await original.call(connection, socket, signal));
}

function isChainOnly(tls: TlsOptions): boolean {
  return tls.mode === "verify-ca" || (tls.mode === "verify-full" && tls.acceptInvalidHostnames);
}

/** The driver cannot check the chain without the name, so it checks nothing and this does, before the login is sent. */
function checkChain(socket: TLSSocket, server: ServerConnection): RivetError | null {
  if (socket.authorized) return null;
  const found: unknown = socket.authorizationError;
  const code = typeof found === "string" ? found : toDriverCode(found);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return null;
  return toConnectError(Object.assign(new Error("the certificate is not trusted"), { code }), null, toWhere(server));
}

function toRerouteError(server: ServerConnection, host: string, error: unknown): RivetError {
  return new RivetError(
    "RIVET_SOURCE_CONNECT_FAILED",
    `The server redirected to '${host}', which could not be reached`,
    {
      where: toWhere(server),
      cure:
        `Set the connection policy of the Azure SQL server to Proxy, name '${host}' as the host, or allow it in the firewalls`,
      cause: error,
    },
  );
}

function toConfiguration(
  server: ServerConnection,
  limits: SessionLimits,
  encryption: Encryption,
  tls: TlsOptions | null,
  onDial: (host: string, socket: Socket) => void,
): ConnectionConfiguration {
  const isUnchecked = tls === null || tls.mode === "require" || isChainOnly(tls);
  return {
    server: server.host,
    authentication: {
      type: "default",
      options: { userName: server.user, ...(server.password === null ? {} : { password: server.password }) },
    },
    options: {
      port: server.port,
      database: server.database,
      appName: "rivet",
      // Else the driver asks the system for its name, which a confined lane may not.
      workstationId: "rivet",
      encrypt: encryption === "off" ? false : encryption === "strict" ? "strict" : true,
      trustServerCertificate: isUnchecked && encryption === "wrapped",
      cryptoCredentialsDetails: tls === null || tls.ca === null ? {} : { ca: tls.ca },
      ...(tls?.serverName === undefined ? {} : { serverName: tls.serverName }),
      connectTimeout: limits.connectTimeoutMs === 0 ? TIMER_MAX_MS : limits.connectTimeoutMs,
      // Statements have their own clock, which also runs while rows arrive.
      requestTimeout: 0,
      cancelTimeout: CANCEL_MS,
      // Retrying is decided above, where it is counted.
      maxRetriesOnTransientErrors: 0,
      packetSize: PACKET_BYTES,
      connector: (...args: unknown[]) => {
        const [{ host, port }, , signal] = args as [{ host: string; port: number }, unknown, AbortSignal];
        return dialSocket(host, port, signal, onDial);
      },
    },
  };
}

/** By name and not by looked-up address: a confined lane may reach the host by the text it was given, and by nothing else. */
function dialSocket(
  host: string,
  port: number,
  signal: AbortSignal,
  onDial: (host: string, socket: Socket) => void,
): Promise<Socket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = dial({ host, port });
    onDial(`${host}:${port}`, socket);
    const settle = () => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      socket.off("connect", onConnect);
    };
    const onAbort = () => onError(signal.reason);
    const onError = (error: unknown) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onConnect = () => {
      settle();
      resolve(socket);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError);
    socket.on("connect", onConnect);
  });
}
