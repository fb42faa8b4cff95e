// One HTTP request over fetch, for all stores. The clients of the stores are given it instead of node:http, under which a connection that
// is reset after an early answer ends the whole process.

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: BodyInit | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The head of an answer; its body takes as long as it needs. Rejects with `TimeoutError`, the signal's reason, or a TypeError. */
export async function sendHttp(request: HttpRequest, timeoutMs: number): Promise<Response> {
  const { method, url, headers, body, signal } = request;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException("No answer in time", "TimeoutError")), timeoutMs);
  try {
    return await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: isLarge(body) ? new LentBytes(body) : body }),
      signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      // A redirect would lead to a host that a lane may not reach; a 308 of Google's tells how far an upload is.
      redirect: "manual",
    });
  } finally {
    clearTimeout(timer);
  }
}

const PIECE_BYTES = 1 << 20;

function isLarge(body: BodyInit): body is Uint8Array<ArrayBuffer> {
  return body instanceof Uint8Array && body.length > PIECE_BYTES;
}

/**
 * A body that is read piece by piece where it lies. fetch copies an array whole and leaves the copy to the garbage collector, which for
 * blocks of megabytes comes late; only a Blob has a length and is read as a stream.
 */
class LentBytes extends Blob {
  constructor(private readonly lent: Uint8Array<ArrayBuffer>) {
    super();
  }

  override get size(): number {
    return this.lent.length;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const { lent } = this;
    let at = 0;
    return new ReadableStream({
      pull(controller) {
        if (at >= lent.length) return controller.close();
        const piece = lent.subarray(at, at + PIECE_BYTES);
        at += piece.length;
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
  }
}

/** Whether `sendHttp` failed on the way: no right was missing and nobody gave up. */
export function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return false;
  return error instanceof TypeError || error.name === "TimeoutError";
}

const RETRY_DELAY_MS = 200;
const RETRY_DELAY_MS_MAX = 10_000;
const RETRY_AFTER_S_MAX = 60;

/** Whether a store that answers so may answer otherwise a moment later. */
export function isBusyStatus(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** Milliseconds before the next attempt, counted from 1: growing, and spread so that lanes do not come back together. */
export function backoffMs(attempt: number, retryAfterMs = 0): number {
  const backoff = Math.min(RETRY_DELAY_MS * 2 ** (attempt - 1), RETRY_DELAY_MS_MAX) * (0.5 + Math.random() / 2);
  return Math.max(backoff, retryAfterMs);
}

/** What the store asks to wait, in milliseconds; 0 when it asks for nothing. */
export function retryAfterMs(headers: Headers): number {
  const seconds = Number(headers.get("retry-after") ?? 0);
  return Number.isFinite(seconds) ? Math.min(seconds, RETRY_AFTER_S_MAX) * 1000 : 0;
}
