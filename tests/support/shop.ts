// A small table in SQLite and every way to export it.

import { DatabaseSync } from "node:sqlite";
import { join } from "./files.ts";

export const SHOP_ROWS = 60;

export interface ExportMode {
  readonly name: string;
  /** Lines of the export, indented by four. */
  readonly yaml: string;
  /** Rows of several runs add up; otherwise the last run is the whole picture. */
  readonly adds?: boolean;
  /** Rows without a time do not belong to the export. */
  readonly timedOnly?: boolean;
  /** Folders below the destination that each hold a picture of their own. */
  readonly folders?: readonly string[];
}

export const MODES: readonly ExportMode[] = [
  { name: "full", yaml: "table: t" },
  { name: "chunked by range", yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_size: 25" },
  { name: "chunked by key", yaml: "table: t\n    mode: chunked\n    chunk_by_key: [grp, id]\n    chunk_size: 25" },
  { name: "chunked by days", yaml: "table: t\n    mode: chunked\n    chunk_column: at\n    chunk_by_days: 30" },
  {
    name: "chunked densely",
    yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_dense: true\n    chunk_size: 25",
  },
  { name: "incremental", yaml: "table: t\n    mode: incremental\n    cursor_column: at", adds: true },
  {
    name: "time window",
    yaml: "table: t\n    mode: time_window\n    time_column: at\n    days_window: 36500",
    timedOnly: true,
  },
  {
    name: "partitioned",
    yaml: "table: t\n    partition_by: at\n    partition_granularity: month",
    folders: ["2026-01", "2026-02", "2026-03", "2026-04", "__HIVE_DEFAULT_PARTITION__"],
  },
];

/** Several rows share a time, and every tenth has none. Row 31 lies in February. */
export async function prepareShop(folder: string, mode: ExportMode, format = "parquet"): Promise<string> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, grp TEXT NOT NULL, at TIMESTAMP, body TEXT)");
  db.exec("CREATE INDEX t_grp ON t (grp, id)");
  const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?)");
  for (let id = 1; id <= SHOP_ROWS; id++) {
    const day = new Date(Date.UTC(2026, 0, 1 + Math.floor(id / 3) * 5)).toISOString().slice(0, 10);
    insert.run(id, `g${id % 4}`, id % 10 === 0 ? null : `${day} 12:00:00`, `row ${id}`);
  }
  const path = join(folder, "rivet.yaml");
  await Deno.writeTextFile(
    path,
    `source:
  type: sqlite
  path: shop.db
  tuning: {profile: fast, max_retries: 0}
exports:
  - name: t
    ${mode.yaml}
    format: ${format}
    destination: {type: local, path: "out${mode.folders === undefined ? "" : "/{partition}"}"}
`,
  );
  return path;
}

export function changeShop(folder: string, sql: string): void {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(sql);
}
