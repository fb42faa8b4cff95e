// What each destination promises about its writes, as data. The table in docs/concepts/destinations.md is checked against it.

import type { Capabilities } from "./destination.ts";
import type { ResolvedDestination } from "./resolved.ts";

const STORE: Capabilities = {
  commitProtocol: "finalize_on_close",
  idempotentOverwrite: true,
  retrySafe: true,
  partialWriteRisk: false,
};

export const CAPABILITIES: Readonly<Record<ResolvedDestination["kind"], Capabilities>> = {
  local: { commitProtocol: "atomic", idempotentOverwrite: true, retrySafe: true, partialWriteRisk: false },
  s3: STORE,
  gcs: STORE,
  azure: STORE,
  stdout: { commitProtocol: "streaming", idempotentOverwrite: false, retrySafe: false, partialWriteRisk: true },
};

/** One line for the log of a run. */
export function formatCapabilities(capabilities: Capabilities): string {
  return `commit_protocol=${capabilities.commitProtocol} idempotent_overwrite=${capabilities.idempotentOverwrite} ` +
    `retry_safe=${capabilities.retrySafe} partial_write_risk=${capabilities.partialWriteRisk}`;
}
