// The core's interfaces over one WASM instance, shared by the encoders and readers of a lane.

// @ts-types="./compile.d.ts"
import { importModule, moduleFiles } from "./compile.js";
import { RivetError } from "../errors.ts";
import { type Instance, openInstance } from "./instance.ts";
import type { Core, Encoder, EncoderSpec, FileReader } from "./spec.ts";

/** Files that a lane must be allowed to read to compile the core; none where the core is part of the program. */
export const coreFiles = moduleFiles;

/** Compiles the core. The module can be posted to Workers, which then need not compile it again. */
export async function compileCore(): Promise<WebAssembly.Module> {
  return await importModule();
}

/** One core with its own memory. Encoders of one core share it: what one frees, the next uses. */
export async function openCore(module?: WebAssembly.Module): Promise<Core> {
  const compiled = module ?? await compileCore();
  let instance = openInstance(compiled);
  // A trap leaves an instance unusable; whoever opens next gets a new one.
  const current = () => instance.broken ? instance = openInstance(compiled) : instance;
  return {
    openEncoder: (spec) => openEncoder(current(), spec),
    openReader: () => openReader(current()),
    memoryBytes: () => instance.memoryBytes(),
  };
}

function toBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function fromBytes<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T;
}

function openEncoder(core: Instance, spec: EncoderSpec): Encoder {
  const handle = core.give(toBytes(spec), (e) => e.encoder_open());
  let open = true;
  return {
    room(bytes) {
      let at = 0;
      core.call((e) => at = e.encoder_room(handle, bytes) >>> 0);
      if (at === 0) core.fail();
      return core.view(at, bytes);
    },
    wrote(bytes) {
      core.call((e) => e.encoder_wrote(handle, bytes));
    },
    takeControl: () => core.take((e) => e.encoder_take_control(handle)),
    takeOutput: () => core.take((e) => e.encoder_take_output(handle)),
    takePart() {
      const part = core.take((e) => e.encoder_take_part(handle));
      return part === null ? null : fromBytes(part);
    },
    finish(emptyFile) {
      return fromBytes(core.take((e) => e.encoder_finish(handle, emptyFile ? 1 : 0)) ?? new Uint8Array());
    },
    close() {
      if (open) core.close(handle);
      open = false;
    },
  };
}

function openReader(core: Instance): FileReader {
  let handle: number | null = null;
  const opened = () => handle ?? -1;
  return {
    open(fileBytes, columns, keys, format) {
      if (handle !== null) core.close(handle);
      const spec = { fileBytes, columns, keys: keys ?? null, format: format ?? null };
      handle = core.give(toBytes(spec), (e) => e.reader_open());
    },
    need() {
      const need = core.take((e) => e.reader_need(opened()));
      return need === null ? null : fromBytes(need);
    },
    give(bytes) {
      try {
        core.give(bytes, (e) => e.reader_give(opened()));
      } catch (cause) {
        if (!core.broken) throw cause;
        // A file that stops the decoder is a damaged file.
        throw new RivetError("RIVET_VERIFY_CONTENT_UNMET", "The file cannot be read back: it is damaged", {
          cause,
        });
      }
    },
    takeRows: () => core.take((e) => e.reader_take_rows(opened())),
    finish: () => fromBytes(core.take((e) => e.reader_finish(opened())) ?? new Uint8Array()),
    close() {
      if (handle !== null) core.close(handle);
      handle = null;
    },
  };
}
