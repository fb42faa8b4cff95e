// What a warehouse sees: the committed parts of a manifest, read by DuckDB.

import { DuckDBInstance } from "@duckdb/node-api";
import { join } from "./files.ts";
import { readManifestFile } from "./reader.ts";

/** Rows as text, in the order of the keys. A manifest without parts gives no rows. */
export async function queryParts(
  folders: readonly string[],
  columns: readonly string[],
  manifests: readonly string[] = ["manifest.json"],
): Promise<(string | null)[][]> {
  const paths: string[] = [];
  for (const folder of folders) {
    for (const name of manifests) {
      const manifest = await readManifestFile(folder, name);
      for (const part of manifest?.parts ?? []) if (part.status === "committed") paths.push(join(folder, part.path));
    }
  }
  if (paths.length === 0) return [];
  const list = paths.map((path) => `'${path.replaceAll("'", "''")}'`).join(", ");
  const texts = columns.map((name) => `"${name}"::VARCHAR`).join(", ");
  const instance = await DuckDBInstance.create();
  try {
    const connection = await instance.connect();
    try {
      const reader = await connection.runAndReadAll(
        `SELECT ${texts} FROM read_parquet([${list}]) ORDER BY "${columns[0]}"`,
      );
      return reader.getRows() as (string | null)[][];
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}
