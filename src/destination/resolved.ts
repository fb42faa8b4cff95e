// Where an export writes, after placeholders are expanded. Plain data that travels to a lane by message; pure.
// Secrets are references until `withCredentials` reads them, so a plan never holds one.

import { RivetError } from "../errors.ts";
import { checkSegments } from "./key.ts";

/** A destination as the config has it; placeholders not expanded. */
export type DestinationInput =
  | { readonly kind: "stdout" }
  | { readonly kind: "local"; readonly path: string; readonly written: string }
  | {
    readonly kind: "s3";
    readonly bucket: string;
    readonly prefix: string;
    readonly region: string | null;
    readonly endpoint: string | null;
    readonly accessKeyEnv: string | null;
    readonly secretKeyEnv: string | null;
    readonly sessionTokenEnv: string | null;
    readonly profile: string | null;
    readonly allowAnonymous: boolean;
    readonly oneshotBudgetMb: number;
  }
  | {
    readonly kind: "gcs";
    readonly bucket: string;
    readonly prefix: string;
    readonly endpoint: string | null;
    readonly credentialsFile: string | null;
    readonly allowAnonymous: boolean;
    readonly oneshotBudgetMb: number;
  }
  | {
    readonly kind: "azure";
    readonly container: string;
    readonly prefix: string;
    readonly endpoint: string | null;
    readonly accountName: string | null;
    readonly accountKeyEnv: string | null;
    readonly sasTokenEnv: string | null;
    readonly allowAnonymous: boolean;
    readonly oneshotBudgetMb: number;
  };

export type ResolvedDestination =
  | { readonly kind: "stdout" }
  | { readonly kind: "local"; readonly path: string }
  | S3Location
  | GcsLocation
  | AzureLocation;

/** `prefix` is empty or ends in `/`, and never begins with one. */
interface StoreLocation {
  readonly prefix: string;
  /** Null is the provider's own. */
  readonly endpoint: string | null;
  readonly oneshotBudgetMb: number;
}

export interface S3Location extends StoreLocation {
  readonly kind: "s3";
  readonly bucket: string;
  /** Null until `withCredentials` has looked into the profile. */
  readonly region: string | null;
  readonly auth: S3Auth;
}

export interface GcsLocation extends StoreLocation {
  readonly kind: "gcs";
  readonly bucket: string;
  readonly auth: GcsAuth;
}

export interface AzureLocation extends StoreLocation {
  readonly kind: "azure";
  readonly container: string;
  readonly accountName: string | null;
  readonly auth: AzureAuth;
}

/** `keys` is a secret, the others say where to find one. */
export type S3Auth =
  | { readonly kind: "anonymous" }
  | {
    readonly kind: "env";
    readonly accessKeyEnv: string;
    readonly secretKeyEnv: string;
    readonly sessionTokenEnv: string | null;
  }
  | { readonly kind: "chain"; readonly profile: string | null }
  | {
    readonly kind: "keys";
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken: string | null;
    readonly expiresAtMs: number | null;
  };

/** `token` is a secret. */
export type GcsAuth =
  | { readonly kind: "anonymous" }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "chain" }
  | { readonly kind: "token"; readonly token: string; readonly expiresAtMs: number | null };

/** `key` and `sas` are secrets. */
export type AzureAuth =
  | { readonly kind: "anonymous" }
  | { readonly kind: "key_env"; readonly name: string }
  | { readonly kind: "sas_env"; readonly name: string }
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "sas"; readonly token: string; readonly expiresAtMs: number | null };

/** What the placeholders become. */
export interface PlaceholderValues {
  /** UTC, `YYYY-MM-DD`. */
  readonly date: string;
  readonly export: string;
  readonly table: string;
  readonly partition?: string | null;
  readonly runId?: string | null;
}

/**
 * Expands the placeholders and anchors the location. Reads no secret. A placeholder without a value is left as it is, and
 * `openDestination` refuses it.
 */
export function resolveDestination(
  input: DestinationInput,
  values: PlaceholderValues,
  runtime: { env(name: string): string | undefined },
): ResolvedDestination {
  switch (input.kind) {
    case "stdout":
      return { kind: "stdout" };
    case "local":
      return { kind: "local", path: expand(input.path, values) };
    case "s3": {
      const { kind, bucket, endpoint, oneshotBudgetMb } = input;
      const region = input.region ?? runtime.env("AWS_REGION") ?? runtime.env("AWS_DEFAULT_REGION") ?? null;
      return {
        kind,
        bucket,
        endpoint,
        oneshotBudgetMb,
        region,
        prefix: expandPrefix(input.prefix, values),
        auth: toS3Auth(input),
      };
    }
    case "gcs": {
      const { kind, bucket, endpoint, oneshotBudgetMb, credentialsFile, allowAnonymous } = input;
      const auth: GcsAuth = allowAnonymous
        ? { kind: "anonymous" }
        : credentialsFile === null
        ? { kind: "chain" }
        : { kind: "file", path: credentialsFile };
      return { kind, bucket, endpoint, oneshotBudgetMb, prefix: expandPrefix(input.prefix, values), auth };
    }
    case "azure": {
      const { kind, container, endpoint, oneshotBudgetMb, accountName } = input;
      const prefix = expandPrefix(input.prefix, values);
      return { kind, container, endpoint, oneshotBudgetMb, accountName, prefix, auth: toAzureAuth(input) };
    }
    default: {
      const never: never = input;
      return never;
    }
  }
}

function toS3Auth(input: DestinationInput & { kind: "s3" }): S3Auth {
  if (input.allowAnonymous) return { kind: "anonymous" };
  const { accessKeyEnv, secretKeyEnv, sessionTokenEnv, profile } = input;
  if (accessKeyEnv === null || secretKeyEnv === null) return { kind: "chain", profile };
  return { kind: "env", accessKeyEnv, secretKeyEnv, sessionTokenEnv };
}

function toAzureAuth(input: DestinationInput & { kind: "azure" }): AzureAuth {
  if (input.accountKeyEnv !== null) return { kind: "key_env", name: input.accountKeyEnv };
  if (input.sasTokenEnv !== null) return { kind: "sas_env", name: input.sasTokenEnv };
  return { kind: "anonymous" };
}

/** The destination as written, with its placeholders: what a cursor is bound to. */
export function writtenDestination(input: DestinationInput): string {
  switch (input.kind) {
    case "stdout":
      return "stdout";
    case "local":
      return input.written;
    case "s3":
    case "gcs":
      return `${input.kind === "s3" ? "s3" : "gs"}://${input.bucket}/${input.prefix}${at(input.endpoint)}`;
    case "azure":
      return `azure://${input.accountName ?? ""}/${input.container}/${input.prefix}${at(input.endpoint)}`;
    default: {
      const never: never = input;
      return never;
    }
  }
}

function at(endpoint: string | null): string {
  return endpoint === null ? "" : ` at ${endpoint}`;
}

/** Where files go, for people: a path, or a URL of the store. */
export function describeDestination(resolved: ResolvedDestination): string {
  switch (resolved.kind) {
    case "stdout":
      return "stdout";
    case "local":
      return resolved.path;
    case "s3":
      return `s3://${resolved.bucket}/${resolved.prefix}`;
    case "gcs":
      return `gs://${resolved.bucket}/${resolved.prefix}`;
    case "azure":
      return `azure://${resolved.accountName ?? ""}/${resolved.container}/${resolved.prefix}`;
    default: {
      const never: never = resolved;
      return never;
    }
  }
}

const PLACEHOLDER = /\{(date|export|table|partition|run_id)\}/g;

function expand(template: string, values: PlaceholderValues): string {
  const known: Record<string, string | null | undefined> = {
    date: values.date,
    export: values.export,
    table: values.table,
    partition: values.partition,
    run_id: values.runId,
  };
  return template.replace(PLACEHOLDER, (token, name: string) => known[name] ?? token);
}

function expandPrefix(template: string, values: PlaceholderValues): string {
  const prefix = expand(template, values).replace(/^\/+/, "");
  return prefix === "" || prefix.endsWith("/") ? prefix : prefix + "/";
}

/** Refuses a location that still holds a placeholder or climbs out of itself. */
export function checkLocation(resolved: ResolvedDestination): void {
  if (resolved.kind === "stdout") return;
  const text = resolved.kind === "local" ? resolved.path : resolved.prefix;
  const open = text.match(PLACEHOLDER)?.[0];
  if (open !== undefined) {
    throw new RivetError(
      "RIVET_PLAN_PARTITION_TOKEN_UNEXPANDED",
      `The destination holds '${open}', which has no value`,
      {
        where: text,
        cure: open === "{partition}"
          ? "Set 'partition_by', or take '{partition}' out of the destination"
          : `Take '${open}' out of the destination, or give its value`,
      },
    );
  }
  checkSegments(text.split("/").filter((segment) => segment !== "").join("/"), text);
}

/** What a lane needs the network for, as `host:port`, exactly as the client will write it. */
export function destinationHosts(resolved: ResolvedDestination): string[] {
  switch (resolved.kind) {
    case "stdout":
    case "local":
      return [];
    case "s3":
      return [resolved.endpoint === null ? s3Host(resolved) : hostOf(resolved.endpoint)];
    case "gcs":
      return [hostOf(resolved.endpoint ?? GCS_ENDPOINT)];
    case "azure":
      return [hostOf(azureEndpoint(resolved))];
    default: {
      const never: never = resolved;
      return never;
    }
  }
}

/** What a lane needs the file system for. */
export function destinationPaths(resolved: ResolvedDestination): { read: string[]; write: string[] } {
  return resolved.kind === "local" ? { read: [resolved.path], write: [resolved.path] } : { read: [], write: [] };
}

export const GCS_ENDPOINT = "https://storage.googleapis.com";
export const S3_REGION_DEFAULT = "us-east-1";

/** A bucket with a dot would break the host's certificate, a custom endpoint rarely has a name per bucket. */
export function isPathStyle(location: S3Location): boolean {
  return location.endpoint !== null || location.bucket.includes(".");
}

function s3Host(location: S3Location): string {
  const region = location.region ?? S3_REGION_DEFAULT;
  const suffix = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return `${isPathStyle(location) ? "" : location.bucket + "."}s3.${region}.${suffix}:443`;
}

export function azureEndpoint(location: AzureLocation): string {
  return location.endpoint ?? `https://${location.accountName}.blob.core.windows.net`;
}

function hostOf(endpoint: string): string {
  const url = new URL(endpoint);
  return `${url.hostname}:${url.port || (url.protocol === "http:" ? "80" : "443")}`;
}
