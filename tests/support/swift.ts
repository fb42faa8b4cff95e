// OpenStack Swift with its S3 interface, from the system's packages: an independent server that checks signatures, digests and uploads.
// One per test process, on free ports; its processes and its folder go when it is closed.

import { createServer } from "node:net";

export interface Swift extends AsyncDisposable {
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
}

const START_PATIENCE_MS = 60_000;

/** Null when the packages are not there; in CI that is an error. */
export async function openSwift(): Promise<Swift | null> {
  const isInstalled = await Promise.all(["swift-proxy-server", "swift-ring-builder", "memcached"].map(isProgram));
  if (!isInstalled.every(Boolean)) {
    if (Deno.env.get("CI") === "true") throw new Error("swift-proxy or memcached is not installed");
    return null;
  }
  const home = await Deno.makeTempDir({ prefix: "rivet-swift-" });
  const ports = await freePorts(5);
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
  const children = [
    start(home, "memcached", ["-u", user, "-l", "127.0.0.1", "-p", String(cache)]),
    ...[...Object.keys(storage), "proxy"].map((name) => start(home, `swift-${name}-server`, [`${name}-server.conf`])),
  ];
  const close = async () => {
    for (const child of children) {
      try {
        // The servers are process groups of their own: a parent and its workers.
        Deno.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
    }
    await Promise.all(children.map((child) => child.status));
    await Deno.remove(home, { recursive: true });
  };
  try {
    for (const port of [...ports]) await untilOpen(port);
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

function start(cwd: string, program: string, args: string[]): Deno.ChildProcess {
  return new Deno.Command("setsid", { args: [program, ...args], cwd, stdin: "null", stdout: "null", stderr: "null" })
    .spawn();
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

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map((server) =>
      new Promise<number>((done) =>
        server.listen(0, "127.0.0.1", () => done((server.address() as { port: number }).port))
      )
    ),
  );
  await Promise.all(servers.map((server) => new Promise<void>((done) => server.close(() => done()))));
  return ports;
}

async function untilOpen(port: number): Promise<void> {
  for (const until = Date.now() + START_PATIENCE_MS; Date.now() < until;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  throw new Error(`Nothing listens on port ${port}`);
}
