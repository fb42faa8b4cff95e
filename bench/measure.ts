// How long a whole process runs, what CPU it and its children use, and the most memory it holds: as the kernel counts them.

import { fileURLToPath } from "node:url";

/** Builds the program as it is distributed into `folder`; returns the command that starts it. */
export async function buildRivet(folder: string): Promise<string[]> {
  const args = ["run", "-A", fileURLToPath(new URL("../scripts/build.ts", import.meta.url)), folder];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const flags = ["-A", "--no-prompt", "--no-config", "--cached-only", "--unstable-worker-options"];
  return [Deno.execPath(), "run", ...flags, `${folder}/rivet.js`];
}

export interface Sample {
  readonly wallS: number;
  readonly cpuS: number;
  readonly rssMb: number;
}

export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** Run before each sample, not measured. */
  readonly before?: () => Promise<void>;
}

const SCRIPT = `
import resource, subprocess, sys, time
started = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.monotonic() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss)
`;

export async function measure(contender: Contender): Promise<Sample> {
  await contender.before?.();
  const { stdout, stderr } = await new Deno.Command("python3", {
    args: ["-c", SCRIPT, ...contender.command],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).output();
  const [code, wallS, cpuS, rssKb] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
  if (code !== 0) throw new Error(`${contender.name} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
  return { wallS: wallS!, cpuS: cpuS!, rssMb: rssKb! / 1024 };
}

/** All contenders one after the other, that many times: what else the machine does hits all alike. */
export async function measureAlternating(
  contenders: readonly Contender[],
  runs: number,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const contender of contenders) samples.get(contender.name)!.push(await measure(contender));
  }
  return samples;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

export function medianOf(samples: readonly Sample[]): Sample {
  return {
    wallS: median(samples.map((s) => s.wallS)),
    cpuS: median(samples.map((s) => s.cpuS)),
    rssMb: median(samples.map((s) => s.rssMb)),
  };
}

/** A virtual environment with these packages, made once and kept beside other caches. Returns its interpreter. */
export async function preparePython(name: string, packages: readonly string[], probe: string): Promise<string> {
  const venv = `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/${name}`;
  const python = `${venv}/bin/python`;
  if (await succeeds(python, ["-c", probe])) return python;
  const made = await succeeds("python3", ["-m", "venv", venv]) &&
    await succeeds(python, ["-m", "pip", "install", "-q", ...packages]);
  if (!made) throw new Error(`no virtual environment in ${venv}`);
  return python;
}

async function succeeds(command: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
