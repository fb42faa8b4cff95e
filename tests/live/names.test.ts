// From a config to the rows, with every character where people put characters: passwords, the database's name, the table's and its columns'.

import assert from "node:assert/strict";
import { type Engine, quoteName, type ServerConnection } from "../../src/source/mod.ts";
import { runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openMysqlServers, runSql as runMysql } from "../support/mariadb.ts";
import { openFakeDatabase } from "../support/mssql.ts";
import { openPostgresServer, runSql as runPostgres } from "../support/postgres.ts";
import { readThroughManifest } from "../support/reader.ts";

const PASSWORDS = [
  // Every printable ASCII character.
  Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join(""),
  "ünï¢ødé-密碼-🔑",
  " spaces around ",
  "%41%00%zz",
  "a/b?c=d@e#f:g&h+i",
];
const DATABASE = `q'"\`[]; --%41${crypto.randomUUID().slice(0, 8)}`;
const USER = `u'@:"${crypto.randomUUID().slice(0, 8)}`;
const TABLE = "select";
const COLUMNS = ["group", `fr"o'm\`[x]]; --`];

interface Place extends AsyncDisposable {
  readonly connection: ServerConnection;
  setPassword(password: string): Promise<void>;
  /** Where the server itself cannot refuse: that it was told the right things. */
  checkLogins?(): void;
}

type Run = (sql: string) => Promise<unknown>;

async function fill(engine: Engine, run: Run): Promise<void> {
  const [key, text] = COLUMNS.map((name) => quoteName(engine, name));
  const table = quoteName(engine, TABLE);
  await run(`CREATE TABLE ${table} (${key} int NOT NULL PRIMARY KEY, ${text} varchar(20))`);
  await run(`INSERT INTO ${table} VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, NULL)`);
}

async function openPostgresPlace(): Promise<Place | null> {
  // The one without TLS in its way.
  const server = await openPostgresServer(12);
  if (server === null) return null;
  const admin: Run = (sql) => runPostgres(server.connection, sql);
  const [user, database] = [USER, DATABASE].map((name) => quoteName("postgres", name));
  await admin(`CREATE ROLE ${user} LOGIN`);
  await admin(`CREATE DATABASE ${database} TEMPLATE template0`);
  const connection = { ...server.connection, database: DATABASE };
  await fill("postgres", (sql) => runPostgres(connection, sql));
  await runPostgres(connection, `GRANT SELECT ON ${quoteName("postgres", TABLE)} TO ${user}`);
  return {
    connection: { ...connection, user: USER },
    async setPassword(password) {
      await admin(`ALTER ROLE ${user} PASSWORD E'${password.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`);
    },
    async [Symbol.asyncDispose]() {
      await admin(`DROP DATABASE ${database}`);
      await admin(`DROP ROLE ${user}`);
    },
  };
}

async function openMysqlPlace(): Promise<Place | null> {
  const server = (await openMysqlServers())[0];
  if (server === undefined) return null;
  const admin: Run = (sql) => runMysql(server.connection, sql);
  const text = (value: string) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
  const [user, database] = [`${text(USER)}@'%'`, quoteName("mysql", DATABASE)];
  await admin(`CREATE DATABASE ${database}; CREATE USER ${user}; GRANT SELECT ON ${database}.* TO ${user}`);
  const connection = { ...server.connection, database: DATABASE };
  await fill("mysql", (sql) => runMysql(connection, sql));
  return {
    connection: { ...connection, user: USER },
    async setPassword(password) {
      await admin(`ALTER USER ${user} IDENTIFIED BY ${text(password)}`);
    },
    async [Symbol.asyncDispose]() {
      await admin(`DROP DATABASE ${database}; DROP USER ${user}`);
    },
  };
}

/** The fake lets everybody in; it remembers what they said. */
async function openMssqlPlace(): Promise<Place> {
  const fake = await openFakeDatabase();
  await fill("mssql", fake.run);
  let wanted = "";
  return {
    connection: { ...fake.connection, user: USER, database: DATABASE },
    setPassword(password) {
      wanted = password;
      fake.server.counters.logins.length = 0;
      return Promise.resolve();
    },
    checkLogins() {
      const logins = fake.server.counters.logins.splice(0);
      assert.ok(logins.length > 0);
      for (const { user, password, database } of logins) {
        assert.deepEqual([user, password, database], [USER, wanted, DATABASE]);
      }
    },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

const PLACES = { postgres: openPostgresPlace, mysql: openMysqlPlace, mssql: openMssqlPlace };

type Source = Readonly<Record<string, unknown>>;

/** The ways to write one connection; secrets go by the environment where the form can. */
function forms(engine: keyof typeof PLACES, { host, port, user, database }: ServerConnection, password: string) {
  const part = encodeURIComponent;
  const url = `${engine}://${part(user)}:${part(password)}@${host}:${port}/${part(database)}`;
  const env = { TEST_PASSWORD: password, TEST_URL: url };
  const sources: Record<string, Source> = {
    url: { url },
    "url_env": { url_env: "TEST_URL" },
    structured: { host, port, user, database, password },
    "structured with password_env": { host, port, user, database, password_env: "TEST_PASSWORD" },
  };
  return { env, sources };
}

for (const [engine, open] of Object.entries(PLACES) as [keyof typeof PLACES, () => Promise<Place | null>][]) {
  Deno.test(`${engine}: a config with every special character reads the right table`, async () => {
    await using place = await open();
    assert.ok(place !== null || Deno.env.get("CI") !== "true", `no ${engine} server`);
    if (place === null) return;
    for (const password of PASSWORDS) {
      await place.setPassword(password);
      const { env, sources } = forms(engine, place.connection, password);
      for (const [form, source] of Object.entries(sources)) {
        await using folder = await temporaryFolder();
        const configPath = join(folder.path, "rivet.yaml");
        const entry = {
          name: "e",
          table: TABLE,
          mode: "chunked",
          chunk_by_key: COLUMNS[0],
          chunk_size: 2,
          format: "csv",
          destination: { type: "local", path: "out" },
        };
        // JSON is YAML.
        await Deno.writeTextFile(configPath, JSON.stringify({ source: { type: engine, ...source }, exports: [entry] }));
        const result = await runEngine({ configPath, env });
        const error = JSON.stringify(result.per_export[0]?.error);
        assert.equal(result.failed_count, 0, `${form}, password ${password}: ${error}`);
        place.checkLogins?.();
        const rows = await readThroughManifest(join(folder.path, "out"));
        assert.deepEqual(rows.map((row) => Object.values(row).map(String)), [
          ["1", "one"],
          ["2", "two"],
          ["3", "three"],
          ["4", "four"],
          ["5", "null"],
        ]);
        assert.deepEqual(Object.keys(rows[0]!), COLUMNS);
      }
    }
  });
}
