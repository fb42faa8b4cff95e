// The door of source/postgres/.

export { openSession, type Session } from "./connect.ts";
export { detectPooler, type Pooler } from "./pooler.ts";
export { openPostgres, type PostgresSource } from "./source.ts";
