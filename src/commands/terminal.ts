// The process's own streams and signals.

import type { Terminal } from "./command.ts";

const encoder = new TextEncoder();
const NAP = new Int32Array(new SharedArrayBuffer(4));
const WAITS_MAX = 2_000;

/** Writes at once and completely; a closed pipe ends the output, not the run. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = encoder.encode(text);
  for (let waits = 0; bytes.length > 0;) {
    try {
      bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return;
      if (!(error instanceof Deno.errors.WouldBlock) || ++waits > WAITS_MAX) throw error;
      // The reader of a non-blocking pipe is slow: give it a moment.
      Atomics.wait(NAP, 0, 0, 5);
    }
  }
}

export function openProcessTerminal(): Terminal {
  return {
    out: (text) => writeAll(Deno.stdout, text),
    err: (text) => writeAll(Deno.stderr, text),
    isTerminal: Deno.stderr.isTerminal(),
    columns() {
      try {
        return Deno.consoleSize().columns || 80;
      } catch {
        return 80;
      }
    },
  };
}

/** Aborts on the first SIGINT or SIGTERM; a second one ends the process at once. */
export function stopSignal(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort();
  };
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, onSignal);
  // A file above `ulimit -f` then is a refused write, with a name and a cure, and not the end of the process.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", onFileSize);
  return {
    signal: controller.signal,
    release() {
      names.forEach((name) => Deno.removeSignalListener(name, onSignal));
      if (Deno.build.os !== "windows") Deno.removeSignalListener("SIGXFSZ", onFileSize);
    },
  };
}

function onFileSize(): void {}
