// The table of wrong inputs and damages: what is done to a small export, which command meets it, and what mends it.

import { DatabaseSync } from "node:sqlite";
import { join } from "../support/files.ts";

export interface Fault {
  /** The config; a chunked export of `t` into `out` unless given. */
  readonly yaml?: string;
  /** Commands that must succeed first. */
  readonly before?: readonly string[];
  readonly damage?: (folder: string) => Promise<void> | void;
  /** The command that meets it, without `rivet`. */
  readonly command: string;
  /** The commands that its cure names, in order. */
  readonly remedy?: readonly string[];
  /** What its cure asks of a person. */
  readonly mend?: (folder: string) => Promise<void> | void;
}

const SQLITE = "source: {type: sqlite, path: shop.db}\n";
const OUT = "format: parquet, destination: {type: local, path: out}";
export const YAML =
  `${SQLITE}exports: [{name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 10, ${OUT}}]\n`;
const INCREMENTAL = `${SQLITE}exports: [{name: t, table: t, mode: incremental, cursor_column: at, ${OUT}}]\n`;

const RUN = "run -c rivet.yaml --progress none";
const VALIDATE = "validate -c rivet.yaml";
const RECONCILE = "reconcile -c rivet.yaml -e t";
const REPAIR = "repair -c rivet.yaml -e t --execute --progress none";
const PLAN = "plan -c rivet.yaml -o plan.json";
const APPLY = "apply plan.json --progress none";

function one(fields: string): string {
  return `${SQLITE}exports: [{name: t, ${fields}}]\n`;
}

function sql(text: string, file = "shop.db") {
  return (folder: string): void => {
    using db = new DatabaseSync(join(folder, file));
    db.exec(text);
  };
}

function sqlState(text: string) {
  return sql(text, ".rivet_state.db");
}

async function partPaths(folder: string): Promise<string[]> {
  const names = [...Deno.readDirSync(join(folder, "out"))].map(({ name }) => name);
  return await Promise.resolve(
    names.filter((name) => name.endsWith(".parquet")).sort().map((n) => join(folder, "out", n)),
  );
}

function editParts(edit: (paths: readonly string[]) => Promise<void>) {
  return async (folder: string): Promise<void> => await edit(await partPaths(folder));
}

function editText(name: string, edit: (text: string) => string) {
  return async (folder: string): Promise<void> => {
    const path = join(folder, name);
    const text = await Deno.readTextFile(path);
    const edited = edit(text);
    if (edited === text) throw new Error("the edit does nothing");
    await Deno.writeTextFile(path, edited);
  };
}

function removeFile(name: string) {
  return (folder: string): Promise<void> => Deno.remove(join(folder, name));
}

/** Wrong inputs: nothing is written. */
export const INPUTS: Readonly<Record<string, Fault>> = {
  "no command that is known": { command: "rnu" },
  "an option that is not known": { command: "run -c rivet.yaml --validat" },
  "no config file": { command: "run -c nope.yaml" },
  "a folder in place of a config": { command: "run -c ." },
  "an export that the config does not have": { command: "run -c rivet.yaml -e orders" },
  "a parameter without a value": { command: "run -c rivet.yaml -p DAY" },
  "a parameter that nobody gave": { yaml: one(`table: "\${TABLE}", ${OUT}`), command: RUN },
  "a negative lock wait": { command: "run -c rivet.yaml --lock-wait -1" },
  "a style of progress that is not known": { command: "run -c rivet.yaml --progress loud" },
  "two ways of running exports at once": {
    command: "run -c rivet.yaml --parallel-exports --parallel-export-processes",
  },
  "a table that is not there": { yaml: one(`table: nope, ${OUT}`), command: RUN },
  "a database file that is not there": {
    yaml: `source: {type: sqlite, path: nope.db}\nexports: [{name: t, table: t, ${OUT}}]\n`,
    command: RUN,
  },
  "a source that is no database": {
    yaml: `source: {type: sqlite, path: rivet.yaml}\nexports: [{name: t, table: t, ${OUT}}]\n`,
    command: RUN,
  },
  "a server that is not there": {
    yaml:
      `source: {type: postgres, host: 127.0.0.1, port: 1, user: u, password_env: SHOP_TOKEN, database: d}\nexports: [{name: t, table: t, ${OUT}}]\n`,
    command: RUN,
  },
  "another machine without TLS": {
    yaml:
      `source: {type: mysql, host: db.example, user: u, password_env: SHOP_TOKEN, database: d}\nexports: [{name: t, table: t, ${OUT}}]\n`,
    command: RUN,
  },
  "a statement with an error": { yaml: one(`query: "SELECT FROM t", ${OUT}`), command: RUN },
  "a statement that returns nothing": { yaml: one(`query: "DELETE FROM t", ${OUT}`), command: RUN },
  "a statement with two columns of one name": {
    yaml: one(`query: "SELECT id, at AS id FROM t", ${OUT}`),
    command: RUN,
  },
  "a query file that is not there": { yaml: one(`query_file: nope.sql, ${OUT}`), command: RUN },
  "a chunk column that the table does not have": {
    yaml: one(`table: t, mode: chunked, chunk_column: nope, ${OUT}`),
    command: RUN,
  },
  "a chunk column that is no number": {
    yaml: one(`table: t, mode: chunked, chunk_column: body, ${OUT}`),
    command: RUN,
  },
  "chunks of a table without a key": { yaml: one(`table: u, mode: chunked, ${OUT}`), command: RUN },
  "a cursor that the table does not have": {
    yaml: one(`table: t, mode: incremental, cursor_column: nope, ${OUT}`),
    command: RUN,
  },
  "a column override for a column that is not there": {
    yaml: one(`table: t, columns: {nope: int64}, ${OUT}`),
    command: RUN,
  },
  "a quality rule for a column that is not there": {
    yaml: one(`table: t, quality: {unique_columns: [nope]}, ${OUT}`),
    command: RUN,
  },
  "fewer rows than the quality rule asks for": {
    yaml: one(`table: t, quality: {row_count_min: 31}, ${OUT}`),
    command: RUN,
  },
  "a file in the destination's place": {
    yaml: one(`table: t, format: parquet, destination: {type: local, path: shop.db/out}`),
    command: RUN,
  },
  "two exports, one to standard output": {
    yaml:
      `${SQLITE}exports: [{name: a, table: t, format: csv, destination: {type: stdout}}, {name: b, table: t, ${OUT}}]\n`,
    command: RUN,
  },
  "nothing to resume": { command: "run -c rivet.yaml --resume" },
  "nothing to reconcile": { command: RECONCILE },
  "nothing to repair": { command: "repair -c rivet.yaml -e t" },
  "nothing to validate": { command: VALIDATE },
  "a report that is not there": { before: [RUN], command: "repair -c rivet.yaml -e t --report nope.json" },
  "a report of something else": { before: [RUN], command: "repair -c rivet.yaml -e t --report rivet.yaml" },
  "a plan that is not there": { command: "apply nope.json" },
  "a state that no program wrote": {
    command: RUN,
    damage: (folder) => Deno.writeTextFile(join(folder, ".rivet_state.db"), "not a database ".repeat(100)),
  },
  "a shell that has no completions": { command: "completions tcsh" },
  "a scaffold of nothing": { command: "init" },
  "a reset of an export that is not there": { command: "state reset -c rivet.yaml -e nope" },
};

/** Damages of what is stored, remembered or planned. */
export const DAMAGES: Readonly<Record<string, Fault>> = {
  "one byte of a part flipped": {
    before: [RUN],
    damage: editParts(async ([path]) => {
      const bytes = await Deno.readFile(path!);
      bytes[bytes.length >> 1]! ^= 1;
      await Deno.writeFile(path!, bytes);
    }),
    command: VALIDATE,
    remedy: [REPAIR],
  },
  "a part cut short": {
    before: [RUN],
    damage: editParts(([path]) => Deno.truncate(path!, 20)),
    command: VALIDATE,
    remedy: [REPAIR],
  },
  "a part deleted": {
    before: [RUN],
    damage: editParts(([, path]) => Deno.remove(path!)),
    command: VALIDATE,
    remedy: [RUN],
  },
  "two parts swapped": {
    before: [RUN],
    damage: editParts(async ([a, b]) => {
      const bytes = await Deno.readFile(a!);
      await Deno.copyFile(b!, a!);
      await Deno.writeFile(b!, bytes);
    }),
    command: VALIDATE,
    remedy: [REPAIR],
  },
  "a number in the manifest edited": {
    before: [RUN],
    damage: editText("out/manifest.json", (text) => text.replace('"row_count": 30', '"row_count": 31')),
    command: VALIDATE,
    remedy: [RUN],
  },
  "the manifest cut short": {
    before: [RUN],
    damage: editText("out/manifest.json", (text) => text.slice(0, 100)),
    command: VALIDATE,
    remedy: [RUN],
  },
  "the manifest deleted": { before: [RUN], damage: removeFile("out/manifest.json"), command: VALIDATE, remedy: [RUN] },
  "_SUCCESS deleted": { before: [RUN], damage: removeFile("out/_SUCCESS"), command: VALIDATE },
  "_SUCCESS of another manifest": {
    before: [RUN],
    damage: editText("out/_SUCCESS", (text) => text.replace(/[0-9a-f]{16}/, "0".repeat(16))),
    command: VALIDATE,
    remedy: [RUN],
  },
  "a value changed at the source": {
    before: [RUN],
    damage: sql("UPDATE t SET body = 'changed' WHERE id = 3"),
    command: RECONCILE,
    remedy: [REPAIR],
  },
  "a row deleted at the source": {
    before: [RUN],
    damage: sql("DELETE FROM t WHERE id = 13"),
    command: RECONCILE,
    remedy: [REPAIR],
  },
  "a row that came into the middle of the source": {
    before: ["run -c rivet.yaml --progress none"],
    yaml: YAML,
    damage: sql("UPDATE t SET id = -1 WHERE id = 20"),
    command: RECONCILE,
    remedy: [REPAIR],
  },
  "a column dropped at the source": {
    before: [RUN],
    damage: sql("ALTER TABLE t DROP COLUMN body"),
    command: RECONCILE,
    remedy: [RUN],
  },
  "the state deleted before a comparison": {
    before: [RUN],
    damage: removeFile(".rivet_state.db"),
    command: RECONCILE,
    remedy: [RUN],
  },
  "the state deleted before a run": { before: [RUN], damage: removeFile(".rivet_state.db"), command: RUN },
  "the state overwritten": {
    before: [RUN],
    damage: (folder) => Deno.writeTextFile(join(folder, ".rivet_state.db"), "not a database ".repeat(100)),
    command: RUN,
    mend: removeFile(".rivet_state.db"),
  },
  "the state of a newer program": {
    before: [RUN],
    damage: sqlState("INSERT INTO schema_version (version) VALUES (1000)"),
    command: RUN,
    mend: sqlState("DELETE FROM schema_version WHERE version = 1000"),
  },
  "a chunk marked as failed by hand": {
    before: [RUN],
    damage: sqlState("UPDATE chunk_task SET status = 'failed'"),
    command: RUN,
  },
  "the stored cursor moved back by hand": {
    yaml: INCREMENTAL,
    before: [RUN],
    damage: sqlState("UPDATE export_state SET last_cursor_value = '50'"),
    command: RUN,
    remedy: ["state reset -c rivet.yaml -e t"],
  },
  "the stored cursor moved on by hand": {
    yaml: INCREMENTAL,
    before: [RUN],
    damage: sqlState("UPDATE export_state SET last_cursor_value = '3000'"),
    command: RUN,
    remedy: ["state reset -c rivet.yaml -e t"],
  },
  "the query of an incremental export edited": {
    yaml: INCREMENTAL,
    before: [RUN],
    damage: editText(
      "rivet.yaml",
      (text) => text.replace("table: t,", 'query: "SELECT id, at, body FROM t WHERE id > 0",'),
    ),
    command: RUN,
    remedy: ["state accept -c rivet.yaml -e t"],
  },
  "the cursor of an incremental export changed": {
    yaml: INCREMENTAL,
    before: [RUN],
    damage: editText("rivet.yaml", (text) => text.replace("cursor_column: at", "cursor_column: id")),
    command: RUN,
    remedy: ["state reset -c rivet.yaml -e t"],
  },
  "the format of an incremental export changed": {
    yaml: INCREMENTAL,
    before: [RUN],
    damage: editText("rivet.yaml", (text) => text.replace("format: parquet", "format: csv")),
    command: RUN,
    mend: editText("rivet.yaml", (text) => text.replace("format: csv", "format: parquet")),
  },
  "a plan edited": {
    before: [PLAN],
    damage: editText("plan.json", (text) => text.replace('"t"', '"u"')),
    command: APPLY,
    remedy: [PLAN],
  },
  "a plan cut short": {
    before: [PLAN],
    damage: editText("plan.json", (text) => text.slice(0, 200)),
    command: APPLY,
    remedy: [PLAN],
  },
  "a plan of another program": {
    before: [PLAN],
    damage: (folder) => Deno.writeTextFile(join(folder, "plan.json"), "{}"),
    command: APPLY,
    remedy: [PLAN],
  },
  "the config of a plan edited": {
    before: [PLAN],
    damage: editText("rivet.yaml", (text) => text.replace("chunk_size: 10", "chunk_size: 7")),
    command: APPLY,
  },
  "a column added after the plan": {
    before: [PLAN],
    damage: sql("ALTER TABLE t ADD COLUMN more TEXT"),
    command: APPLY,
    remedy: [PLAN],
  },
  "the table of a plan dropped": {
    before: [PLAN],
    damage: sql("ALTER TABLE t RENAME TO gone"),
    command: APPLY,
    mend: sql("ALTER TABLE gone RENAME TO t"),
  },
};
