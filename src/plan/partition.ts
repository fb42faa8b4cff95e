// `partition_by`: one unit a day, month or year between the least and the greatest value, and one for NULL.

import { RivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";
import type { KeyColumn, Predicate, Source } from "../source/mod.ts";
import { toQuery, type Unit } from "./build.ts";
import { findColumn, type KeyContext, readBounds } from "./key.ts";

/** The directory name Hive uses for NULL. Real values are dates and can never be called so. */
export const NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__";

/**
 * An export without `partition_by` is one unit. Only bounds are read. `known` are names of units that ran before: a period whose rows
 * have all gone still is a unit, or its folder would keep what is no longer true.
 */
export async function expandUnits(entry: Export, source: Source, known: readonly string[] = []): Promise<Unit[]> {
  const { partition } = entry;
  if (partition === null) return [{ entry, name: entry.name, filters: [], partition: null }];
  const query = toQuery(entry);
  const shape = await source.describe(query);
  const context: KeyContext = { source, query, shape, filters: [], where: `export '${entry.name}'` };
  const column = findColumn(context, partition.column, "partition_by");
  if (column.type.kind !== "date" && column.type.kind !== "timestamp") {
    throw new RivetError(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      `\`partition_by\` '${partition.column}' has the type '${column.nativeType}'`,
      {
        where: context.where,
        cure: "Choose a date or timestamp column",
      },
    );
  }
  const { min, max } = await readBounds(context, column);
  const units = min === null || max === null
    ? []
    : periods(min, max, partition.granularity).map((period) => toUnit(entry, column, period));
  const names = new Set(units.map((unit) => unit.name));
  for (const name of known) {
    const label = name.slice(unitName(entry.name, "").length);
    if (names.has(name) || !isLabel(label, partition.granularity)) continue;
    for (const period of periods(fullDate(label), fullDate(label), partition.granularity)) {
      units.push(toUnit(entry, column, period));
    }
  }
  if (column.notNull) return units;
  const nulls: Predicate = { kind: "null", columns: [column] };
  return [...units, {
    entry,
    name: unitName(entry.name, NULL_PARTITION),
    filters: [nulls],
    partition: NULL_PARTITION,
  }];
}

/** `<export>__<label>`; the partition of NULL is `<export>__null`. */
export function unitName(exportName: string, partition: string): string {
  return `${exportName}__${partition === NULL_PARTITION ? "null" : partition}`;
}

/** More partitions than this are a mistake in the data or the granularity. */
const PARTITIONS_MAX = 20_000;

interface Period {
  readonly label: string;
  /** First day, inclusive; null is open below. */
  readonly from: string | null;
  /** First day of the next period; null is open above. */
  readonly to: string | null;
}

function toUnit(entry: Export, column: KeyColumn, period: Period): Unit {
  const bounds: Predicate = {
    kind: "range",
    columns: [column],
    from: period.from === null ? null : [period.from],
    to: period.to === null ? null : [period.to],
  };
  return { entry, name: unitName(entry.name, period.label), filters: [bounds], partition: period.label };
}

/** Every period from the one of `min` to the one of `max`. Bounded on both sides: a later row makes a later partition. */
export function periods(min: string, max: string, granularity: "day" | "month" | "year"): Period[] {
  const list: Period[] = [];
  const last = startOf(max, granularity);
  for (let from = startOf(min, granularity);; from = next(from, granularity)) {
    const to = next(from, granularity);
    // The last representable year has no next one: its partition is open above.
    list.push({ label: labelOf(from, granularity), from, to: to.startsWith("+") ? null : to });
    if (from >= last) return list;
    if (list.length >= PARTITIONS_MAX) {
      throw new RivetError(
        "RIVET_PLAN_CHUNK_KEY_SPARSE",
        `More than ${PARTITIONS_MAX} partitions between '${min}' and '${max}'`,
        {
          cure: "Choose a coarser `partition_granularity`, or correct the outlying dates",
        },
      );
    }
  }
}

const LABELS = { day: /^\d{4}-\d{2}-\d{2}$/, month: /^\d{4}-\d{2}$/, year: /^\d{4}$/ } as const;

function isLabel(text: string, granularity: "day" | "month" | "year"): boolean {
  return LABELS[granularity].test(text) && !Number.isNaN(Date.parse(fullDate(text)));
}

/** The first day of a labelled period. */
function fullDate(label: string): string {
  return `${label}-01-01`.slice(0, 10);
}

function startOf(text: string, granularity: "day" | "month" | "year"): string {
  const match = /^(\d{4})-(\d{2})-(\d{2})/.exec(text);
  if (match === null) throw new RivetError("RIVET_SOURCE_PROBE_UNREADABLE", `Not a date: '${text}'`);
  const [, year, month, day] = match;
  if (Number.isNaN(Date.parse(`${year}-${month}-${day}T00:00:00Z`))) {
    throw new RivetError("RIVET_SOURCE_PROBE_UNREADABLE", `Not a date: '${text}'`);
  }
  if (granularity === "year") return `${year}-01-01`;
  return granularity === "month" ? `${year}-${month}-01` : `${year}-${month}-${day}`;
}

function next(from: string, granularity: "day" | "month" | "year"): string {
  const date = new Date(`${from}T00:00:00Z`);
  if (granularity === "year") date.setUTCFullYear(date.getUTCFullYear() + 1);
  else if (granularity === "month") date.setUTCMonth(date.getUTCMonth() + 1);
  else date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}

function labelOf(from: string, granularity: "day" | "month" | "year"): string {
  return granularity === "year" ? from.slice(0, 4) : granularity === "month" ? from.slice(0, 7) : from;
}
