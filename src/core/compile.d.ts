export function importModule(): Promise<WebAssembly.Module>;

/** Files that whoever compiles the core must be allowed to read. */
export const moduleFiles: readonly string[];
