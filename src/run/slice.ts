// One slice from source to destination: rows in, file bytes out, beside each other. Knows neither state nor other slices.

import { lookAtConnections } from "../connections.ts";
import { invariant, RivetError } from "../errors.ts";
import type { ColumnSpec, Core, EncoderSpec, PartObservations, SliceObservations } from "../core/mod.ts";
import type { Destination } from "../destination/mod.ts";
import type { ReadOptions, ReadReport, RowSink, Source } from "../source/mod.ts";
import { ByteQueue } from "./queue.ts";

/** Everything a lane needs to know about one slice. Structured-clonable. */
export interface SliceRequest {
  readonly index: number;
  /** The SELECTs whose rows, one after the other, are the slice: usually one. */
  readonly statements: readonly string[];
  readonly columns: readonly ColumnSpec[];
  readonly encoder: Omit<EncoderSpec, "framing" | "columns">;
  /** Key of the first file without its extension; a run that was taken over adds `_r<takeover>`, further files `_p<k>`. */
  readonly keyStem: string;
  /** Absent = 0, the process that began the run. */
  readonly takeover?: number;
  readonly extension: string;
  readonly contentType: string;
  /** A slice without rows still makes one file, holding the columns. */
  readonly emptyFile: boolean;
  /** Files of an earlier attempt may lie at the destination under these keys. */
  readonly clean: boolean;
  readonly read: Omit<ReadOptions, "signal">;
}

export interface WrittenPart {
  readonly key: string;
  readonly observations: PartObservations;
  readonly digests: Readonly<Record<string, string>>;
}

export interface SliceResult {
  readonly parts: readonly WrittenPart[];
  readonly observations: SliceObservations;
  readonly report: ReadReport;
}

export interface SliceProgress {
  readonly rows: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface SliceTools {
  readonly source: Source;
  readonly destination: Destination;
  readonly core: Core;
  readonly signal: AbortSignal;
  /** Called after blocks, often; the callee decides what to pass on. */
  onProgress(progress: SliceProgress): void;
  /** Called when the source has given its last row: it is free, while `bytes` of files may still be on their way. */
  onRead?(report: ReadReport, bytes: number): void;
}

/** What is under way to a store goes on when the thread looks at its connections: at least so often, while rows come without a pause. */
const LOOK_EVERY_MS = 10;
/** Bytes that may wait for the destination before the source is made to wait. */
const QUEUE_BYTES_MAX = 4 << 20;
/** Files of one slice that may be under way to the destination at once. */
const UPLOADS_MAX = 3;

/** Reads, encodes and stores one slice. When it resolves, its parts are durable; when it rejects, the attempt left nothing visible but finished parts. */
export async function runSlice(request: SliceRequest, tools: SliceTools): Promise<SliceResult> {
  const { source, core } = tools;
  const encoder = core.openEncoder({ ...request.encoder, framing: source.framing, columns: request.columns });
  const stop = new AbortController();
  const signal = AbortSignal.any([tools.signal, stop.signal]);
  const writer = new PartWriter(request, tools.destination, signal);
  let bytesRead = 0;
  let control: Uint8Array[] = [];
  const drain = (): Promise<void> | void => {
    for (let message = encoder.takeControl(); message !== null; message = encoder.takeControl()) control.push(message);
    for (;;) {
      const output = encoder.takeOutput();
      if (output !== null) writer.write(output);
      const part = encoder.takePart();
      if (part !== null) writer.end(part);
      if (output === null && part === null) break;
    }
    tools.onProgress({ rows: writer.rowsDone, bytesRead, bytesWritten: writer.bytes });
    return writer.ready(QUEUE_BYTES_MAX);
  };
  let lookAt = performance.now() + LOOK_EVERY_MS;
  const look = async (room: Promise<void> | void) => {
    await room;
    await lookAtConnections();
    lookAt = performance.now() + LOOK_EVERY_MS;
  };
  const sink: RowSink = {
    room: (bytes) => encoder.room(bytes),
    wrote(bytes) {
      bytesRead += bytes;
      encoder.wrote(bytes);
      const room = drain();
      return performance.now() < lookAt ? room : look(room);
    },
    control: () => control.shift() ?? null,
  };
  try {
    const wires = request.columns.map((column) => column.wire);
    const reports: ReadReport[] = [];
    for (const sql of request.statements) {
      reports.push(await source.read(sql, sink, { ...request.read, wires, signal }));
      control = [];
    }
    const report = sumReports(reports);
    const observations = encoder.finish(request.emptyFile);
    await drain();
    // What the next slice needs is free: its rows come while these files are made durable.
    encoder.close();
    tools.onRead?.(report, writer.bytes);
    const parts = await writer.finish();
    checkCounts(report, observations, parts);
    if (request.clean) await removeLeftovers(tools.destination, request, parts);
    return { parts, observations, report };
  } catch (error) {
    stop.abort(error);
    await writer.abandon();
    throw error;
  } finally {
    encoder.close();
  }
}

function sumReports(reports: readonly ReadReport[]): ReadReport {
  return {
    rows: reports.reduce((sum, report) => sum + report.rows, 0),
    bytesRead: reports.reduce((sum, report) => sum + report.bytesRead, 0),
    longestStatementMs: Math.max(0, ...reports.map((report) => report.longestStatementMs)),
    statements: reports.reduce((sum, report) => sum + report.statements, 0),
  };
}

/** What the server sent, what the core decoded and what the files hold must be one number. */
function checkCounts(report: ReadReport, observations: SliceObservations, parts: readonly WrittenPart[]): void {
  const inFiles = parts.reduce((sum, part) => sum + part.observations.rows, 0);
  if (report.rows === observations.rows + observations.skipped && inFiles === observations.rows) return;
  throw new RivetError(
    "RIVET_INTERNAL_SOURCE_INVARIANT",
    `The source sent ${report.rows} rows, ${
      observations.rows + observations.skipped
    } were decoded, the files hold ${inFiles}`,
  );
}

/** An earlier attempt may have made more files than this one, or other ones before the run was taken over. */
async function removeLeftovers(
  destination: Destination,
  request: SliceRequest,
  parts: readonly WrittenPart[],
): Promise<void> {
  const kept = new Set(parts.map((part) => part.key));
  for await (const stored of destination.list(request.keyStem)) {
    if (isKeyOf(request, stored.key) && !kept.has(stored.key)) await destination.remove(stored.key);
  }
}

function isKeyOf(request: SliceRequest, key: string): boolean {
  if (!key.startsWith(request.keyStem) || !key.endsWith(request.extension)) return false;
  const name = /^(?:_r(\d+))?(?:_p\d+)?$/.exec(key.slice(request.keyStem.length, -request.extension.length));
  // Whoever took the run over from this process has names of its own, which are not this process's to remove.
  return name !== null && Number(name[1] ?? 0) <= (request.takeover ?? 0);
}

/** Two processes never write one key: what a stalled one still sends after its run was taken over hits no committed file. */
export function partKey(request: Pick<SliceRequest, "keyStem" | "extension" | "takeover">, index: number): string {
  const { keyStem, extension, takeover = 0 } = request;
  return `${keyStem}${takeover === 0 ? "" : `_r${takeover}`}${index === 0 ? "" : `_p${index}`}${extension}`;
}

/** The stems that slices may have whose part bears this key: `_p2` ends the name of a second file, and that of a slice of pages. */
export function toKeyStems(key: string): string[] {
  const stems = [key.replace(/\.(?:parquet|csv|csv\.gz|csv\.zst)$/, "")];
  for (const ending of [/_p\d+$/, /_r\d+$/]) stems.push(...stems.map((stem) => stem.replace(ending, "")));
  return [...new Set(stems)];
}

/** A file on its way to the destination; its observations come with its last byte. */
interface OpenPart {
  readonly key: string;
  readonly queue: ByteQueue;
  readonly put: Promise<Readonly<Record<string, string>>>;
  observations: PartObservations | null;
}

/** File bytes come as buffers of their own. Freed here they are gone at once; the collector would let tens of megabytes gather. */
function freeChunk(chunk: Uint8Array): void {
  if (chunk.buffer instanceof ArrayBuffer && chunk.length === chunk.buffer.byteLength) chunk.buffer.transfer(0);
}

/** Feeds the files of one slice to the destination, one after the other, while they are still being encoded. */
class PartWriter {
  bytes = 0;
  rowsDone = 0;
  readonly #parts: WrittenPart[] = [];
  #current: OpenPart | null = null;
  #failure: unknown = null;
  #settled: Promise<void> = Promise.resolve();
  #index = 0;
  /** Uploads that have neither ended nor failed. */
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(
    private readonly request: SliceRequest,
    private readonly destination: Destination,
    private readonly signal: AbortSignal,
  ) {}

  write(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    (this.#current ??= this.#open()).queue.push(bytes);
  }

  end(observations: PartObservations): void {
    const part = this.#current ??= this.#open();
    const { key, queue, put } = part;
    this.#current = null;
    part.observations = observations;
    this.rowsDone += observations.rows;
    queue.end();
    // Parts settle in order, so that the list of parts has the order of the rows.
    this.#settled = this.#settled.then(async () => {
      const digests = await put;
      this.#parts.push({ key, observations, digests });
    });
    this.#settled.catch((error) => this.#failure ??= error);
  }

  /** Waits while too much is queued; throws what an upload threw. */
  ready(bytesMax: number): Promise<void> | void {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#underWay.size > UPLOADS_MAX) return this.#settled.then(() => this.ready(bytesMax));
    const queue = this.#current?.queue;
    if (queue !== undefined && queue.bytes > bytesMax) return queue.drained(bytesMax).then(() => this.ready(bytesMax));
  }

  async finish(): Promise<readonly WrittenPart[]> {
    await this.#settled;
    if (this.#failure !== null) throw this.#failure;
    return this.#parts;
  }

  /** The signal has been aborted: waits until no upload runs any more. */
  async abandon(): Promise<void> {
    this.#current?.queue.fail(this.signal.reason);
    // The first failure settles the list of parts, and the files after it may still be on their way.
    await Promise.allSettled([...this.#underWay, this.#settled]);
  }

  #open(): OpenPart {
    const key = partKey(this.request, this.#index++);
    const queue = new ByteQueue();
    const expected = () => {
      invariant(part.observations !== null, "A part's digests were asked for before its last byte");
      return part.observations;
    };
    const put = this.destination.put(key, queue, {
      contentType: this.request.contentType,
      signal: this.signal,
      expected,
      release: freeChunk,
    }).then((stored) => ({ ...stored.digests }));
    const part: OpenPart = { key, queue, put, observations: null };
    this.#underWay.add(put);
    put.then(() => this.#underWay.delete(put), (error) => {
      this.#underWay.delete(put);
      this.#failure ??= error;
      queue.fail(error);
    });
    return part;
  }
}
