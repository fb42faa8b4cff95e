/**
 * rivet as a library: the types of its artifacts and the manifest's reader. Runs are started through `cli.ts`.
 *
 * @module
 */

export { type ErrorCode, type ErrorReport, RivetError } from "./src/errors.ts";
export { findContradictions, type Manifest, type ManifestPart, parseManifest, parseMarker } from "./src/manifest.ts";
export type { AggregateSummary, RunEvent, RunSummary } from "./src/report/mod.ts";
export { VERSION } from "./src/version.ts";
