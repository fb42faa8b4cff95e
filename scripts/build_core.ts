// Builds `core/` to `src/core/core.wasm` and notes in `src/core/core.json` what it was built from and with.
// `--check` proves that the committed file belongs to the committed sources; `--check --rebuild` builds it again and compares bytes.

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const CRATE = `${ROOT}core`;
const WASM = `${ROOT}src/core/core.wasm`;
const NOTE = `${ROOT}src/core/core.json`;
const TARGET = "wasm32-unknown-unknown";
const FEATURES = "+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint";
const C_FLAGS = "-O3 -msimd128 -mbulk-memory -msign-ext -mnontrapping-fptoint";

/** What `core.json` holds. */
interface Note {
  sources: string;
  wasm: string;
  bytes: number;
  toolchain: string;
}

/** A compiler that can make WebAssembly, and how it is told to. */
interface Toolchain {
  readonly name: string;
  readonly cargo: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

class BuildError extends Error {}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Every file that decides what is built, by name. */
async function listSources(): Promise<string[]> {
  const files = ["Cargo.toml", "Cargo.lock", "zstd/Cargo.toml"];
  async function walk(folder: string): Promise<void> {
    for await (const entry of Deno.readDir(`${CRATE}/${folder}`)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) await walk(path);
      else if (entry.name.endsWith(".rs")) files.push(path);
    }
  }
  await walk("src");
  await walk("zstd/src");
  return files.sort();
}

async function digestSources(): Promise<string> {
  const hash = createHash("sha256");
  for (const file of await listSources()) {
    hash.update(`${file}\0${await sha256(await Deno.readFile(`${CRATE}/${file}`))}\n`);
  }
  hash.update(`${FEATURES}\n${C_FLAGS}\n`);
  return hash.digest("hex");
}

async function output(command: string, args: readonly string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args: [...args], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null;
  }
}

async function firstOf(commands: readonly string[]): Promise<string | null> {
  for (const command of commands) if (await output(command, ["--version"]) !== null) return command;
  return null;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** rustup's target where it is installed; else Debian's compiler, which builds the standard library itself. */
async function findToolchain(): Promise<Toolchain> {
  const clang = await firstOf(["clang-19", "clang-20", "clang-18", "clang"]);
  const ar = await firstOf(["llvm-ar-19", "llvm-ar-20", "llvm-ar-18", "llvm-ar"]);
  if (clang === null || ar === null) throw new BuildError("clang and llvm-ar are needed to build the core");
  const clangVersion = (await output(clang, ["--version"]))?.split("\n")[0] ?? "";
  const env = {
    [`CC_${TARGET.replaceAll("-", "_")}`]: clang,
    [`AR_${TARGET.replaceAll("-", "_")}`]: ar,
    [`CFLAGS_${TARGET.replaceAll("-", "_")}`]: `${C_FLAGS} -ffile-prefix-map=${await cargoHome()}=cargo`,
    // The seed of a hasher in a dependency: random unless told.
    CONST_RANDOM_SEED: "rivet",
  };
  const libdir = await output("rustc", ["--print", "target-libdir", "--target", TARGET]);
  if (libdir !== null && await exists(libdir)) {
    const version = await output("rustc", ["--version"]);
    return { name: `${version}, ${clangVersion}`, cargo: "cargo", args: [], env };
  }
  const linker = await firstOf(["wasm-ld-19", "wasm-ld-20", "wasm-ld-18", "wasm-ld"]);
  const version = await output("/usr/bin/rustc", ["--version"]);
  if (version === null || linker === null) {
    throw new BuildError(
      "No compiler for WebAssembly was found: `rustup target add wasm32-unknown-unknown`, or on Debian " +
        "`apt-get install rustc-web cargo-web rust-web-src clang-19 lld-19 llvm-19`",
    );
  }
  return {
    name: `${version}, ${clangVersion}, own std`,
    cargo: "/usr/bin/cargo",
    args: ["-Zbuild-std=std,panic_abort"],
    env: {
      ...env,
      RUSTC: "/usr/bin/rustc",
      RUSTC_BOOTSTRAP: "1",
      [`CARGO_TARGET_${TARGET.replaceAll("-", "_").toUpperCase()}_LINKER`]: linker,
    },
  };
}

async function cargoHome(): Promise<string> {
  const home = Deno.env.get("CARGO_HOME") ?? `${Deno.env.get("HOME")}/.cargo`;
  return await Deno.realPath(home).catch(() => home);
}

/** No path of this machine may reach the file: the same sources must give the same bytes anywhere. */
async function rustFlags(): Promise<string> {
  const flags = ["-Ctarget-feature=" + FEATURES, `--remap-path-prefix=${await cargoHome()}=cargo`];
  flags.push(`--remap-path-prefix=${CRATE}=core`);
  return flags.join("\x1f");
}

async function build(toolchain: Toolchain): Promise<Uint8Array<ArrayBuffer>> {
  console.log(`Building with ${toolchain.name}`);
  const { success } = await new Deno.Command(toolchain.cargo, {
    cwd: CRATE,
    args: ["build", "--release", "--locked", "--target", TARGET, ...toolchain.args],
    env: { ...toolchain.env, CARGO_ENCODED_RUSTFLAGS: await rustFlags() },
  }).spawn().status;
  if (!success) throw new BuildError("The build failed");
  const target = Deno.env.get("CARGO_TARGET_DIR") ?? `${CRATE}/target`;
  return await Deno.readFile(`${target}/${TARGET}/release/rivet_core.wasm`);
}

async function buildAndNote(): Promise<void> {
  const toolchain = await findToolchain();
  const sources = await digestSources();
  const wasm = await build(toolchain);
  if (await digestSources() !== sources) throw new BuildError("The sources changed while they were built");
  const note: Note = { sources, wasm: await sha256(wasm), bytes: wasm.length, toolchain: toolchain.name };
  await Deno.writeFile(WASM, wasm);
  await Deno.writeTextFile(NOTE, JSON.stringify(note, null, 2) + "\n");
  console.log(`src/core/core.wasm: ${wasm.length} bytes, sha256 ${note.wasm}`);
}

async function check(rebuild: boolean): Promise<void> {
  const note = JSON.parse(await Deno.readTextFile(NOTE)) as Note;
  if (await digestSources() !== note.sources) {
    throw new BuildError("src/core/core.wasm was built from other sources: run `deno task build:core`");
  }
  if (await sha256(await Deno.readFile(WASM)) !== note.wasm) {
    throw new BuildError(
      "src/core/core.wasm is not the file that src/core/core.json tells of: run `deno task build:core`",
    );
  }
  if (rebuild) await compareRebuilt(note);
  console.log("src/core/core.wasm belongs to the sources of core/");
}

/** Another compiler makes other bytes, so only the recorded one proves anything. */
async function compareRebuilt(note: Note): Promise<void> {
  const toolchain = await findToolchain();
  if (toolchain.name !== note.toolchain) {
    throw new BuildError(`The core was built with '${note.toolchain}', here is '${toolchain.name}'`);
  }
  const digest = await sha256(await build(toolchain));
  if (digest !== note.wasm) {
    throw new BuildError(`The rebuilt core has sha256 ${digest}, the committed one ${note.wasm}`);
  }
}

if (import.meta.main) {
  try {
    if (Deno.args.includes("--check")) await check(Deno.args.includes("--rebuild"));
    else await buildAndNote();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
