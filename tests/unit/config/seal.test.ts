import assert from "node:assert/strict";
import { type Config, readConfig, readSealedConfig } from "../../../src/config/mod.ts";
import { fillIn } from "../../../src/config/fill.ts";
import { sealText } from "../../../src/config/seal.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { join, temporaryFolder } from "../../support/files.ts";

const EXPORT = "exports:\n  - {name: t, table: t, format: csv, destination: {type: local, path: out}}\n";
const PG = (connection: string) => `source: {type: postgres, ${connection}}\n${EXPORT}`;

async function withConfig(
  yaml: string,
  body: (config: Config, path: string) => Promise<void> | void,
  more: { params?: Record<string, string>; env?: Record<string, string>; files?: Record<string, string> } = {},
): Promise<void> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(path, yaml);
  for (const [name, text] of Object.entries(more.files ?? {})) await Deno.writeTextFile(join(folder.path, name), text);
  const runtime = { ...systemRuntime(), env: (name: string) => more.env?.[name] };
  await body(await readConfig(path, { params: more.params ?? {}, runtime }), path);
}

Deno.test("a sealed config is the written one without its comments", async () => {
  const yaml = `# password: hunter22
source: {type: sqlite, path: a.db} # and a secret
exports:
  - name: "a#b"   # not this one
    query: |
      SELECT '# no comment' AS x
      # SQL of some engines
    format: csv
    csv: {delimiter: "#"}
    destination: {type: local, path: 'out # y'}
`;
  await withConfig(yaml, (config) => {
    const { text, redacted } = config.seal();
    assert.deepEqual(redacted, []);
    assert.doesNotMatch(text, /hunter22|a secret|not this one/);
    assert.match(text, /'# no comment' AS x\n {6}# SQL of some engines/);
    assert.match(text, /"a#b"[^]*"#"[^]*'out # y'/);
  });
});

Deno.test("what was filled in is not in a sealed config, and comes back with the same values", async () => {
  const yaml = `source: {type: sqlite, path: a.db}
exports:
  - {name: t, query: "SELECT * FROM t WHERE day = '\${DAY}'", format: \${FORMAT}, destination: {type: local, path: out}}
  - {name: u, query_file: u.sql, format: csv, destination: {type: local, path: out}}
`;
  const params = { DAY: "zz2026zz" };
  const env = { FORMAT: "csv", LIMIT: "zz77zz" };
  const files = { "u.sql": "SELECT * FROM u WHERE x = '${LIMIT}'" };
  await withConfig(yaml, async (config, path) => {
    const sealed = config.seal();
    assert.doesNotMatch(JSON.stringify(sealed), /zz2026zz|zz77zz/);
    assert.equal(config.hide("day zz2026zz"), "day ${DAY}");
    await Deno.remove(path);
    await Deno.remove(join(config.directory, "u.sql"));
    const runtime = { ...systemRuntime(), env: (name: string) => ({ ...env }[name]) };
    const again = await readSealedConfig(path, sealed, { params, runtime });
    const plain = ({ exports, source }: Config) =>
      JSON.parse(JSON.stringify([exports, source.engine, source.redacted]));
    assert.deepEqual(plain(again), plain(config));
    const missing = readSealedConfig(path, sealed, { params: {}, runtime });
    await assert.rejects(missing, { code: "RIVET_CONFIG_SECRET_UNSET" });
  }, { params, env, files });
});

const SECRETS: Record<string, [connection: string, redacted: string[], kept: RegExp]> = {
  "a password": ["host: h, user: u, database: d, password: hunter22", ["source.password"], /"REDACTED"/],
  "a password with half a placeholder": [
    'host: h, user: u, database: d, password: "hunter22${P}"',
    ["source.password"],
    /"REDACTED"/,
  ],
  "a password from the environment": ["host: h, user: u, database: d, password: '${P}'", [], /'\$\{P\}'/],
  "a URL with a password": ["url: 'postgres://u:hunter22@h/d'", ["source.url"], /postgres:\/\/REDACTED@h\/d/],
  "a URL whose password holds an @": ["url: 'postgres://u:hunt@er22@h/d'", ["source.url"], /REDACTED@h\/d/],
  "a URL whose password is filled in": ["url: 'postgres://u:${P}@h/d'", [], /postgres:\/\/u:\$\{P\}@h\/d/],
  "a URL that is filled in": ["url: '${U}'", [], /'\$\{U\}'/],
  "a URL without a password": ["url: 'postgres://u@h/d'", [], /postgres:\/\/u@h\/d/],
  "a URL in a variable": ["url_env: U", [], /url_env: U/],
};

for (const [name, [connection, redacted, kept]] of Object.entries(SECRETS)) {
  Deno.test(`a sealed config with ${name} holds no secret`, async () => {
    const env = { P: "p4ssw0rd", U: "postgres://u:p4ssw0rd@h/d" };
    await withConfig(PG(connection), (config) => {
      const sealed = config.seal();
      assert.deepEqual(sealed.redacted, redacted);
      assert.doesNotMatch(sealed.text, /hunter22|er22|p4ssw0rd/);
      assert.match(sealed.text, kept);
    }, { env });
  });
}

Deno.test("a secret that stands a second time goes there too, and so does one of a notification", () => {
  const yaml = `source: {type: postgres, host: h, user: u, database: d, password: hunter22}
exports:
  - {name: t, query: "SELECT dblink('password=hunter22')", format: csv, destination: {type: local, path: out}}
notifications: {slack: {webhook_url: "https://hooks.slack.com/services/T0/B0/hookhook"}}
`;
  const sealed = sealText(yaml, fillIn(yaml, { params: {}, runtime: systemRuntime(), file: "rivet.yaml" }));
  assert.doesNotMatch(sealed.text, /hunter22|hookhook/);
  assert.deepEqual(sealed.redacted, ["source.password", "notifications.slack.webhook_url"]);
});
