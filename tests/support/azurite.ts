// Azurite, Microsoft's own emulator of Azure Blob Storage, from npm under Deno. It has a lock of its own, so that nobody else installs it.

import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { startDaemon, untilListening, withFreePort } from "./daemon.ts";

export interface Azurite extends AsyncDisposable {
  readonly port: number;
  readonly accountName: string;
  readonly accountKey: string;
}

const CONFIG = new URL("./azurite/deno.json", import.meta.url).pathname;
const ACCOUNT = "devstoreaccount1";

/** Null when the package cannot be had, as without a network; in CI that is an error. */
export async function openAzurite(containers: readonly string[]): Promise<Azurite | null> {
  try {
    return await withFreePort((port) => startAzurite(port, containers));
  } catch (error) {
    if (Deno.env.get("CI") === "true") throw error;
    return null;
  }
}

async function startAzurite(port: number, containers: readonly string[]): Promise<Azurite> {
  // The emulator's account is what this run says it is, so that no key stands in a file.
  const accountKey = btoa(crypto.randomUUID() + crypto.randomUUID());
  const args = [
    "run",
    "-A",
    "-q",
    "--config",
    CONFIG,
    "npm:azurite@3.36.0/azurite-blob",
    "--silent",
    "--disableTelemetry",
    "--skipApiVersionCheck",
    "--inMemoryPersistence",
    "--blobHost",
    "127.0.0.1",
    "--blobPort",
    String(port),
  ];
  const home = await Deno.makeTempDir({ prefix: "rivet-azurite-" });
  const env = { AZURITE_ACCOUNTS: `${ACCOUNT}:${accountKey}`, NO_COLOR: "1" };
  const daemon = startDaemon(Deno.execPath(), args, { cwd: home, home, env });
  try {
    await untilListening(port, daemon);
    for (const name of containers) {
      const credential = new StorageSharedKeyCredential(ACCOUNT, accountKey);
      await new ContainerClient(`http://127.0.0.1:${port}/${ACCOUNT}/${name}`, credential).create();
    }
  } catch (error) {
    await daemon.close();
    throw error;
  }
  return { port, accountName: ACCOUNT, accountKey, [Symbol.asyncDispose]: () => daemon.close() };
}
