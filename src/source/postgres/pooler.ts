// Tells whether a pooler stands between this program and the server. It asks, it never refuses.

import type { PostgresSource } from "./source.ts";

/** `transaction`: each transaction may run on another server connection; `proxy`: something answers in the server's place. */
export type Pooler = "none" | "proxy" | "transaction";

export async function detectPooler(source: PostgresSource): Promise<Pooler> {
  const ask = async () => Number((await source.rows("SELECT pg_backend_pid()"))[0]?.[0]);
  const first = await ask();
  if (first !== await ask()) return "transaction";
  return first === source.loginProcessId ? "none" : "proxy";
}
