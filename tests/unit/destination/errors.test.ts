// What the stores' codes mean. By code and status, never by text.

import assert from "node:assert/strict";
import type { RivetError } from "../../../src/errors.ts";
import { toAzureError } from "../../../src/destination/azure_error.ts";
import { toS3Error } from "../../../src/destination/s3_error.ts";

type Row = readonly [code: string, status: number, expected: string, retry: string];

const S3: Row[] = [
  ["InvalidAccessKeyId", 403, "RIVET_DEST_CREDENTIALS_INVALID", "never"],
  ["SignatureDoesNotMatch", 403, "RIVET_DEST_CREDENTIALS_INVALID", "never"],
  ["ExpiredToken", 400, "RIVET_DEST_CREDENTIALS_INVALID", "never"],
  ["RequestTimeTooSkewed", 403, "RIVET_DEST_CREDENTIALS_INVALID", "never"],
  ["AccessDenied", 403, "RIVET_DEST_WRITE_FAILED", "never"],
  ["NoSuchBucket", 404, "RIVET_DEST_CONTAINER_NOT_FOUND", "never"],
  ["PermanentRedirect", 301, "RIVET_DEST_WRITE_FAILED", "never"],
  ["BadDigest", 400, "RIVET_DEST_UPLOAD_CORRUPTED", "destination"],
  ["SlowDown", 503, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["InternalError", 500, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["SomethingNew", 503, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["SomethingNew", 418, "RIVET_DEST_WRITE_FAILED", "never"],
  ["ECONNRESET", 0, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["ENOTFOUND", 0, "RIVET_DEST_WRITE_FAILED", "never"],
  ["TimeoutError", 0, "RIVET_DEST_WRITE_FAILED", "destination"],
];

Deno.test("S3's codes have their meaning", () => {
  for (const [code, status, expected, retry] of S3) {
    const error = Object.assign(new Error("text that says AccessDenied, timeout and 503"), {
      name: code,
      $metadata: { httpStatusCode: status },
    });
    const translated = toS3Error(error, "write", "s3://b/k", "s3:PutObject") as RivetError;
    assert.deepEqual([translated.code, translated.retry], [expected, retry], code);
    assert.ok(translated.message.includes(code));
    assert.ok(translated.cure.length > 0);
  }
});

const AZURE: Row[] = [
  ["AuthenticationFailed", 403, "RIVET_DEST_CREDENTIALS_INVALID", "never"],
  ["AuthorizationFailure", 403, "RIVET_DEST_WRITE_FAILED", "never"],
  ["AuthorizationPermissionMismatch", 403, "RIVET_DEST_WRITE_FAILED", "never"],
  ["ContainerNotFound", 404, "RIVET_DEST_CONTAINER_NOT_FOUND", "never"],
  ["Md5Mismatch", 400, "RIVET_DEST_UPLOAD_CORRUPTED", "destination"],
  ["InvalidBlockList", 400, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["ServerBusy", 503, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["OperationTimedOut", 500, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["LeaseIdMissing", 412, "RIVET_DEST_WRITE_FAILED", "never"],
  ["SomethingNew", 500, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["SomethingNew", 418, "RIVET_DEST_WRITE_FAILED", "never"],
  ["REQUEST_SEND_ERROR", 0, "RIVET_DEST_WRITE_FAILED", "destination"],
  ["ENOTFOUND", 0, "RIVET_DEST_WRITE_FAILED", "never"],
];

Deno.test("Azure's codes have their meaning", () => {
  for (const [code, statusCode, expected, retry] of AZURE) {
    const error = Object.assign(new Error("text that says ServerBusy and timeout"), { code, statusCode });
    const translated = toAzureError(error, "write", "azure://a/c/k", "write") as RivetError;
    assert.deepEqual([translated.code, translated.retry], [expected, retry], code);
  }
});

Deno.test("our own errors and aborts are not translated", () => {
  const abort = new DOMException("stop", "AbortError");
  for (const translate of [toS3Error, toAzureError]) {
    assert.equal(translate(abort, "write", "", ""), abort);
    assert.equal(translate("text", "write", "", ""), "text");
  }
});
