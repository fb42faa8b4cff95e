// Tells whether a pooler stands between this program and the server. It asks, it never refuses.

import type { Session } from "./connect.ts";

/** `transaction`: each transaction may run on another server connection; `proxy`: something answers in the server's place. */
export type Pooler = "none" | "proxy" | "transaction";

/** Outside a transaction only: each question is a transaction of its own. */
export async function detectPooler(session: Session): Promise<Pooler> {
  const first = await backendPid(session);
  // A proxy names a process of its own making at login. Only behind one is a second question worth its way.
  if (first === session.processId) return "none";
  return first === await backendPid(session) ? "proxy" : "transaction";
}

async function backendPid(session: Session): Promise<number> {
  const [result] = await session.query("SELECT pg_backend_pid()");
  return Number(result?.rows[0]?.[0]);
}

/** For a warning; null when the server itself answers. */
export function describePooler(pooler: Pooler): string | null {
  switch (pooler) {
    case "none":
      return null;
    case "proxy":
      return "a proxy or connection pooler";
    case "transaction":
      return "a connection pooler that shares connections between transactions";
    default: {
      const never: never = pooler;
      return never;
    }
  }
}
