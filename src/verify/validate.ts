// One prefix against its manifests, as deep as asked for. Changes nothing at the destination.

import type { Core } from "../core/mod.ts";
import type { Destination, StoredObject } from "../destination/mod.ts";
import { MANIFEST_KEY, SUCCESS_KEY } from "../manifest.ts";
import { type Finding, severityOf } from "./finding.ts";
import { checkParts, committedParts, findHolders, type PartCheck } from "./part.ts";
import { type Prefix, type PrefixQuestion, readPrefix } from "./prefix.ts";
import { checkPartValues, isReadable, whyNotComparable } from "./values.ts";

/** `light`: manifests, marker, presence and size. `sample`: and the content of every part by its digests. `full`: and its values. */
export type Depth = "light" | "sample" | "full";

/** What the state remembers: a run that stored files here and ended well. */
export interface CommittedRun {
  readonly runId: string;
  readonly startedAt: string;
  readonly files: number;
  /** It and the runs after it, which may have replaced it. */
  readonly newer: readonly string[];
}

/** What the state remembers: a run that stored files here and is not finished. */
export interface UnfinishedRun {
  readonly runId: string;
  /** Keys of the files that it committed. */
  readonly files: readonly string[];
  /** What finishes it. */
  readonly command: string;
}

export interface ValidateOptions {
  readonly depth: Depth;
  /** `verify: content`: a part of which only the size was checked is a failure. */
  readonly requireContent: boolean;
  /** An absent manifest is a failure. */
  readonly requireManifest: boolean;
  /** Its manifest, or that of a later run, must be there. */
  readonly committed?: CommittedRun | null;
  readonly unfinished?: UnfinishedRun | null;
  /** Needed for the depth `full`. */
  readonly openCore: () => Promise<Core>;
  readonly signal: AbortSignal;
}

export interface Verification {
  readonly depth: Depth;
  readonly manifestFound: boolean;
  /** Objects without manifest and marker: nothing is known of them. */
  readonly isLegacy: boolean;
  /** Runs whose manifests were checked. */
  readonly runIds: readonly string[];
  readonly partsTotal: number;
  /** Without a finding. */
  readonly partsVerified: number;
  /** Of these, by a digest or by reading. */
  readonly partsContentVerified: number;
  /** Of these, by an MD5 that the store vouches for or that was read. */
  readonly partsMd5Verified: number;
  /** Of these, only presence and size. */
  readonly partsSizeOnly: number;
  /** Of these, with their rows and column checksums. */
  readonly partsValuesVerified: number;
  readonly partsFailed: number;
  readonly rows: number;
  readonly bytes: number;
  readonly markerConsistent: boolean | null;
  readonly selfConsistent: boolean | null;
  readonly untrackedObjects: number;
  readonly findings: readonly Finding[];
  /** A manifest was found and nothing is wrong or unverified. */
  readonly passed: boolean;
}

/** How often a check begins anew because a run published in between. */
const ATTEMPTS_MAX = 3;

/** Checks a prefix. Trouble is a finding; only an abort is thrown. */
export async function validatePrefix(
  destination: Destination,
  question: PrefixQuestion,
  options: ValidateOptions,
): Promise<Verification> {
  for (let attempt = 1;; attempt++) {
    const prefix = await readPrefix(destination, question);
    const verification = await verify(destination, prefix, options);
    const isSound = verification.findings.every((finding) => severityOf(finding) === "advisory");
    if (isSound || attempt === ATTEMPTS_MAX) return verification;
    // A run that published while we looked explains any difference: what it left is looked at instead.
    if ((await readPrefix(destination, question)).fingerprint === prefix.fingerprint) return verification;
  }
}

async function verify(destination: Destination, prefix: Prefix, options: ValidateOptions): Promise<Verification> {
  const manifests = prefix.manifests.map((named) => named.manifest);
  const parts = committedParts(manifests);
  const findings: Finding[] = [...prefix.findings];
  const isFull = options.depth === "full";
  // At full depth the pass over the values digests the bytes as well, of every format that can be decoded.
  const [decoded, others] = [
    parts.filter((p) => isFull && isReadable(p.manifest)),
    parts.filter((p) => !isFull || !isReadable(p.manifest)),
  ];
  const listed = await checkParts(destination, decoded, prefix.objects, false, options.signal);
  const checks = [
    ...await checkParts(destination, others, prefix.objects, options.depth !== "light", options.signal),
    ...await checkValues(destination, prefix, listed, options),
  ];
  if (isFull) findings.push(...notComparable(prefix));
  for (const check of checks) findings.push(...check.findings);
  const sound = checks.filter((check) => check.findings.length === 0);
  const sizeOnly = sound.filter((check) => check.proof === null).length;
  if (options.requireContent && sizeOnly > 0) {
    findings.push({ kind: "content_verification_unmet", size_only: sizeOnly, total: parts.length });
  }
  const absent = findings.some((f) => severityOf(f) !== "advisory") ? null : whyAbsent(destination, prefix, options);
  if (absent !== null) findings.push({ kind: "manifest_required_but_absent", detail: absent });
  const all = findUntracked(prefix, options.unfinished != null);
  const { findings: told, untracked } = explain(all, options.unfinished ?? null);
  findings.push(...told);
  const named = prefix.manifests.length === 0 ? [] : untracked;
  for (const object of named.slice(0, UNTRACKED_NAMED_MAX)) {
    findings.push({ kind: "untracked_object", key: object.key, size_bytes: object.size });
  }
  return {
    depth: options.depth,
    manifestFound: manifests.length > 0,
    isLegacy: prefix.isLegacy && (told.length === 0 || untracked.length > 0),
    runIds: manifests.map((manifest) => manifest.run_id),
    partsTotal: parts.length,
    partsVerified: sound.length,
    partsContentVerified: sound.length - sizeOnly,
    partsMd5Verified: sound.filter(({ proof }) => proof === "md5" || proof === "read").length,
    partsSizeOnly: sizeOnly,
    partsValuesVerified: isFull ? sound.filter((check) => whyNotComparable(check.manifest) === null).length : 0,
    partsFailed: parts.length - sound.length,
    rows: parts.reduce((sum, { part }) => sum + part.rows, 0),
    bytes: parts.reduce((sum, { part }) => sum + part.size_bytes, 0),
    markerConsistent: prefix.markerConsistent,
    selfConsistent: prefix.selfConsistent,
    untrackedObjects: prefix.manifests.length === 0 ? 0 : all.length,
    findings,
    passed: manifests.length > 0 && findings.every((finding) => severityOf(finding) === "advisory"),
  };
}

/** Which manifest should be there and is not; null when none is missed. */
function whyAbsent(destination: Destination, prefix: Prefix, options: ValidateOptions): string | null {
  const { committed } = options;
  const manifests = prefix.manifests.map((named) => named.manifest);
  if (committed) {
    const follows = manifests.some((m) => committed.newer.includes(m.run_id) || m.started_at > committed.startedAt);
    if (!follows) return `run '${committed.runId}' stored ${committed.files} files here, and no manifest speaks of it`;
  }
  return options.requireManifest && manifests.length === 0 ? `'${destination.uri}' holds none` : null;
}

function notComparable(prefix: Prefix): Finding[] {
  return prefix.manifests.filter(({ manifest }) => manifest.parts.length > 0).flatMap(({ key, manifest }) => {
    const detail = whyNotComparable(manifest);
    return detail === null ? [] : [{ kind: "value_check_not_available" as const, path: key, detail }];
  });
}

/** Decodes every part that is sound so far, one after the other: the core is bound by this thread. */
async function checkValues(
  destination: Destination,
  prefix: Prefix,
  listed: readonly PartCheck[],
  options: ValidateOptions,
): Promise<PartCheck[]> {
  if (listed.length === 0) return [];
  const core = await options.openCore();
  const holders = findHolders(listed);
  const checks: PartCheck[] = [];
  for (const check of listed) {
    const stored = prefix.objects.get(check.part.path);
    checks.push(
      check.findings.length > 0 || stored === undefined
        ? check
        : await checkPartValues(core, destination, check, stored, holders, options.signal),
    );
  }
  return checks;
}

/** Findings name this many objects; the rest are only counted. */
const UNTRACKED_NAMED_MAX = 20;

/** Objects that no manifest at the prefix names, other prefixes below this one left out. */
function findUntracked(prefix: Prefix, withoutManifest: boolean): StoredObject[] {
  if (prefix.manifests.length === 0 && !withoutManifest) return [];
  const others = [...prefix.objects.keys()].filter((key) => key.endsWith(`/${MANIFEST_KEY}`))
    .map((key) => key.slice(0, -MANIFEST_KEY.length));
  return [...prefix.objects.values()].filter(({ key }) =>
    key !== MANIFEST_KEY && key !== SUCCESS_KEY && !prefix.tracked.has(key) &&
    !others.some((other) => key.startsWith(other))
  );
}

/** One finding for all files of the run that the next one finishes, those that it had not committed yet among them. */
function explain(
  objects: readonly StoredObject[],
  run: UnfinishedRun | null,
): { findings: Finding[]; untracked: StoredObject[] } {
  if (run === null) return { findings: [], untracked: [...objects] };
  const committed = new Set(run.files);
  const stem = FILE_OF_RUN.exec(run.files[0] ?? "")?.[1] ?? null;
  const isOwn = ({ key }: StoredObject) =>
    committed.has(key) || (stem !== null && key.startsWith(stem) && /^[._]/.test(key.slice(stem.length)));
  const own = objects.filter(isOwn);
  if (own.length === 0) return { findings: [], untracked: [...objects] };
  const { runId, command } = run;
  const bytes = own.reduce((sum, { size }) => sum + size, 0);
  return {
    findings: [{ kind: "run_unfinished", run_id: runId, files: own.length, size_bytes: bytes, command }],
    untracked: objects.filter((object) => !isOwn(object)),
  };
}

/** `<export>_<date>_<time>_<ms>_<pid>`, which the names of all files of a run begin with. */
const FILE_OF_RUN = /^(.*_\d{8}_\d{6}_\d{3}_\d+)[._]/;
