// The engine against a real PostgreSQL: a config for a database of its own, and connections beside it.

import pg from "pg";
import { join, temporaryFolder } from "./files.ts";
import { type PostgresServer, type TestDatabase, withDatabase } from "./postgres.ts";

/** A database and a folder for one test. */
export async function withLiveExport(
  server: PostgresServer,
  body: (db: TestDatabase, folder: string) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder();
  await withDatabase(server, (db) => body(db, folder.path));
}

/** Writes `rivet.yaml` with these exports, already indented as a list; returns its path. */
export async function writeConfig(
  folder: string,
  db: TestDatabase,
  exports: string,
  { user = db.connection.user, tuning = "{profile: fast}" } = {},
): Promise<string> {
  const path = join(folder, "rivet.yaml");
  const { host, port, database } = db.connection;
  await Deno.writeTextFile(
    path,
    `source:
  type: postgres
  host: ${host}
  port: ${port}
  user: ${user}
  password_env: TEST_PASSWORD
  database: ${database}
  tuning: ${tuning}
exports:
${exports}`,
  );
  return path;
}

export function envOf(db: TestDatabase): Record<string, string> {
  return { TEST_PASSWORD: db.connection.password ?? "" };
}

export async function connect(db: TestDatabase): Promise<pg.Client> {
  const { host, port, user, password, database } = db.connection;
  const client = new pg.Client({ host, port, user, password: password ?? "", database, ssl: false });
  await client.connect();
  return client;
}
