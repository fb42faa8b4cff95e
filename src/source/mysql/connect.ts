// Logging in: dials, lets mysql2 authenticate over our stream, and asks small questions whose answers are text.
// Rows of an export never pass through here.

import mysql from "mysql2";
import { RivetError } from "../../errors.ts";
import type { ServerConnection } from "../source.ts";
import { openChannel } from "./channel.ts";
import { type DriverStream, openDriverStream } from "./duplex.ts";
import { toConnectError, toSourceError } from "./errors.ts";

/** A column as the driver read its definition. */
export interface Field {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly length: number;
  readonly decimals: number;
  readonly collation: number;
  readonly extended: string | null;
}

export interface Answer {
  readonly rows: (string | null)[][];
  readonly fields: readonly Field[];
}

/** One logged-in connection. */
export interface Session {
  /** `mysql://host:port/database`, for errors. */
  readonly where: string;
  readonly stream: DriverStream;
  /** The server's id of this connection as its greeting told it. */
  readonly threadId: number;
  ask(sql: string): Promise<Answer>;
  /** Takes leave of the server when it can, and closes the socket. */
  close(): Promise<void>;
}

/** What the driver keeps of a column definition; its own types lag behind. */
interface DriverField {
  name: string;
  columnType: number;
  flags: number;
  columnLength: number;
  decimals: number;
  characterSet: number;
  extendedTypeName?: string;
  extendedFormat?: string;
}

type DriverConnection = mysql.Connection & { startTLS(done: (error?: unknown) => void): void };

export function describeTarget(connection: ServerConnection): string {
  return `mysql://${connection.host}:${connection.port}/${connection.database}`;
}

export async function openSession(connection: ServerConnection, connectTimeoutMs: number): Promise<Session> {
  const where = describeTarget(connection);
  const giveUp = new AbortController();
  const timer = connectTimeoutMs > 0
    ? setTimeout(() => giveUp.abort(connectTimeout(connection)), connectTimeoutMs)
    : undefined;
  let stream: DriverStream | null = null;
  try {
    stream = openDriverStream(await openChannel(connection, giveUp.signal));
    return await logIn(connection, stream, where, giveUp.signal);
  } catch (error) {
    await stream?.close();
    throw toConnectError(giveUp.signal.aborted ? giveUp.signal.reason : error, where);
  } finally {
    clearTimeout(timer);
  }
}

function connectTimeout(connection: ServerConnection): RivetError {
  return new RivetError(
    "RIVET_SOURCE_CONNECT_FAILED",
    `No answer from '${connection.host}:${connection.port}' in time`,
    {
      where: describeTarget(connection),
      retry: "reconnect",
      cure: "Check host, port and firewall",
    },
  );
}

function logIn(
  connection: ServerConnection,
  stream: DriverStream,
  where: string,
  giveUp: AbortSignal,
): Promise<Session> {
  return new Promise((resolve, reject) => {
    giveUp.addEventListener("abort", () => reject(giveUp.reason), { once: true });
    const driver = mysql.createConnection({
      ...driverOptions(connection),
      stream: stream.duplex,
    }) as DriverConnection;
    // The driver would check the name "localhost" for a host given as an address, and forget the CA's meaning of `verify-ca`.
    driver.startTLS = (done) => {
      stream.secure().then(() => done(), (error) => done(toTlsError(error)));
    };
    let failure: unknown = null;
    driver.on("error", (error) => {
      failure ??= error;
      reject(error);
    });
    driver.connect((error) => {
      if (error !== null && error !== undefined) return reject(error);
      resolve({
        where,
        stream,
        threadId: driver.threadId,
        ask: (sql) => ask(driver, sql, where, () => failure),
        close: () => closeDriver(driver, stream),
      });
    });
  });
}

/** Failures of the handshake have no code of their own here; a lost connection keeps its own. */
function toTlsError(error: unknown): Error {
  const cause = error instanceof Error ? error : new Error(String(error));
  return Object.assign(new Error(`TLS: ${cause.message}`, { cause }), { code: "HANDSHAKE_SSL_ERROR" });
}

function driverOptions(connection: ServerConnection): mysql.ConnectionOptions {
  const { user, password, database, tls } = connection;
  return {
    user,
    ...(password === null ? {} : { password }),
    ...(database === "" ? {} : { database }),
    charset: "UTF8MB4_GENERAL_CI",
    // Only its presence counts: the handshake itself is ours.
    ...(tls === null ? {} : { ssl: { rejectUnauthorized: true } }),
    // A server may ask for the password in the clear, but only one that has proved who it is will get it.
    enableCleartextPlugin: tls !== null && tls.mode !== "require",
    flags: ["-LOCAL_FILES", "-IGNORE_SPACE", "-ODBC", "-CLIENT_QUERY_ATTRIBUTES"],
    connectTimeout: 0,
    connectAttributes: { program_name: "rivet" },
    rowsAsArray: true,
    disableEval: true,
    supportBigNumbers: true,
    typeCast: (field) => field.buffer(),
  };
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function toText(value: unknown, where: string): string | null {
  if (value === null || value === undefined) return null;
  try {
    return decoder.decode(value as Uint8Array);
  } catch (cause) {
    throw new RivetError(
      "RIVET_SOURCE_VALUE_UNREPRESENTABLE",
      "The server answered a question with bytes that are not UTF-8",
      {
        where,
        cause,
      },
    );
  }
}

function ask(driver: mysql.Connection, sql: string, where: string, failure: () => unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    driver.query({ sql }, (error, rows, fields) => {
      if (error !== null && error !== undefined) return reject(toSourceError(failure() ?? error, where));
      if (!Array.isArray(rows)) return resolve({ rows: [], fields: [] });
      try {
        resolve({
          rows: (rows as unknown[][]).map((row) => row.map((value) => toText(value, where))),
          fields: ((fields ?? []) as unknown as DriverField[]).map(toField),
        });
      } catch (bad) {
        reject(bad);
      }
    });
  });
}

function toField(field: DriverField): Field {
  return {
    name: field.name,
    type: field.columnType,
    flags: field.flags,
    length: field.columnLength,
    decimals: field.decimals,
    collation: field.characterSet,
    extended: field.extendedTypeName ?? field.extendedFormat ?? null,
  };
}

const GOODBYE_MS = 1_000;

async function closeDriver(driver: mysql.Connection, stream: DriverStream): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([
    new Promise<void>((resolve) => driver.end(() => resolve())).then(() => stream.flushed()).catch(() => {}),
    new Promise<void>((resolve) => timer = setTimeout(resolve, GOODBYE_MS)),
  ]);
  clearTimeout(timer);
  await stream.close();
}
