// The credentials of an S3 location. Named variables are read without the client, which takes a while to load.

import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { RivetError } from "../errors.ts";
import { S3_REGION_DEFAULT, type S3Auth, type S3Location } from "./resolved.ts";
import { readSecret } from "./secret.ts";

/** The SDK tells nothing by itself. */
export const SILENT_LOGGER = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Reads the credentials a location refers to: named variables, or AWS's own chain with its profile. */
export async function withS3Credentials(
  location: S3Location,
  env: (name: string) => string | undefined,
): Promise<S3Location> {
  const { auth } = location;
  switch (auth.kind) {
    case "anonymous":
    case "keys":
      return location;
    case "env": {
      const keys: S3Auth = {
        kind: "keys",
        accessKeyId: readSecret(env, auth.accessKeyEnv),
        secretAccessKey: readSecret(env, auth.secretKeyEnv),
        sessionToken: auth.sessionTokenEnv === null ? null : readSecret(env, auth.sessionTokenEnv),
        expiresAtMs: null,
      };
      return { ...location, auth: keys };
    }
    case "chain":
      return await readChain(location, auth.profile);
    default: {
      const never: never = auth;
      return never;
    }
  }
}

async function readChain(location: S3Location, profile: string | null): Promise<S3Location> {
  const { S3Client } = await import("./s3_sdk.ts");
  // Files are read anew each time: somebody may have renewed them since.
  const chain: S3ClientConfig & { ignoreCache: boolean } = { ignoreCache: true };
  const client = new S3Client({
    ...chain,
    ...(profile === null ? {} : { profile }),
    ...(location.region === null ? {} : { region: location.region }),
    logger: SILENT_LOGGER,
  });
  try {
    const found = await client.config.credentials();
    const region = location.region ?? await client.config.region().catch(() => S3_REGION_DEFAULT);
    const auth: S3Auth = {
      kind: "keys",
      accessKeyId: found.accessKeyId,
      secretAccessKey: found.secretAccessKey,
      sessionToken: found.sessionToken ?? null,
      expiresAtMs: found.expiration?.getTime() ?? null,
    };
    return { ...location, region, auth };
  } catch (cause) {
    throw new RivetError("RIVET_DEST_CREDENTIALS_INVALID", "No AWS credentials were found", {
      where: `s3://${location.bucket}`,
      cure: profile === null
        ? "Set 'access_key_env' and 'secret_key_env', or 'aws_profile', or let the machine's role give them"
        : `Check the profile '${profile}'; 'aws sts get-caller-identity --profile ${profile}' tries it`,
      cause,
    });
  } finally {
    client.destroy();
  }
}
