// The door of source/sqlite/: one SQLite file behind the Source interface. It never writes to the file and never creates one.

import { RivetError } from "../../errors.ts";
import type { SessionLimits, Source } from "../source.ts";
import { openDatabase } from "./connect.ts";
import { describeQuery } from "./describe.ts";
import { readFacts } from "./facts.ts";
import { readRows } from "./read.ts";
import { askRows, execute } from "./rows.ts";

/** Opens the file read-only. Throws RIVET_SOURCE_CONNECT_FAILED when it is missing or no database. */
export async function openSqlite(
  at: { readonly engine: "sqlite"; readonly path: string },
  limits: SessionLimits,
): Promise<Source> {
  const connection = await openDatabase(at.path, limits);
  const version = askRows(connection, "SELECT sqlite_version()")[0]?.[0] ?? "";
  let inPicture = false;
  let closed = false;

  function demandOpen(): void {
    if (closed) {
      throw new RivetError("RIVET_INTERNAL_SOURCE_INVARIANT", "The SQLite source was used after it was closed");
    }
  }

  function end(): void {
    if (inPicture) execute(connection, "ROLLBACK");
    inPicture = false;
  }

  // The driver is synchronous, but an error is a rejection here as it is in every engine.
  return {
    engine: "sqlite",
    framing: "rows",
    serverVersion: `SQLite ${version}`,
    // deno-lint-ignore require-await
    async describe(query) {
      demandOpen();
      return describeQuery(connection, query);
    },
    // deno-lint-ignore require-await
    async facts(table) {
      demandOpen();
      return readFacts(connection, table);
    },
    // deno-lint-ignore require-await
    async rows(sql) {
      demandOpen();
      return askRows(connection, sql);
    },
    // deno-lint-ignore require-await
    async begin() {
      demandOpen();
      end();
      execute(connection, "BEGIN");
      inPicture = true;
      // BEGIN alone holds nothing: the picture is taken by the first read.
      askRows(connection, "SELECT count(*) FROM sqlite_schema");
      return null;
    },
    async read(sql, into, options) {
      demandOpen();
      return await readRows(connection, sql, into, options, limits.statementTimeoutS * 1000);
    },
    // deno-lint-ignore require-await
    async end() {
      demandOpen();
      end();
    },
    // deno-lint-ignore require-await
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      connection.db.close();
    },
  };
}
