// Google access tokens. A lane gets a token, never a key; this runs in the parent only.

import {
  type AuthClient,
  AwsClient,
  type AwsClientOptions,
  GoogleAuth,
  IdentityPoolClient,
  type IdentityPoolClientOptions,
  JWT,
  PluggableAuthClient,
  type PluggableAuthClientOptions,
  UserRefreshClient,
} from "google-auth-library";
import { RivetError } from "../errors.ts";
import type { GcsLocation } from "./resolved.ts";

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";

/** Gets an access token: from a credentials file of any type Google knows, or by Google's own search. */
export async function withGcsCredentials(
  location: GcsLocation,
  env: (name: string) => string | undefined,
): Promise<GcsLocation> {
  const { auth } = location;
  if (auth.kind === "anonymous" || auth.kind === "token") return location;
  const file = auth.kind === "file" ? auth.path : null;
  try {
    const client = file === null ? await searchClient(env) : await readClient(file);
    const { token } = await client.getAccessToken();
    if (token === null || token === undefined) throw new Error("no token");
    return { ...location, auth: { kind: "token", token, expiresAtMs: client.credentials.expiry_date ?? null } };
  } catch (cause) {
    throw new RivetError("RIVET_DEST_CREDENTIALS_INVALID", "No Google access token could be had", {
      where: file ?? `gs://${location.bucket}`,
      cure: file === null
        ? "Set 'credentials_file' or GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth application-default login'"
        : "Check that the file is a current key or an external account configuration",
      cause,
    });
  }
}

/** The environment's file, the one gcloud keeps, or the machine's own account. */
async function searchClient(env: (name: string) => string | undefined): Promise<AuthClient> {
  const named = env("GOOGLE_APPLICATION_CREDENTIALS");
  if (named !== undefined && named !== "") return await readClient(named);
  return await new GoogleAuth({ scopes: [SCOPE], projectId: "rivet" }).getClient();
}

/** What a credentials file may hold, by its `type`. */
interface CredentialsFile {
  readonly type?: string;
  readonly client_email?: string;
  readonly private_key?: string;
  readonly private_key_id?: string;
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly refresh_token?: string;
  readonly credential_source?: { readonly environment_id?: string; readonly executable?: unknown };
}

/** Makes the client that the type asks for: Google's own reader warns on stderr about every file it reads. */
async function readClient(path: string): Promise<AuthClient> {
  const json = JSON.parse(await Deno.readTextFile(path)) as CredentialsFile;
  switch (json.type) {
    case "service_account":
      return new JWT({
        email: json.client_email ?? "",
        key: json.private_key ?? "",
        keyId: json.private_key_id ?? "",
        scopes: [SCOPE],
      });
    case "authorized_user":
      return new UserRefreshClient({
        clientId: json.client_id ?? "",
        clientSecret: json.client_secret ?? "",
        refreshToken: json.refresh_token ?? "",
      });
    case "external_account": {
      const client = openExternal(json);
      client.scopes = [SCOPE];
      return client;
    }
    default:
      return await new GoogleAuth({ scopes: [SCOPE], projectId: "rivet", keyFile: path }).getClient();
  }
}

function openExternal(json: CredentialsFile): AwsClient | PluggableAuthClient | IdentityPoolClient {
  const source = json.credential_source;
  if (source?.environment_id !== undefined) return new AwsClient(json as unknown as AwsClientOptions);
  if (source?.executable !== undefined) return new PluggableAuthClient(json as unknown as PluggableAuthClientOptions);
  return new IdentityPoolClient(json as unknown as IdentityPoolClientOptions);
}
