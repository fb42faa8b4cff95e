// The inside of a Worker without permissions: encodes what it is sent with the module it is sent.

import { type Core, openCore } from "../../src/core/mod.ts";

interface Scope {
  onmessage: ((event: MessageEvent<{ module: WebAssembly.Module; input: Uint8Array }>) => void) | null;
  postMessage(message: unknown): void;
}

const scope = self as unknown as Scope;

scope.onmessage = async ({ data: { module, input } }) => {
  const core: Core = await openCore(module);
  const encoder = core.openEncoder({
    framing: "pg_messages",
    columns: [{ name: "id", type: "int64", wire: "int8" }, { name: "v", type: "string", wire: "text" }],
    format: { kind: "parquet", codec: "zstd", rowGroupBytes: 1 << 20 },
    createdBy: "test",
  });
  encoder.room(input.length).set(input);
  encoder.wrote(input.length);
  scope.postMessage(encoder.finish(true).rows);
};
