// Where files may go, and with which credentials. Credentials and rows never go to a host that a config merely names.

import { isLoopback } from "./loopback.ts";
import type { Place } from "./place.ts";
import type { RawDestination, RawExport } from "./shape.ts";

type Key = keyof RawDestination;

/** The keys that each type reads. */
const KEYS: Record<RawDestination["type"], readonly Key[]> = {
  stdout: [],
  local: ["path", "prefix"],
  s3: [
    "bucket",
    "prefix",
    "region",
    "endpoint",
    "access_key_env",
    "secret_key_env",
    "session_token_env",
    "aws_profile",
    "allow_anonymous",
    "oneshot_budget_mb",
  ],
  gcs: ["bucket", "prefix", "endpoint", "credentials_file", "allow_anonymous", "oneshot_budget_mb"],
  azure: [
    "bucket",
    "prefix",
    "endpoint",
    "account_name",
    "account_key_env",
    "sas_token_env",
    "allow_anonymous",
    "oneshot_budget_mb",
  ],
};

export function checkDestination({ destination: d }: RawExport, place: Place): void {
  checkPath("path", d, place);
  checkPath("prefix", d, place);
  const unread = (Object.keys(d) as Key[]).filter((key) =>
    key !== "type" && d[key] !== undefined && d[key] !== false && !KEYS[d.type].includes(key)
  );
  for (const key of unread) place.warn(`\`destination.${key}\` does nothing with \`type: ${d.type}\``);
  if (d.type === "local" || d.type === "stdout") return;
  if (d.bucket === undefined) {
    place.fail(
      "RIVET_CONFIG_DESTINATION_SETTING_MISSING",
      "destination",
      `\`type: ${d.type}\` needs \`bucket\``,
      `Set \`destination.bucket\`${d.type === "azure" ? " to the container" : ""}`,
    );
  }
  checkAuth(d, place);
  checkEndpoint(d, place);
}

function checkPath(key: "path" | "prefix", d: RawDestination, place: Place): void {
  const text = d[key];
  if (text === undefined) return;
  const unsafe = (message: string, cure: string) =>
    place.fail("RIVET_CONFIG_PATH_UNSAFE", `destination.${key}`, message, cure);
  if (text.split(/[\/\\]/).includes("..")) {
    unsafe(`\`destination.${key}\` leaves its place with '..'`, "Name the folder itself");
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    unsafe(`\`destination.${key}\` is a URL`, "Set `type`, `bucket` and `prefix` instead");
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(text)) unsafe(`\`destination.${key}\` holds a control character`, "Remove it");
  const open = text.match(/\{([^}]*)\}/g)?.find((token) => !PLACEHOLDERS.includes(token));
  if (open !== undefined) {
    unsafe(`\`destination.${key}\` holds the unknown placeholder '${open}'`, `Use one of: ${PLACEHOLDERS.join(", ")}`);
  }
}

const PLACEHOLDERS: readonly string[] = ["{date}", "{export}", "{table}", "{partition}", "{run_id}"];

function checkAuth(d: RawDestination, place: Place): void {
  const invalid = (message: string, cure: string) =>
    place.fail("RIVET_CONFIG_DESTINATION_AUTH_INVALID", "destination", message, cure);
  switch (d.type) {
    case "s3":
      if ((d.access_key_env === undefined) !== (d.secret_key_env === undefined)) {
        invalid("`access_key_env` and `secret_key_env` belong together", "Set both, or none of them");
      }
      if (d.session_token_env !== undefined && d.access_key_env === undefined) {
        invalid("`session_token_env` needs `access_key_env` and `secret_key_env`", "Set all three, or none of them");
      }
      return;
    case "gcs":
      if (d.allow_anonymous === true && d.credentials_file !== undefined) {
        invalid("`allow_anonymous` and `credentials_file` exclude each other", "Keep one of them");
      }
      return;
    case "azure":
      return checkAzure(d, invalid);
    case "local":
    case "stdout":
      return;
    default: {
      const never: never = d.type;
      return never;
    }
  }
}

function checkAzure(d: RawDestination, invalid: (message: string, cure: string) => never): void {
  const keys = (["account_key_env", "sas_token_env"] as const).filter((key) => d[key] !== undefined);
  if (d.allow_anonymous === true) {
    if (keys.length > 0) invalid(`\`allow_anonymous\` and \`${keys[0]}\` exclude each other`, "Keep one of them");
    if (d.account_name === undefined && d.endpoint === undefined) {
      invalid("`type: azure` needs `account_name`", "Set `destination.account_name`");
    }
    return;
  }
  if (d.account_name === undefined) invalid("`type: azure` needs `account_name`", "Set `destination.account_name`");
  if (keys.length === 0) invalid("`type: azure` needs a key or a token", "Set `account_key_env` or `sas_token_env`");
  if (keys.length > 1) invalid("`account_key_env` and `sas_token_env` exclude each other", "Keep one of them");
}

function checkEndpoint(d: RawDestination, place: Place): void {
  if (d.endpoint === undefined) return;
  const unsafe = (message: string, cure: string) =>
    place.fail("RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE", "destination.endpoint", message, cure);
  const url = URL.parse(d.endpoint);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    return unsafe("`destination.endpoint` is no URL", "Begin it with http:// or https://");
  }
  if (url.username !== "" || url.password !== "") {
    unsafe("`destination.endpoint` holds a user or a password", "Remove what stands before the @");
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (d.allow_anonymous === true || isLoopback(host)) return;
  unsafe(
    `\`destination.endpoint\` is another machine: '${host}'`,
    "Remove `endpoint`, or send no credentials with `allow_anonymous: true`",
  );
}

export function checkPartition(entry: RawExport, place: Place): void {
  const { partition_by: column, destination } = entry;
  const hasToken = `${destination.path ?? ""}/${destination.prefix ?? ""}`.includes("{partition}");
  const invalid = (key: string, message: string, cure: string) =>
    place.fail("RIVET_CONFIG_MODE_SETTING_INVALID", key, message, cure);
  if (column === undefined) {
    if (hasToken) {
      invalid(
        "destination",
        "The destination holds {partition}, and `partition_by` is not set",
        "Set `partition_by`, or remove {partition}",
      );
    }
    if (entry.partition_granularity !== undefined) {
      place.warn("`partition_granularity` does nothing without `partition_by`");
    }
    return;
  }
  // deno-lint-ignore no-control-regex
  if (/[\/\\\x00-\x1f]|\.\./.test(column)) {
    place.fail(
      "RIVET_CONFIG_PATH_UNSAFE",
      "partition_by",
      "`partition_by` is no column name",
      "Name a date or timestamp column",
    );
  }
  if (entry.mode === "time_window" || entry.mode === "incremental") {
    invalid(
      "partition_by",
      `\`partition_by\` does not go with \`mode: ${entry.mode}\``,
      "Use `mode: full` or `mode: chunked`",
    );
  }
  if (entry.chunk_by_key !== undefined) {
    invalid("partition_by", "`partition_by` does not go with `chunk_by_key`", "Use `chunk_column`, or `mode: full`");
  }
  if (!hasToken) {
    invalid(
      "destination",
      "`partition_by` needs {partition} in the destination",
      "Put {partition} into `path` or `prefix`",
    );
  }
}
