// Servers of a test process. They end when they are closed, and also when the test process ends in any other way.

export interface Daemon {
  /** Ends the server and all it started, and removes its folder. */
  close(): Promise<void>;
  readonly hasEnded: boolean;
}

export interface DaemonOptions {
  readonly cwd: string;
  readonly env?: Record<string, string>;
  /** Removed when the server ends. */
  readonly home?: string;
}

/**
 * Starts a program in a session of its own, under a shell that watches over this process. A program that makes itself a session of
 * its own, as Swift's do, is ended by its number.
 */
export function startDaemon(program: string, args: readonly string[], options: DaemonOptions): Daemon {
  const clean = options.home === undefined ? "" : `rm -rf "${options.home}";`;
  const script = `trap 'kill -9 $p 2>/dev/null; ${clean} kill -9 0' TERM
    "$@" & p=$!
    while kill -0 ${Deno.pid} 2>/dev/null && kill -0 $p 2>/dev/null; do sleep 1 & wait $!; done
    kill -TERM $$`;
  const child = new Deno.Command("setsid", {
    args: ["sh", "-c", script, "sh", program, ...args],
    cwd: options.cwd,
    env: options.env ?? {},
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let hasEnded = false;
  const ended = child.status.then(() => {
    hasEnded = true;
  });
  return {
    get hasEnded() {
      return hasEnded;
    },
    async close() {
      try {
        Deno.kill(child.pid, "SIGTERM");
      } catch {
        // It has ended already.
      }
      await ended;
      if (options.home !== undefined) await Deno.remove(options.home, { recursive: true }).catch(() => {});
    },
  };
}

/**
 * Runs a script of sh that outlives this process, in a session of its own: what ends this process, be it a signal to its group,
 * does not end it.
 */
export async function startWatcher(script: string, args: readonly string[] = []): Promise<void> {
  const start = `session=$(command -v setsid); $session sh -c "$0" sh "$@" >/dev/null 2>&1 </dev/null &`;
  const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
  const { success } = await new Deno.Command("sh", { args: ["-c", start, script, ...args], ...quiet }).output();
  if (!success) throw new Error("A watcher could not be started");
}

/**
 * A folder's name that all test files of this process share, and no earlier process had: one that was killed may have left its folder,
 * and numbers of processes come again.
 */
export function sharedHome(name: string): string {
  const root = (Deno.env.get("TMPDIR") ?? "/tmp").replace(/\/$/, "");
  const variable = "RIVET_TEST_RUN";
  let run = Deno.env.get(variable);
  if (run === undefined || !run.startsWith(`${Deno.pid}-`)) {
    run = `${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
    Deno.env.set(variable, run);
  }
  return `${root}/rivet-test-${name}-${run}`;
}

/**
 * Starts a server on a port that was free a moment ago, and on another one when that fails: somebody else may have taken it since.
 */
export async function withFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await start(freePorts(1)[0]!);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

/** Ports that were free a moment ago, all different. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

/** Waits until something listens, or throws when it has ended or takes too long. */
export async function untilListening(port: number, daemon: Daemon, patienceMs = 120_000): Promise<void> {
  for (const until = Date.now() + patienceMs; Date.now() < until && !daemon.hasEnded;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  throw new Error(`Nothing listens on port ${port}`);
}
