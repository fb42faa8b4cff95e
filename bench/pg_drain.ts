// The bare drain: one `COPY … TO STDOUT (FORMAT binary)` whose bytes go nowhere. What the server alone needs to send a table.
// Usage: deno run -A bench/pg_drain.ts <host> <port> <user> <password> <database> <table>

import { openSession } from "../src/source/postgres/mod.ts";

const [host, port, user, password, database, table] = Deno.args as [string, string, string, string, string, string];
const limits = { statementTimeoutS: 0, lockTimeoutS: 0, connectTimeoutMs: 10_000 };

await using session = await openSession({ host, port: Number(port), user, password, database, tls: null }, limits);
await session.lend(async (channel) => {
  const sql = new TextEncoder().encode(`COPY ${table} TO STDOUT (FORMAT binary)`);
  const query = new Uint8Array(sql.length + 6);
  query[0] = 0x51; // Q
  new DataView(query.buffer).setUint32(1, query.length - 1);
  query.set(sql, 5);
  await channel.write(query);
  const buffer = new Uint8Array(512 * 1024);
  // The answer ends with ReadyForQuery: Z, length 5, the state of the transaction.
  const tail = [0x5a, 0, 0, 0, 5, 0x49];
  for (let end = false; !end;) {
    const count = await channel.read(buffer);
    if (count === null) throw new Error("the server closed the connection");
    end = count >= tail.length && tail.every((byte, i) => buffer[count - tail.length + i] === byte);
  }
});
