// Where an export's files lie: one prefix, or one for each partition that is found. Asks the destination, never the source.

import { isAbsolute, join } from "node:path";
import type { Export } from "../config/mod.ts";
import {
  type Destination,
  type DestinationInput,
  type PlaceholderValues,
  type ResolvedDestination,
  resolveDestination,
} from "../destination/mod.ts";
import { unitName } from "../plan/mod.ts";

export interface PlaceQuestion {
  /** `YYYY-MM-DD`, what `{date}` becomes. */
  readonly date: string;
  /** What `{run_id}` becomes; null leaves it. */
  readonly runId: string | null;
  /** In place of the config's path or prefix; no placeholders. */
  readonly prefix: string | null;
  /** Absolute folder of the config: a relative local prefix starts here. */
  readonly directory: string;
  /** Partitions that were exported, by what `{partition}` was: they are looked for even where nothing lies. */
  readonly partitions: readonly string[];
}

/** One unit of an export and where it lies. */
export interface Place {
  /** The export's name, or `<export>__<value>` for a partition. */
  readonly unitName: string;
  readonly partition: string | null;
  /** False for a partition that is only remembered: nothing lies there. */
  readonly isFound: boolean;
  /** Any partition of the export may lie there: `--prefix` does not say which. */
  readonly isFamily: boolean;
  readonly location: Exclude<ResolvedDestination, { kind: "stdout" }>;
}

type Open = (location: ResolvedDestination) => Promise<Destination>;

/** The prefixes of an export, in the order of their partitions; none for standard output. */
export async function findPlaces(
  entry: Export,
  question: PlaceQuestion,
  env: { env(name: string): string | undefined },
  open: Open,
): Promise<Place[]> {
  const input = question.prefix === null ? entry.destination : replacePrefix(entry.destination, question);
  const values: PlaceholderValues = {
    date: question.date,
    export: entry.name,
    table: entry.name,
    partition: null,
    runId: question.runId,
  };
  const location = resolveDestination(input, values, env);
  if (location.kind === "stdout") return [];
  const template = pathOf(location);
  if (question.prefix !== null || !template.includes(TOKEN)) {
    return [{ unitName: entry.name, partition: null, isFound: true, isFamily: entry.partition !== null, location }];
  }
  const found = await findPartitions(location, template, open);
  return [...new Set([...found, ...question.partitions])].sort().map((partition) => ({
    unitName: unitName(entry.name, partition),
    partition,
    isFound: found.has(partition),
    isFamily: false,
    location: withPath(location, template.replaceAll(TOKEN, partition)),
  }));
}

const TOKEN = "{partition}";

/** Lists what lies above the placeholder: every folder that fits it and holds something is a partition. */
async function findPartitions(location: Place["location"], template: string, open: Open): Promise<Set<string>> {
  const rootLength = template.lastIndexOf("/", template.indexOf(TOKEN)) + 1;
  const [root, rest] = [template.slice(0, rootLength), template.slice(rootLength)];
  const pattern = new RegExp(`^${rest.replace(/\/$/, "").split(TOKEN).map(escape).join("([^/]+)")}/`);
  const labels = new Set<string>();
  await using destination = await open(withPath(location, root));
  for await (const { key } of destination.list("")) {
    const found = pattern.exec(key)?.slice(1) ?? [];
    if (found.length > 0 && found.every((label) => label === found[0])) labels.add(found[0]!);
  }
  return labels;
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function pathOf(location: Place["location"]): string {
  return location.kind === "local" ? location.path : location.prefix;
}

function withPath(location: Place["location"], path: string): Place["location"] {
  return location.kind === "local" ? { ...location, path } : { ...location, prefix: path };
}

function replacePrefix(input: DestinationInput, question: PlaceQuestion): DestinationInput {
  const prefix = question.prefix!;
  if (input.kind === "stdout") return input;
  if (input.kind === "local") {
    return { ...input, path: isAbsolute(prefix) ? prefix : join(question.directory, prefix) };
  }
  return { ...input, prefix };
}
