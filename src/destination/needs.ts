// What the program around the lanes needs for a destination: the store, and where its credentials are read. Pure; for `--allow-…` lists
// used together with `--ignore-env`, which hides every other variable from the clients.

import { destinationHosts, type ResolvedDestination, S3_REGION_DEFAULT } from "./resolved.ts";

export interface DestinationNeeds {
  /** `host:port` */
  readonly net: readonly string[];
  readonly env: readonly string[];
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly sys: readonly "osRelease"[];
}

/** The addresses of a machine's and a container's role. */
const AWS_ROLE_HOSTS = ["169.254.169.254:80", "169.254.170.2:80", "169.254.170.23:80"];
const GOOGLE_ROLE_HOSTS = ["169.254.169.254:80", "metadata.google.internal:80", "metadata.google.internal.:80"];
const GOOGLE_TOKEN_HOSTS = [
  "oauth2.googleapis.com:443",
  "www.googleapis.com:443",
  "sts.googleapis.com:443",
  "iamcredentials.googleapis.com:443",
];

/** `home` is the user's folder, where AWS and Google keep profiles. */
export function destinationNeeds(resolved: ResolvedDestination, home: string): DestinationNeeds {
  const store: DestinationNeeds = { net: destinationHosts(resolved), env: [], read: [], write: [], sys: [] };
  switch (resolved.kind) {
    case "stdout":
      return store;
    case "local":
      return { ...store, read: [resolved.path], write: [resolved.path] };
    case "s3": {
      const { auth } = resolved;
      // The client looks for a profile's other settings even when it is given keys.
      const own = { ...store, env: ["HOME"], read: [`${home}/.aws`] };
      if (auth.kind === "env") {
        const names = [auth.accessKeyEnv, auth.secretKeyEnv, auth.sessionTokenEnv].filter((name) => name !== null);
        return { ...own, env: [...own.env, ...names] };
      }
      if (auth.kind !== "chain") return own;
      const region = resolved.region ?? S3_REGION_DEFAULT;
      const net = [...store.net, `sts.${region}.amazonaws.com:443`, ...AWS_ROLE_HOSTS];
      return { ...own, net, env: [...own.env, "AWS_*"] };
    }
    case "gcs": {
      const { auth } = resolved;
      const net = [...store.net, ...GOOGLE_TOKEN_HOSTS];
      if (auth.kind === "file") return { ...store, net, read: [auth.path] };
      if (auth.kind !== "chain") return store;
      return {
        ...store,
        net: [...net, ...GOOGLE_ROLE_HOSTS],
        env: ["GOOGLE_APPLICATION_CREDENTIALS", "HOME"],
        read: [`${home}/.config/gcloud`],
      };
    }
    case "azure": {
      const { auth } = resolved;
      const env = auth.kind === "key_env" || auth.kind === "sas_env" ? [auth.name] : [];
      return { ...store, env, sys: ["osRelease"] };
    }
    default: {
      const never: never = resolved;
      return never;
    }
  }
}
