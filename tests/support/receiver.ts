// A local HTTP server that takes what webhooks send and answers as a test tells it to.

export interface Received {
  readonly path: string;
  readonly method: string;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly received: Received[];
}

/** `answer` may never come: it is given up with the server. */
export function startReceiver(
  answer: (request: Received) => Response | Promise<Response> = () => new Response("ok"),
): Receiver {
  const received: Received[] = [];
  const controller = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: controller.signal, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const one = { path: pathname, method: request.method, headers: request.headers, body: await request.json() };
      received.push(one);
      return await answer(one);
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    received,
    async [Symbol.asyncDispose]() {
      controller.abort();
      await server.finished;
    },
  };
}
