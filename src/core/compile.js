// The core's module as a source-phase import: part of the module graph, so it needs no read permission, here or in a Worker.
// In JavaScript because TypeScript does not know the syntax yet.

/** @returns {Promise<WebAssembly.Module>} */
export const importModule = () => import.source("./core.wasm");

/** Files that whoever compiles the core must be allowed to read. @type {readonly string[]} */
export const moduleFiles = [];
