// The values of a stored file, decoded by the core as a stream and compared with what was observed while it was written.
// Never holds a whole file: one column chunk of Parquet, one block of CSV.

import type { Core, ObservedColumn } from "../core/mod.ts";
import type { Destination } from "../destination/mod.ts";
import { RivetError } from "../errors.ts";
import { CHECKSUM_RENDER, type Manifest } from "../manifest.ts";
import type { PartFinding } from "./finding.ts";
import { type NamedPart, nameOf } from "./part.ts";
import { messageOf } from "./prefix.ts";

export interface PartValues {
  readonly rows: number;
  readonly columns: readonly ObservedColumn[];
}

/** Why the values that a manifest names cannot be compared; null when they can. */
export function whyNotComparable(manifest: Manifest): string | null {
  if (manifest.format !== "parquet") return `files of the format '${manifest.format}' are not decoded`;
  if (manifest.checksum_render === CHECKSUM_RENDER) return null;
  const render = manifest.checksum_render;
  return render === ""
    ? "it holds no column checksums; rows were counted"
    : `its column checksums are of the kind '${render}'; rows were counted`;
}

/** Rows, and per column NULLs and checksum, recomputed from a stored file. Throws RIVET_VERIFY_CONTENT_UNMET when it cannot be decoded. */
export async function readPartValues(
  core: Core,
  destination: Destination,
  { manifest, part }: NamedPart,
  signal: AbortSignal,
): Promise<PartValues> {
  const reader = core.openReader();
  const file = new ObjectReader(destination, part.path, part.size_bytes);
  try {
    const columns = whyNotComparable(manifest) === null
      ? manifest.columns.map(({ name, type }) => ({ name, type, wire: "" }))
      : [];
    reader.open(part.size_bytes, columns);
    for (let need = reader.need(); need !== null; need = reader.need()) {
      signal.throwIfAborted();
      reader.give(await file.read(need.offset, need.length));
    }
    return reader.finish();
  } finally {
    reader.close();
    await file.close();
  }
}

/** Decodes one part and compares rows, NULLs and checksums; trouble is a finding, an abort is thrown. */
export async function checkPartValues(
  core: Core,
  destination: Destination,
  named: NamedPart,
  signal: AbortSignal,
): Promise<PartFinding[]> {
  const name = nameOf(named);
  let values: PartValues;
  try {
    values = await readPartValues(core, destination, named, signal);
  } catch (error) {
    signal.throwIfAborted();
    const isDamaged = error instanceof RivetError && error.code === "RIVET_VERIFY_CONTENT_UNMET";
    return [{ ...name, kind: isDamaged ? "part_unreadable" : "part_read_error", detail: messageOf(error) }];
  }
  const { part } = named;
  const findings: PartFinding[] = [];
  if (values.rows !== part.rows) {
    findings.push({ ...name, kind: "part_row_count_mismatch", expected: part.rows, actual: values.rows });
  }
  const seen = new Map(values.columns.map((column) => [column.name, column]));
  for (const { name: column, checksum, nulls } of part.column_checksums) {
    const actual = seen.get(column);
    if (actual === undefined || (actual.checksum === checksum && actual.nulls === nulls)) continue;
    findings.push({
      ...name,
      kind: "value_checksum_mismatch",
      column,
      expected: `${checksum} and ${nulls} NULLs`,
      actual: `${actual.checksum} and ${actual.nulls} NULLs`,
    });
  }
  return findings;
}

/** Bytes nearer than this are read over rather than asked for anew. */
const SKIP_BYTES_MAX = 1 << 20;

/** An object read at offsets that mostly follow each other, with as few requests as that allows. */
class ObjectReader {
  #stream: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #position = 0;
  #left: Uint8Array = new Uint8Array();

  constructor(
    private readonly destination: Destination,
    private readonly key: string,
    private readonly size: number,
  ) {}

  /** At least one and at most `length` bytes from `offset`. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#stream === null || offset < this.#position || offset - this.#position > SKIP_BYTES_MAX) {
      await this.#open(offset);
    }
    while (this.#position < offset) this.#advance(Math.min(offset - this.#position, (await this.#fill()).length));
    const bytes = (await this.#fill()).subarray(0, length);
    this.#advance(bytes.length);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#stream?.cancel();
    this.#stream = null;
    this.#left = new Uint8Array();
  }

  async #open(offset: number): Promise<void> {
    await this.close();
    const stream = await this.destination.get(this.key, { offset, length: this.size - offset });
    if (stream === null) {
      throw new RivetError("RIVET_DEST_OBJECT_NOT_FOUND", `'${this.key}' vanished while it was read`, {
        where: this.destination.uri,
      });
    }
    this.#stream = stream.getReader();
    this.#position = offset;
  }

  /** What is at hand at the position, never nothing. */
  async #fill(): Promise<Uint8Array> {
    while (this.#left.length === 0) {
      const { value, done } = await this.#stream!.read();
      if (done) {
        throw new RivetError("RIVET_VERIFY_CONTENT_UNMET", `'${this.key}' ends at byte ${this.#position}`, {
          where: this.destination.uri,
        });
      }
      this.#left = value;
    }
    return this.#left;
  }

  #advance(bytes: number): void {
    this.#left = this.#left.subarray(bytes);
    this.#position += bytes;
  }
}
