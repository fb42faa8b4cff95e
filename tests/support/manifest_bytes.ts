// A manifest as the bytes of its object.

import { Buffer } from "node:buffer";
import { type Manifest, toManifestText } from "../../src/manifest.ts";

export function formatManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(toManifestText(manifest).pieces));
}
