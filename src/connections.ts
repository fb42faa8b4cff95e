// Lets a thread that always has work see what its connections have to say.

const NOTHING = new Uint8Array();

/**
 * Resolves when the thread has looked at its connections, after some 20 µs. A thread that decodes rows as fast as they come would not: the
 * next ones are always there already, and it goes from one to the next. It looks when it has to wait for another thread, as it does here.
 */
export async function lookAtConnections(): Promise<void> {
  await crypto.subtle.digest("SHA-256", NOTHING);
}
