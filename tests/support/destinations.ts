// Every kind of destination with a server to talk to, behind one interface, so that one suite can run on all of them.

import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import type { AzureLocation, GcsLocation, ResolvedDestination, S3Location } from "../../src/destination/mod.ts";
import { openAzurite } from "./azurite.ts";
import { startGcsFake } from "./gcs_fake.ts";
import { startS3Fake } from "./s3_fake.ts";
import { openSwift } from "./swift.ts";

/** Small, so that a few megabytes make many blocks; Google takes multiples of this only. */
export const BLOCK = 256 << 10;

/** A server, or a folder, that a test has to itself, or a place of its own in one that all tests share. */
export interface Place extends AsyncDisposable {
  readonly location: ResolvedDestination;
  /** The server's port; null for a folder. */
  readonly port: number | null;
  /** The same place, reached through another port. */
  through(port: number): ResolvedDestination;
  /** A bucket or container that does not exist; null for a folder. */
  readonly missing: ResolvedDestination | null;
  /** The same place with credentials that do not fit. */
  readonly rejected: ResolvedDestination | null;
  /** Whether the server calls that by its name; an emulator may only deny. */
  readonly namesRejection: boolean;
  /** Uploads begun and neither finished nor aborted; null when the store tells nobody. */
  openUploads(): Promise<number> | null;
  /** Blobs of which only blocks exist: what a killed process leaves where an upload has no end of its own. */
  uncommitted?(): Promise<number>;
}

export interface Backend {
  readonly name: string;
  readonly open: () => Promise<Place>;
}

/** Those that can run here. The second list names those that cannot. */
export async function openBackends(): Promise<{ backends: Backend[]; absent: string[]; close: () => Promise<void> }> {
  const [swift, azurite] = await Promise.all([openSwift(), openAzurite([CONTAINER])]);
  const backends: Backend[] = [
    { name: "local", open: openLocalPlace },
    { name: "s3 fake", open: () => Promise.resolve(openS3FakePlace(true)) },
    { name: "s3 fake without checksums", open: () => Promise.resolve(openS3FakePlace(false)) },
    { name: "gcs fake", open: () => Promise.resolve(openGcsFakePlace()) },
  ];
  if (swift !== null) {
    await createBucket(swiftLocation(swift.port, ""));
    backends.push({ name: "swift", open: () => Promise.resolve(openSwiftPlace(swift.port)) });
  }
  if (azurite !== null) backends.push({ name: "azurite", open: () => Promise.resolve(openAzuritePlace(azurite)) });
  const absent = [...(swift === null ? ["swift"] : []), ...(azurite === null ? ["azurite"] : [])];
  return {
    backends,
    absent,
    close: async () => {
      await swift?.[Symbol.asyncDispose]();
      await azurite?.[Symbol.asyncDispose]();
    },
  };
}

/** A container with more than letters, and a prefix with what a URL must escape. */
const CONTAINER = "rivet-tests";

function newPrefix(): string {
  return `ä b+c/${crypto.randomUUID()}/`;
}

async function openLocalPlace(): Promise<Place> {
  const folder = await Deno.makeTempDir({ prefix: "rivet-destination-" });
  const location: ResolvedDestination = { kind: "local", path: `${folder}/ä b+c/orders` };
  return {
    location,
    port: null,
    through: () => location,
    missing: null,
    rejected: null,
    namesRejection: false,
    openUploads: () => Promise.resolve(countTemporary(folder)),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

function countTemporary(folder: string): number {
  let count = 0;
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) count += countTemporary(`${folder}/${name}`);
    else if (name.endsWith(".tmp")) count++;
  }
  return count;
}

const FAKE_KEYS = { accessKeyId: "AKIA", secretAccessKey: "a/secret+key" };

export function s3Location(port: number, keys: { accessKeyId: string; secretAccessKey: string }): S3Location {
  return {
    kind: "s3",
    bucket: CONTAINER,
    prefix: newPrefix(),
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${port}`,
    oneshotBudgetMb: 64,
    auth: { kind: "keys", ...keys, sessionToken: null, expiresAtMs: null },
  };
}

function s3LocationOf(location: S3Location, keys: { accessKeyId: string; secretAccessKey: string }): S3Location {
  return { ...location, auth: { kind: "keys", ...keys, sessionToken: null, expiresAtMs: null } };
}

function openS3FakePlace(checksums: boolean): Place {
  const fake = startS3Fake({
    buckets: [CONTAINER],
    checksums,
    accounts: new Map([[FAKE_KEYS.accessKeyId, { secret: FAKE_KEYS.secretAccessKey }]]),
  });
  const place = s3Place(s3Location(fake.port, FAKE_KEYS), fake.port);
  return {
    ...place,
    openUploads: () => Promise.resolve(fake.uploads.size),
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

function s3Place(location: S3Location, port: number): Place {
  return {
    location,
    port,
    through: (port) => ({ ...location, endpoint: `http://127.0.0.1:${port}` }),
    missing: { ...location, bucket: "nobodys" },
    rejected: s3LocationOf(location, { ...keysOf(location), secretAccessKey: "no" }),
    namesRejection: true,
    openUploads: () => null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function swiftLocation(port: number, prefix: string): S3Location {
  return { ...s3Location(port, { accessKeyId: "test:tester", secretAccessKey: "testing" }), prefix };
}

function openSwiftPlace(port: number): Place {
  const location = swiftLocation(port, newPrefix());
  return {
    ...s3Place(location, port),
    openUploads: () =>
      withS3Client(location, async (client) => {
        const { Uploads } = await client.send(
          new ListMultipartUploadsCommand({ Bucket: location.bucket, Prefix: location.prefix }),
        );
        return Uploads?.length ?? 0;
      }),
  };
}

async function createBucket(location: S3Location): Promise<void> {
  await withS3Client(location, (client) => client.send(new CreateBucketCommand({ Bucket: location.bucket })));
}

async function withS3Client<T>(location: S3Location, ask: (client: S3Client) => Promise<T>): Promise<T> {
  const client = new S3Client({
    region: "us-east-1",
    endpoint: location.endpoint!,
    forcePathStyle: true,
    credentials: keysOf(location),
    requestChecksumCalculation: "WHEN_REQUIRED",
  });
  try {
    return await ask(client);
  } finally {
    client.destroy();
  }
}

function keysOf({ auth }: S3Location): { accessKeyId: string; secretAccessKey: string } {
  if (auth.kind !== "keys") throw new Error(`Expected keys, got '${auth.kind}'`);
  return { accessKeyId: auth.accessKeyId, secretAccessKey: auth.secretAccessKey };
}

export function gcsLocation(port: number, token: string): GcsLocation {
  return {
    kind: "gcs",
    bucket: CONTAINER,
    prefix: newPrefix(),
    endpoint: `http://127.0.0.1:${port}`,
    oneshotBudgetMb: 64,
    auth: { kind: "token", token, expiresAtMs: null },
  };
}

function openGcsFakePlace(): Place {
  const fake = startGcsFake({ buckets: [CONTAINER], tokens: new Set(["good"]) });
  const location = gcsLocation(fake.port, "good");
  return {
    location,
    port: fake.port,
    through: (port) => ({ ...location, endpoint: `http://127.0.0.1:${port}` }),
    missing: { ...location, bucket: "nobodys" },
    rejected: { ...location, auth: { kind: "token", token: "bad", expiresAtMs: null } },
    namesRejection: true,
    openUploads: () => null,
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

function openAzuritePlace(
  { port, accountName, accountKey }: { port: number; accountName: string; accountKey: string },
): Place {
  const location: AzureLocation = {
    kind: "azure",
    container: CONTAINER,
    prefix: newPrefix(),
    endpoint: `http://127.0.0.1:${port}/${accountName}`,
    oneshotBudgetMb: 64,
    accountName,
    auth: { kind: "key", key: accountKey },
  };
  return {
    location,
    port,
    through: (port) => ({ ...location, endpoint: `http://127.0.0.1:${port}/${accountName}` }),
    missing: { ...location, container: "nobodys" },
    rejected: { ...location, auth: { kind: "key", key: btoa("no") } },
    namesRejection: false,
    openUploads: () => null,
    uncommitted: async () => {
      const credential = new StorageSharedKeyCredential(accountName, accountKey);
      const container = new ContainerClient(`${location.endpoint}/${CONTAINER}`, credential);
      const { prefix } = location;
      const keysOf = async (includeUncommitedBlobs: boolean) =>
        new Set(
          (await Array.fromAsync(container.listBlobsFlat({ prefix, includeUncommitedBlobs }))).map(({ name }) => name),
        );
      return (await keysOf(true)).difference(await keysOf(false)).size;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
