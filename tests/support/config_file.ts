// Configs of tests, written as JSON, which is YAML; the password stays in the environment.

import type { ServerConnection } from "../../src/source/mod.ts";
import { join } from "./files.ts";

export const PASSWORD_ENV = "RIVET_TEST_PASSWORD";

/** Writes `rivet.yaml` for a server; the returned environment holds its password. */
export async function writeServerConfig(
  folder: string,
  type: "postgres" | "mysql" | "mssql",
  connection: ServerConnection,
  exports: readonly object[],
): Promise<{ path: string; env: Record<string, string> }> {
  const path = join(folder, "rivet.yaml");
  const { host, port, user, database } = connection;
  const source = { type, host, port, user, password_env: PASSWORD_ENV, database };
  await Deno.writeTextFile(path, JSON.stringify({ source, exports }));
  return { path, env: { [PASSWORD_ENV]: connection.password ?? "" } };
}

/** The rest of an export that goes to a folder beside the config. */
export function toFolder(path: string): object {
  return { format: "parquet", destination: { type: "local", path } };
}
