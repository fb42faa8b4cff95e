// Google access tokens. A lane gets a token, never a key; this runs in the parent only.

import { GoogleAuth } from "google-auth-library";
import { RivetError } from "../errors.ts";
import type { GcsLocation } from "./resolved.ts";

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";

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
