// The door of source/mssql/: SQL Server and Azure SQL over the driver's connection, rows as exact text.

import { RivetError } from "../../errors.ts";
import type { Consistency, ServerConnection, SessionLimits, Source } from "../source.ts";
import { ask } from "./ask.ts";
import { readFacts } from "./catalog.ts";
import { dialServer } from "./connect.ts";
import { describeQuery } from "./describe.ts";
import { readRows } from "./read.ts";
import { beginSession, toBeginSql } from "./session.ts";

/** A logged-in session. Throws RIVET_SOURCE_CONNECT_FAILED and what else the server says about the login. */
export async function openMssql(server: ServerConnection, limits: SessionLimits): Promise<Source> {
  const timeoutMs = limits.statementTimeoutS * 1000;
  const { connection, bytesRead } = await dialServer(server, limits);
  const rows = (sql: string) => ask(connection, sql, timeoutMs);
  const close = () => {
    if (connection.closed) return Promise.resolve();
    const ended = new Promise<void>((resolve) => connection.once("end", () => resolve()));
    connection.close();
    return ended;
  };
  const facts = await beginSession(rows, limits).catch(async (error) => {
    await close();
    throw error;
  });
  let consistency: Consistency = facts.consistency;
  let inPicture = false;

  /** A deadlock or a severe error rolls the transaction back, and the picture with it. */
  const whileReading = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (!inPicture || connection.inTransaction) throw error;
      inPicture = false;
      consistency = "slice";
      if (!(error instanceof RivetError) || error.retry === "never") throw error;
      const { code, message, where, cure, retryDelayMs, cause } = error;
      throw new RivetError(code, message, {
        ...(where === null ? {} : { where }),
        cure,
        retry: "reconnect",
        retryDelayMs,
        cause,
      });
    }
  };

  return {
    engine: "mssql",
    framing: "rows",
    serverVersion: facts.serverVersion,
    proxy: facts.proxy,
    get consistency() {
      return consistency;
    },
    describe: (query) => describeQuery(rows, query),
    facts: (table) => readFacts(rows, table),
    rows: (sql) => whileReading(() => rows(sql)),
    async begin() {
      if (facts.consistency !== "snapshot") return null;
      await rows(await toBeginSql(rows));
      inPicture = true;
      return null;
    },
    read: (sql, into, options) =>
      whileReading(async () => {
        const before = bytesRead();
        const report = await readRows(connection, sql, into, options, timeoutMs);
        return { ...report, bytesRead: bytesRead() - before };
      }),
    async end() {
      if (!inPicture) return;
      inPicture = false;
      await rows("IF @@TRANCOUNT > 0 COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    },
    [Symbol.asyncDispose]: close,
  };
}
