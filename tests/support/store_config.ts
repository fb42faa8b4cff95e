// A place in a store as a config file names it, with what it needs to sign in.

import assert from "node:assert/strict";
import type { AzureLocation, ResolvedDestination } from "../../src/destination/mod.ts";
import { join } from "./files.ts";

/** The place as a config names it, and the variables that hold its secrets. */
export function describePlace(
  location: ResolvedDestination,
  folder: string,
): { yaml: string; env: Record<string, string> } {
  switch (location.kind) {
    case "s3": {
      const { auth, bucket, prefix, endpoint } = location;
      assert.ok(auth.kind === "keys");
      const yaml = {
        type: "s3",
        bucket,
        prefix,
        endpoint,
        region: "us-east-1",
        access_key_env: "K",
        secret_key_env: "S",
      };
      return { yaml: JSON.stringify(yaml), env: { K: auth.accessKeyId, S: auth.secretAccessKey } };
    }
    case "gcs": {
      const { bucket, prefix, endpoint } = location;
      const credentials_file = join(folder, "google.json");
      return { yaml: JSON.stringify({ type: "gcs", bucket, prefix, endpoint, credentials_file }), env: {} };
    }
    case "azure": {
      const { container, prefix, endpoint, accountName, auth } = location as AzureLocation;
      assert.ok(auth.kind === "key");
      const yaml = {
        type: "azure",
        bucket: container,
        prefix,
        endpoint,
        account_name: accountName,
        account_key_env: "K",
      };
      return { yaml: JSON.stringify(yaml), env: { K: auth.key } };
    }
    default:
      return assert.fail(location.kind);
  }
}

/** Tokens as from an identity provider, and the credentials file that asks for them. */
export async function startTokens(folder: string): Promise<Deno.HttpServer<Deno.NetAddr>> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () =>
    Response.json({
      access_token: "good",
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      expires_in: 3600,
    }));
  await Deno.writeTextFile(join(folder, "subject"), "subject");
  const credentials = {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `http://127.0.0.1:${server.addr.port}/token`,
    credential_source: { file: join(folder, "subject") },
  };
  await Deno.writeTextFile(join(folder, "google.json"), JSON.stringify(credentials));
  return server;
}
