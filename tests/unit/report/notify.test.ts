import assert from "node:assert/strict";
import { RivetError } from "../../../src/errors.ts";
import { type Notice, sendNotices, triggersOf, type Webhook } from "../../../src/report/mod.ts";
import { startReceiver } from "../../support/receiver.ts";

const FAILED: Notice = {
  triggers: ["failure"],
  runId: "orders_1",
  exportName: "orders",
  status: "failed",
  chunks: null,
  rows: 1234,
  durationMs: 4200,
  schemaChanged: true,
  error: {
    code: "RIVET_SCHEMA_DRIFT",
    kind: "drift",
    exit_code: 4,
    retryable: false,
    error: "a <b> & c",
    where: null,
    cure: "Look at it",
  },
  details: { run_id: "orders_1" },
};

function hook(url: string, on: Webhook["on"] = ["failure"]): Webhook {
  return { on, resolveUrl: () => url };
}

async function send(hooks: { slack?: Webhook; webhook?: Webhook }, notices: readonly Notice[], timeoutMs = 10_000) {
  const warnings: string[] = [];
  await sendNotices({ slack: null, webhook: null, ...hooks }, notices, {
    timeoutMs,
    warn: (text) => void warnings.push(text),
  });
  return warnings;
}

Deno.test("a run triggers what happened to it", () => {
  const fine = { error: null, reconciled: null, schema_changed: false, warnings: [], retries: 0 };
  assert.deepEqual(triggersOf(fine), []);
  assert.deepEqual(triggersOf({ ...fine, error: FAILED.error, retries: 2 }), ["failure"]);
  assert.deepEqual(triggersOf({ ...fine, reconciled: false }), ["failure"]);
  assert.deepEqual(triggersOf({ ...fine, schema_changed: true }), ["schema_change"]);
  assert.deepEqual(triggersOf({ ...fine, retries: 1 }), ["degraded"]);
  assert.deepEqual(triggersOf({ ...fine, schema_changed: true, warnings: ["w"] }), ["schema_change", "degraded"]);
});

Deno.test("a hook gets what it asks for, once an export, in its own form", async () => {
  await using receiver = startReceiver();
  const changed: Notice = { ...FAILED, triggers: ["schema_change"], error: null, status: "success", runId: "items_1" };
  const hooks = { slack: hook(`${receiver.url}/s`), webhook: hook(`${receiver.url}/w`, ["failure", "schema_change"]) };
  assert.deepEqual(await send(hooks, [FAILED, changed, { ...FAILED, triggers: [] }]), []);
  const at = (path: string) => receiver.received.filter((one) => one.path === path).map(({ body }) => body);
  assert.deepEqual(at("/s"), [{
    attachments: [{
      color: "danger",
      title: "Rivet: orders_1",
      text: "orders | failed | 1,234 rows | 4.2s\n[RIVET_SCHEMA_DRIFT] a &lt;b&gt; &amp; c\nLook at it\nschema changed",
      fallback: "orders | failed | 1,234 rows | 4.2s",
    }],
  }]);
  assert.deepEqual(at("/w"), [
    { event: "run_finished", triggers: ["failure"], run_id: "orders_1" },
    { event: "run_finished", triggers: ["schema_change"], run_id: "orders_1" },
  ]);
  assert.ok(
    receiver.received.every(({ method, headers }) =>
      method === "POST" && headers.get("content-type") === "application/json"
    ),
  );
});

Deno.test("a hook that does not take messages is a warning without its URL, and is not asked again", async () => {
  await using receiver = startReceiver(() => new Response("no such hook", { status: 404 }));
  const warnings = await send({ slack: hook(`${receiver.url}/T0/secret`) }, [FAILED, FAILED, FAILED]);
  assert.deepEqual(warnings, ["`notifications.slack`: 3 of 3 notifications were not sent: it answered with HTTP 404"]);
  assert.equal(receiver.received.length, 1);
});

Deno.test("a redirect is not followed", async () => {
  await using elsewhere = startReceiver();
  await using receiver = startReceiver(() => new Response(null, { status: 307, headers: { location: elsewhere.url } }));
  const [warning] = await send({ webhook: hook(receiver.url) }, [FAILED]);
  assert.match(warning!, /the notification was not sent: it answered with HTTP 307$/);
  assert.equal(elsewhere.received.length, 0);
});

Deno.test("no answer, no server and no URL are warnings too", async () => {
  const silent = Promise.withResolvers<Response>();
  {
    await using receiver = startReceiver(() => silent.promise);
    const [warning] = await send({ webhook: hook(receiver.url) }, [FAILED], 200);
    assert.match(warning!, /no answer within 200ms$/);
    silent.resolve(new Response());
  }
  // Port 1 of the loopback has no server.
  assert.match((await send({ webhook: hook("http://127.0.0.1:1/x/secret") }, [FAILED]))[0]!, /: it cannot be reached$/);
  const unset: Webhook = {
    on: ["failure"],
    resolveUrl: () => {
      throw new RivetError("RIVET_CONFIG_SECRET_UNSET", "The environment variable 'HOOK' is not set");
    },
  };
  assert.match((await send({ slack: unset }, [FAILED]))[0]!, /: The environment variable 'HOOK' is not set$/);
});

Deno.test("user and password of a URL go into a header", async () => {
  await using receiver = startReceiver();
  const url = receiver.url.replace("//", "//me:p%40ss@");
  assert.deepEqual(await send({ webhook: hook(url) }, [FAILED]), []);
  assert.equal(receiver.received[0]!.headers.get("authorization"), `Basic ${btoa("me:p@ss")}`);
});
