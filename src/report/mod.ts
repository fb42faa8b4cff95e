// The door of report/.

export type { AggregateSummary, EventSink, RunEvent, RunSummary, SummaryError } from "./event.ts";
export { formatAggregate, formatCard } from "./card.ts";
export { cut, formatBytes, formatCount, formatDuration } from "./format.ts";
export { openWatcher, type ProgressStyle, type Screen, type Watcher } from "./terminal.ts";
