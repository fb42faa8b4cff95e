import assert from "node:assert/strict";
import { redact, rememberSecret, sanitizeTerminal } from "../../src/redact.ts";

const SECRET = "hunter2!";

const MASKED: readonly (readonly [string, string])[] = [
  [`postgres://u:${SECRET}@db/x`, "postgres://REDACTED@db/x"],
  [`cannot reach "postgres://u:${SECRET}@db/x", stopped`, 'cannot reach "postgres://REDACTED@db/x", stopped'],
  [`mysql://u:a@b/c?d#${SECRET}@db/x`, "mysql://REDACTED@db/x"],
  [`postgres://:${SECRET}@db/x`, "postgres://REDACTED@db/x"],
  [
    `jdbc:sqlserver://h;user=u;password=${SECRET};encrypt=true`,
    "jdbc:sqlserver://h;user=u;password=REDACTED;encrypt=true",
  ],
  [`host=db password=${SECRET} dbname=x`, "host=db password=REDACTED dbname=x"],
  [`host=db password='${SECRET} \\' more' dbname=x`, "host=db password=REDACTED dbname=x"],
  [`host=db password = '${SECRET}`, "host=db password = REDACTED"],
  [`host=db password=${SECRET}\\ more dbname=x`, "host=db password=REDACTED dbname=x"],
  [`Server=db;Pwd="${SECRET};x";Database=d`, "Server=db;Pwd=REDACTED;Database=d"],
  [`SOURCE_DB_PASSWORD=${SECRET}`, "SOURCE_DB_PASSWORD=REDACTED"],
  [`{"password": "${SECRET}\\"x", "user": "u"}`, '{"password": REDACTED, "user": "u"}'],
  [`source:\n  password: ${SECRET}\n  user: u`, "source:\n  password: REDACTED\n  user: u"],
  [`{host: h, password: ${SECRET}}`, "{host: h, password: REDACTED"],
  [`https://h/x?access_token=${SECRET}&a=1`, "https://h/x?access_token=REDACTED&a=1"],
  [`https://h/x?a=1&X-Amz-Signature=${SECRET}`, "https://h/x?a=1&X-Amz-Signature=REDACTED"],
  [`https://h/x?x-goog-credential=${SECRET}&b=2`, "https://h/x?x-goog-credential=REDACTED&b=2"],
  [`https://h/x?sv=1&se=2&sig=${SECRET}`, "https://h/x?sv=1&se=2&sig=REDACTED"],
  [`AccountName=a;AccountKey=${SECRET}==;EndpointSuffix=x`, "AccountName=a;AccountKey=REDACTED;EndpointSuffix=x"],
  [`aws_secret_access_key = ${SECRET}`, "aws_secret_access_key = REDACTED"],
  [`Authorization: Basic ${SECRET}`, "Authorization: REDACTED"],
  [`sent Bearer abc.${SECRET.slice(0, 7)}`, "sent Bearer REDACTED"],
  [`SharedAccessSignature sr=x&sig=${SECRET}`, "SharedAccessSignature REDACTED"],
  [`POST https://hooks.slack.com/services/T0/B0/${SECRET} 404`, "POST https://hooks.slack.com/services/REDACTED 404"],
  [`https://discord.com/api/webhooks/1/${SECRET}`, "https://discord.com/api/webhooks/REDACTED"],
  [`https://x.webhook.office.com/webhookb2/${SECRET}`, "https://x.webhook.office.com/REDACTED"],
  [
    `-----BEGIN RSA PRIVATE KEY-----\n${SECRET}\n-----END RSA PRIVATE KEY-----`,
    "-----BEGIN RSA PRIVATE KEY-----REDACTED-----END RSA PRIVATE KEY-----",
  ],
];

for (const [text, expected] of MASKED) {
  Deno.test(`redact masks the secret in ${text.replaceAll(SECRET, "…").replaceAll("\n", " ")}`, () => {
    const found = redact(text);
    assert.ok(!found.includes(SECRET), found);
    assert.ok(found.startsWith(expected), `${found}\n${expected}`);
    assert.equal(redact(found), found, "a second time changes nothing");
  });
}

Deno.test("redact leaves alone what is no secret", () => {
  for (
    const text of [
      "postgres://u@db/x",
      "s3://bucket/prefix/2026-04-18/part-0001.parquet",
      "https://storage.googleapis.com/bucket/a?generation=5&alt=media",
      "password authentication failed for user 'u'",
      "Set it with `export DB_PASSWORD=VALUE`",
      "Both `password` and `password_env` are given",
      "source:\n  password: ${DB_PASSWORD}\n",
      "the primary key 'id' of table 'tokens'",
      "Give the bearer token anew",
      "http://localhost:9000/bucket",
      "",
    ]
  ) assert.equal(redact(text), text);
});

Deno.test("redact finishes on texts that were made to keep it busy", () => {
  const size = 1_000_000;
  for (
    const piece of [
      "a",
      "a://",
      "://a:",
      "a://b:c",
      "@",
      "://@:",
      "password",
      "password=",
      "password='",
      'password="\\',
      "password          ",
      "?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "-----BEGIN PRIVATE KEY-----",
      "-----BEGIN AAAA",
      "bearer ",
      "authorization",
      "eyJaaaaaaaaaaa.",
      "\n          password",
      "https://",
      "hooks.slack.com/services/",
    ]
  ) redact(piece.repeat(Math.ceil(size / piece.length)));
});

Deno.test("redact masks values it was told, also as URLs and JSON write them", () => {
  const clean = redact;
  for (const secret of ["s3cr3t/$&+ü", 's3cr3t/$&+ü"long', "abc"]) rememberSecret(secret);
  assert.equal(clean("x s3cr3t/$&+ü y"), "x REDACTED y");
  assert.equal(clean("x s3cr3t%2F%24%26%2B%C3%BC y"), "x REDACTED y");
  assert.equal(clean(JSON.stringify({ a: 's3cr3t/$&+ü"long' })), '{"a":"REDACTED"}');
  assert.equal(clean("abc"), "abc", "a short value would mask words");
  assert.equal(clean("password=x1"), "password=REDACTED");
});

Deno.test("sanitizeTerminal shows what a terminal would obey", () => {
  assert.equal(sanitizeTerminal("\x1b[31mred\x1b[0m\r\x07\x9b2J"), "\\x1b[31mred\\x1b[0m\\x0d\\x07\\x9b2J");
  assert.equal(sanitizeTerminal("a\u202eb\u2066c"), "a\\u202eb\\u2066c");
  assert.equal(sanitizeTerminal("two\n\tlines, ünïcode 表 🙂"), "two\n\tlines, ünïcode 表 🙂");
});
