// The door of source/.

export type {
  Consistency,
  Engine,
  Query,
  ReadOptions,
  ReadReport,
  RowSink,
  ServerConnection,
  SessionLimits,
  Shape,
  Source,
  SourceColumn,
  SourceConnection,
  TableFacts,
  TableKey,
  TlsOptions,
} from "./source.ts";
