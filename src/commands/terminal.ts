// The process's own streams and signals.

import { RivetError } from "../errors.ts";
import { describeFileFault, isNoRoom } from "../file_fault.ts";
import { STOPPED_EXIT_CODE } from "./failure.ts";
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

/** What was asked for does not arrive: the command has failed. Throws RIVET_CLI_OUTPUT_UNWRITABLE. */
function writeOut(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (cause) {
    throw new RivetError(
      "RIVET_CLI_OUTPUT_UNWRITABLE",
      `Standard output cannot be written: ${describeFileFault(cause)}`,
      {
        where: "stdout",
        cure: isNoRoom(cause) ? "Make room where it leads, and run the command again" : "Check what it leads to",
        cause,
      },
    );
  }
}

/** What is told on the way: a log that takes no more ends the telling, not the run. */
function writeErr(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch { /* there is nobody left to tell */ }
}

export function openProcessTerminal(): Terminal {
  return {
    out: writeOut,
    err: writeErr,
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

/** One Ctrl-C may come twice: from the terminal, and from a parent that had it, too, and passes it on. A person's second one comes later. */
const ECHO_MS = 500;

export interface StopSignal {
  readonly signal: AbortSignal;
  /** What is done before the process ends at once, such as ending what is drawn. */
  readonly beforeExit: (end: () => void) => void;
  release(): void;
}

/** Aborts on the first SIGINT or SIGTERM; a second one, unless it is an echo of the first, ends the process at once and says so. */
export function stopSignal(say: () => void): StopSignal {
  const controller = new AbortController();
  const ends: (() => void)[] = [];
  const timers: ReturnType<typeof setTimeout>[] = [];
  let mayEnd = false;
  const later = (ms: number, body: () => void) => {
    const timer = setTimeout(body, ms);
    Deno.unrefTimer(timer);
    timers.push(timer);
  };
  const onSignal = () => {
    if (!controller.signal.aborted) {
      // The second timer: an echo that came while the process was busy is seen before it.
      later(ECHO_MS, () => later(0, () => mayEnd = true));
      controller.abort();
    } else if (mayEnd) {
      for (const end of ends) end();
      say();
      Deno.exit(STOPPED_EXIT_CODE);
    }
  };
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, onSignal);
  // A file above `ulimit -f` then is a refused write, with a name and a cure, and not the end of the process.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", onFileSize);
  return {
    signal: controller.signal,
    beforeExit: (end) => ends.push(end),
    release() {
      timers.forEach(clearTimeout);
      names.forEach((name) => Deno.removeSignalListener(name, onSignal));
      if (Deno.build.os !== "windows") Deno.removeSignalListener("SIGXFSZ", onFileSize);
    },
  };
}

function onFileSize(): void {}
