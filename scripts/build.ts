// Builds the program as it is distributed: `dist/`, an npm package of a few bundled files, the core, and a command that starts Deno.
// Usage: deno task build [FOLDER]     Bundled code starts in half the time: hundreds of small files need not be found and read.

import { fileURLToPath } from "node:url";
import { build, type Plugin, stop } from "esbuild";
import { VERSION } from "../src/version.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
/** What a bundle cannot follow: places that are told from a file's own, which is another one there. */
const MOVED: Readonly<Record<string, readonly [from: string, to: string]>> = {
  "src/run/lane.ts": [`new URL("./lane_worker.ts", import.meta.url)`, `new URL("./lane_worker.js", import.meta.url)`],
  "src/commands/permissions.ts": [`["../../src", "../../node_modules"]`, `["."]`],
};
const CORE = "core.wasm";
/** In every file's head: what CommonJS code asks for, and the name of a module that Deno must not find before it is wanted. */
const BANNER =
  `import { createRequire as rivetRequire } from "node:module";const require = rivetRequire(import.meta.url);` +
  `const rivetLater = (name) => name;`;

const places: Plugin = {
  name: "places",
  setup({ onLoad, onResolve }) {
    onResolve(
      { filter: /^\.\/compile\.js$/ },
      ({ resolveDir }) => resolveDir === `${ROOT}src/core` ? { path: `${resolveDir}/compile_file.js` } : null,
    );
    for (const [file, [from, to]] of Object.entries(MOVED)) {
      const filter = new RegExp(`/${file.replaceAll(".", "\\.")}$`);
      onLoad({ filter }, async ({ path }) => {
        const text = await Deno.readTextFile(path);
        if (!text.includes(from)) throw new Error(`'${file}' holds no \`${from}\` any more`);
        return { contents: text.replace(from, to), loader: "ts" };
      });
    }
  },
};

/**
 * What every start needs; what the program may do is everything, or what its caller says. A signal is passed on always: nobody knows who
 * else had it, and the program takes two of one Ctrl-C for one. Windows knows no passing on, there the console tells all.
 */
const COMMAND = `#!/usr/bin/env node
// Starts rivet on the Deno that this package depends on. RIVET_DENO_FLAGS, as \`rivet permissions\` prints them, confine the program.
const { spawn } = require("node:child_process");
const { join } = require("node:path");
let deno;
try {
  deno = require("deno/install_api.cjs").runInstall();
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND") throw error;
  console.error("Error: the npm package 'deno', on which rivet runs, is not installed with it; install rivet with: npm install -g --install-links " + JSON.stringify(__dirname));
  process.exit(1);
}
const given = process.env.RIVET_DENO_FLAGS ?? "-A";
const allowed = given.split(/[\\r\\n]/.test(given) ? /[\\r\\n]+/ : /\\s+/).filter(Boolean);
const fixed = ["run", "--no-prompt", "--no-config", "--cached-only", "--unstable-worker-options"];
const child = spawn(deno, [...fixed, ...allowed, join(__dirname, "rivet.js"), ...process.argv.slice(2)], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.platform === "win32" || child.kill(signal));
child.on("error", (error) => { console.error(error.message); process.exit(1); });
child.on("exit", (code, signal) => signal === null ? process.exit(code) : process.kill(process.pid, "SIGKILL"));
`;

/** Bundles the program into `folder`, which is emptied. Both entries share their code. */
export async function buildProgram(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await build({
    absWorkingDir: ROOT,
    entryPoints: { rivet: "cli.ts", lane_worker: "src/run/lane_worker.ts" },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    // The ES modules of a package, which lose what nobody imports: half of what the stores' clients would load.
    mainFields: ["module", "main"],
    target: "esnext",
    legalComments: "none",
    // Names of classes and functions are in messages; comments and blanks are not.
    minifyWhitespace: true,
    plugins: [places],
    banner: { js: BANNER },
    logLevel: "warning",
  });
  await stop();
  await hideLateModules(folder);
  await Deno.copyFile(`${ROOT}src/core/${CORE}`, `${folder}/${CORE}`);
  await Deno.writeTextFile(`${folder}/bin.cjs`, COMMAND, { mode: 0o755 });
  await Deno.copyFile(`${ROOT}CHANGELOG.md`, `${folder}/CHANGELOG.md`);
  await Deno.copyFile(`${ROOT}scripts/package_readme.md`, `${folder}/README.md`);
  const manifest = {
    name: "rivet",
    version: VERSION,
    description: "Tables out of operational databases into Parquet or CSV files that a warehouse can trust",
    type: "module",
    bin: { rivet: "bin.cjs" },
    dependencies: { deno: Deno.version.deno },
  };
  await Deno.writeTextFile(`${folder}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Deno reads and parses all that it sees named in an `import()`, in each thread: every engine and store for a run that needs one. */
async function hideLateModules(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".js")) continue;
    const text = await Deno.readTextFile(`${folder}/${name}`);
    await Deno.writeTextFile(
      `${folder}/${name}`,
      text.replaceAll(/\bimport\(("\.\/[\w-]+\.js")\)/g, "import(rivetLater($1))"),
    );
  }
}

if (import.meta.main) await buildProgram(Deno.args[0] ?? `${ROOT}dist`);
