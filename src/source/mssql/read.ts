// One slice: its rows from the server's response into the sink, no faster than the sink and the throttle allow.

import type { Connection } from "tedious";
import { RivetError } from "../../errors.ts";
import { sleep } from "../../runtime.ts";
import type { ReadOptions, ReadReport, RowSink } from "../source.ts";
import { runBatch } from "./batch.ts";
import type { ResponseReader } from "./response.ts";

/** Fields go to the sink in pieces of at most this size. */
const PIECE_BYTES = 1 << 20;

export async function readRows(
  connection: Connection,
  sql: string,
  into: RowSink,
  options: ReadOptions,
  timeoutMs: number,
): Promise<Omit<ReadReport, "bytesRead">> {
  let rowsPaid = 0;
  let isChecked = options.wires === undefined;
  /** The wait that the rows since the last one have earned, or nothing. */
  const throttle = (reader: ResponseReader): Promise<void> | void => {
    const rows = reader.rows - rowsPaid;
    if (options.throttleMs <= 0 || rows < options.batchRows) return;
    rowsPaid = reader.rows;
    return sleep(options.throttleMs * rows / options.batchRows, options.signal);
  };
  const report = await runBatch(connection, sql, {
    form: "wire",
    timeoutMs,
    maxValueBytes: options.maxValueBytes ?? Infinity,
    signal: options.signal,
    deliver: (reader) => {
      if (!isChecked && reader.results > 0) {
        isChecked = true;
        checkWires(reader, options.wires!);
      }
      const wait = pour(reader, into);
      if (wait === undefined) return throttle(reader);
      return wait.then(() => throttle(reader));
    },
  });
  if (report.results !== 1) {
    throw new RivetError("RIVET_SOURCE_QUERY_FAILED", `The statement gave ${report.results} results instead of one`, {
      cure: "Make `query:` one SELECT",
    });
  }
  return { rows: report.rows, longestStatementMs: report.tookMs, statements: 1 };
}

/** A column that was text and is bytes now would be taken for the other. */
function checkWires(reader: ResponseReader, wires: readonly string[]): void {
  const at = wires.findIndex((wire, i) => reader.columns[i]?.wire !== wire);
  if (at < 0) return;
  throw new RivetError(
    "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ",
    `Column ${at + 1} of the statement is no longer read as ${wires[at]}`,
    {
      where: `column '${reader.columns[at]?.name ?? at + 1}'`,
      cure: "Run again: the plan is made from the table as it is now",
    },
  );
}

/** Moves all finished fields into the sink. Synchronous as long as the sink does not ask to wait. */
function pour(reader: ResponseReader, into: RowSink): Promise<void> | void {
  const fields = reader.viewFields();
  let at = 0;
  while (at < fields.length) {
    const piece = fields.subarray(at, at + PIECE_BYTES);
    // The view is the core's own memory: it is filled at once and not kept over a wait.
    into.room(piece.length).set(piece);
    at += piece.length;
    const wait = into.wrote(piece.length);
    if (wait !== undefined) {
      reader.dropFields(at);
      return wait.then(() => pour(reader, into));
    }
  }
  reader.dropFields(at);
}
