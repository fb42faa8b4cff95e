// Seeded randomness for tests that print their seed.

export interface Random {
  readonly seed: number;
  /** An integer from `from` to `to`, both included. */
  integer(from: number, to: number): number;
  bigint(from: bigint, to: bigint): bigint;
  pick<T>(list: readonly T[]): T;
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/** RIVET_TEST_SEED, or the clock; in CI one seed, so that a change is judged by the cases that the change before it was judged by. */
export function chooseSeed(): number {
  const seed = Deno.env.get("RIVET_TEST_SEED") ?? (Deno.env.get("CI") === "true" ? "20261121" : undefined);
  return Number(seed ?? Date.now() % 2 ** 31);
}

/** Its seed is `chooseSeed`'s, and is printed. */
export function openRandom(name: string): Random {
  const seed = chooseSeed();
  console.log(`${name}: RIVET_TEST_SEED=${seed}`);
  let state = seed >>> 0;
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const random: Random = {
    seed,
    integer: (from, to) => from + Math.floor((next() / 2 ** 32) * (to - from + 1)),
    bigint(from, to) {
      let value = 0n;
      for (let span = to - from; span > 0n; span >>= 32n) value = (value << 32n) | BigInt(next());
      return from + value % (to - from + 1n);
    },
    pick: (list) => list[random.integer(0, list.length - 1)]!,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
  };
  return random;
}
