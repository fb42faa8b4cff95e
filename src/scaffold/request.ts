// What `rivet init` is asked for, after its flags were checked against each other.

import type { Mode } from "../config/mod.ts";
import type { Runtime } from "../runtime.ts";

/** Where the connection URL comes from. */
export type SourceGiven =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "file"; readonly path: string };

export type DestinationGiven =
  | { readonly kind: "local" }
  | { readonly kind: "s3"; readonly bucket: string; readonly region: string | null }
  | { readonly kind: "gcs"; readonly bucket: string; readonly credentialsFile: string | null }
  | {
    readonly kind: "azure";
    readonly container: string;
    readonly account: string | null;
    readonly endpoint: string | null;
  };

export interface ScaffoldRequest {
  readonly source: SourceGiven;
  readonly table: string | null;
  readonly schema: string | null;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly mode: Mode | null;
  readonly destination: DestinationGiven;
  /** Name of a warehouse, for `target:`. */
  readonly target: string | null;
  readonly tls: "disable" | "require" | "verify-ca" | "verify-full" | null;
  readonly tlsCa: string | null;
  /** Absolute path of the config to be: relative paths in it are anchored to its folder. */
  readonly configPath: string;
  /** Absolute path of the folder that paths on the command line are relative to. */
  readonly folder: string;
  readonly runtime: Runtime;
}
