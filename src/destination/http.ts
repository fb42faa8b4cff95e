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
      ...(body === undefined ? {} : { body }),
      signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      // A redirect would lead to a host that a lane may not reach; a 308 of Google's tells how far an upload is.
      redirect: "manual",
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Whether `sendHttp` failed on the way: no right was missing and nobody gave up. */
export function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return false;
  return error instanceof TypeError || error.name === "TimeoutError";
}
