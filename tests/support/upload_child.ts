// A process that begins to upload some keys and then waits for ever: made to be killed.

import { openDestination } from "../../src/destination/mod.ts";
import { bodyOf, bytesOf } from "./bodies.ts";

const { location, keys, blockBytes } = JSON.parse(Deno.env.get("RIVET_TEST_UPLOAD")!);
const destination = await openDestination(location, { blockBytes });
const forever = new Promise<void>(() => {});
setInterval(() => {}, 1_000_000);

let waiting = 0;
for (const key of keys as string[]) {
  // The last of the blocks is only pulled when an earlier one has been taken by the store.
  const body = bodyOf(bytesOf(6 * blockBytes), blockBytes, (sent) => {
    if (sent < 5 * blockBytes) return;
    if (++waiting === keys.length) console.log("waiting");
    return forever;
  });
  destination.put(key, body, { contentType: "text/plain", signal: new AbortController().signal });
}
