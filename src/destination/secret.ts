// Secrets from named environment variables. A value never becomes part of a message.

import { RivetError } from "../errors.ts";
import { rememberSecret } from "../redact.ts";

/** The value of a named variable. Throws RIVET_CONFIG_SECRET_UNSET. */
export function readSecret(env: (name: string) => string | undefined, name: string): string {
  const value = env(name);
  if (value !== undefined && value !== "") {
    rememberSecret(value);
    return value;
  }
  throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `The environment variable '${name}' is not set`, {
    where: "destination",
    cure: `Set '${name}'`,
  });
}
