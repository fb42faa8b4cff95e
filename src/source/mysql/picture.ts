// One consistent picture: a snapshot a connection, and, where the account may stop writers for a moment, one snapshot for all lanes.
// The gate that stops writers is closed for as short as can be, and the server opens it by itself when we vanish.

import { sleep } from "../../runtime.ts";
import type { Session } from "./connect.ts";

/** A waiting FLUSH already holds writers back, so it waits no longer than this. */
const GATE_WAIT_S = 1;
/** Writers are held back at most this long for the lanes to join. */
const GATE_HOLD_MS = 2_000;
const GATE_POLL_MS = 10;

/** Begins this connection's own snapshot. The level is set for this one transaction only. */
export async function beginSnapshot(session: Session): Promise<void> {
  await session.ask("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  await session.ask("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
}

/** What the lanes are told: the lock that proves the gate is still closed, and how many may join. */
interface Token {
  readonly lock: string;
  readonly lanes: number;
}

export interface Gate {
  readonly token: string;
  /** Lets the writers go on; it does so by itself when all lanes have joined or the time is up. */
  open(): Promise<void>;
}

/**
 * Stops all writers through a connection of its own. Null when the account may not, or when a running statement keeps the server from
 * standing still soon enough.
 */
export async function closeGate(openConnection: () => Promise<Session>, lanes: number): Promise<Gate | null> {
  const session = await openConnection();
  const lock = `rivet_${crypto.randomUUID()}`;
  try {
    // The lock dies with the connection, and the server ends a connection that we abandoned.
    await session.ask(
      `SET SESSION lock_wait_timeout = ${GATE_WAIT_S}, SESSION wait_timeout = ${GATE_HOLD_MS / 1000 + 3}`,
    );
    await session.ask("FLUSH TABLES WITH READ LOCK");
    const [taken] = (await session.ask(`SELECT GET_LOCK('${lock}', 0)`)).rows[0] ?? [];
    if (taken !== "1") throw new Error("the gate's lock is taken");
  } catch {
    // No right to stop writers, or no standstill in time: every lane keeps a snapshot of its own.
    await session.close();
    return null;
  }
  let opened: Promise<void> | null = null;
  const open = () => opened ??= release(session, lock);
  const watch = async () => {
    const until = performance.now() + GATE_HOLD_MS;
    while (opened === null && performance.now() < until && !await allJoined(session, lock, lanes)) {
      await sleep(GATE_POLL_MS);
    }
    await open();
  };
  const watched = watch().catch(() => session.close());
  return { token: JSON.stringify({ lock, lanes } satisfies Token), open: () => open().then(() => watched) };
}

async function release(session: Session, lock: string): Promise<void> {
  try {
    // In this order: whoever sees the lock held knows that writers still stand still.
    await session.ask(`DO RELEASE_LOCK('${lock}')`);
    await session.ask("UNLOCK TABLES");
  } finally {
    await session.close();
  }
}

async function allJoined(session: Session, lock: string, lanes: number): Promise<boolean> {
  const joined = Array.from({ length: lanes }, (_, i) => `IS_USED_LOCK('${lock}_${i}') IS NOT NULL`).join(" AND ");
  const [all] = (await session.ask(`SELECT ${joined}`)).rows[0] ?? [];
  return all === "1";
}

/**
 * Begins a snapshot while the gate is closed. True when it certainly is the picture of all other lanes; false when the gate was open
 * again before it began, so that the snapshot is this connection's own.
 */
export async function joinSnapshot(session: Session, text: string): Promise<boolean> {
  const token = JSON.parse(text) as Token;
  await beginSnapshot(session);
  const [holder] = (await session.ask(`SELECT IS_USED_LOCK('${token.lock}')`)).rows[0] ?? [];
  if (holder === null || holder === undefined) return false;
  for (let i = 0; i < token.lanes; i++) {
    const [taken] = (await session.ask(`SELECT GET_LOCK('${token.lock}_${i}', 0)`)).rows[0] ?? [];
    if (taken === "1") break;
  }
  return true;
}

export async function endSnapshot(session: Session, joined: boolean): Promise<void> {
  await session.ask("COMMIT");
  if (joined) await session.ask("DO RELEASE_ALL_LOCKS()");
}
