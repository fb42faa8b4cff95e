// OpenStack Swift with its S3 interface, from the system's packages: an independent server that checks signatures, digests and uploads.
// One per test process, on free ports; its processes and its folder go when it is closed.

import { freePorts, startDaemon, untilListening } from "./daemon.ts";

export interface Swift extends AsyncDisposable {
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Null when the packages are not there; in CI that is an error. Five ports at once: should one be taken meanwhile, all are chosen anew. */
export async function openSwift(): Promise<Swift | null> {
  for (let attempt = 1;; attempt++) {
    try {
      return await startSwift();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function startSwift(): Promise<Swift | null> {
  const isInstalled = await Promise.all(["swift-proxy-server", "swift-ring-builder", "memcached"].map(isProgram));
  if (!isInstalled.every(Boolean)) {
    if (Deno.env.get("CI") === "true") throw new Error("swift-proxy or memcached is not installed");
    return null;
  }
  const home = await Deno.makeTempDir({ prefix: "rivet-swift-" });
  const ports = freePorts(5);
  const [account, container, object, proxy, cache] = ports as [number, number, number, number, number];
  const user = await run(home, "id", ["-un"]);
  await Deno.mkdir(`${home}/devices/d1`, { recursive: true });
  await Deno.writeTextFile(`${home}/swift.conf`, SWIFT_CONF);
  const storage = { account, container, object };
  for (const [name, port] of Object.entries(storage)) {
    await Deno.writeTextFile(`${home}/${name}-server.conf`, storageConf(name, port, user, home));
    await run(home, "swift-ring-builder", [`${name}.builder`, "create", "4", "1", "1"]);
    await run(home, "swift-ring-builder", [`${name}.builder`, "add", `r1z1-127.0.0.1:${port}/d1`, "1"]);
    await run(home, "swift-ring-builder", [`${name}.builder`, "rebalance"]);
  }
  await Deno.writeTextFile(`${home}/proxy-server.conf`, proxyConf(proxy, cache, user, home));
  const programs: [string, number, string[]][] = [
    ["memcached", cache, ["-u", user, "-l", "127.0.0.1", "-p", String(cache)]],
    ...Object.entries({ ...storage, proxy }).map(([name, port]): [string, number, string[]] => [
      `swift-${name}-server`,
      port,
      [`${name}-server.conf`],
    ]),
  ];
  const daemons = programs.map(([program, port, args]) => ({
    port,
    daemon: startDaemon(program, args, { cwd: home, home }),
  }));
  const close = async () => {
    await Promise.all(daemons.map(({ daemon }) => daemon.close()));
  };
  try {
    for (const { port, daemon } of daemons) await untilListening(port, daemon);
  } catch (error) {
    await close();
    throw error;
  }
  return { port: proxy, accessKey: "test:tester", secretKey: "testing", [Symbol.asyncDispose]: close };
}

const SWIFT_CONF = `[swift-hash]
swift_hash_path_suffix = x
swift_hash_path_prefix = x
[storage-policy:0]
name = Policy-0
default = yes
`;

function storageConf(name: string, port: number, user: string, home: string): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${user}
swift_dir = ${home}
devices = ${home}/devices
mount_check = false
disable_fallocate = true
log_level = ERROR
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`;
}

function proxyConf(port: number, cache: number, user: string, home: string): string {
  const filters = ["catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "dlo"];
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${user}
swift_dir = ${home}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cache}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
rate_limit_after_segment = 100
${filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join("")}`;
}

async function run(cwd: string, program: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  // The ring builder ends with 1 when it only warns.
  if (code > 1) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

async function isProgram(name: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" }).output()).code === 0;
}
