// The discovery artifact: what the catalog says of each table and what follows from it, as JSON for reviews and scripts.

import type { Engine } from "../source/mod.ts";
import { rankChunkColumns } from "./candidates.ts";
import type { LeftOut } from "./names.ts";
import type { ScaffoldedExport } from "./yaml.ts";

export interface Discovery {
  readonly rivet_version: string;
  readonly source_type: Engine;
  /** `schema public`, `table public.orders`. */
  readonly scope: string;
  readonly tls_mode?: string;
  readonly tables: readonly DiscoveredTable[];
  /** What the scaffold leaves out, and why. */
  readonly left_out: readonly { readonly table: string; readonly reason: string }[];
}

export interface DiscoveredTable {
  readonly schema: string | null;
  readonly table: string;
  readonly kind: "table" | "partitioned" | "view" | "other";
  readonly row_estimate: number | null;
  /** How the estimate was found. */
  readonly row_source: "catalog" | "key_span" | "bytes" | null;
  readonly total_bytes?: number;
  readonly suggested_mode: string;
  readonly reason: string;
  readonly cursor_candidates: readonly {
    readonly column: string;
    readonly data_type: string;
    readonly is_nullable: boolean;
    readonly is_primary_key: boolean;
    readonly score: number;
    readonly reasons: readonly string[];
  }[];
  readonly suggested_cursor_fallback_column?: string;
  readonly chunk_candidates: readonly {
    readonly column: string;
    readonly data_type: string;
    readonly is_primary_key: boolean;
    readonly score: number;
  }[];
  /** Columns of the key that chunks would follow, in its order. */
  readonly chunk_key?: readonly string[];
  readonly suggested_chunk_size?: number;
  /** Used share of the integer key's range, from 0 to 1. */
  readonly key_density?: number;
  readonly notes: readonly string[];
}

export interface DiscoveryParts {
  readonly version: string;
  readonly engine: Engine;
  readonly scope: string;
  readonly tlsMode: string | null;
  readonly exports: readonly ScaffoldedExport[];
  readonly leftOut: readonly LeftOut[];
}

export function buildDiscovery({ version, engine, scope, tlsMode, exports, leftOut }: DiscoveryParts): Discovery {
  return {
    rivet_version: version,
    source_type: engine,
    scope,
    ...(tlsMode === null ? {} : { tls_mode: tlsMode }),
    tables: exports.map(toTable),
    left_out: leftOut.map(({ name, reason }) => ({ table: name, reason })),
  };
}

function toTable({ table, size, advice }: ScaffoldedExport): DiscoveredTable {
  const { cursors, fallback, chunks } = advice;
  const density = size.keySpan === null || size.keySpan === 0 || size.rows === null ? null : size.rows / size.keySpan;
  return {
    schema: table.schema,
    table: table.name,
    kind: table.kind,
    row_estimate: size.rows,
    row_source: size.rowSource,
    ...(table.bytes === null ? {} : { total_bytes: table.bytes }),
    suggested_mode: advice.mode,
    reason: advice.why,
    cursor_candidates: cursors.map(({ column, isPrimaryKey, score, reasons }) => ({
      column: column.name,
      data_type: column.nativeType,
      is_nullable: !column.notNull && !isPrimaryKey,
      is_primary_key: isPrimaryKey,
      score,
      reasons,
    })),
    ...(fallback === null ? {} : { suggested_cursor_fallback_column: fallback.column.name }),
    chunk_candidates: rankChunkColumns(table).map(({ column, isPrimaryKey, score }) => ({
      column: column.name,
      data_type: column.nativeType,
      is_primary_key: isPrimaryKey,
      score,
    })),
    ...(chunks === null || chunks.kind === "pages"
      ? {}
      : { chunk_key: chunks.kind === "range" ? [chunks.column] : chunks.columns }),
    ...(chunks === null ? {} : { suggested_chunk_size: chunks.size }),
    ...(density === null ? {} : { key_density: Math.min(1, Number(density.toPrecision(3))) }),
    notes: [...advice.notes, ...openDecimals(table.columns.filter((column) => column.isOpenDecimal))],
  };
}

function openDecimals(columns: readonly { readonly name: string }[]): string[] {
  return columns.map(({ name }) =>
    `'${name}' is a decimal without declared digits and is written as text: say decimal(p,s) under \`columns:\`.`
  );
}
