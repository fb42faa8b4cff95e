// One connection to a server: npm:pg logs in and runs the small statements; rows go past it.
// Nothing is taken from the environment, from ~/.pgpass or from a service file.

import type { Client } from "pg";
import { RivetError } from "../../errors.ts";
import type { ServerConnection, SessionLimits } from "../source.ts";
import { type Channel, openChannel } from "./channel.ts";
import { connectionLost, isServerError, translateLogin, translateServer } from "./error.ts";
import { toCancelRequest } from "./message.ts";
import { ChannelSocket } from "./socket.ts";

/** A column of a row description. */
export interface ResultField {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeID: number;
  readonly dataTypeModifier: number;
}

export interface Result {
  readonly fields: readonly ResultField[];
  /** Every value as the server's text. */
  readonly rows: readonly (string | null)[][];
}

export interface Session extends AsyncDisposable {
  /** `host:port/database`, for errors. */
  readonly where: string;
  readonly serverVersion: string;
  /** 180004 for 18.4. */
  readonly versionNumber: number;
  /** Of the backend, as named at login; 0 when it was not. */
  readonly processId: number;
  /** Closed or broken: nothing more can be asked. */
  readonly closed: boolean;
  /** Runs one or several statements; one result each. */
  query(sql: string): Promise<readonly Result[]>;
  /** Lends the bare connection out while `body` runs. A body that cannot leave it at rest closes it. */
  lend<T>(body: (channel: Channel) => Promise<T>): Promise<T>;
  /** Asks the server, on a connection of its own, to stop what this one runs. Never throws. */
  cancel(): Promise<void>;
}

const CANCEL_TIMEOUT_MS = 5000;

/** What npm:pg has and its types do not show. */
interface Internals {
  processID: number | null;
  secretKey: number | null;
  getStartupConf: () => Record<string, string>;
  connection: {
    on(event: "parameterStatus", listener: (m: { parameterName: string; parameterValue: string }) => void): void;
  };
}

export async function openSession(server: ServerConnection, limits: SessionLimits): Promise<Session> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), limits.connectTimeoutMs);
  try {
    const socket = new ChannelSocket(await openChannel(server, deadline.signal));
    const stop = () => socket.destroy();
    deadline.signal.addEventListener("abort", stop, { once: true });
    try {
      return await login(server, socket, deadline.signal);
    } finally {
      deadline.signal.removeEventListener("abort", stop);
    }
  } finally {
    clearTimeout(timer);
  }
}

async function login(server: ServerConnection, socket: ChannelSocket, signal: AbortSignal): Promise<Session> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.user,
    database: server.database,
    // A function, so that an absent password does not send npm:pg to look for one elsewhere.
    password: () => server.password ?? "",
    ssl: false,
    stream: () => socket as never,
    types: { getTypeParser: () => (value: string) => value } as never,
    ...{ sslnegotiation: "postgres" },
  });
  const internals = client as unknown as Internals;
  // The whole startup message, so that nothing else finds its way into it.
  internals.getStartupConf = () => ({
    user: server.user,
    database: server.database,
    application_name: "rivet",
    client_encoding: "UTF8",
  });
  const parameters = new Map<string, string>();
  internals.connection.on("parameterStatus", (m) => parameters.set(m.parameterName, m.parameterValue));
  // A connection that breaks while nobody asks anything is found by the next question.
  client.on("error", () => {});
  const where = `${server.host}:${server.port}/${server.database}`;
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    if (!server.password && !isServerError(error) && socket.broken === null && !signal.aborted) throw noPassword(where);
    throw translateStart(error, socket, where, signal);
  }
  return toSession(server, client, socket, where, parameters.get("server_version") ?? "");
}

/** npm:pg stops where an answer to the server's question would need a password. */
function noPassword(where: string): RivetError {
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", "The server asks for a password and there is none", {
    where,
    cure: "Set `source.password_env`, or the password in the URL",
  });
}

function translateStart(error: unknown, socket: ChannelSocket, where: string, signal: AbortSignal): RivetError {
  if (isServerError(error)) return translateLogin(error, where);
  const message = signal.aborted
    ? "The server did not finish the login in time"
    : socket.broken !== null
    ? "The server closed the connection during the login"
    : `Cannot log in: ${error instanceof Error ? error.message : String(error)}`;
  const lost = signal.aborted || socket.broken !== null;
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", message, {
    where,
    cause: error,
    ...(lost ? { retry: "reconnect" as const } : { cure: "Check user and password, and the server's pg_hba.conf" }),
  });
}

function toSession(
  server: ServerConnection,
  client: Client,
  socket: ChannelSocket,
  where: string,
  serverVersion: string,
): Session {
  const { processID, secretKey } = client as unknown as Internals;
  const translate = (error: unknown) => {
    if (isServerError(error)) return translateServer(error, where);
    if (socket.destroyed || socket.broken !== null) return connectionLost(where, socket.broken ?? error);
    return new RivetError("RIVET_SOURCE_QUERY_FAILED", error instanceof Error ? error.message : String(error), {
      where,
      cause: error,
    });
  };
  return {
    where,
    serverVersion,
    versionNumber: parseVersion(serverVersion),
    processId: processID ?? 0,
    get closed() {
      return socket.destroyed;
    },
    query: async (sql) => {
      if (socket.destroyed) throw connectionLost(where, socket.broken);
      try {
        const result = await client.query({ text: sql, rowMode: "array" });
        return (Array.isArray(result) ? result : [result]) as unknown as Result[];
      } catch (error) {
        throw translate(error);
      }
    },
    lend: async (body) => {
      if (socket.destroyed) throw connectionLost(where, socket.broken);
      try {
        return await body(socket.lend());
      } finally {
        socket.takeBack();
      }
    },
    cancel: () => sendCancel(server, processID ?? 0, secretKey ?? 0),
    [Symbol.asyncDispose]: async () => {
      if (!socket.destroyed) await client.end().catch(() => {});
      socket.destroy();
    },
  };
}

/** `18.4` → 180004; what follows the digits is the packager's. */
function parseVersion(text: string): number {
  const [major, minor] = text.split(/[^0-9]/);
  return Number(major ?? 0) * 10_000 + Number(minor ?? 0);
}

async function sendCancel(server: ServerConnection, processId: number, secret: number): Promise<void> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), CANCEL_TIMEOUT_MS);
  try {
    const channel = await openChannel(server, deadline.signal);
    const stop = () => channel.close();
    deadline.signal.addEventListener("abort", stop, { once: true });
    try {
      await channel.write(toCancelRequest(processId, secret));
      // The server closes the connection once the signal is on its way.
      await channel.read(new Uint8Array(1));
    } finally {
      channel.close();
    }
  } catch {
    // The statement then ends when the server finds its own connection closed.
  } finally {
    clearTimeout(timer);
  }
}
