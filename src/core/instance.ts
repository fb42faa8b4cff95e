// One instance of the WASM module: its raw functions, its memory, and its errors as RivetErrors. Nothing else touches them.

import { CODES, type ErrorCode, RivetError, type RivetErrorOptions } from "../errors.ts";

/** What `core/src/lib.rs` exports. A negative status is a failure; its error lies in the result as JSON. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  result_at(): number;
  result_bytes(): number;
  result_drop(): void;
  argument(bytes: number): number;
  encoder_open(): number;
  encoder_room(handle: number, bytes: number): number;
  encoder_wrote(handle: number, bytes: number): number;
  encoder_take_control(handle: number): number;
  encoder_take_output(handle: number): number;
  encoder_take_part(handle: number): number;
  encoder_finish(handle: number, emptyFile: number): number;
  reader_open(): number;
  reader_need(handle: number): number;
  reader_give(handle: number): number;
  reader_take_rows(handle: number): number;
  reader_finish(handle: number): number;
  close(handle: number): void;
}

const NOTHING = 0;

interface CoreFailure {
  code: string;
  message: string;
  where?: string;
  cure?: string;
}

export interface Instance {
  /** True after a trap: nothing in this instance can be trusted any more. */
  readonly broken: boolean;
  memoryBytes(): number;
  /** A view of the instance's memory; valid until the next call. */
  view(at: number, bytes: number): Uint8Array<ArrayBuffer>;
  /** Runs a function and returns its status, which is never negative. */
  call(run: (exports: Exports) => number): number;
  /** Runs a function that may answer: a copy of its bytes, or null. */
  take(run: (exports: Exports) => number): Uint8Array<ArrayBuffer> | null;
  /** Hands bytes to the function as its argument. */
  give(bytes: Uint8Array, run: (exports: Exports) => number): number;
  /** Throws the failure that the last call left. */
  fail(): never;
  close(handle: number): void;
}

/** Instantiates the module synchronously: it imports nothing. */
export function openInstance(module: WebAssembly.Module): Instance {
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  let broken = false;

  function guard<T>(run: () => T): T {
    if (broken) throw new RivetError("RIVET_INTERNAL_VALUE_CONVERTER", "The core was used after it had stopped");
    try {
      return run();
    } catch (error) {
      if (error instanceof RivetError) throw error;
      broken = true;
      throw new RivetError("RIVET_INTERNAL_VALUE_CONVERTER", "The core stopped unexpectedly", { cause: error });
    }
  }

  function view(at: number, bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(exports.memory.buffer as ArrayBuffer, at, bytes);
  }

  function takeResult(): Uint8Array<ArrayBuffer> {
    const result = view(exports.result_at() >>> 0, exports.result_bytes() >>> 0).slice();
    exports.result_drop();
    return result;
  }

  function fail(): never {
    throw toRivetError(JSON.parse(new TextDecoder().decode(takeResult())) as CoreFailure);
  }

  function call(run: (exports: Exports) => number): number {
    return guard(() => {
      const status = run(exports);
      if (status < 0) fail();
      return status;
    });
  }

  return {
    get broken() {
      return broken;
    },
    memoryBytes: () => exports.memory.buffer.byteLength,
    view,
    call,
    take: (run) => guard(() => call(run) === NOTHING ? null : takeResult()),
    give: (bytes, run) =>
      guard(() => {
        view(exports.argument(bytes.length) >>> 0, bytes.length).set(bytes);
        return call(run);
      }),
    fail,
    close(handle) {
      if (!broken) guard(() => exports.close(handle));
    },
  };
}

function toRivetError(failure: CoreFailure): RivetError {
  const options: RivetErrorOptions = {};
  if (failure.where !== undefined) options.where = failure.where;
  if (failure.cure !== undefined) options.cure = failure.cure;
  const code = failure.code in CODES ? failure.code as ErrorCode : "RIVET_INTERNAL_VALUE_CONVERTER";
  return new RivetError(code, failure.message, options);
}
