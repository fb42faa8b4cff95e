// Runs on a terminal: live cards where the screen can be redrawn, plain lines elsewhere, NDJSON for machines. Writes to what it is given.

import { sanitizeTerminal } from "../redact.ts";
import { formatAggregate, formatCard } from "./card.ts";
import type { AggregateSummary, EventSink, RunEvent } from "./event.ts";
import { cut, formatBytes, formatCount, formatDuration, formatNumber } from "./format.ts";
import { type Numbers, Progress, type Standing } from "./progress.ts";

export interface Screen {
  write(text: string): void;
  readonly isTerminal: boolean;
  columns(): number;
  nowMs(): number;
}

export interface Watcher {
  readonly events: EventSink;
  /** Ends the drawing; the cards of finished exports follow, null for none. */
  end(aggregate: AggregateSummary | null): void;
}

export type ProgressStyle = "auto" | "plain" | "json" | "none";

const REDRAW_EVERY_MS = 250;
const PLAIN_EVERY_MS = 10_000;

export function openWatcher(screen: Screen, style: ProgressStyle): Watcher {
  if (style === "json") return openJsonWatcher(screen);
  if (style === "none") return { events: () => {}, end: (aggregate) => printResult(screen, aggregate) };
  return style === "auto" && screen.isTerminal ? openLiveWatcher(screen) : openPlainWatcher(screen);
}

function printResult(screen: Screen, aggregate: AggregateSummary | null): void {
  if (aggregate === null) return;
  const only = aggregate.per_export[0];
  const columns = screen.isTerminal ? screen.columns() : Infinity;
  const text = aggregate.per_export.length === 1 && only !== undefined
    ? formatCard(only)
    : formatAggregate(aggregate, columns);
  screen.write(`${sanitizeTerminal(text)}\n`);
}

function openJsonWatcher(screen: Screen): Watcher {
  const write = (value: unknown) => screen.write(`${JSON.stringify(value)}\n`);
  return { events: ({ kind, ...rest }) => write({ type: kind, ...rest }), end: () => {} };
}

function openPlainWatcher(screen: Screen): Watcher {
  const progress = new Progress(() => screen.nowMs());
  const spoke = new Map<string, number>();
  return {
    events(event) {
      progress.apply(event);
      const line = plainLine(event);
      if (line !== null) screen.write(`${sanitizeTerminal(line)}\n`);
      const standing = progress.standings.get(event.exportName);
      if (standing === undefined || event.kind !== "progress") return;
      const last = spoke.get(event.exportName) ?? standing.startedMs;
      if (screen.nowMs() - last < PLAIN_EVERY_MS) return;
      spoke.set(event.exportName, screen.nowMs());
      screen.write(`${event.exportName}: ${describe(standing, progress.numbers(standing))}\n`);
    },
    end: (aggregate) => printResult(screen, aggregate),
  };
}

/** Events that are worth a line of their own. */
function plainLine(event: RunEvent): string | null {
  switch (event.kind) {
    case "run_started":
      return `${event.exportName}: ${event.resumed ? "resuming" : "reading"} ${event.strategy}, ${
        formatNumber(event.slices, "chunk")
      }${event.slicesKept === 0 ? "" : `, ${formatCount(event.slicesKept)} of them done`}, ${
        formatNumber(event.lanes, "lane")
      }`;
    case "waiting":
      return `${event.exportName}: waiting for ${event.holder} to finish (up to ${event.seconds}s)`;
    case "slice_failed":
      return `${event.exportName}: chunk ${event.id} failed: [${event.code}] ${event.error}${
        event.retryInMs === null ? "" : `; trying again in ${formatDuration(event.retryInMs)}`
      }`;
    case "warning":
      return `${event.exportName}: warning: ${event.message}`;
    default:
      return null;
  }
}

function describe(standing: Standing, numbers: Numbers): string {
  const parts = [
    standing.slices > 1 ? `${formatCount(standing.slicesDone)}/${formatCount(standing.slices)} chunks` : "",
    `${formatCount(numbers.rows)}${
      standing.rowsEstimate === null ? "" : ` of ~${formatCount(standing.rowsEstimate)}`
    } rows`,
    // In the order of what is asked first: a narrow terminal cuts the end.
    standing.retrying === null ? "" : "waiting for the database",
    numbers.etaMs === null ? "" : `ETA ${formatDuration(numbers.etaMs)}`,
    `${formatCount(numbers.rowsPerSecond)} rows/s`,
    `${formatBytes(numbers.bytesRead)} read`,
    `${formatBytes(numbers.bytesWritten)} written`,
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

function openLiveWatcher(screen: Screen): Watcher {
  const progress = new Progress(() => screen.nowMs());
  let drawn = 0;
  const erase = () => {
    if (drawn > 0) screen.write(`\r\x1b[${drawn}A\x1b[0J`);
    drawn = 0;
  };
  const draw = () => {
    erase();
    const lines = [...progress.standings.values()].flatMap((standing) =>
      liveLines(standing, progress.numbers(standing), screen.columns())
    );
    if (lines.length > 0) screen.write(`${lines.join("\n")}\n`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, REDRAW_EVERY_MS);
  return {
    events(event) {
      progress.apply(event);
      const line = event.kind === "warning" || event.kind === "slice_failed" || event.kind === "waiting"
        ? plainLine(event)
        : null;
      if (line === null) return;
      erase();
      screen.write(`${sanitizeTerminal(line)}\n`);
      draw();
    },
    end(aggregate) {
      clearInterval(timer);
      erase();
      printResult(screen, aggregate);
    },
  };
}

const BAR_WIDTH = 24;

function liveLines(standing: Standing, numbers: Numbers, columns: number): string[] {
  if (standing.waitingFor !== null) {
    return [cut(`  ${standing.exportName}  waiting for ${standing.waitingFor}`, columns - 1)];
  }
  const bar = numbers.fraction === null ? "" : ` ${toBar(numbers.fraction)} ${Math.floor(numbers.fraction * 100)}%`;
  return [
    cut(`  ${standing.exportName}  ${standing.strategy}${bar}`, columns - 1),
    cut(`    ${describe(standing, numbers)}`, columns - 1),
  ];
}

function toBar(fraction: number): string {
  const full = Math.round(fraction * BAR_WIDTH);
  return "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
}
