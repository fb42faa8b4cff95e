export function importModule(): Promise<WebAssembly.Module>;
