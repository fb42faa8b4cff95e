// Standard output: bytes leave as they come. Nothing can be taken back, read again or committed, so nothing is remembered.

import { RivetError } from "../errors.ts";
import { describeFileFault, faultCode, isNoRoom } from "../file_fault.ts";
import { CAPABILITIES } from "./capabilities.ts";
import type { Destination, PutOptions, StoredObject } from "./destination.ts";

export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

export function openStdout(writer: ByteWriter = Deno.stdout): Destination {
  return {
    capabilities: CAPABILITIES.stdout,
    uri: "stdout",
    put: (key, body, options) => putStdout(writer, key, body, options),
    get: () => Promise.resolve(null),
    stat: () => Promise.resolve(null),
    list: async function* () {},
    remove: () => Promise.resolve(),
    quarantine: () => Promise.resolve(),
    sweep: () => Promise.resolve(0),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function putStdout(
  writer: ByteWriter,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<StoredObject> {
  let size = 0;
  for await (const chunk of body) {
    options.signal.throwIfAborted();
    await writeAll(writer, chunk);
    size += chunk.length;
    options.release?.(chunk);
  }
  return { key, size, digests: {} };
}

async function writeAll(writer: ByteWriter, bytes: Uint8Array): Promise<void> {
  try {
    for (let done = 0; done < bytes.length;) done += await writer.write(bytes.subarray(done));
  } catch (cause) {
    throw toStdoutError(cause);
  }
}

function toStdoutError(cause: unknown): RivetError {
  if (cause instanceof Deno.errors.BrokenPipe || faultCode(cause) === "EPIPE") {
    return new RivetError("RIVET_DEST_WRITE_FAILED", "Standard output does not take more bytes", {
      where: "stdout",
      cure: "Keep the reading end of the pipe open until rivet ends",
      cause,
    });
  }
  return new RivetError(
    isNoRoom(cause) ? "RIVET_DEST_DISK_FULL" : "RIVET_DEST_WRITE_FAILED",
    `Standard output cannot be written: ${describeFileFault(cause)}`,
    {
      where: "stdout",
      cure: isNoRoom(cause) ? "Make room where it leads, and run the export again" : "Check what it leads to",
      cause,
    },
  );
}
