// What a check found, as data: one table says each kind's code and how grave it is. Pure.

import type { Proof } from "../destination/mod.ts";
import type { ErrorCode } from "../errors.ts";

/** `wrong`: the data is not what was written. `unverified`: it could not be checked. `advisory`: worth knowing, changes nothing. */
export type Severity = "wrong" | "unverified" | "advisory";

export type Finding =
  | { readonly kind: "manifest_missing"; readonly path: string }
  | { readonly kind: "manifest_required_but_absent"; readonly detail: string }
  | { readonly kind: "manifest_read_error"; readonly path: string; readonly detail: string }
  | { readonly kind: "manifest_self_inconsistent"; readonly path: string; readonly detail: string }
  | { readonly kind: "run_not_successful"; readonly path: string; readonly status: string }
  | { readonly kind: "success_marker_absent" }
  | { readonly kind: "success_marker_malformed"; readonly body_preview: string }
  | {
    readonly kind: "success_marker_stale";
    readonly marker_fingerprint: string;
    readonly manifest_fingerprint: string;
  }
  | { readonly kind: "success_marker_read_error"; readonly detail: string }
  | { readonly kind: "list_prefix_error"; readonly prefix: string; readonly detail: string }
  | PartFinding
  | { readonly kind: "content_verification_unmet"; readonly size_only: number; readonly total: number }
  | { readonly kind: "value_check_not_available"; readonly path: string; readonly detail: string }
  | {
    readonly kind: "run_unfinished";
    readonly run_id: string;
    readonly files: number;
    readonly size_bytes: number;
    readonly command: string;
  }
  | { readonly kind: "untracked_object"; readonly key: string; readonly size_bytes: number };

/** Of one file. */
export type PartFinding =
  & { readonly part_id: number; readonly path: string; readonly run_id: string }
  & (
    | { readonly kind: "part_missing" }
    | { readonly kind: "part_size_mismatch"; readonly expected: number; readonly actual: number }
    /** `holds` is the path of the part whose content lies here instead, where it is another part's. */
    | {
      readonly kind: "part_checksum_mismatch";
      readonly proof: Proof;
      readonly expected: string;
      readonly actual: string | null;
      readonly holds: string | null;
    }
    | { readonly kind: "part_read_error"; readonly detail: string }
    | { readonly kind: "part_unreadable"; readonly detail: string }
    | { readonly kind: "part_row_count_mismatch"; readonly expected: number; readonly actual: number }
    | {
      readonly kind: "value_checksum_mismatch";
      readonly column: string;
      readonly expected: string;
      readonly actual: string;
    }
  );

const KINDS: Readonly<Record<Finding["kind"], readonly [ErrorCode, Severity]>> = {
  manifest_missing: ["RIVET_VERIFY_MANIFEST_MISSING", "wrong"],
  manifest_required_but_absent: ["RIVET_VERIFY_MANIFEST_REQUIRED", "wrong"],
  manifest_read_error: ["RIVET_VERIFY_MANIFEST_READ_ERROR", "unverified"],
  manifest_self_inconsistent: ["RIVET_VERIFY_MANIFEST_INCONSISTENT", "wrong"],
  run_not_successful: ["RIVET_VERIFY_RUN_NOT_SUCCESSFUL", "unverified"],
  success_marker_absent: ["RIVET_VERIFY_SUCCESS_ABSENT", "advisory"],
  success_marker_malformed: ["RIVET_VERIFY_SUCCESS_MALFORMED", "wrong"],
  success_marker_stale: ["RIVET_VERIFY_SUCCESS_STALE", "wrong"],
  success_marker_read_error: ["RIVET_VERIFY_SUCCESS_READ_ERROR", "unverified"],
  list_prefix_error: ["RIVET_VERIFY_LIST_ERROR", "unverified"],
  part_missing: ["RIVET_VERIFY_PART_MISSING", "wrong"],
  part_size_mismatch: ["RIVET_VERIFY_PART_SIZE_MISMATCH", "wrong"],
  part_checksum_mismatch: ["RIVET_VERIFY_PART_CHECKSUM_MISMATCH", "wrong"],
  part_read_error: ["RIVET_VERIFY_PART_READ_ERROR", "unverified"],
  part_unreadable: ["RIVET_VERIFY_PART_UNREADABLE", "wrong"],
  part_row_count_mismatch: ["RIVET_VERIFY_PART_ROW_COUNT", "wrong"],
  value_checksum_mismatch: ["RIVET_VERIFY_VALUE_CHECKSUM", "wrong"],
  content_verification_unmet: ["RIVET_VERIFY_CONTENT_UNMET", "wrong"],
  value_check_not_available: ["RIVET_VERIFY_VALUE_CHECK_NOT_AVAILABLE", "advisory"],
  run_unfinished: ["RIVET_VERIFY_RUN_UNFINISHED", "advisory"],
  untracked_object: ["RIVET_VERIFY_UNTRACKED_OBJECT", "advisory"],
};

export function findingCode(finding: Finding): ErrorCode {
  return KINDS[finding.kind][0];
}

export function severityOf(finding: Finding): Severity {
  return severityOfKind(finding.kind);
}

export function severityOfKind(kind: Finding["kind"]): Severity {
  return KINDS[kind][1];
}

/** Every kind with its code. */
export function findingKinds(): [Finding["kind"], ErrorCode][] {
  return Object.entries(KINDS).map(([kind, [code]]) => [kind as Finding["kind"], code]);
}

/** One line for people. */
export function describeFinding(finding: Finding): string {
  switch (finding.kind) {
    case "manifest_missing":
      return `'_SUCCESS' is there, '${finding.path}' is not`;
    case "manifest_required_but_absent":
      return `a manifest is missing: ${finding.detail}`;
    case "manifest_read_error":
      return `'${finding.path}' could not be read: ${finding.detail}`;
    case "manifest_self_inconsistent":
      return `'${finding.path}' contradicts itself: ${finding.detail}`;
    case "run_not_successful":
      return `'${finding.path}' is of a run with the status '${finding.status}'`;
    case "success_marker_absent":
      return "there is no '_SUCCESS': nothing tells a reader that the set is complete";
    case "success_marker_malformed":
      return `'_SUCCESS' is not rivet's: '${finding.body_preview}'`;
    case "success_marker_stale":
      return `'_SUCCESS' is of a manifest ${finding.marker_fingerprint}, manifest.json is ${finding.manifest_fingerprint}`;
    case "success_marker_read_error":
      return `'_SUCCESS' could not be read: ${finding.detail}`;
    case "list_prefix_error":
      return `'${finding.prefix}' could not be listed: ${finding.detail}`;
    case "content_verification_unmet":
      return `'verify: content' is set, but of ${finding.size_only} of ${finding.total} parts only the size was checked`;
    case "value_check_not_available":
      return `the values that '${finding.path}' names were not compared: ${finding.detail}`;
    case "run_unfinished":
      return `${finding.files} ${finding.files === 1 ? "file" : "files"} of run '${finding.run_id}', which is not ` +
        `finished: \`${finding.command}\` finishes it`;
    case "untracked_object":
      return `no manifest names '${finding.key}' (${finding.size_bytes} bytes)`;
    default:
      return describePartFinding(finding);
  }
}

function describePartFinding(finding: PartFinding): string {
  const part = `part ${finding.part_id} '${finding.path}'`;
  switch (finding.kind) {
    case "part_missing":
      return `${part} is missing`;
    case "part_size_mismatch":
      return `${part} has ${finding.actual} bytes, expected ${finding.expected}`;
    case "part_checksum_mismatch":
      return finding.holds === null
        ? `${part} has other content (${finding.proof} ${finding.actual ?? "differs"}, expected ${finding.expected})`
        : `${part} holds the content of '${finding.holds}'`;
    case "part_read_error":
      return `${part} could not be read: ${finding.detail}`;
    case "part_unreadable":
      return `${part} cannot be decoded: ${finding.detail}`;
    case "part_row_count_mismatch":
      return `${part} holds ${finding.actual} rows, expected ${finding.expected}`;
    case "value_checksum_mismatch":
      return `${part} holds other values in column '${finding.column}' (${finding.actual}, expected ${finding.expected})`;
    default: {
      const never: never = finding;
      return never;
    }
  }
}
