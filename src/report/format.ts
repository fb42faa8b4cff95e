// Numbers as people read them. Pure.

/** `1,234,567` */
export function formatCount(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** `1 chunk`, `1,234 chunks` */
export function formatNumber(value: number, one: string): string {
  return `${formatCount(value)} ${one}${value === 1 ? "" : "s"}`;
}

/** `512 B`, `1.5 MB`: powers of 1024. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** `123ms`, `4.2s`, `2m 03.1s`, `1h 02m 03.0s` */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const tenths = Math.round(ms / 100);
  const seconds = (tenths % 600) / 10;
  const minutes = Math.floor(tenths / 600);
  if (minutes === 0) return `${seconds.toFixed(1)}s`;
  const padded = seconds.toFixed(1).padStart(4, "0");
  if (minutes < 60) return `${minutes}m ${padded}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m ${padded}s`;
}

/** What a summary says of a run that took up an interrupted one. */
export function resumedText(status: string): string {
  return status === "success" ? "yes, an interrupted run was finished" : "yes, an interrupted run was continued";
}

/** What is committed of a run that did not end: `2 of 5`; null of one that did, or has none. */
export function chunksText(run: {
  readonly status: string;
  readonly slices: number;
  readonly slices_done: number;
}): string | null {
  const isOpen = run.status === "failed" || run.status === "interrupted";
  if (!isOpen || run.slices_done >= run.slices) return null;
  return `${formatCount(run.slices_done)} of ${formatCount(run.slices)}`;
}

/** A text cut to `width` columns, the last one an ellipsis. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
