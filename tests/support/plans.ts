// A shop in SQLite for the tests of `plan` and `apply`, and plans that were changed and sealed again.

import { DatabaseSync } from "node:sqlite";
import { readConfig } from "../../src/config/mod.ts";
import {
  orderExports,
  parseArtifact,
  type PlanArtifact,
  probePicture,
  type Proposal,
  proposeExport,
  sealArtifact,
  toOrderInput,
  toPlannedExport,
} from "../../src/plan/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { openSource } from "../../src/source/mod.ts";
import { openState } from "../../src/state/mod.ts";
import { type CliResult, runCli } from "./cli.ts";
import { join, temporaryFolder } from "./files.ts";

export interface Shop extends AsyncDisposable {
  readonly path: string;
  /** Runs statements in the shop's database. */
  sql(statements: string): void;
  rivet(...args: string[]): Promise<CliResult>;
  write(name: string, text: string): Promise<void>;
  read(name: string): Promise<string>;
  /** Reads a plan, changes it, seals it again. */
  reseal(name: string, change: (plan: PlanArtifact) => Partial<PlanArtifact>): Promise<void>;
  /** Names in the folder and below, sorted; the state's own files left out. */
  names(): Promise<string[]>;
}

const TABLES = `CREATE TABLE orders (id INTEGER PRIMARY KEY, at TEXT NOT NULL, note TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
  INSERT INTO orders SELECT i, datetime('2026-01-01', '+' || i || ' minutes'), 'note ' || i FROM n;
  CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
  INSERT INTO users VALUES (1, 'ada'), (2, 'bob')`;

/** `exports` are the entries of the config, as YAML. */
export async function openShop(exports: string, options: { env?: Record<string, string> } = {}): Promise<Shop> {
  const folder = await temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  const shop: Shop = {
    path: folder.path,
    sql(statements) {
      using db = new DatabaseSync(at("shop.db"));
      db.exec(statements);
    },
    rivet: (...args) => runCli(args, { cwd: folder.path, env: options.env ?? {} }),
    write: (name, text) => Deno.writeTextFile(at(name), text),
    read: (name) => Deno.readTextFile(at(name)),
    async reseal(name, change) {
      const { integrity: _integrity, ...plan } = parseArtifact(await Deno.readTextFile(at(name)), name);
      const changed = sealArtifact({ ...plan, ...change({ ...plan, integrity: "" }) });
      await Deno.writeTextFile(at(name), JSON.stringify(changed));
    },
    async names() {
      const found: string[] = [];
      const visit = async (below: string): Promise<void> => {
        for await (const entry of Deno.readDir(at(below))) {
          const name = below === "" ? entry.name : `${below}/${entry.name}`;
          if (entry.isDirectory) await visit(name);
          else if (!entry.name.startsWith(".rivet_state.db-")) found.push(name);
        }
      };
      await visit("");
      return found.sort();
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  shop.sql(TABLES);
  await shop.write("rivet.yaml", `# the shop\nsource: {type: sqlite, path: shop.db}\nexports:\n${exports}`);
  return shop;
}

/** The summaries of a run that printed JSON, by export. */
export function summaries(stdout: string): Record<string, Record<string, unknown>> {
  const { per_export } = JSON.parse(stdout) as { per_export: { export_name: string }[] };
  return Object.fromEntries(per_export.map((one) => [one.export_name, one as Record<string, unknown>]));
}

/** The plan of a config as `rivet plan` would seal it, made in this process. */
export async function sealConfig(configPath: string): Promise<PlanArtifact> {
  const runtime = systemRuntime();
  const config = await readConfig(configPath, { params: {}, runtime });
  const limits = { statementTimeoutS: 60, lockTimeoutS: 30, connectTimeoutMs: 10_000 };
  await using source = await openSource(await config.source.resolveConnection(), limits);
  await using state = await openState({ url: undefined, directory: config.directory, readOnly: true });
  const context = { config, source, runtime, version: "test", strict: false };
  const signal = new AbortController().signal;
  const picture = await probePicture(source);
  const proposals: Proposal[] = [];
  for (const entry of config.exports) {
    proposals.push(await proposeExport(context, entry, { state, sample: null, picture, signal }));
  }
  const { recommendations, campaign } = orderExports(proposals.map(toOrderInput));
  const { text, queryFiles, redacted } = config.seal();
  return sealArtifact({
    rivet_plan: 1,
    rivet_version: "test",
    plan_id: crypto.randomUUID().replaceAll("-", ""),
    created_at: new Date(runtime.now()).toISOString(),
    expires_at: new Date(runtime.now()).toISOString(),
    config_path: config.path,
    date: null,
    parameters: [],
    source: { type: config.source.engine, identity: config.source.identity, written: {} },
    config: { text, query_files: { ...queryFiles }, redacted: [...redacted] },
    exports: proposals.map((proposal) =>
      toPlannedExport({
        proposal,
        recommendation: recommendations.find((one) => one.export_name === proposal.entry.name)!,
        permissions: { net: [], read: [], write: [], sys: [] },
        output: "",
        hide: config.hide,
      })
    ),
    campaign: structuredClone(campaign) as PlanArtifact["campaign"],
  });
}
