// The exported files, through the manifest, read by programs that are not rivet: hyparquet, and a split at commas.

import { type FileMetaData, parquetMetadata, parquetReadObjects, type SchemaElement } from "hyparquet";
import { compressors } from "hyparquet-compressors";

export type FileRow = Record<string, unknown>;

export interface ExportFiles {
  readonly paths: readonly string[];
  readonly bytes: number;
  /** Name and type of each column, as the first file declares them. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** The first rows with all columns. */
  head(count: number): Promise<FileRow[]>;
  /** All rows with only these columns. */
  rows(columns: readonly string[]): Promise<FileRow[]>;
}

/** The committed parts of one export's folder. */
export async function openExportFiles(folder: string): Promise<ExportFiles> {
  const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`)) as {
    parts: { path: string; status: string; size_bytes: number }[];
    columns: { name: string; type: string }[];
  };
  const parts = manifest.parts.filter((part) => part.status === "committed");
  const paths = parts.map((part) => `${folder}/${part.path}`);
  const bytes = parts.reduce((sum, part) => sum + part.size_bytes, 0);
  if (paths[0]?.endsWith(".csv")) return await openCsv(paths, bytes, manifest.columns);
  return await openParquet(paths, bytes);
}

async function openParquet(paths: readonly string[], bytes: number): Promise<ExportFiles> {
  const first = (await Deno.readFile(paths[0]!)).buffer as ArrayBuffer;
  const metadata = parquetMetadata(first);
  return {
    paths,
    bytes,
    columns: metadata.schema.slice(1).map((element) => ({ name: element.name, type: toTypeName(element) })),
    head: (count) => read(first, metadata, { rowEnd: count }),
    async rows(columns) {
      const rows: FileRow[] = [];
      for (const path of paths) {
        const file = (await Deno.readFile(path)).buffer as ArrayBuffer;
        const own = parquetMetadata(file);
        if (columns.length === 0) rows.push(...Array.from({ length: Number(own.num_rows) }, () => ({})));
        else for (const row of await read(file, own, { columns: [...columns] })) rows.push(row);
      }
      return rows;
    },
  };
}

async function read(
  file: ArrayBuffer,
  metadata: FileMetaData,
  options: { rowEnd?: number; columns?: string[] },
): Promise<FileRow[]> {
  return await parquetReadObjects({ file, metadata, compressors, utf8: false, parsers: PARSERS, ...options });
}

/** Microseconds and JSON text as they are: hyparquet's own dates end at milliseconds. */
const PARSERS = {
  timestampFromMicroseconds: (value: bigint) => value,
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes),
};

function toTypeName(element: SchemaElement): string {
  const logical = element.logical_type;
  switch (logical?.type) {
    case undefined:
      return element.type ?? "group";
    case "DECIMAL":
      return `DECIMAL(${logical.precision},${logical.scale})`;
    case "TIMESTAMP":
      return `TIMESTAMP(${logical.unit}${logical.isAdjustedToUTC ? ",UTC" : ""})`;
    case "TIME":
      return `TIME(${logical.unit})`;
    default:
      return logical!.type;
  }
}

/** The demo's only CSV has no quoted cell. */
async function openCsv(
  paths: readonly string[],
  bytes: number,
  columns: readonly { name: string; type: string }[],
): Promise<ExportFiles> {
  const rows: FileRow[] = [];
  for (const path of paths) {
    const [header, ...lines] = (await Deno.readTextFile(path)).trimEnd().split("\n");
    const names = header!.split(",");
    for (const line of lines) {
      const cells = line.split(",");
      rows.push(Object.fromEntries(names.map((name, i) => [name, cells[i] === "" ? null : cells[i]])));
    }
  }
  return {
    paths,
    bytes,
    columns,
    head: (count) => Promise.resolve(rows.slice(0, count)),
    rows: () => Promise.resolve(rows),
  };
}
