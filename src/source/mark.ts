// What moment a picture is of, in the engine's own terms, and which rows were written before it. Only PostgreSQL tells.

import type { Predicate } from "./sql.ts";
import type { Source } from "./source.ts";

/** The transactions of a picture: all below `oldestOpen` had ended, those from `next` on had not begun. Decimal text of 64-bit numbers. */
export interface Mark {
  readonly oldestOpen: string;
  readonly next: string;
}

/** Asked inside a picture; null where the engine has no such numbers. */
export async function readMark(source: Source): Promise<Mark | null> {
  if (source.engine !== "postgres") return null;
  const text = (await source.rows("SELECT txid_current_snapshot()::text"))[0]?.[0] ?? "";
  const [oldestOpen, next] = text.split(":");
  return /^\d+:\d+:/.test(text) ? { oldestOpen: oldestOpen!, next: next! } : null;
}

/** Rows whose present version had certainly been written when the mark was taken. */
export function writtenBefore(mark: Mark): Predicate {
  return { kind: "transactions", from: null, to: mark.oldestOpen };
}

/** Rows whose present version was written while the mark's picture was taken: it may or may not have been in it. */
export function writtenAround(mark: Mark): Predicate {
  return { kind: "transactions", from: mark.oldestOpen, to: mark.next };
}
