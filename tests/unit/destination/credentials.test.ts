// Where secrets come from, when they are read, and what is said when they are not there.

import assert from "node:assert/strict";
import {
  type AzureLocation,
  type GcsLocation,
  openDestination,
  type ResolvedDestination,
  type S3Location,
  withCredentials,
} from "../../../src/destination/mod.ts";
import type { RivetError } from "../../../src/errors.ts";

const S3: S3Location = {
  kind: "s3",
  bucket: "lake",
  prefix: "",
  region: "eu-west-1",
  endpoint: null,
  oneshotBudgetMb: 64,
  auth: { kind: "env", accessKeyEnv: "KEY", secretKeyEnv: "SECRET", sessionTokenEnv: "TOKEN" },
};
const AZURE: AzureLocation = {
  kind: "azure",
  container: "lake",
  prefix: "",
  endpoint: null,
  accountName: "acme",
  oneshotBudgetMb: 64,
  auth: { kind: "sas_env", name: "SAS" },
};
const GCS: GcsLocation = {
  kind: "gcs",
  bucket: "lake",
  prefix: "",
  endpoint: null,
  oneshotBudgetMb: 64,
  auth: { kind: "chain" },
};

function env(values: Record<string, string>): (name: string) => string | undefined {
  return (name) => values[name];
}

/** Variables that libraries read by themselves, put back afterwards. */
async function withEnv(values: Record<string, string>, check: () => Promise<void>): Promise<void> {
  const before = Object.keys(values).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(values)) Deno.env.set(name, value);
  try {
    await check();
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  }
}

Deno.test("keys are read from the named variables", async () => {
  const ready = await withCredentials(S3, env({ KEY: "k", SECRET: "s", TOKEN: "t" })) as S3Location;
  assert.deepEqual(ready.auth, {
    kind: "keys",
    accessKeyId: "k",
    secretAccessKey: "s",
    sessionToken: "t",
    expiresAtMs: null,
  });
  assert.equal(await withCredentials(ready, env({})), ready);
});

Deno.test("a variable that is not set is named, and no other value is told", async () => {
  const missing: [ResolvedDestination, Record<string, string>, string][] = [
    [S3, { KEY: "k1", TOKEN: "t1" }, "SECRET"],
    [S3, { KEY: "k1", SECRET: "s1", TOKEN: "" }, "TOKEN"],
    [AZURE, {}, "SAS"],
    [{ ...AZURE, auth: { kind: "key_env", name: "ACCOUNT_KEY" } }, {}, "ACCOUNT_KEY"],
  ];
  for (const [location, values, name] of missing) {
    await assert.rejects(withCredentials(location, env(values)), (error: RivetError) => {
      assert.equal(error.code, "RIVET_CONFIG_SECRET_UNSET");
      assert.ok(error.message.includes(`'${name}'`));
      for (const value of Object.values(values)) if (value !== "") assert.ok(!error.message.includes(value));
      return true;
    });
  }
});

Deno.test("a SAS token that has ended is refused before any I/O, and one that ends soon is told", async () => {
  const token = (hours: number) => `?sv=1&se=${new Date(Date.now() + hours * 3_600_000).toISOString()}&sig=secret`;
  await assert.rejects(withCredentials(AZURE, env({ SAS: token(-1) })), (error: RivetError) => {
    assert.equal(error.code, "RIVET_DEST_CREDENTIALS_INVALID");
    return !error.message.includes("secret") && !error.cure.includes("secret");
  });
  for (const [hours, told] of [[0.5, 1], [2, 0]] as const) {
    const ready = await withCredentials(AZURE, env({ SAS: token(hours) }));
    const warnings: string[] = [];
    await using _destination = await openDestination(ready, { onWarning: (message) => warnings.push(message) });
    assert.equal(warnings.length, told);
    if (told === 1) assert.match(warnings[0]!, /^the SAS token ends in (29|30) min$/);
  }
  const endless = await withCredentials(AZURE, env({ SAS: "sv=1&sig=secret" })) as AzureLocation;
  assert.deepEqual(endless.auth, { kind: "sas", token: "sv=1&sig=secret", expiresAtMs: null });
});

Deno.test("a profile is read anew each time, with its region", async () => {
  const folder = await Deno.makeTempDir();
  const files = { AWS_SHARED_CREDENTIALS_FILE: `${folder}/credentials`, AWS_CONFIG_FILE: `${folder}/config` };
  const write = (key: string) =>
    Deno.writeTextFile(files.AWS_SHARED_CREDENTIALS_FILE, `[p]\naws_access_key_id=${key}\naws_secret_access_key=s\n`);
  await Deno.writeTextFile(files.AWS_CONFIG_FILE, "[profile p]\nregion = eu-north-1\n");
  await withEnv(files, async () => {
    const location: S3Location = { ...S3, region: null, auth: { kind: "chain", profile: "p" } };
    for (const key of ["first", "second"]) {
      await write(key);
      const ready = await withCredentials(location, env({})) as S3Location;
      assert.equal(ready.auth.kind === "keys" && ready.auth.accessKeyId, key);
      assert.equal(ready.region, "eu-north-1");
    }
    await assert.rejects(withCredentials({ ...location, auth: { kind: "chain", profile: "nobody" } }, env({})), {
      code: "RIVET_DEST_CREDENTIALS_INVALID",
    });
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a Google token comes from a file named in the config or in the environment", async () => {
  const folder = await Deno.makeTempDir();
  let asked = 0;
  const said: unknown[] = [];
  const { warn } = console;
  console.warn = (...args) => said.push(args);
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () =>
    Response.json({
      access_token: `token-${++asked}`,
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      expires_in: 3600,
    }));
  const path = `${folder}/google.json`;
  await Deno.writeTextFile(`${folder}/subject`, "subject");
  await Deno.writeTextFile(
    path,
    JSON.stringify({
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `http://127.0.0.1:${server.addr.port}/token`,
      credential_source: { file: `${folder}/subject` },
    }),
  );
  const named = await withCredentials({ ...GCS, auth: { kind: "file", path } }, env({})) as GcsLocation;
  assert.equal(named.auth.kind === "token" && named.auth.token, "token-1");
  const found = await withCredentials(GCS, env({ GOOGLE_APPLICATION_CREDENTIALS: path })) as GcsLocation;
  assert.equal(found.auth.kind === "token" && found.auth.token, "token-2");
  await assert.rejects(withCredentials({ ...GCS, auth: { kind: "file", path: `${folder}/none.json` } }, env({})), {
    code: "RIVET_DEST_CREDENTIALS_INVALID",
    where: `${folder}/none.json`,
  });
  await Deno.writeTextFile(
    path,
    JSON.stringify({ type: "service_account", client_email: "a@b", private_key: "no key" }),
  );
  await assert.rejects(withCredentials({ ...GCS, auth: { kind: "file", path } }, env({})), (error: RivetError) => {
    return error.code === "RIVET_DEST_CREDENTIALS_INVALID" && !error.message.includes("no key");
  });
  console.warn = warn;
  assert.deepEqual(said, []);
  await Deno.remove(folder, { recursive: true });
});
