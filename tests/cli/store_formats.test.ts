// What a store is told about the files it gets, and that they are what they are called.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { startS3Fake } from "../support/s3_fake.ts";

const FORMATS = [
  ["format: parquet", ".parquet", "application/vnd.apache.parquet"],
  ["format: csv, compression: none", ".csv", "text/csv; charset=utf-8"],
  ["format: csv, compression: gzip, csv: {delimiter: ';', 'null': '\\N'}", ".csv.gz", "application/gzip"],
  ["format: csv, compression: zstd, csv: {header: false}", ".csv.zst", "application/zstd"],
] as const;

const TEXTS: Record<string, string> = {
  ".csv": "id,body\n1,a;b\n2,\n",
  ".csv.gz": 'id;body\n1;"a;b"\n2;\\N\n',
  ".csv.zst": "1,a;b\n2,\n",
};

Deno.test("files in a store carry the type of their bytes, and CSV is written as it was asked for", async () => {
  await using fake = startS3Fake({ buckets: ["bucket"] });
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a;b'), (2, NULL)");
  }
  const exports = FORMATS.map(([format], i) =>
    `  - {name: t${i}, table: t, ${format}, destination: {type: s3, bucket: bucket, prefix: f${i}, region: us-east-1, endpoint: "${fake.url}", access_key_env: K, secret_key_env: S}}`
  );
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}\nexports:\n${exports.join("\n")}\n`,
  );
  const result = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path, env: { K: "k", S: "s" } });
  assert.equal(result.code, 0, result.stderr);
  const objects = [...fake.buckets.get("bucket")!];
  for (const [i, [, extension, contentType]] of FORMATS.entries()) {
    const found = objects.filter(([key]) => key.startsWith(`f${i}/t${i}_`));
    assert.equal(found.length, 1);
    const [key, object] = found[0]!;
    assert.ok(key.endsWith(extension), key);
    assert.equal(object.contentType, contentType);
    const plain = extension === ".csv.gz"
      ? gunzipSync(object.bytes)
      : extension === ".csv.zst"
      ? zstdDecompressSync(object.bytes)
      : object.bytes;
    const text = TEXTS[extension];
    if (text !== undefined) assert.equal(new TextDecoder().decode(plain), text);
    assert.equal(new TextDecoder().decode(objects.find(([key]) => key === `f${i}/manifest.json`)![1].bytes)[0], "{");
  }
});
