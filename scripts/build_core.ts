// Builds the WebAssembly core, or proves that the committed file belongs to the committed sources.
//   deno task build:core            build, and record sources, file and toolchain in src/core/core.json
//   deno task check:core            compare the recorded digests with what is there
//   deno task check:core --rebuild  build with the recorded toolchain and compare the bytes

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const WASM = `${ROOT}src/core/core.wasm`;
const RECORD = `${ROOT}src/core/core.json`;
const TARGET = "wasm32-unknown-unknown";

interface CoreRecord {
  /** sha256 over names and contents of everything the build reads. */
  readonly sources: string;
  /** sha256 of the built file. */
  readonly wasm: string;
  readonly toolchain: string;
}

/** Debian's cross compiler builds the standard library itself; elsewhere rustup's target is used. */
interface Toolchain {
  readonly name: string;
  readonly cargo: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
}

const C_FLAGS = "-O3 -msimd128 -mbulk-memory -msign-ext -mnontrapping-fptoint";
const RUST_FLAGS = [
  "-C target-feature=+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint",
  `--remap-path-prefix=${ROOT}=/rivet/`,
  `--remap-path-prefix=${Deno.env.get("CARGO_HOME") ?? `${Deno.env.get("HOME")}/.cargo`}=/cargo`,
].join(" ");

async function findToolchain(): Promise<Toolchain> {
  if (await works("/usr/bin/rustc", ["--print", "sysroot"]) && await works("clang-19", ["--version"])) {
    return {
      name: `debian ${await output("/usr/bin/rustc", ["--version"])}`,
      cargo: "/usr/bin/cargo",
      args: ["-Zbuild-std=std,panic_abort"],
      env: {
        RUSTC: "/usr/bin/rustc",
        RUSTC_BOOTSTRAP: "1",
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld-19",
        CC_wasm32_unknown_unknown: "clang-19",
        AR_wasm32_unknown_unknown: "llvm-ar-19",
      },
    };
  }
  const targets = await output("rustup", ["target", "list", "--installed"]).catch(() => "");
  if (targets.includes(TARGET)) {
    return {
      name: `rustup ${await output("rustc", ["--version"])}`,
      cargo: "cargo",
      args: [],
      env: { CC_wasm32_unknown_unknown: "clang", AR_wasm32_unknown_unknown: "llvm-ar" },
    };
  }
  throw new Error(
    `No compiler for ${TARGET}: apt-get install rustc-web cargo-web rust-web-src clang-19 lld-19 llvm-19, or rustup target add ${TARGET} and clang`,
  );
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args, stdout: "piped", stderr: "null" }).output();
  return new TextDecoder().decode(stdout).trim();
}

async function works(command: string, args: string[]): Promise<boolean> {
  return await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output().then(
    (r) => r.success,
    () => false,
  );
}

async function build(toolchain: Toolchain): Promise<Uint8Array> {
  const { success } = await new Deno.Command(toolchain.cargo, {
    args: ["build", "--release", "--locked", "--target", TARGET, ...toolchain.args],
    cwd: `${ROOT}core`,
    env: { ...toolchain.env, CFLAGS_wasm32_unknown_unknown: C_FLAGS, RUSTFLAGS: RUST_FLAGS },
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) Deno.exit(1);
  return await Deno.readFile(`${ROOT}core/target/${TARGET}/release/rivet_core.wasm`);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Every file below a folder, but for what a build leaves, in byte order of the names. */
async function listSources(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory && entry.name !== "target" && entry.name !== "tests") files.push(...await listSources(path));
    else if (entry.isFile && /\.(rs|toml|lock)$/.test(entry.name)) files.push(path);
  }
  return files.sort();
}

async function digestSources(): Promise<string> {
  const hash = createHash("sha256");
  for (const path of await listSources("core")) {
    hash.update(`${path}\0${sha256(await Deno.readFile(ROOT + path))}\n`);
  }
  return hash.digest("hex");
}

async function check(rebuild: boolean): Promise<void> {
  const record = JSON.parse(await Deno.readTextFile(RECORD)) as CoreRecord;
  const problems: string[] = [];
  if (record.sources !== await digestSources()) {
    problems.push("the sources below core/ changed since the core was built");
  }
  if (record.wasm !== sha256(await Deno.readFile(WASM))) {
    problems.push("src/core/core.wasm is not the file that was recorded");
  }
  if (rebuild && problems.length === 0) {
    const toolchain = await findToolchain();
    if (toolchain.name !== record.toolchain) {
      console.error(`Built with '${record.toolchain}', here is '${toolchain.name}': the bytes are not compared`);
    } else if (sha256(await build(toolchain)) !== record.wasm) problems.push("building the sources gives another file");
  }
  for (const problem of problems) console.error(`${problem}: run \`deno task build:core\``);
  if (problems.length > 0) Deno.exit(1);
}

if (Deno.args.includes("--check")) await check(Deno.args.includes("--rebuild"));
else {
  const toolchain = await findToolchain();
  const wasm = await build(toolchain);
  await Deno.writeFile(WASM, wasm);
  const record: CoreRecord = { sources: await digestSources(), wasm: sha256(wasm), toolchain: toolchain.name };
  await Deno.writeTextFile(RECORD, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`src/core/core.wasm: ${(wasm.length / (1 << 20)).toFixed(1)} MB, ${toolchain.name}`);
}
