// The sealed plan as a file: what it holds, how it is written, and how one that was damaged, edited or made elsewhere is told.
// It holds no secret and no parameter value, and it grows with its cuts, not with the SQL of every slice.

import { createHash } from "node:crypto";
import { z } from "zod";
import { RivetError } from "../errors.ts";
import type { Predicate } from "../source/mod.ts";
import type { Layout } from "./layout.ts";
import type { Strategy } from "./task.ts";

export const ARTIFACT_FORMAT = 1;

const text = () => z.string();
const orNull = <T extends z.ZodType>(shape: T) => z.union([shape, z.null()]);
const count = () => z.number();
const time = () => text().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
const data = () => z.record(z.string(), z.unknown());
/** Data of our own writing: the shape says as much as a reader needs, the type what the program made of it. */
const typed = <T>(shape: z.ZodType) => shape as unknown as z.ZodType<T>;

const KeyColumnShape = z.strictObject({
  names: z.array(text()),
  type: z.looseObject({ kind: text() }),
  nativeType: text(),
  notNull: z.boolean(),
});

const LayoutShape = z.union([
  z.strictObject({ kind: z.literal("none") }),
  z.strictObject({ kind: z.literal("whole") }),
  z.strictObject({ kind: z.literal("pages"), pages: count(), pagesPerSlice: count() }),
  z.strictObject({
    kind: z.literal("integers"),
    column: KeyColumnShape,
    min: text().regex(/^-?\d+$/),
    max: text().regex(/^-?\d+$/),
    size: text().regex(/^[1-9]\d*$/),
  }),
  z.strictObject({ kind: z.literal("days"), column: KeyColumnShape, first: text(), last: text(), days: count() }),
  z.strictObject({ kind: z.literal("keys"), columns: z.array(KeyColumnShape), cuts: z.array(z.array(text())) }),
]).describe("How the task is cut; its chunks follow from it.");

const WindowShape = z.strictObject({
  low: orNull(text()),
  readFrom: orNull(text()),
  high: orNull(text()),
  edgeFrom: orNull(text()),
  protection: z.array(text()),
  nullRows: orNull(count()),
}).describe("The bounds of an incremental task.");

const ColumnShape = z.strictObject({ name: text(), type: text() });

const TaskShape = z.strictObject({
  name: text().describe("The export, or the export and its partition."),
  partition: orNull(text()),
  settings: text().describe("Fingerprint of every setting that must not differ when it is applied."),
  strategy: typed<Strategy>(z.looseObject({ kind: text() })),
  strategy_label: text(),
  chunk_count: count(),
  layout: typed<Layout>(LayoutShape),
  filters: z.array(typed<Predicate>(z.looseObject({ kind: text() }))),
  window: orNull(WindowShape),
});

const RecommendationShape = z.strictObject({
  export_name: text(),
  source_group: orNull(text()),
  priority_score: count(),
  priority_class: z.enum(["high", "medium", "low"]),
  cost_class: z.enum(["low", "medium", "high", "very_high"]),
  risk_class: z.enum(["low", "medium", "high"]),
  recommended_wave: count(),
  isolate_on_source: z.boolean(),
  parallel_safe: z.boolean(),
  reasons: z.array(z.strictObject({ kind: text(), message: text() })),
});

const ExportShape = z.strictObject({
  export_name: text(),
  strategy: z.enum(["full", "incremental", "chunked", "keyset", "timewindow"]),
  plan_fingerprint: text(),
  resolved_plan: data().describe(
    "The settings as resolved, for reading: what is applied stands in `config` and `tasks`.",
  ),
  computed: z.strictObject({
    chunk_count: count(),
    chunk_ranges: z.array(z.tuple([orNull(text()), orNull(text())])).describe(
      "Bounds of the first chunks: from, inclusive, and to, exclusive; null is open.",
    ),
    chunk_ranges_omitted: count(),
    cursor_snapshot: orNull(text()),
    cursor_high: orNull(text()),
    row_estimate: orNull(count()),
    row_estimate_source: orNull(text()),
    row_bytes_estimate: orNull(count()),
    memory_mb_estimate: count(),
    output_bytes_estimate: orNull(count()),
    sample: orNull(z.strictObject({ rows: count(), bytes_read: count(), bytes_written: count() })),
    lanes: count(),
    consistency: z.enum(["snapshot", "slice", "none"]),
    output: text(),
    permissions: z.strictObject({
      net: z.array(text()),
      read: z.array(text()),
      write: z.array(text()),
      sys: z.array(text()),
    }).describe("What a lane may reach; everything else is refused to it."),
  }),
  diagnostics: z.strictObject({
    verdict: z.enum(["efficient", "acceptable", "degraded", "unsafe"]),
    breach: orNull(text()),
    warnings: z.array(text()),
    recommended_profile: text(),
    recommended_parallel: count(),
    strategy_rationale: text(),
    suggestion: orNull(text()),
  }),
  prioritization: RecommendationShape,
  columns: z.array(ColumnShape),
  tasks: z.array(TaskShape),
});

export const PlanArtifactShape = z.strictObject({
  rivet_plan: z.literal(ARTIFACT_FORMAT).describe("The format of this file."),
  rivet_version: text(),
  plan_id: text().regex(/^[0-9a-f]{32}$/),
  created_at: time(),
  expires_at: time().describe("From then on only incremental exports are applied without `--force`."),
  config_path: text(),
  date: orNull(text().regex(/^\d{4}-\d{2}-\d{2}$/)).describe(
    "What `{date}` is frozen to; null leaves it to the day of `apply`.",
  ),
  parameters: z.array(text()).describe("Parameters to give again: `apply` needs the same values."),
  source: z.strictObject({ type: text(), identity: text(), written: data() }),
  config: z.strictObject({
    text: text(),
    query_files: z.record(z.string(), text()),
    redacted: z.array(text()),
  }).describe("The config as written, without comments, secrets and what `${name}` stands for."),
  exports: z.array(ExportShape),
  campaign: z.strictObject({
    ordered_exports: z.array(text()),
    waves: z.array(z.strictObject({ wave: count(), exports: z.array(text()) })),
    source_group_warnings: z.array(
      z.strictObject({ source_group: text(), exports: z.array(text()), message: text() }),
    ),
  }),
  integrity: text().regex(/^sha256:[0-9a-f]{64}$/).describe("Over everything else, keys sorted, without white space."),
});

export type PlanArtifact = z.infer<typeof PlanArtifactShape>;
export type PlannedExport = z.infer<typeof ExportShape>;
export type PlannedTask = z.infer<typeof TaskShape>;

/** The same content with its digest. */
export function sealArtifact(plan: Omit<PlanArtifact, "integrity">): PlanArtifact {
  return { ...plan, integrity: digestOf(plan) };
}

/** The text of an artifact file, in pieces: lists of plain values stand on one line, however long they are. */
export function* formatArtifact(plan: PlanArtifact): Generator<string> {
  yield* formatValue(plan, "");
  yield "\n";
}

/** Throws RIVET_PLAN_ARTIFACT_INVALID for anything but an artifact that is exactly as it was sealed. */
export function parseArtifact(json: string, path: string): PlanArtifact {
  const invalid = (message: string, cure?: string, cause?: unknown) =>
    new RivetError("RIVET_PLAN_ARTIFACT_INVALID", message, {
      where: path,
      cause,
      ...(cure === undefined ? {} : { cure }),
    });
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw invalid("The file is no plan: it is not whole JSON", undefined, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value) || !("rivet_plan" in value)) {
    throw invalid("The file is JSON, but no plan of this program");
  }
  const version = "rivet_version" in value ? String(value.rivet_version) : "unknown";
  if (value.rivet_plan !== ARTIFACT_FORMAT) {
    throw invalid(
      `The plan has format ${JSON.stringify(value.rivet_plan)}, this version reads format ${ARTIFACT_FORMAT}`,
      `Make the plan anew with the version that applies it; this one was made by rivet ${version.slice(0, 40)}`,
    );
  }
  const { integrity, ...content } = value as { integrity?: unknown; rivet_plan: number };
  if (integrity !== digestOf(content)) {
    throw invalid("The plan was edited or damaged: its content does not match its digest");
  }
  const parsed = PlanArtifactShape.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(`The plan is incomplete at '${issue?.path.join(".") ?? ""}'`, undefined, parsed.error);
}

/** The file's JSON Schema. */
export function buildArtifactSchema(version: string): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(PlanArtifactShape, { target: "draft-2020-12" });
  return { $schema, title: "rivet plan artifact", description: `rivet ${version}`, ...schema };
}

const PIECE_LENGTH = 1 << 16;

function digestOf(content: unknown): string {
  const hash = createHash("sha256");
  let piece = "";
  for (const token of canonical(content)) {
    piece += token;
    if (piece.length < PIECE_LENGTH) continue;
    hash.update(piece);
    piece = "";
  }
  return `sha256:${hash.update(piece).digest("hex")}`;
}

/** JSON without white space, keys in the order of their code units. */
function* canonical(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null || isFlat(value)) {
    yield JSON.stringify(value);
  } else if (Array.isArray(value)) {
    yield "[";
    for (const [index, item] of value.entries()) {
      if (index > 0) yield ",";
      yield* canonical(item);
    }
    yield "]";
  } else {
    yield "{";
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined).sort(([a], [b]) => a < b ? -1 : 1);
    for (const [index, [key, inner]] of entries.entries()) {
      yield `${index > 0 ? "," : ""}${JSON.stringify(key)}:`;
      yield* canonical(inner);
    }
    yield "}";
  }
}

/** A list that holds no object at any depth: it has one text. */
function isFlat(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null || isFlat(item));
}

function* formatValue(value: unknown, indent: string): Generator<string> {
  const inner = `${indent}  `;
  if (typeof value !== "object" || value === null || isFlat(value)) {
    yield JSON.stringify(value);
  } else if (Array.isArray(value)) {
    yield "[";
    for (const [index, item] of value.entries()) {
      yield `${index > 0 ? "," : ""}\n${inner}`;
      yield* formatValue(item, inner);
    }
    yield `\n${indent}]`;
  } else {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (entries.length === 0) yield "{}";
    else {
      for (const [index, [key, item]] of entries.entries()) {
        yield `${index > 0 ? "," : "{"}\n${inner}${JSON.stringify(key)}: `;
        yield* formatValue(item, inner);
      }
      yield `\n${indent}}`;
    }
  }
}
