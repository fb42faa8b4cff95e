// The manifest: the parts of an export as recorded at the destination. Pure: builds, prints, parses and checks; does no I/O.

import { xxhash3 } from "hash-wasm";
import { RivetError } from "./errors.ts";

export const MANIFEST_KEY = "manifest.json";
export const SUCCESS_KEY = "_SUCCESS";

export type PartStatus = "committed" | "superseded" | "quarantined";

export interface ManifestPart {
  part_id: number;
  path: string;
  rows: number;
  size_bytes: number;
  /** `xxh3:` and 16 hex digits of the file's bytes. */
  content_fingerprint: string;
  /** Base64. */
  content_md5: string;
  /** Decimal text. */
  content_crc32c: string;
  status: PartStatus;
  /** The slice it holds. */
  slice: string;
  slice_index: number;
  /** Observed while the part was written. */
  column_checksums: ColumnChecksum[];
}

export interface ColumnChecksum {
  name: string;
  /** Decimal text of a u64. */
  checksum: string;
  nulls: number;
}

export interface Manifest {
  manifest_version: 1;
  run_id: string;
  export_name: string;
  export_family?: string;
  mode: "batch";
  started_at: string;
  finished_at: string;
  status: "running" | "success" | "failed" | "interrupted";
  source: {
    engine: string;
    schema: string | null;
    table: string | null;
    extraction: {
      strategy: string;
      cursor_column?: string;
      cursor_low?: string | null;
      cursor_high?: string | null;
      source_row_count?: number | null;
      consistency: "snapshot" | "slice" | "none";
    };
  };
  destination: { kind: string; uri: string };
  format: string;
  compression: string;
  schema_fingerprint: string;
  columns: { name: string; type: string; native_type: string }[];
  row_count: number;
  part_count: number;
  parts: ManifestPart[];
  column_checksums: ColumnChecksum[];
  checksum_render: string;
  row_hash?: { column: string; covered: string[]; render: string };
}

/** How column checksums are made: the wrapping sum of xxh3-64 over each non-null value's canonical bytes. */
export const CHECKSUM_RENDER = "rivet-canonical-xxh3-64-sum-v1";
export const ROW_HASH_RENDER = "rivet-canonical-xxh3-128-low64-v1";

/** `manifest-<run_id>.json`, the copy that later runs do not replace. */
export function runManifestKey(runId: string): string {
  return `manifest-${runId.replace(/[^A-Za-z0-9._-]/g, "-")}.json`;
}

/** The manifest's bytes; the same manifest always gives the same bytes. */
export function formatManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(manifest, null, 2) + "\n");
}

/** `xxh3:` and 16 hex digits. */
export async function fingerprintBytes(bytes: Uint8Array): Promise<string> {
  return `xxh3:${await xxhash3(bytes)}`;
}

/** The body of `_SUCCESS`: the manifest's fingerprint, then the run. */
export async function formatMarker(manifest: Uint8Array, runId: string): Promise<Uint8Array<ArrayBuffer>> {
  return new TextEncoder().encode(`${await fingerprintBytes(manifest)}\nrun_id: ${runId}\n`);
}

/** The fingerprint in a marker, or null when it is not one. */
export function parseMarker(text: string): string | null {
  return /^(xxh3:[0-9a-f]{16})\s*(?:\n|$)/.exec(text)?.[1] ?? null;
}

/** Parses and checks a manifest; `where` is its URI. Unknown keys are ignored. */
export function parseManifest(text: string, where: string): Manifest {
  const refuse = (message: string): never => {
    throw new RivetError("RIVET_DEST_CONTROL_ARTIFACT_INVALID", message, { where });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RivetError("RIVET_DEST_CONTROL_ARTIFACT_INVALID", "The manifest is not JSON", { where, cause });
  }
  if (typeof value !== "object" || value === null) return refuse("The manifest is not an object");
  const manifest = value as Partial<Manifest>;
  if (manifest.manifest_version !== 1) {
    return refuse(`The manifest has version '${manifest.manifest_version}', expected '1'`);
  }
  if (manifest.mode !== "batch") {
    throw new RivetError(
      "RIVET_DEST_PREFIX_MODE_MISMATCH",
      `The manifest is of mode '${manifest.mode}', expected 'batch'`,
      { where },
    );
  }
  if (
    typeof manifest.run_id !== "string" || typeof manifest.export_name !== "string" || !Array.isArray(manifest.parts)
  ) {
    return refuse("The manifest lacks 'run_id', 'export_name' or 'parts'");
  }
  return manifest as Manifest;
}

/** What in the manifest contradicts itself; empty when nothing does. */
export function findContradictions(manifest: Manifest): string[] {
  const committed = manifest.parts.filter((part) => part.status === "committed");
  const found: string[] = [];
  const rows = committed.reduce((sum, part) => sum + part.rows, 0);
  if (committed.length !== manifest.part_count) {
    found.push(`part_count ${manifest.part_count}, committed parts ${committed.length}`);
  }
  if (rows !== manifest.row_count) found.push(`row_count ${manifest.row_count}, rows of committed parts ${rows}`);
  if (new Set(manifest.parts.map((part) => part.part_id)).size !== manifest.parts.length) {
    found.push("a part_id is used twice");
  }
  if (new Set(committed.map((part) => part.path)).size !== committed.length) found.push("a path is used twice");
  return found;
}

/** Adds two checksums of the same column: wrapping u64. */
export function addChecksums(left: string, right: string): string {
  return String(BigInt.asUintN(64, BigInt(left) + BigInt(right)));
}

/** Column checksums over several parts, in the first part's column order. */
export function sumChecksums(
  parts: readonly { readonly column_checksums: readonly ColumnChecksum[] }[],
): ColumnChecksum[] {
  const sums = new Map<string, ColumnChecksum>();
  for (const part of parts) {
    for (const column of part.column_checksums) {
      const sum = sums.get(column.name) ?? { name: column.name, checksum: "0", nulls: 0 };
      sums.set(column.name, {
        name: column.name,
        checksum: addChecksums(sum.checksum, column.checksum),
        nulls: sum.nulls + column.nulls,
      });
    }
  }
  return [...sums.values()];
}
