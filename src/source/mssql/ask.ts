// Small questions: a statement whose result is read as text, whole. NULL is null, binary is hex, a uuid is hyphenated.

import type { Connection } from "tedious";
import { invariant } from "../../errors.ts";
import { runBatch } from "./batch.ts";
import { readFields } from "./bytes.ts";
import type { ResponseReader } from "./response.ts";

/** A probe or catalog answer is small; more than this is a mistake in the statement. */
const ANSWER_BYTES_MAX = 64 << 20;

/** Rows of one statement. Zero `timeoutMs` means no limit. */
export async function ask(connection: Connection, sql: string, timeoutMs: number): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let row: (string | null)[] = [];
  let bytes = 0;
  const deliver = (reader: ResponseReader) => {
    const view = reader.viewFields();
    bytes += view.length;
    invariant(bytes <= ANSWER_BYTES_MAX, "The answer to a small question is too large");
    for (const field of readFields(view)) {
      row.push(field === null ? null : decoder.decode(field));
      if (row.length < reader.columns.length) continue;
      rows.push(row);
      row = [];
    }
    reader.dropFields(view.length);
  };
  await runBatch(connection, sql, { form: "text", timeoutMs, maxValueBytes: ANSWER_BYTES_MAX, signal: null, deliver });
  return rows;
}

/** A text as a T-SQL literal. */
export function toLiteral(text: string): string {
  return `N'${text.replaceAll("'", "''")}'`;
}
