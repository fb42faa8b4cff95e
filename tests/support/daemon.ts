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

/** Starts a program in a process group of its own, under a shell that watches over this process. */
export function startDaemon(program: string, args: readonly string[], options: DaemonOptions): Daemon {
  const script = `"$@" & p=$!
    while kill -0 ${Deno.pid} 2>/dev/null && kill -0 $p 2>/dev/null; do sleep 1; done
    ${options.home === undefined ? "" : `rm -rf '${options.home}'`}
    kill -9 0`;
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
        Deno.kill(-child.pid as number, "SIGKILL");
      } catch {
        // It has ended already.
      }
      await ended;
      if (options.home !== undefined) await Deno.remove(options.home, { recursive: true }).catch(() => {});
    },
  };
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
