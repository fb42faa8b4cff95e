// One way to open any engine. Drivers load only when their engine is asked for.

import type { Engine, SessionLimits, Source, SourceConnection } from "./source.ts";

/** Loads an engine's driver, so that opening it takes no longer than its connection. */
export function loadSource(engine: Engine) {
  switch (engine) {
    case "postgres":
      return import("./postgres/mod.ts");
    case "mysql":
      return import("./mysql/mod.ts");
    case "mssql":
      return import("./mssql/mod.ts");
    case "sqlite":
      return import("./sqlite/mod.ts");
    default: {
      const never: never = engine;
      return never;
    }
  }
}

export async function openSource(connection: SourceConnection, limits: SessionLimits): Promise<Source> {
  switch (connection.engine) {
    case "postgres":
      return await (await import("./postgres/mod.ts")).openPostgres(connection, limits);
    case "mysql":
      return await (await import("./mysql/mod.ts")).openMysql(connection, limits);
    case "mssql":
      return await (await import("./mssql/mod.ts")).openMssql(connection, limits);
    case "sqlite":
      return await (await import("./sqlite/mod.ts")).openSqlite(connection, limits);
    default: {
      const never: never = connection;
      return never;
    }
  }
}

/** Whether lanes of this engine can only share a picture that they begin together, in one moment. */
export function sharesForAMoment(engine: Engine): boolean {
  return engine === "mysql";
}

/** Whether the engine reads a slice in one statement that lasts until its last row; the others fetch it in blocks. */
export function readsInOneStatement(engine: Engine): boolean {
  return engine === "mysql" || engine === "mssql";
}
