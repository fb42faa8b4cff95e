// One prefix against its manifests, as deep as asked for. Changes nothing at the destination.

import type { Core } from "../core/mod.ts";
import type { Destination, StoredObject } from "../destination/mod.ts";
import { MANIFEST_KEY, SUCCESS_KEY } from "../manifest.ts";
import { type Finding, severityOf } from "./finding.ts";
import { checkParts, committedParts, type PartCheck } from "./part.ts";
import { type Prefix, type PrefixQuestion, readPrefix } from "./prefix.ts";
import { checkPartValues, whyNotComparable } from "./values.ts";

/** `light`: manifests, marker, presence and size. `sample`: and the content of every part by its digests. `full`: and its values. */
export type Depth = "light" | "sample" | "full";

export interface ValidateOptions {
  readonly depth: Depth;
  /** `verify: content`: a part of which only the size was checked is a failure. */
  readonly requireContent: boolean;
  /** An absent manifest is a failure. */
  readonly requireManifest: boolean;
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
  const checks = await checkParts(destination, parts, prefix.objects, options.depth !== "light", options.signal);
  const valued = options.depth === "full" ? await checkValues(destination, prefix, checks, options, findings) : checks;
  for (const check of valued) findings.push(...check.findings);
  const sound = valued.filter((check) => check.findings.length === 0);
  const sizeOnly = sound.filter((check) => check.proof === null).length;
  if (options.requireContent && sizeOnly > 0) {
    findings.push({ kind: "content_verification_unmet", size_only: sizeOnly, total: parts.length });
  }
  const isUnreadable = findings.some((f) => severityOf(f) !== "advisory");
  if (options.requireManifest && manifests.length === 0 && !isUnreadable) {
    findings.push({ kind: "manifest_required_but_absent", detail: destination.uri });
  }
  const untracked = findUntracked(prefix);
  for (const object of untracked.slice(0, UNTRACKED_NAMED_MAX)) {
    findings.push({ kind: "untracked_object", key: object.key, size_bytes: object.size });
  }
  return {
    depth: options.depth,
    manifestFound: manifests.length > 0,
    isLegacy: prefix.isLegacy,
    runIds: manifests.map((manifest) => manifest.run_id),
    partsTotal: parts.length,
    partsVerified: sound.length,
    partsContentVerified: sound.length - sizeOnly,
    partsMd5Verified: sound.filter(({ proof }) => proof === "md5" || proof === "read").length,
    partsSizeOnly: sizeOnly,
    partsValuesVerified: options.depth === "full"
      ? sound.filter((check) => whyNotComparable(check.manifest) === null).length
      : 0,
    partsFailed: parts.length - sound.length,
    rows: parts.reduce((sum, { part }) => sum + part.rows, 0),
    bytes: parts.reduce((sum, { part }) => sum + part.size_bytes, 0),
    markerConsistent: prefix.markerConsistent,
    selfConsistent: prefix.selfConsistent,
    untrackedObjects: untracked.length,
    findings,
    passed: manifests.length > 0 && findings.every((finding) => severityOf(finding) === "advisory"),
  };
}

/** Decodes every part that is sound so far, one after the other: the core is bound by this thread. */
async function checkValues(
  destination: Destination,
  prefix: Prefix,
  checks: readonly PartCheck[],
  options: ValidateOptions,
  findings: Finding[],
): Promise<PartCheck[]> {
  for (const { key, manifest } of prefix.manifests) {
    const detail = whyNotComparable(manifest);
    if (detail !== null && manifest.parts.length > 0) {
      findings.push({ kind: "value_check_not_available", path: key, detail });
    }
  }
  const core = checks.length === 0 ? null : await options.openCore();
  const valued: PartCheck[] = [];
  for (const check of checks) {
    const isReadable = check.findings.length === 0 && check.manifest.format === "parquet";
    valued.push(
      core !== null && isReadable
        ? { ...check, findings: await checkPartValues(core, destination, check, options.signal) }
        : check,
    );
  }
  return valued;
}

/** Findings name this many objects; the rest are only counted. */
const UNTRACKED_NAMED_MAX = 20;

/** Objects that no manifest at the prefix names, other prefixes below this one left out. */
function findUntracked(prefix: Prefix): StoredObject[] {
  if (prefix.manifests.length === 0) return [];
  const others = [...prefix.objects.keys()].filter((key) => key.endsWith(`/${MANIFEST_KEY}`))
    .map((key) => key.slice(0, -MANIFEST_KEY.length));
  return [...prefix.objects.values()].filter(({ key }) =>
    key !== MANIFEST_KEY && key !== SUCCESS_KEY && !prefix.tracked.has(key) &&
    !others.some((other) => key.startsWith(other))
  );
}
