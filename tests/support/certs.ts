// The test certificates: `ca` signed the server's certificate for `localhost`; `otherCa` signed nothing.

function path(name: string): string {
  return new URL(`./certs/${name}`, import.meta.url).pathname;
}

export const CERTS = {
  ca: Deno.readTextFileSync(path("ca.pem")),
  otherCa: Deno.readTextFileSync(path("other_ca.pem")),
  serverCert: Deno.readTextFileSync(path("server.pem")),
  serverKey: Deno.readTextFileSync(path("server.key")),
} as const;
