// The door of source/postgres/.

export { detectPooler, type Pooler } from "./pooler.ts";
export { openPostgres, type PostgresSource } from "./source.ts";
