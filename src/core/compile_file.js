// The core's module from the file beside a bundle, which takes the place of `compile.js` there: an installed package's
// modules cannot import WebAssembly. A lane must be allowed to read that one file.

import { fileURLToPath } from "node:url";

const FILE = fileURLToPath(new URL("./core.wasm", import.meta.url));

/** @returns {Promise<WebAssembly.Module>} */
export const importModule = async () => await WebAssembly.compile(await Deno.readFile(FILE));

/** @type {readonly string[]} */
export const moduleFiles = [FILE];
