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
export {
  buildCount,
  buildFrom,
  buildLiteral,
  buildPredicate,
  buildSelect,
  buildWhere,
  edgeColumn,
  type HiddenColumn,
  isInteger,
  isNumeric,
  type KeyColumn,
  keyExpression,
  limitOne,
  type Predicate,
  quoteName,
  textExpression,
} from "./sql.ts";
export { clockExpression, oldestTransaction, shiftBack } from "./clock.ts";
export { type Access, explainAccess } from "./explain.ts";
export { type Mark, readMark, writtenAround, writtenBefore } from "./mark.ts";
export { type ListedColumn, type ListedTable, type Listing, listTables } from "./listing.ts";
export { findMissingRight, type MissingRight, readClockMs, readConnectionsMax } from "./health.ts";
export { loadSource, openSource, readsInOneStatement, sharesForAMoment } from "./open.ts";
