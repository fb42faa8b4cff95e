// The inside of a Worker that reads from PostgreSQL as a lane does: without environment, files or anything but the server.

import "../../src/run/environment_shim.ts";
import type { ServerConnection } from "../../src/source/mod.ts";
import { openPostgres } from "../../src/source/postgres/mod.ts";
import { openPgSink } from "./pg_sink.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent<ServerConnection>) => Promise<void>;
  postMessage(message: unknown): void;
};

scope.onmessage = async (event) => {
  const limits = { statementTimeoutS: 0, lockTimeoutS: 0, connectTimeoutMs: 30_000 };
  await using source = await openPostgres(event.data, limits);
  const sink = openPgSink();
  const options = { batchRows: 100, batchBytes: 1 << 20, throttleMs: 0, signal: new AbortController().signal };
  await source.read("SELECT * FROM generate_series(1, 1000)", sink, options);
  scope.postMessage({ rows: sink.rows, text: await source.rows("SELECT 1") });
};
