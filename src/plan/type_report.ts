// What becomes of each column: in the file, and in a warehouse that loads it. Pure.

import type { SourceColumn } from "../source/mod.ts";
import {
  describeTarget,
  type Fidelity,
  formatArrow,
  formatLabel,
  type Target,
  type TargetColumn,
} from "../types/mod.ts";

export interface ReportedColumn {
  readonly name: string;
  readonly nativeType: string;
  /** `int8`, `decimal(10,2)`, `unsupported(point)`. */
  readonly label: string;
  readonly arrow: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
  /** Null without a target, and for a type that nothing fits. */
  readonly target: TargetColumn | null;
  /** `warn` at least where the column itself loses something. */
  readonly status: "ok" | "warn" | "fail" | null;
}

export interface TypeViolation {
  readonly column: string;
  readonly fidelity: Fidelity;
  readonly message: string;
  /** It stops a run: always where nothing fits, for a loss only under `--strict`. */
  readonly isFatal: boolean;
}

export interface TypeReport {
  readonly columns: readonly ReportedColumn[];
  readonly violations: readonly TypeViolation[];
  /** Columns that the target cannot hold. */
  readonly targetFailures: readonly string[];
  /** Makes the columns as they should be from a table that was loaded without a schema; null when nothing is to be done. */
  readonly recoverySql: string | null;
}

export function buildTypeReport(
  table: string,
  columns: readonly SourceColumn[],
  target: Target | null,
  isStrict: boolean,
): TypeReport {
  const reported = columns.map((column) => reportColumn(column, target));
  return {
    columns: reported,
    violations: columns.flatMap((column) => findViolation(column, isStrict)),
    targetFailures: reported.filter(({ status }) => status === "fail").map(({ name }) => name),
    recoverySql: target === null ? null : buildRecovery(table, reported, target),
  };
}

function reportColumn(column: SourceColumn, target: Target | null): ReportedColumn {
  const { name, nativeType, type, fidelity, warnings } = column;
  const described = target === null || type === null ? null : describeTarget(target, type);
  return {
    name,
    nativeType,
    label: formatLabel(type, nativeType),
    arrow: formatArrow(type),
    fidelity,
    warnings,
    target: described,
    status: target === null ? null : described === null ? "fail" : worsen(described.status, fidelity),
  };
}

function worsen(status: TargetColumn["status"], fidelity: Fidelity): TargetColumn["status"] {
  return status === "ok" && (fidelity === "lossy" || fidelity === "unsupported") ? "warn" : status;
}

function findViolation({ name, nativeType, type, fidelity }: SourceColumn, isStrict: boolean): TypeViolation[] {
  if (type === null) {
    const message = `'${name}' (${nativeType}) has no type that keeps its values; declare one in \`columns:\``;
    return [{ column: name, fidelity: "unsupported", message, isFatal: true }];
  }
  if (fidelity !== "lossy") return [];
  const message = `'${name}' (${nativeType}) loses something as ${formatLabel(type, nativeType)}`;
  return [{ column: name, fidelity, message, isFatal: isStrict }];
}

function buildRecovery(table: string, columns: readonly ReportedColumn[], target: Target): string | null {
  // DuckDB reads the file's own types.
  if (target === "duckdb" || !columns.some((column) => column.target?.cast)) return null;
  const quote = (name: string) =>
    target === "snowflake" ? `"${name.replaceAll('"', '""')}"` : `\`${name.replaceAll("`", "\\`")}\``;
  const list = columns.map(({ name, target: described }) =>
    described?.cast ? `${described.cast.replaceAll("{col}", () => quote(name))} AS ${quote(name)}` : quote(name)
  );
  const engine = target === "clickhouse" ? " ENGINE = MergeTree ORDER BY tuple()" : "";
  return `CREATE TABLE ${quote(table)}${engine} AS SELECT\n  ${list.join(",\n  ")}\nFROM ${
    quote(`${table}__staging`)
  };`;
}
