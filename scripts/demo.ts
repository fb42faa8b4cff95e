// `deno task demo`: a shop database, a config, a real run, and the proof that the files hold what the database holds.

import { DatabaseSync } from "node:sqlite";
import { buildDatabase } from "./demo/database.ts";
import { CONFIG, type DemoExport, EXPORTS } from "./demo/exports.ts";
import { type ExportFiles, openExportFiles } from "./demo/files.ts";
import {
  bold,
  dim,
  formatBytes,
  formatCount,
  formatValue,
  green,
  print,
  printStep,
  printTable,
  red,
} from "./demo/show.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/** `demo` beside the sources, or the folder that is named. */
const FOLDER = Deno.args[0] ?? `${ROOT}demo`;
const DATABASE = `${FOLDER}/shop.db`;
const ROWS_SHOWN = 5;
/** More columns than these are printed one below the other, and more than those are cut at the terminal's edge. */
const COLUMNS_WIDE_MAX = 10;
const COLUMNS_TALL_MAX = 20;

async function main(): Promise<number> {
  const startedAt = performance.now();
  await makeShop();
  const code = await run();
  if (code !== 0) return code;
  const files = new Map<string, ExportFiles>();
  for (const entry of EXPORTS) files.set(entry.name, await openExportFiles(`${FOLDER}/out/${entry.name}`));
  await show(files);
  const same = await prove(files);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  print(
    same
      ? `\n${green(bold(" ✓ "))} ${bold("The files hold what the database holds")}  ${dim(`${seconds} s in all`)}`
      : `\n${red(bold(" ✗ "))} ${bold("The files and the database differ")}`,
  );
  // Deno may be there only for the length of this call: the line works with Node alone.
  const again = `npx -y deno@${Deno.version.deno} task rivet run -c demo/rivet.yaml`;
  print(dim(`\n   Next: look into demo/rivet.yaml, change it, and run \`${again}\` again\n`));
  return same ? 0 : 3;
}

async function makeShop(): Promise<void> {
  const startedAt = performance.now();
  // Only what an earlier demo made, so that each demo is the first.
  await Deno.remove(FOLDER, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(FOLDER, { recursive: true });
  buildDatabase(DATABASE);
  await Deno.writeTextFile(`${FOLDER}/rivet.yaml`, CONFIG);
  const { size } = await Deno.stat(DATABASE);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  printStep(1, "A shop on SQLite and a config", `demo/shop.db, ${formatBytes(size)}, made in ${seconds} s`);
  for (const line of CONFIG.split("\n").slice(1, 11)) print(`    ${line}`);
  print(dim("    …  demo/rivet.yaml"));
}

async function run(): Promise<number> {
  printStep(2, "rivet run -c demo/rivet.yaml --validate");
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}cli.ts`, "run", "-c", `${FOLDER}/rivet.yaml`, "--validate"],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  return code;
}

async function show(files: ReadonlyMap<string, ExportFiles>): Promise<void> {
  printStep(3, "The files, as another program reads them", "hyparquet, through each manifest");
  for (const [name, { paths, bytes, columns, head }] of files) {
    const count = paths.length === 1 ? "1 file" : `${paths.length} files`;
    print(`  ${bold(name)}  ${dim(`${count}, ${formatBytes(bytes)}, ${columns.length} columns`)}`);
    for (const path of paths.slice(0, 2)) print(`    ${dim(path.replace(ROOT, ""))}`);
    if (paths.length > 2) print(dim(`    … and ${paths.length - 2} more`));
    const rows = (await head(ROWS_SHOWN)).map((row) => columns.map(({ name, type }) => formatValue(row[name], type)));
    if (columns.length > COLUMNS_WIDE_MAX && columns.length <= COLUMNS_TALL_MAX) {
      const cells = columns.map(({ name, type }, i) => [name, type, ...rows.map((row) => row[i]!)]);
      printTable(["column", "type", ...rows.map((_, i) => `row ${i + 1}`)], cells);
    } else {
      printTable(columns.map(({ name }) => name), [columns.map(({ type }) => type), ...rows], { headRows: 1 });
    }
    print();
  }
}

/** Every figure twice: asked of the database, and counted in the files. */
async function prove(files: ReadonlyMap<string, ExportFiles>): Promise<boolean> {
  printStep(4, "The proof", "asked of the database, and counted in the files");
  using db = new DatabaseSync(DATABASE, { readOnly: true });
  const lines: string[][] = [];
  let same = true;
  for (const entry of EXPORTS) {
    const rows = await files.get(entry.name)!.rows([...new Set(entry.checks.flatMap((check) => check.columns))]);
    for (const check of entry.checks) {
      const expected = ask(db, check.sql);
      const found = check.ofRows(rows);
      if (expected !== found) same = false;
      lines.push(toLine(entry, check.label, expected, found));
    }
  }
  printTable(["export", "what", "database", "files", ""], lines);
  return same;
}

function toLine(entry: DemoExport, label: string, expected: bigint, found: bigint): string[] {
  return [entry.name, label, formatCount(expected), formatCount(found), expected === found ? "same" : "DIFFERENT"];
}

function ask(db: DatabaseSync, sql: string): bigint {
  const statement = db.prepare(sql);
  statement.setReadBigInts(true);
  return Object.values(statement.get() as Record<string, bigint>)[0]!;
}

if (import.meta.main) Deno.exit(await main());
