// A pgBouncer in front of a test server, sharing few server connections between transactions. It ends with the test process.

import type { ServerConnection } from "../../src/source/mod.ts";
import { withFreePort } from "./daemon.ts";
import { endWithUs, must, type PostgresServer } from "./postgres.ts";

const UNPRIVILEGED_ID = 65534;

/** Null where pgBouncer is not installed. */
export async function openPgbouncer(
  server: PostgresServer,
  mode: "transaction" | "session",
  poolSize: number,
): Promise<ServerConnection | null> {
  const program = await findProgram();
  if (program === null) {
    if (Deno.env.get("CI") === "true") throw new Error("pgbouncer is not installed");
    return null;
  }
  const home = await Deno.makeTempDir({ prefix: "rivet-pgbouncer-" });
  const user = Deno.uid() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {};
  const { host, user: role, password } = server.connection;
  await Deno.writeTextFile(`${home}/users`, `"${role}" "${password}"\n`);
  const settings = (port: number) =>
    `[databases]
* = host=${host} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${home}/users
pool_mode = ${mode}
default_pool_size = ${poolSize}
server_round_robin = 1
logfile = ${home}/log
pidfile = ${home}/pid
`;
  const port = await withFreePort(async (port) => {
    await Deno.writeTextFile(`${home}/pgbouncer.ini`, settings(port));
    if (user.uid !== undefined) await must("chown", ["-R", `${user.uid}:${user.gid}`, home], {});
    await must(program, ["-d", `${home}/pgbouncer.ini`], { ...user, cwd: home });
    return port;
  });
  await endWithUs(await readPid(`${home}/pid`), home);
  return { ...server.connection, port };
}

async function findProgram(): Promise<string | null> {
  for (const path of ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"]) {
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  return null;
}

/** The daemon writes its number a moment after its parent has ended. */
async function readPid(path: string): Promise<number> {
  for (let tries = 0; tries < 1200; tries++) {
    const text = await Deno.readTextFile(path).catch(() => "");
    if (Number(text) > 0) return Number(text);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("pgbouncer did not start");
}
