// A process that puts one object, lists it and says its key.

import { openDestination } from "../../src/destination/mod.ts";

const destination = await openDestination(JSON.parse(Deno.env.get("RIVET_TEST_LOCATION")!));
async function* body() {
  yield new Uint8Array(10);
}
await destination.put("key", body(), { contentType: "text/plain", signal: new AbortController().signal });
for await (const { key } of destination.list("")) console.log(key);
await destination[Symbol.asyncDispose]();
