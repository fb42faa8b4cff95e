// The door of config/.

export type {
  ChunkedConfig,
  Config,
  DestinationConfig,
  Export,
  ExportQuery,
  FormatConfig,
  IncrementalConfig,
  Mode,
  NotificationConfig,
  QualityConfig,
  SourceConfig,
  Tuning,
  WebhookConfig,
} from "./resolved.ts";
export { applyLine, commandLine, type CommandPlace } from "./command_line.ts";
export { readConfig, type ReadConfigOptions, readConfigText, readSealedConfig } from "./parse.ts";
export type { SealedConfig } from "./seal.ts";
export { annotateWaves, type WaveNote } from "./annotate.ts";
export { isLoopback } from "./loopback.ts";
export { parseServerUrl, type Server, type ServerEngine } from "./url.ts";
export { buildConfigReference, buildJsonSchema } from "./schema.ts";
