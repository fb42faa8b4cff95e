// What a prefix says of itself: its manifests, its marker, and the objects that lie there. Reads small files only, changes nothing.

import { Buffer } from "node:buffer";
import {
  type Destination,
  isRunManifestKey,
  listByKey,
  MANIFEST_BYTES_MAX,
  MARKER_BYTES_MAX,
  readSmall,
  type StoredObject,
} from "../destination/mod.ts";
import { RivetError } from "../errors.ts";
import {
  findContradictions,
  fingerprintBytes,
  formatMarker,
  type Manifest,
  MANIFEST_KEY,
  parseManifest,
  parseMarker,
  runManifestKey,
  SUCCESS_KEY,
} from "../manifest.ts";
import type { Finding } from "./finding.ts";

export interface PrefixQuestion {
  /** The unit's name, as manifests carry it. */
  readonly exportName: string;
  /** Manifests of the export's partitions are meant as well. @default false */
  readonly isFamily?: boolean;
  /** Each run adds a set of its own, so that every run's manifest counts; otherwise the newest set is the whole export. */
  readonly additive: boolean;
  /** Only this run's manifest. */
  readonly runId: string | null;
}

export interface NamedManifest {
  readonly key: string;
  readonly manifest: Manifest;
}

export interface Prefix {
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Of this export, to be verified; `manifest.json` first, then the runs by name. */
  readonly manifests: readonly NamedManifest[];
  /** Keys that some manifest at the prefix speaks of, of any export and any status, and the manifests themselves. */
  readonly tracked: ReadonlySet<string>;
  /** True when objects lie there that neither a manifest nor a marker speaks of. */
  readonly isLegacy: boolean;
  /** Null where there is no marker, or it speaks of another export. */
  readonly markerConsistent: boolean | null;
  /** Null where there is no manifest. */
  readonly selfConsistent: boolean | null;
  readonly findings: readonly Finding[];
  /** Digest of the control files as they were read: another one afterwards means that a run published meanwhile. */
  readonly fingerprint: string;
}

/** Lists the prefix and reads its manifests and its marker. Trouble is a finding, never thrown. */
export async function readPrefix(destination: Destination, question: PrefixQuestion): Promise<Prefix> {
  const findings: Finding[] = [];
  let objects: Map<string, StoredObject>;
  try {
    objects = await listByKey(destination);
  } catch (error) {
    findings.push({ kind: "list_prefix_error", prefix: destination.uri, detail: messageOf(error) });
    return {
      objects: new Map(),
      manifests: [],
      tracked: new Set(),
      isLegacy: false,
      markerConsistent: null,
      selfConsistent: null,
      findings,
      fingerprint: "",
    };
  }
  const reader = new ManifestReader(destination, question, findings);
  const canonical = await reader.readCanonical(objects.has(MANIFEST_KEY));
  const runs = await reader.readRuns([...objects.keys()].filter(isRunManifestKey), canonical);
  const marker = await readMarker(destination, objects, canonical, question, findings);
  const isBare = !objects.has(MANIFEST_KEY) && !objects.has(SUCCESS_KEY);
  if (isBare && runs.length > 0 && question.runId === null) {
    const detail = `'${runs[0]!.key}' is there, '${MANIFEST_KEY}' is not`;
    findings.push({ kind: "manifest_required_but_absent", detail });
  }
  const manifests = choose(canonical, runs, question);
  const control = (key: string) => key === MANIFEST_KEY || key === SUCCESS_KEY || isRunManifestKey(key);
  const hasData = [...objects.keys()].some((key) => !control(key));
  const foundNothing = manifests.length === 0 && findings.length === 0;
  return {
    objects,
    manifests,
    tracked: reader.tracked,
    isLegacy: foundNothing && canonical === null && !objects.has(SUCCESS_KEY) && hasData,
    markerConsistent: marker.consistent,
    selfConsistent: manifests.length === 0 ? null : !findings.some((f) => f.kind === "manifest_self_inconsistent"),
    findings,
    fingerprint: `${canonical?.fingerprint ?? ""} ${marker.fingerprint}`,
  };
}

/** `manifest.json` as it was read. `manifest` is null when it is not one; `isOurs` is false for another export's. */
interface Canonical {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly fingerprint: string;
  readonly manifest: Manifest | null;
  readonly isOurs: boolean;
}

function choose(
  canonical: Canonical | null,
  runs: readonly NamedManifest[],
  question: PrefixQuestion,
): NamedManifest[] {
  const first = canonical?.isOurs && canonical.manifest !== null
    ? [{ key: MANIFEST_KEY, manifest: canonical.manifest }]
    : [];
  const all = [...first, ...runs.filter((run) => run.manifest.run_id !== first[0]?.manifest.run_id)];
  if (question.runId !== null) return all.filter((named) => named.manifest.run_id === question.runId);
  if (question.additive || all.length === 0) return all;
  if (first.length > 0) return first;
  // Another export's manifest.json hides ours: the newest of our own runs is the set.
  return [all.reduce((newest, named) => named.manifest.started_at > newest.manifest.started_at ? named : newest)];
}

class ManifestReader {
  readonly tracked = new Set<string>();

  constructor(
    private readonly destination: Destination,
    private readonly question: PrefixQuestion,
    private readonly findings: Finding[],
  ) {}

  async readCanonical(isListed: boolean): Promise<Canonical | null> {
    if (!isListed) return null;
    const bytes = await this.#readBytes(MANIFEST_KEY);
    if (bytes === null) return null;
    const manifest = this.#parse(MANIFEST_KEY, bytes);
    this.#track(MANIFEST_KEY, manifest);
    const isOurs = manifest === null || this.#isOurs(manifest);
    if (manifest !== null && isOurs) await this.#check(MANIFEST_KEY, manifest);
    return { bytes, fingerprint: await fingerprintBytes(bytes), manifest, isOurs };
  }

  /** The run manifests of this export; the copy of `manifest.json` must be its equal. */
  async readRuns(keys: readonly string[], canonical: Canonical | null): Promise<NamedManifest[]> {
    const runs: NamedManifest[] = [];
    for (const key of keys) {
      const isWanted = this.question.runId === null || key === runManifestKey(this.question.runId);
      const isOwn = isWanted && this.#isNamedForUs(key);
      const bytes = await this.#readBytes(key);
      if (bytes === null) continue;
      const isCopy = canonical?.manifest != null && isSame(bytes, canonical.bytes);
      const manifest = isCopy ? canonical.manifest : isOwn ? this.#parse(key, bytes) : parseQuietly(bytes);
      this.#track(key, manifest);
      if (!isWanted || manifest === null || !this.#isOurs(manifest)) continue;
      if (canonical?.isOurs && manifest.run_id === canonical.manifest?.run_id) this.#compareCopy(key, bytes, canonical);
      else await this.#check(key, manifest);
      runs.push({ key, manifest });
    }
    return runs;
  }

  #isOurs(manifest: Manifest): boolean {
    const { exportName, isFamily } = this.question;
    return manifest.export_name === exportName || (isFamily === true && manifest.export_family === exportName);
  }

  #track(key: string, manifest: Manifest | null): void {
    if (manifest === null) return;
    this.tracked.add(key);
    for (const part of manifest.parts) this.tracked.add(part.path);
  }

  #compareCopy(key: string, bytes: Uint8Array, canonical: Canonical): void {
    if (isSame(bytes, canonical.bytes)) return;
    const detail = `it differs from '${key}', the copy that the same run wrote`;
    this.findings.push({ kind: "manifest_self_inconsistent", path: MANIFEST_KEY, detail });
  }

  async #check(key: string, manifest: Manifest): Promise<void> {
    if (manifest.status !== "success") {
      this.findings.push({ kind: "run_not_successful", path: key, status: manifest.status });
    }
    for (const detail of await findContradictions(manifest)) {
      this.findings.push({ kind: "manifest_self_inconsistent", path: key, detail });
    }
  }

  /** `manifest-<export>_<date>T…`: a run of this export wrote it, so it must be a manifest. */
  #isNamedForUs(key: string): boolean {
    const stem = runManifestKey(`${this.question.exportName}_`).slice(0, -".json".length);
    return key.startsWith(stem) && /^\d{8}T/.test(key.slice(stem.length));
  }

  async #readBytes(key: string): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      const bytes = await readSmall(this.destination, key, MANIFEST_BYTES_MAX);
      if (bytes !== null) return bytes;
      this.findings.push({ kind: "manifest_read_error", path: key, detail: "it vanished after it was listed" });
      return null;
    } catch (error) {
      this.findings.push({ kind: "manifest_read_error", path: key, detail: messageOf(error) });
      return null;
    }
  }

  #parse(key: string, bytes: Uint8Array): Manifest | null {
    try {
      return parseManifest(bytes, key);
    } catch (error) {
      const isWrong = error instanceof RivetError && error.code === "RIVET_DEST_CONTROL_ARTIFACT_INVALID";
      const kind = isWrong ? "manifest_self_inconsistent" : "manifest_read_error";
      this.findings.push({ kind, path: key, detail: messageOf(error) });
      return null;
    }
  }
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** A file that only looks like a manifest is nobody's. */
function parseQuietly(bytes: Uint8Array): Manifest | null {
  try {
    return parseManifest(bytes, "");
  } catch {
    return null;
  }
}

async function readMarker(
  destination: Destination,
  objects: ReadonlyMap<string, StoredObject>,
  canonical: Canonical | null,
  question: PrefixQuestion,
  findings: Finding[],
): Promise<{ consistent: boolean | null; fingerprint: string }> {
  const speaksOfOthers = canonical !== null &&
    (!canonical.isOurs || (question.runId !== null && canonical.manifest?.run_id !== question.runId));
  const isUnread = canonical === null && objects.has(MANIFEST_KEY);
  if (speaksOfOthers || isUnread) return { consistent: null, fingerprint: "" };
  if (!objects.has(SUCCESS_KEY)) {
    if (canonical !== null) findings.push({ kind: "success_marker_absent" });
    return { consistent: null, fingerprint: "" };
  }
  let text: string;
  try {
    text = new TextDecoder().decode(await readSmall(destination, SUCCESS_KEY, MARKER_BYTES_MAX) ?? undefined);
  } catch (error) {
    if (error instanceof RivetError && error.code === "RIVET_DEST_CONTROL_ARTIFACT_INVALID") {
      findings.push({ kind: "success_marker_malformed", body_preview: error.message });
      return { consistent: false, fingerprint: error.message };
    }
    findings.push({ kind: "success_marker_read_error", detail: messageOf(error) });
    return { consistent: null, fingerprint: "" };
  }
  const finding = checkMarker(text, canonical);
  if (finding !== null) findings.push(finding);
  return { consistent: finding === null, fingerprint: text };
}

const PREVIEW_CHARS = 40;

function checkMarker(text: string, canonical: Canonical | null): Finding | null {
  if (canonical === null) return { kind: "manifest_missing", path: MANIFEST_KEY };
  const fingerprint = parseMarker(text);
  const malformed: Finding = { kind: "success_marker_malformed", body_preview: text.slice(0, PREVIEW_CHARS).trim() };
  if (fingerprint === null) return malformed;
  if (fingerprint !== canonical.fingerprint) {
    return {
      kind: "success_marker_stale",
      marker_fingerprint: fingerprint,
      manifest_fingerprint: canonical.fingerprint,
    };
  }
  // The first line alone is what older programs wrote.
  const whole = new TextDecoder().decode(formatMarker(canonical.fingerprint, canonical.manifest?.run_id ?? ""));
  return text.trimEnd() === fingerprint || text.trimEnd() === whole.trimEnd() ? null : malformed;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
