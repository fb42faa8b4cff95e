// Ending a running statement from outside, through a second connection. Only ever our own statement: a balancer may have led us elsewhere.

import type { Session } from "./connect.ts";

/** How much of a statement identifies it. */
const COMPARED_CHARACTERS = 200;

/** Never throws: where the kill is not possible, the closed socket ends the statement at its next row. */
export async function killStatement(open: () => Promise<Session>, connectionId: string, sql: string): Promise<void> {
  let session: Session | null = null;
  try {
    session = await open();
    const { rows } = await session.ask(
      `SELECT LEFT(INFO, ${COMPARED_CHARACTERS}) FROM information_schema.PROCESSLIST WHERE ID = ${
        Number(connectionId)
      }`,
    );
    if (rows[0]?.[0] === sql.slice(0, COMPARED_CHARACTERS)) await session.ask(`KILL QUERY ${Number(connectionId)}`);
  } catch {
    // The statement may have ended between the two questions.
  } finally {
    await session?.close();
  }
}
