// The core's module from the file beside a bundle, which takes the place of `compile.js` there: an installed package's
// modules cannot import WebAssembly. A lane must be allowed to read the folder of the bundle: it loads its engine from there, too.

import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/** @type {Promise<WebAssembly.Module> | null} */
let compiled = null;

/** Compiles once a thread, however often it is asked for. */
export const importModule = () => compiled ??= compile();

/** @returns {Promise<WebAssembly.Module>} */
async function compile() {
  const bytes = await Deno.readFile(`${FOLDER}core.wasm`);
  const module = WebAssembly.compile(bytes);
  // The compiler took a copy; ours would stay until the collector finds it.
  bytes.buffer.transfer(0);
  return await module;
}

/** @type {readonly string[]} */
export const moduleFiles = [FOLDER];
