// Tells people how a run ended, by Slack's webhooks or as JSON. Never throws, never shows a URL: what is not sent is a warning.

import { RivetError } from "../errors.ts";
import { redact } from "../redact.ts";
import type { RunSummary, SummaryError } from "./event.ts";
import { cut, formatDuration, formatNumber } from "./format.ts";

export type Trigger = "failure" | "schema_change" | "degraded";

export interface Webhook {
  /** May throw: the URL may be in a variable that is not set. */
  readonly resolveUrl: () => string;
  readonly on: readonly Trigger[];
}

export interface Webhooks {
  readonly slack: Webhook | null;
  readonly webhook: Webhook | null;
}

/** How one export ended. Texts hold no secret and no filled-in value. */
export interface Notice {
  readonly triggers: readonly Trigger[];
  readonly runId: string | null;
  readonly exportName: string;
  readonly status: RunSummary["status"];
  readonly rows: number;
  /** `2 of 5`: what is committed of a run that did not end. */
  readonly chunks: string | null;
  readonly durationMs: number;
  readonly schemaChanged: boolean;
  readonly error: SummaryError | null;
  /** What a receiver of JSON gets beside the triggers. */
  readonly details: object;
}

/** What there is to tell: it failed; its columns changed; it ended well, but with warnings or after retries. */
export function triggersOf(
  summary: Pick<RunSummary, "error" | "reconciled" | "schema_changed" | "warnings" | "retries">,
): Trigger[] {
  const failed = summary.error !== null || summary.reconciled === false;
  const degraded = !failed && (summary.warnings.length > 0 || summary.retries > 0);
  return [
    ...(failed ? ["failure" as const] : []),
    ...(summary.schema_changed ? ["schema_change" as const] : []),
    ...(degraded ? ["degraded" as const] : []),
  ];
}

export interface SendOptions {
  readonly timeoutMs: number;
  readonly warn: (text: string) => void;
}

/** One message for each notice that a hook asks for. A hook that fails is not tried again. */
export async function sendNotices(hooks: Webhooks, notices: readonly Notice[], options: SendOptions): Promise<void> {
  await Promise.all([
    sendAll("slack", hooks.slack, notices, toSlackMessage, options),
    sendAll("webhook", hooks.webhook, notices, toJsonMessage, options),
  ]);
}

async function sendAll(
  name: keyof Webhooks,
  hook: Webhook | null,
  notices: readonly Notice[],
  toMessage: (notice: Notice) => object,
  { timeoutMs, warn }: SendOptions,
): Promise<void> {
  const due = notices.filter(({ triggers }) => triggers.some((trigger) => hook?.on.includes(trigger)));
  if (hook === null || due.length === 0) return;
  let sent = 0;
  try {
    const url = hook.resolveUrl();
    for (const notice of due) {
      await post(url, toMessage(notice), timeoutMs);
      sent++;
    }
  } catch (error) {
    const count = due.length === 1
      ? "the notification was"
      : `${due.length - sent} of ${due.length} notifications were`;
    warn(`\`notifications.${name}\`: ${count} not sent: ${reasonOf(error, timeoutMs)}`);
  }
}

/** Only our own words: those of the HTTP client hold the URL. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof RivetError) return error.message;
  if (error instanceof Unanswered) return error.message;
  const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
  if (isTimeout) return `no answer within ${formatDuration(timeoutMs)}`;
  return error instanceof Deno.errors.NotCapable ? "the program may not reach it" : "it cannot be reached";
}

class Unanswered extends Error {}

async function post(target: string, message: object, timeoutMs: number): Promise<void> {
  const url = new URL(target);
  const headers = new Headers({ "content-type": "application/json", "user-agent": "rivet" });
  if (url.username !== "" || url.password !== "") {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.set("authorization", `Basic ${new TextEncoder().encode(pair).toBase64()}`);
    url.username = url.password = "";
  }
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new DOMException("", "TimeoutError")), timeoutMs);
  try {
    // A redirect would carry the message to somewhere that the config does not name.
    const init = { method: "POST", headers, body: JSON.stringify(message), redirect: "manual" } as const;
    const response = await fetch(url, { ...init, signal: controller.signal });
    await response.body?.cancel();
    if (!response.ok) throw new Unanswered(`it answered with HTTP ${response.status}`);
  } finally {
    clearTimeout(timer);
  }
}

const ERROR_LENGTH_MAX = 1500;

function toSlackMessage(notice: Notice): object {
  const { runId, exportName, status, rows, chunks, durationMs, schemaChanged, error } = notice;
  const title = `Rivet: ${runId ?? exportName}`;
  const facts = [
    exportName,
    status,
    ...(chunks === null ? [] : [`${chunks} chunks`]),
    formatNumber(rows, "row"),
    formatDuration(durationMs),
  ].join(" | ");
  const lines = [
    facts,
    ...(error === null ? [] : [`[${error.code}] ${cut(redact(error.error), ERROR_LENGTH_MAX)}`]),
    ...(error === null || error.cure === "" ? [] : [cut(redact(error.cure), ERROR_LENGTH_MAX)]),
    ...(schemaChanged ? ["schema changed"] : []),
  ];
  const color = notice.triggers.includes("failure") ? "danger" : "warning";
  return {
    attachments: [{
      color,
      title: escapeSlack(title),
      text: escapeSlack(lines.join("\n")),
      fallback: escapeSlack(facts),
    }],
  };
}

/** Slack's own three: anything else stays as it is. */
function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function toJsonMessage({ triggers, details }: Notice): object {
  return { event: "run_finished", triggers, ...details };
}
