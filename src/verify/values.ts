// The values of a stored file, decoded by the core as a stream and compared with what was observed while it was written.
// Never holds a whole file: one column chunk of Parquet, one block of CSV.

import type { Core, CsvSpec, FileContent } from "../core/mod.ts";
import {
  type ContentHash,
  type Destination,
  type ExpectedObject,
  type ObjectCheck,
  openContentHash,
  type StoredObject,
} from "../destination/mod.ts";
import { RivetError } from "../errors.ts";
import { CHECKSUM_RENDER, type Manifest } from "../manifest.ts";
import type { PartFinding } from "./finding.ts";
import {
  checkPartContent,
  type Holders,
  type NamedPart,
  nameOf,
  type PartCheck,
  toExpected,
  toPartCheck,
} from "./part.ts";
import { messageOf } from "./prefix.ts";

/** Why the values that a manifest names cannot be compared; null when they can. */
export function whyNotComparable(manifest: Manifest): string | null {
  if (!isReadable(manifest)) return `files of the format '${manifest.format}' are not decoded`;
  if (manifest.checksum_render === CHECKSUM_RENDER) return null;
  const render = manifest.checksum_render;
  return render === ""
    ? "it holds no column checksums; rows were counted"
    : `its column checksums are of the kind '${render}'; rows were counted`;
}

/** Whether the core can decode the files. */
export function isReadable(manifest: Manifest): boolean {
  return manifest.format === "parquet" || manifest.format === "csv";
}

function toCsvSpec(manifest: Manifest): CsvSpec {
  const codec = manifest.compression as CsvSpec["codec"];
  // Programs that did not note the dialect knew no other.
  const { delimiter, header, null: nullText } = manifest.csv ?? { delimiter: ",", header: true, null: null };
  return { kind: "csv", codec, delimiter, header, ...(nullText === null ? {} : { null: nullText }) };
}

export interface PartValues {
  readonly content: FileContent;
  /** How the bytes compare with the recorded digest; null when none was recorded, or they did not pass in order. */
  readonly bytes: ObjectCheck | null;
}

/**
 * Rows, and per column NULLs and checksum, recomputed from a stored file in one pass that also digests its bytes.
 * Throws RIVET_VERIFY_CONTENT_UNMET when it cannot be decoded.
 */
export async function readPartValues(
  core: Core,
  destination: Destination,
  { manifest, part }: NamedPart,
  signal: AbortSignal,
): Promise<PartValues> {
  const reader = core.openReader();
  const file = new ObjectReader(destination, toExpected(part));
  try {
    const columns = whyNotComparable(manifest) === null
      ? manifest.columns.map(({ name, type }) => ({ name, type }))
      : [];
    reader.open(part.size_bytes, columns, undefined, manifest.format === "csv" ? toCsvSpec(manifest) : undefined);
    for (let need = reader.need(); need !== null; need = reader.need()) {
      signal.throwIfAborted();
      reader.give(await file.read(need.offset, need.length));
    }
    return { content: reader.finish(), bytes: await file.end() };
  } finally {
    reader.close();
    await file.close();
  }
}

/** Decodes a part that is there in its size and compares bytes, rows, NULLs and checksums; trouble is a finding, an abort is thrown. */
export async function checkPartValues(
  core: Core,
  destination: Destination,
  named: NamedPart,
  stored: StoredObject,
  holders: Holders,
  signal: AbortSignal,
): Promise<PartCheck> {
  let values: PartValues;
  try {
    values = await readPartValues(core, destination, named, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Bytes that are not those written explain why they cannot be decoded.
    const bytes = await checkPartContent(destination, named, stored, holders);
    if (bytes.findings.length > 0) return bytes;
    const isDamaged = error instanceof RivetError && error.code === "RIVET_VERIFY_CONTENT_UNMET";
    const kind = isDamaged ? "part_unreadable" : "part_read_error";
    return { ...bytes, findings: [{ ...nameOf(named), kind, detail: messageOf(error) }] };
  }
  const bytes = values.bytes === null
    ? await checkPartContent(destination, named, stored, holders)
    : toPartCheck(named, values.bytes, holders);
  return bytes.findings.length > 0 ? bytes : { ...bytes, findings: compareValues(named, values.content) };
}

function compareValues(named: NamedPart, content: FileContent): PartFinding[] {
  const { part } = named;
  const name = nameOf(named);
  const findings: PartFinding[] = [];
  if (content.rows !== part.rows) {
    findings.push({ ...name, kind: "part_row_count_mismatch", expected: part.rows, actual: content.rows });
  }
  const seen = new Map(content.columns.map((column) => [column.name, column]));
  for (const { name: column, checksum, nulls } of part.column_checksums) {
    const actual = seen.get(column);
    const isSame = actual?.checksum === checksum || content.ambiguous.includes(column);
    if (actual === undefined || (isSame && actual.nulls === nulls)) continue;
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

/** An object read at offsets that mostly follow each other, with as few requests as that allows; its bytes are digested on the way. */
class ObjectReader {
  #stream: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #position = 0;
  #left: Uint8Array = new Uint8Array();
  /** Null when the stream did not begin at the first byte, or no digest was recorded. */
  #hash: ContentHash | null = null;

  constructor(private readonly destination: Destination, private readonly expected: ExpectedObject) {}

  /** At least one and at most `length` bytes from `offset`. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#stream === null || offset < this.#position || offset - this.#position > SKIP_BYTES_MAX) {
      await this.#open(offset > SKIP_BYTES_MAX ? offset : 0);
    }
    while (this.#position < offset) {
      const left = await this.#fill();
      this.#advance(left.subarray(0, offset - this.#position));
    }
    const bytes = (await this.#fill()).subarray(0, length);
    this.#advance(bytes);
    return bytes;
  }

  /** Reads what is left; how the bytes compare with the recorded digest, null when they did not all pass. */
  async end(): Promise<ObjectCheck | null> {
    if (this.#stream === null) await this.#open(0);
    if (this.#hash === null) return null;
    while (this.#position < this.expected.size) this.#advance(await this.#fill());
    return this.#hash.end();
  }

  async close(): Promise<void> {
    await this.#stream?.cancel();
    this.#stream = null;
    this.#left = new Uint8Array();
  }

  async #open(offset: number): Promise<void> {
    await this.close();
    const { key, size } = this.expected;
    const stream = await this.destination.get(key, offset === 0 ? undefined : { offset, length: size - offset });
    if (stream === null) {
      throw new RivetError("RIVET_DEST_OBJECT_NOT_FOUND", `'${key}' vanished while it was read`, {
        where: this.destination.uri,
      });
    }
    this.#stream = stream.getReader();
    this.#position = offset;
    this.#hash = offset === 0 ? await openContentHash(this.expected) : null;
  }

  /** What is at hand at the position, never nothing. */
  async #fill(): Promise<Uint8Array> {
    while (this.#left.length === 0) {
      const { value, done } = await this.#stream!.read();
      if (done) {
        throw new RivetError("RIVET_VERIFY_CONTENT_UNMET", `'${this.expected.key}' ends at byte ${this.#position}`, {
          where: this.destination.uri,
        });
      }
      this.#left = value;
    }
    return this.#left;
  }

  #advance(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    this.#left = this.#left.subarray(bytes.length);
    this.#position += bytes.length;
  }
}
