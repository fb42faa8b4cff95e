// `doctor`'s checks, one after the other: can the source be reached and read, does every destination take an object, can the state be
// written. A failed check ends none of the others. Nothing is left behind.

import { RivetError, toRivetError } from "../errors.ts";
import { type Config, type Export, isLoopback } from "../config/mod.ts";
import {
  type Destination,
  keepFolders,
  type OpenOptions,
  placeToProbe,
  probeDestination,
  type ResolvedDestination,
  resolveDestination,
} from "../destination/mod.ts";
import { redact } from "../redact.ts";
import type { Runtime } from "../runtime.ts";
import {
  buildFrom,
  findMissingRight,
  readClockMs,
  type SessionLimits,
  type Source,
  type SourceConnection,
} from "../source/mod.ts";
import type { StateInspection } from "../state/mod.ts";
import { toQuery } from "./build.ts";

/** One line of the report. */
export interface PreflightCheck {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  readonly hint: string | null;
  /** Of a failed check. */
  readonly error: RivetError | null;
}

export interface PreflightContext {
  readonly config: Config;
  readonly exports: readonly Export[];
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly openSource: (connection: SourceConnection, limits: SessionLimits) => Promise<Source>;
  readonly openDestination: (resolved: ResolvedDestination, options: OpenOptions) => Promise<Destination>;
  readonly inspectState: () => Promise<StateInspection>;
}

const LIMITS: SessionLimits = { statementTimeoutS: 30, lockTimeoutS: 10, connectTimeoutMs: 10_000 };

export async function* preflight(context: PreflightContext): AsyncGenerator<PreflightCheck> {
  for await (const check of checkAll(context)) yield hideSecrets(check, context.config.hide);
}

async function* checkAll(context: PreflightContext): AsyncGenerator<PreflightCheck> {
  const later: PreflightCheck[] = [];
  yield* checkSource(context, later);
  yield* checkDestinations(context);
  yield await checkState(context);
  yield* later;
}

/** Values that were filled into the config may stand in what a server answers, and so may its password. */
function hideSecrets(check: PreflightCheck, hide: (text: string) => string): PreflightCheck {
  const { detail, hint } = check;
  return { ...check, detail: redact(hide(detail)), hint: hint === null ? null : redact(hint) };
}

function ok(name: string, detail: string): PreflightCheck {
  return { name, status: "ok", detail, hint: null, error: null };
}

function warn(name: string, detail: string, hint: string): PreflightCheck {
  return { name, status: "warn", detail, hint, error: null };
}

function fail(name: string, thrown: unknown): PreflightCheck {
  const error = toRivetError(thrown);
  const where = error.where === null ? "" : ` (${error.where})`;
  return { name, status: "fail", detail: `[${error.code}] ${error.message}${where}`, hint: error.cure, error };
}

const TLS_CODES: readonly string[] = ["RIVET_SOURCE_TLS_REQUIRED", "RIVET_CONFIG_TLS_CA_INVALID"];

/** What is told after destinations and state goes into `later`. */
async function* checkSource(
  context: PreflightContext,
  later: PreflightCheck[],
): AsyncGenerator<PreflightCheck> {
  let connection: SourceConnection;
  try {
    connection = await context.config.source.resolveConnection();
  } catch (error) {
    const isTls = error instanceof RivetError && TLS_CODES.includes(error.code);
    return yield fail(isTls ? "tls" : "source", error);
  }
  yield describeTls(connection);
  let source: Source;
  try {
    source = await context.openSource(connection, LIMITS);
  } catch (error) {
    return yield fail("source", error);
  }
  await using _source = source;
  const user = connection.engine === "sqlite" ? "" : `, as '${connection.user}'`;
  yield ok("source", `${source.serverVersion}${user}`);
  yield* checkPrivileges(context, source);
  yield* checkRights(context, source);
  if (source.engine === "sqlite") return;
  later.push(await checkClock(context, source), describeProxy(source));
}

function describeTls(connection: SourceConnection): PreflightCheck {
  if (connection.engine === "sqlite") return ok("tls", "a file, no network");
  const { tls, host } = connection;
  if (tls === null) {
    return isLoopback(host) ? ok("tls", "plaintext, to this machine") : warn(
      "tls",
      `plaintext to '${host}': the password and every row can be read on the way`,
      "Set `source.tls.mode: verify-full`",
    );
  }
  switch (tls.mode) {
    case "require":
      return warn("tls", `encrypted, but nothing proves that '${host}' is the server`, "Set `tls.mode: verify-full`");
    case "verify-ca":
      return ok("tls", "verify-ca: the certificate is checked, its host name is not");
    case "verify-full":
      return ok("tls", "verify-full");
    default: {
      const never: never = tls.mode;
      return never;
    }
  }
}

/** Every export's relation is asked for no rows, which needs the same right as asking for all. */
async function* checkPrivileges({ exports, signal }: PreflightContext, source: Source): AsyncGenerator<PreflightCheck> {
  let readable = 0;
  for (const entry of exports) {
    signal.throwIfAborted();
    const query = toQuery(entry);
    try {
      await source.describe(query);
      await source.rows(`SELECT 1 FROM ${buildFrom(source.engine, query)} WHERE 1 = 0`);
      readable++;
    } catch (error) {
      yield fail(`privileges of export '${entry.name}'`, error);
    }
  }
  if (readable === exports.length) yield ok("privileges", `every export can be read (${exports.length})`);
}

async function* checkRights({ exports }: PreflightContext, source: Source): AsyncGenerator<PreflightCheck> {
  const wanted = {
    cursor: exports.some((entry) => entry.mode === "incremental"),
    lanes: exports.some((entry) => entry.parallel > 1),
  };
  const missing = await findMissingRight(source, wanted).catch(() => null);
  if (missing !== null) yield warn("rights", `without ${missing.right} ${missing.loss}`, missing.cure);
  if (source.engine !== "mssql" || source.consistency === undefined || source.consistency === "snapshot") return;
  yield warn(
    "consistency",
    `the database gives '${source.consistency}': an export is no picture of one moment`,
    "ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON",
  );
}

const CLOCK_DIFFERENCE_MS = 5_000;

async function checkClock({ runtime }: PreflightContext, source: Source): Promise<PreflightCheck> {
  try {
    const asked = runtime.now();
    const theirs = await readClockMs(source);
    if (theirs === null) return ok("clock", "the source does not tell its time");
    const difference = theirs - (asked + runtime.now()) / 2;
    const text = `this machine and the source are ${(Math.abs(difference) / 1000).toFixed(1)} s apart`;
    if (Math.abs(difference) <= CLOCK_DIFFERENCE_MS) return ok("clock", text);
    return warn("clock", text, "Set both clocks by NTP: `{date}`, leases and signatures follow this machine's clock");
  } catch (error) {
    return warn("clock", `the source's clock could not be read: ${toRivetError(error).message}`, "Check it by hand");
  }
}

function describeProxy({ proxy }: Source): PreflightCheck {
  if (!proxy) return ok("pooler", "none, the server itself answers");
  return warn(
    "pooler",
    `${proxy} stands between rivet and the server`,
    "Exports stay right behind it; see that it gives at least `parallel` + 1 connections",
  );
}

/** `a, b, c`, or the first of many and how many more. */
function nameSome(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).join(", ");
  return names.length <= NAMES_MAX ? shown : `${shown} and ${names.length - NAMES_MAX} more`;
}

const NAMES_MAX = 3;
const DESTINATION_TIMEOUT_MS = 15_000;
const PROBES_AT_ONCE = 8;

async function* checkDestinations(context: PreflightContext): AsyncGenerator<PreflightCheck> {
  const places = new Map<string, { place: ResolvedDestination; names: string[] }>();
  for (const entry of context.exports) {
    const place = placeToProbe(resolveDestination(entry.destination, {
      date: new Date(context.runtime.now()).toISOString().slice(0, 10),
      export: entry.name,
      table: entry.name,
    }, context.runtime));
    const identity = JSON.stringify(place);
    const known = places.get(identity);
    if (known === undefined) places.set(identity, { place, names: [entry.name] });
    else known.names.push(entry.name);
  }
  const queue = [...places.values()];
  await using _folders = await keepFolders(queue.map(({ place }) => place));
  for (let start = 0; start < queue.length; start += PROBES_AT_ONCE) {
    context.signal.throwIfAborted();
    const batch = queue.slice(start, start + PROBES_AT_ONCE);
    yield* await Promise.all(batch.map(({ place, names }) => checkDestination(context, place, nameSome(names))));
  }
}

async function checkDestination(
  context: PreflightContext,
  place: ResolvedDestination,
  names: string,
): Promise<PreflightCheck> {
  if (place.kind === "stdout") return ok("destination stdout", `for ${names}; nothing to prove`);
  const name = `destination of ${names}`;
  const warnings: string[] = [];
  const options: OpenOptions = { requestTimeoutMs: DESTINATION_TIMEOUT_MS, onWarning: (text) => warnings.push(text) };
  try {
    await using destination = await context.openDestination(place, options);
    const token = crypto.randomUUID().slice(0, 8);
    await probeDestination(destination, token, context.signal);
    const detail = `${destination.uri}: wrote, read, listed and removed a probe`;
    if (warnings.length === 0) return ok(name, detail);
    return warn(
      name,
      `${detail}; ${warnings.join("; ")}`,
      "Renew the credential, or correct the clock, before a long run",
    );
  } catch (error) {
    return fail(name, error);
  }
}

async function checkState(context: PreflightContext): Promise<PreflightCheck> {
  try {
    const { location, condition } = await context.inspectState();
    const notes = {
      current: "writable",
      older: "writable; the next run migrates it and keeps a copy",
      absent: "not there yet; the first run makes it",
    };
    return ok("state", `${location}: ${notes[condition]}`);
  } catch (error) {
    return fail("state", error);
  }
}
