// An HTTP proxy before an Azure emulator that refuses, loses, delays or damages requests as a test asks for. Unlike the emulator it
// compares Content-MD5, as the service does.

import { createHash } from "node:crypto";

/** `PUT blob`, `PUT block`, `PUT blocklist`, `GET blob`, `HEAD blob`, `DELETE blob`, `GET list`. */
export interface AzureCall {
  readonly operation: string;
  /** How many calls of this operation there were, with this one. */
  readonly count: number;
  readonly search: string;
}

export type AzureFault =
  | { readonly kind: "refuse"; readonly status: number; readonly code: string }
  /** Done, and then refused. */
  | { readonly kind: "late"; readonly status: number; readonly code: string }
  | { readonly kind: "hang" }
  | { readonly kind: "corrupt" };

export interface AzureProxy extends AsyncDisposable {
  readonly port: number;
  readonly calls: readonly AzureCall[];
  fault: (call: AzureCall) => AzureFault | undefined;
}

export function startAzureProxy(targetPort: number): AzureProxy {
  const calls: AzureCall[] = [];
  const counts = new Map<string, number>();
  const closing = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search, searchParams } = new URL(request.url);
    const operation = `${request.method} ${searchParams.get("comp") ?? "blob"}`;
    const count = (counts.get(operation) ?? 0) + 1;
    counts.set(operation, count);
    const call = { operation, count, search };
    calls.push(call);
    const body = new Uint8Array(await request.arrayBuffer());
    const fault = proxy.fault(call);
    if (fault?.kind === "refuse") return refusal(fault.status, fault.code);
    if (fault?.kind === "hang") {
      await closing.promise;
      return refusal(500, "InternalError");
    }
    if (fault?.kind === "corrupt" && body.length > 0) body[0]! ^= 1;
    const md5 = request.headers.get("content-md5");
    if (md5 !== null && md5 !== createHash("md5").update(body).digest("base64")) return refusal(400, "Md5Mismatch");
    const headers = new Headers(request.headers);
    headers.delete("host");
    const answer = await fetch(`http://127.0.0.1:${targetPort}${pathname}${search}`, {
      method: request.method,
      headers,
      ...(["GET", "HEAD"].includes(request.method) ? {} : { body }),
    });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (fault?.kind === "late") return refusal(fault.status, fault.code);
    return new Response(request.method === "HEAD" || answer.status === 204 ? null : bytes, {
      status: answer.status,
      headers: answer.headers,
    });
  });
  const proxy: AzureProxy = {
    port: server.addr.port,
    calls,
    fault: () => undefined,
    async [Symbol.asyncDispose]() {
      closing.resolve();
      await server.shutdown();
    },
  };
  return proxy;
}

function refusal(status: number, code: string): Response {
  const text = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
  return new Response(text, { status, headers: { "content-type": "application/xml", "x-ms-error-code": code } });
}
