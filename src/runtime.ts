// Everything not deterministic, passed in: clock, random, environment, signals, files beside the config.

export interface Runtime {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds on a clock that never goes back. */
  monotonic(): number;
  /** A fraction in [0, 1). */
  random(): number;
  env(name: string): string | undefined;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  readonly pid: number;
  readonly hostname: string;
}

export function systemRuntime(): Runtime {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    random: () => Math.random(),
    env: (name) => Deno.env.get(name),
    sleep,
    pid: Deno.pid,
    get hostname() {
      return Deno.hostname();
    },
  };
}

/** Resolves after `ms`, or rejects with the signal's reason at once. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
