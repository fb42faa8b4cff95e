// The door of report/.

export type { AggregateSummary, EventSink, RunEvent, RunSummary, SummaryError } from "./event.ts";
export { formatAggregate, formatCard } from "./card.ts";
export { chunksText, cut, formatBytes, formatCount, formatDuration, formatNumber } from "./format.ts";
export { openWatcher, type ProgressStyle, type Screen, type Watcher } from "./terminal.ts";
export { type Notice, sendNotices, type Trigger, triggersOf, type Webhook, type Webhooks } from "./notify.ts";
export {
  buildRunReport,
  formatRunReport,
  isReported,
  openNotes,
  type RunNotes,
  type RunReport,
  writeRunReport,
} from "./run_report.ts";
