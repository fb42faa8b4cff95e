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
export { readConfig, type ReadConfigOptions } from "./parse.ts";
export { buildConfigReference, buildJsonSchema } from "./schema.ts";
