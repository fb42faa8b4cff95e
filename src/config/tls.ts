// How a connection is protected: `source.tls`, or what the URL asks for. No plaintext to another machine unless it is written down.

import { isAbsolute, join } from "node:path";
import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { TlsOptions } from "../source/mod.ts";
import { isLoopback } from "./loopback.ts";
import type { RawSource } from "./shape.ts";
import type { Server } from "./url.ts";

type RawTls = NonNullable<RawSource["tls"]>;

/** Throws RIVET_CONFIG_TLS_VERIFICATION_DOWNGRADE; returns what does nothing. */
export function checkTls(tls: RawTls | undefined, where: (key: string) => string): string[] {
  if (tls === undefined) return [];
  const { mode } = tls;
  const knob = (["accept_invalid_certs", "accept_invalid_hostnames"] as const).find((key) => tls[key] === true);
  if (mode !== undefined && mode !== "disable" && knob !== undefined) {
    throw new RivetError(
      "RIVET_CONFIG_TLS_VERIFICATION_DOWNGRADE",
      `\`tls.${knob}\` takes back what \`tls.mode: ${mode}\` says`,
      { where: where(knob) },
    );
  }
  const resolved = modeOf(tls);
  const idle = [
    resolved === null || resolved === "require" ? "ca_file" : null,
    resolved === "verify-full" ? null : "server_name",
  ].filter((key): key is "ca_file" | "server_name" =>
    key !== null && tls[key as "ca_file" | "server_name"] !== undefined
  );
  return idle.map((key) => `\`tls.${key}\` does nothing with \`mode: ${resolved ?? "disable"}\``);
}

/** Null is plaintext. */
function modeOf(tls: RawTls): TlsOptions["mode"] | null {
  if (tls.mode === "disable") return null;
  return tls.mode ??
    (tls.accept_invalid_certs ? "require" : tls.accept_invalid_hostnames ? "verify-ca" : "verify-full");
}

/** Throws RIVET_SOURCE_TLS_REQUIRED and RIVET_CONFIG_TLS_CA_INVALID. Null is plaintext. */
export async function resolveTls(
  tls: RawTls | undefined,
  server: Server,
  place: { directory: string; where: string },
): Promise<TlsOptions | null> {
  const { host, tlsWanted } = server;
  if (tls === undefined) {
    if (isLoopback(host)) return tlsWanted === null || tlsWanted === "disable" ? null : plain(tlsWanted);
    throw new RivetError("RIVET_SOURCE_TLS_REQUIRED", `'${host}' is another machine, and \`source.tls\` is not set`, {
      where: place.where,
      cure:
        "Add `tls: {mode: verify-full}`, with `ca_file` for a private authority, or accept plaintext with `tls: {mode: disable}`",
    });
  }
  const mode = modeOf(tls);
  if (mode === null) return null;
  const checksChain = mode !== "require";
  return {
    ...plain(mode),
    ca: tls.ca_file === undefined || !checksChain ? null : await readCa(tls.ca_file, place.directory),
    acceptInvalidHostnames: tls.accept_invalid_hostnames === true,
    ...(tls.server_name === undefined || mode !== "verify-full" ? {} : { serverName: tls.server_name }),
  };
}

function plain(mode: TlsOptions["mode"]): TlsOptions {
  return { mode, ca: null, acceptInvalidHostnames: false };
}

async function readCa(file: string, directory: string): Promise<string> {
  const path = isAbsolute(file) ? file : join(directory, file);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new RivetError("RIVET_CONFIG_TLS_CA_INVALID", `The CA file cannot be read: ${describeFileFault(cause)}`, {
      where: path,
      cause,
    });
  }
  if (/-----BEGIN (TRUSTED )?CERTIFICATE-----[^-]+-----END/.test(text)) return text;
  throw new RivetError("RIVET_CONFIG_TLS_CA_INVALID", "The CA file holds no PEM certificate", { where: path });
}
