// The Google Cloud Storage client as rivet sets it up, and the access token it is given. A lane gets a token, never a key.

import { IdempotencyStrategy, Storage } from "@google-cloud/storage";
import { GoogleAuth, OAuth2Client, PassThroughClient } from "google-auth-library";
import { RivetError } from "../errors.ts";
import { GCS_ENDPOINT, type GcsAuth, type GcsLocation } from "./resolved.ts";

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";

export const GCS_RETRIES = 5;
const RETRY_DELAY_S_MAX = 10;
const RETRY_TOTAL_S = 120;

export function connectGcs(location: GcsLocation): Storage {
  return new Storage({
    apiEndpoint: location.endpoint ?? GCS_ENDPOINT,
    // Asked for only when a bucket is made, which rivet never does.
    projectId: "rivet",
    authClient: toClient(location.auth),
    useAuthWithCustomEndpoint: location.auth.kind !== "anonymous",
    retryOptions: {
      autoRetry: true,
      maxRetries: GCS_RETRIES,
      maxRetryDelay: RETRY_DELAY_S_MAX,
      totalTimeout: RETRY_TOTAL_S,
      // An object put again under its key is the same object: every call here may be repeated.
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
    },
  });
}

function toClient(auth: GcsAuth): OAuth2Client | PassThroughClient {
  switch (auth.kind) {
    case "anonymous":
      return new PassThroughClient();
    case "token": {
      const client = new OAuth2Client();
      client.setCredentials({ access_token: auth.token });
      return client;
    }
    case "file":
    case "chain":
      throw new RivetError("RIVET_INTERNAL_DEST_INVARIANT", "A GCS client was made before its credentials were read");
    default: {
      const never: never = auth;
      return never;
    }
  }
}

/** Gets an access token: from a credentials file of any type Google knows, or by Google's own search. */
export async function withGcsCredentials(location: GcsLocation): Promise<GcsLocation> {
  const { auth } = location;
  if (auth.kind === "anonymous" || auth.kind === "token") return location;
  const file = auth.kind === "file" ? auth.path : null;
  try {
    const google = new GoogleAuth({ scopes: [SCOPE], ...(file === null ? {} : { keyFile: file }) });
    const client = await google.getClient();
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
