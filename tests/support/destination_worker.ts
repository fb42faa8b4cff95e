// A lane's worth of a destination: everything it offers, done with the rights of a lane.

import "../../src/run/environment_shim.ts";
import { createHash } from "node:crypto";
import { findDamage, openDestination } from "../../src/destination/mod.ts";
import { crc32cOf, crcToDecimal } from "../../src/destination/digest.ts";
import { bodyOf, bytesOf, collectKeys } from "./bodies.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent) => Promise<void>;
  postMessage(message: unknown): void;
};

scope.onmessage = async (event) => {
  const { location, blockBytes } = event.data;
  const destination = await openDestination(location, { blockBytes });
  const options = { contentType: "text/plain", signal: new AbortController().signal };
  const bytes = bytesOf(3 * blockBytes + 7);
  await destination.put("small", bodyOf(bytes.slice(0, 10)), options);
  const stored = await destination.put("large", bodyOf(bytes), options);
  await destination.put("aside", bodyOf(bytes.slice(0, 10)), options);
  await destination.quarantine("aside", "run");
  await destination.sweep(() => false);
  const expected = {
    key: "large",
    size: bytes.length,
    md5: createHash("md5").update(bytes).digest("base64"),
    crc32c: crcToDecimal(await crc32cOf(bytes)),
    digests: {},
  };
  const damage = await findDamage(destination, expected, await destination.stat("large") ?? undefined);
  await destination.remove("gone");
  scope.postMessage({ keys: await collectKeys(destination.list("")), size: stored.size, damage });
  await destination[Symbol.asyncDispose]();
};
