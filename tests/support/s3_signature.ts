// Checks an AWS signature version 4 the way a server does: from the request as it arrived.

import { createHash, createHmac } from "node:crypto";

export interface SignedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
}

const HEADER =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;

/** The access key a request is signed with, or null when it is not signed. */
export function accessKeyOf(headers: Headers): string | null {
  return HEADER.exec(headers.get("authorization") ?? "")?.[1] ?? null;
}

/** Whether the signature fits the request and the secret. */
export function isSigned(request: SignedRequest, secret: string): boolean {
  const match = HEADER.exec(request.headers.get("authorization") ?? "");
  if (match === null) return false;
  const [, , day, region, signedHeaders, signature] = match as unknown as string[];
  const names = signedHeaders!.split(";");
  const canonical = [
    request.method,
    request.url.pathname.split("/").map((s) => encode(decodeURIComponent(s))).join("/"),
    [...request.url.searchParams].map(([k, v]) => `${encode(k)}=${encode(v)}`).sort().join("&"),
    ...names.map((name) => `${name}:${(request.headers.get(name) ?? "").trim().replace(/ +/g, " ")}`),
    "",
    signedHeaders,
    request.headers.get("x-amz-content-sha256") ?? "",
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", request.headers.get("x-amz-date"), scope, sha256(canonical)].join("\n");
  const key = [day!, region!, "s3", "aws4_request"].reduce<string | Uint8Array>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    `AWS4${secret}`,
  );
  return createHmac("sha256", key).update(text).digest("hex") === signature;
}

/** Seconds between the request's time and `nowMs`. */
export function skewSeconds(headers: Headers, nowMs: number): number {
  const text = headers.get("x-amz-date") ?? "";
  const iso = text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  return Math.abs(Date.parse(iso) - nowMs) / 1000;
}

export function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
