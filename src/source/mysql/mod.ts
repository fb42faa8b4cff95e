// The door of source/mysql/: MySQL 8 and MariaDB behind the one Source interface.

import { RivetError } from "../../errors.ts";
import { sleep } from "../../runtime.ts";
import type { Consistency, ServerConnection, SessionLimits, Source } from "../source.ts";
import { describeQuery, findTable } from "./catalog.ts";
import { openSession, type Session } from "./connect.ts";
import { killStatement } from "./kill.ts";
import { beginSnapshot, closeGate, endSnapshot, type Gate, joinSnapshot } from "./picture.ts";
import { readServerFacts } from "./proxy.ts";
import { type ReadContext, readRows } from "./read.ts";
import { applySettings, planSettings } from "./settings.ts";

/** Opens one connection with its session prepared and proved. Throws RivetError. */
export async function openMysql(connection: ServerConnection, limits: SessionLimits): Promise<Source> {
  const session = await openSession(connection, limits.connectTimeoutMs);
  try {
    return await prepare(session, connection, limits);
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function prepare(session: Session, connection: ServerConnection, limits: SessionLimits): Promise<Source> {
  const server = await readServerFacts(session);
  const settings = await planSettings(session, limits);
  await applySettings(session, settings);

  /** A table whose engine keeps no snapshot is consistent within one statement only. */
  let consistency: Consistency = "snapshot";
  let gate: Gate | null = null;
  let inPicture = false;
  let joined = false;
  let broken = false;
  let closed = false;
  /** The throttle's pause is due before the next statement, where it lengthens no statement and follows no last one. */
  let owedMs = 0;

  const context: ReadContext = {
    session,
    monotonic: () => performance.now(),
    statementTimeoutMs: settings.statementTimeoutByServer || limits.statementTimeoutS <= 0
      ? null
      : limits.statementTimeoutS * 1000,
    async kill(sql) {
      broken = true;
      await killStatement(() => openSession(connection, KILL_CONNECT_MS), server.connectionId, sql);
    },
  };

  function demandOpen(): void {
    if (!broken && !closed) return;
    throw new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The connection was closed after a failed read", {
      where: session.where,
      retry: "reconnect",
    });
  }

  async function endPicture(): Promise<void> {
    await gate?.open();
    gate = null;
    if (inPicture) await endSnapshot(session, joined);
    inPicture = joined = false;
  }

  return {
    engine: "mysql",
    framing: "mysql_packets",
    serverVersion: server.version,
    proxy: server.proxy,
    get consistency() {
      return consistency;
    },
    async describe(query) {
      demandOpen();
      return await describeQuery(session, query, server.mariadb);
    },
    async facts(table) {
      demandOpen();
      const found = await findTable(session, table);
      if (found?.transactional === false) consistency = "slice";
      return found?.facts ?? null;
    },
    async rows(sql) {
      demandOpen();
      return (await session.ask(sql)).rows;
    },
    async begin(token, lanes = 0) {
      demandOpen();
      await endPicture();
      let shared: string | null = null;
      if (token !== null) {
        joined = await joinSnapshot(session, token);
        shared = joined ? token : null;
      } else {
        gate = lanes > 0 ? await closeGate(() => openSession(connection, limits.connectTimeoutMs), lanes) : null;
        await beginSnapshot(session);
        shared = gate?.token ?? null;
      }
      inPicture = true;
      // Behind a proxy the transaction may be on another server connection than the one that was set up.
      await applySettings(session, settings);
      return shared;
    },
    async read(sql, into, options) {
      demandOpen();
      if (owedMs > 0) await sleep(owedMs, options.signal);
      owedMs = 0;
      if (!inPicture) await applySettings(session, settings);
      const report = await readRows(context, sql, into, options);
      if (options.throttleMs > 0 && options.batchRows > 0) {
        owedMs = (options.throttleMs * report.rows) / options.batchRows;
      }
      return report;
    },
    async end() {
      demandOpen();
      await endPicture();
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      if (broken) await gate?.open();
      else await leaveClean(session, endPicture, settings.restore);
      await session.close();
    },
  };
}

const KILL_CONNECT_MS = 5_000;

/** A pooled server connection goes on to other clients: they must find what they had. */
async function leaveClean(session: Session, endPicture: () => Promise<void>, restore: string | null): Promise<void> {
  try {
    await endPicture();
    if (restore !== null) await session.ask(restore);
  } catch {
    // The connection is gone, and its session with it.
  }
}
