// What a reader of the destination sees: rows through the manifest, read by a program that is not rivet.

import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { Manifest } from "../../src/manifest.ts";
import { join } from "./files.ts";

export type Row = Record<string, unknown>;

export async function readManifestFile(folder: string, name = "manifest.json"): Promise<Manifest | null> {
  try {
    return JSON.parse(await Deno.readTextFile(join(folder, name))) as Manifest;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Rows of one Parquet file. */
export async function readParquet(path: string): Promise<Row[]> {
  const bytes = await Deno.readFile(path);
  return await parquetReadObjects({ file: bytes.buffer as ArrayBuffer, compressors }) as Row[];
}

/** Rows of one CSV file with a header; quotes doubled, NULL a bare empty field. */
export async function readCsv(path: string): Promise<Row[]> {
  const text = await Deno.readTextFile(path);
  const [header, ...records] = parseCsv(text);
  return records.map((record) => Object.fromEntries(header!.map((name, i) => [name!, record[i] ?? null])));
}

/** Records of a CSV text; a bare empty field is null. */
export function parseCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  let field = "";
  let quoted = false;
  let wasQuoted = false;
  const endField = () => {
    row.push(field === "" && !wasQuoted ? null : field);
    field = "";
    wasQuoted = false;
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = false;
    } else if (char === '"') {
      quoted = true;
      wasQuoted = true;
    } else if (char === ",") endField();
    else if (char === "\n") {
      endField();
      rows.push(row);
      row = [];
    } else field += char;
  }
  return rows;
}

/** Every row that the manifest's committed parts hold. */
export async function readThroughManifest(folder: string, name = "manifest.json"): Promise<Row[]> {
  const manifest = await readManifestFile(folder, name);
  const rows: Row[] = [];
  for (const part of manifest?.parts ?? []) {
    if (part.status !== "committed") continue;
    const path = join(folder, part.path);
    for (const row of await (path.endsWith(".csv") ? readCsv(path) : readParquet(path))) rows.push(row);
  }
  return rows;
}

/** Every row of every successful run: what incremental exports add up to. */
export async function readThroughAllManifests(folder: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of await listNames(folder)) {
    if (!/^manifest-.*\.json$/.test(name)) continue;
    if ((await readManifestFile(folder, name))?.status === "success") {
      rows.push(...await readThroughManifest(folder, name));
    }
  }
  return rows;
}

/** Data files that no manifest names, but for those that were set aside. */
export async function findUntracked(folder: string): Promise<string[]> {
  const names = await listNames(folder);
  const tracked = new Set<string>();
  for (const name of names) {
    if (!/^manifest.*\.json$/.test(name)) continue;
    for (const part of (await readManifestFile(folder, name))?.parts ?? []) tracked.add(part.path);
  }
  return names.filter((name) =>
    name !== "_SUCCESS" && name !== "_quarantine" && !/^manifest.*\.json$/.test(name) && !tracked.has(name)
  );
}

export async function listNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}
