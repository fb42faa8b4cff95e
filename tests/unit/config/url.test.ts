import assert from "node:assert/strict";
import fc from "fast-check";
import { toRivetError } from "../../../src/errors.ts";
import { parseServerUrl } from "../../../src/config/url.ts";
import { isLoopback } from "../../../src/config/loopback.ts";

const parse = (text: string, engine: "postgres" | "mysql" | "mssql" = "postgres") => parseServerUrl(text, engine, "c");

Deno.test("a URL gives host, port, user, password and database", () => {
  assert.deepEqual(parse("postgresql://u:p@db.example:5433/shop"), {
    host: "db.example",
    port: 5433,
    user: "u",
    password: "p",
    database: "shop",
    tlsWanted: null,
  });
  assert.equal(parse("mysql://u@h/d", "mysql").port, 3306);
  assert.equal(parse("sqlserver://u@h/d", "mssql").port, 1433);
  assert.equal(parse("POSTGRES://u:@h/d").password, null);
  assert.equal(parse("postgres://u@[fe80::1]:1/d").host, "fe80::1");
});

/** Written as people do, without escapes. */
const RAW: readonly (readonly [string, string])[] = [
  ["p@ss", "u"],
  ["p/ss", "u"],
  ["p?ss", "u"],
  ["p#ss", "u"],
  ["p:ss", "u"],
  ["a/b?c=d@e#f", "u"],
  ["100%", "u"],
  ["@", "u"],
  ["/", "u"],
];

for (const [password, user] of RAW) {
  Deno.test(`the password ${password} needs no escapes`, () => {
    const found = parse(`postgres://${user}:${password}@localhost:5432/shop?application_name=x`);
    assert.equal(found.password, password);
    assert.equal(found.host, "localhost");
    assert.equal(found.database, "shop");
  });
}

Deno.test("an escaped password is any text", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", minLength: 1 }),
      fc.string({ unit: "grapheme", minLength: 1 }),
      (a, b) => {
        const found = parse(
          `postgres://${encodeURIComponent(a)}:${encodeURIComponent(b)}@db:1/${encodeURIComponent(a)}`,
        );
        assert.deepEqual([found.user, found.password, found.database, found.host], [a, b, a, "db"]);
      },
    ),
    { seed: 20261121 },
  );
});

Deno.test("an @ in the query belongs to the query", () => {
  const found = parse("postgres://u:p@db/shop?application_name=me@work&x=a/b@c");
  assert.deepEqual([found.host, found.password, found.database], ["db", "p", "shop"]);
});

Deno.test("no message shows any piece of the URL that could be a secret", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 0, maxLength: 40 }), (tail) => {
      try {
        parse(`postgres://u:hunter2${tail}`);
      } catch (error) {
        const { message, cure, where } = toRivetError(error);
        assert.doesNotMatch(JSON.stringify([message, cure, where]), /hunter2/);
        assert.match(toRivetError(error).code, /^RIVET_CONFIG_SOURCE_URL/);
      }
    }),
    { seed: 20261121 },
  );
});

Deno.test("what the URL asks of TLS is understood in every engine's words", () => {
  const wanted = (query: string) => parse(`postgres://u@h/d?${query}`).tlsWanted;
  assert.equal(wanted("sslmode=require"), "require");
  assert.equal(wanted("sslmode=verify-full"), "verify-full");
  assert.equal(wanted("sslmode=prefer"), null);
  assert.equal(wanted("ssl-mode=VERIFY_IDENTITY"), "verify-full");
  assert.equal(wanted("useSSL=true"), "require");
  assert.equal(wanted("encrypt=true"), "verify-full");
  assert.equal(wanted("encrypt=true&trustServerCertificate=true"), "require");
  assert.equal(wanted("encrypt=false"), null);
});

Deno.test("only this machine is this machine", () => {
  for (const host of ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1"]) assert.ok(isLoopback(host), host);
  for (
    const host of [
      "127.evil.example",
      "127.0.0.256",
      "127.0.0.1.example",
      "localhost.example",
      "0.0.0.0",
      "10.0.0.1",
      "::2",
      "",
    ]
  ) assert.ok(!isLoopback(host), host);
});
