// The door of report/.

export type { AggregateSummary, EventSink, RunEvent, RunSummary, SummaryError } from "./event.ts";
