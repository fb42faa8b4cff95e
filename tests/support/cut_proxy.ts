// A TCP proxy that cuts connections after a number of bytes, in one direction, as often as a test asks for.

export interface Cut {
  readonly direction: "up" | "down";
  /** The connection is cut before the byte with this number, counted over all connections and reset after each cut. */
  readonly afterBytes: number;
  /** How often; after that everything passes. */
  readonly times: number;
}

export interface CutProxy extends AsyncDisposable {
  readonly port: number;
  readonly cuts: number;
  /** Bytes that passed since the last cut or `set`. */
  readonly passed: Readonly<Record<Cut["direction"], number>>;
  set(cut: Cut | null): void;
}

export function startCutProxy(targetPort: number): CutProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const work = new Set<Promise<void>>();
  const passed = { up: 0, down: 0 };
  let cut: Cut | null = null;
  let cuts = 0;

  async function pass(from: Deno.Conn, to: Deno.Conn, direction: Cut["direction"], end: () => void): Promise<void> {
    const block = new Uint8Array(16 << 10);
    try {
      for (let count = await from.read(block); count !== null; count = await from.read(block)) {
        const limit = cut !== null && cut.direction === direction && cuts < cut.times ? cut.afterBytes : Infinity;
        const allowed = Math.max(0, Math.min(count, limit - passed[direction]));
        passed[direction] += allowed;
        if (allowed < count) {
          cuts++;
          passed.up = passed.down = 0;
        }
        for (let done = 0; done < allowed;) done += await to.write(block.subarray(done, allowed));
        if (allowed < count) return end();
      }
      await to.closeWrite();
    } catch {
      end();
    }
  }

  async function serve(client: Deno.Conn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: targetPort });
    const both = [client, server];
    for (const connection of both) open.add(connection);
    const end = () => {
      for (const connection of both) {
        if (open.delete(connection)) connection.close();
      }
    };
    await Promise.all([pass(client, server, "up", end), pass(server, client, "down", end)]);
    end();
  }

  const accepting = (async () => {
    for await (const client of listener) {
      const served = serve(client).catch(() => {}).finally(() => work.delete(served));
      work.add(served);
    }
  })();

  return {
    port: listener.addr.port,
    get cuts() {
      return cuts;
    },
    passed,
    set(next) {
      cut = next;
      cuts = 0;
      passed.up = passed.down = 0;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting.catch(() => {});
      for (const connection of open) connection.close();
      open.clear();
      await Promise.allSettled(work);
    },
  };
}
