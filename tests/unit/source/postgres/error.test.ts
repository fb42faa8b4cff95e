// What PostgreSQL and the system say, and how often it may be tried again.

import assert from "node:assert/strict";
import type { RetryClass } from "../../../../src/errors.ts";
import {
  isServerError,
  translateDial,
  translateLogin,
  translateServer,
  translateTls,
} from "../../../../src/source/postgres/error.ts";

const never = new AbortController().signal;

const SERVER: [state: string, severity: string, code: string, retry: RetryClass][] = [
  ["42P01", "ERROR", "RIVET_SOURCE_TABLE_NOT_FOUND", "never"],
  ["42703", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "never"],
  ["42501", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "never"],
  ["22012", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "never"],
  ["XX000", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "never"],
  ["57014", "ERROR", "RIVET_SOURCE_STATEMENT_TIMEOUT", "never"],
  ["25P04", "FATAL", "RIVET_SOURCE_STATEMENT_TIMEOUT", "never"],
  ["55P03", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  ["40001", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  ["40001", "FATAL", "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  ["40P01", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  ["53200", "ERROR", "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  ["57P01", "FATAL", "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  ["57P03", "FATAL", "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  ["25P03", "FATAL", "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  ["08006", "FATAL", "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
];

Deno.test("each SQLSTATE has its code and its class of retry", () => {
  for (const [code, severity, expected, retry] of SERVER) {
    const error = translateServer({ code, severity, message: "What happened." }, "host:5432/db");
    assert.deepEqual([error.code, error.retry], [expected, retry], `${severity} ${code}`);
    assert.ok(error.message.includes(code) && !error.message.includes(". "), error.message);
    assert.equal(error.where, "host:5432/db");
  }
});

Deno.test("the text of an error never decides what it means", () => {
  const tempting = "connection reset: timeout, deadlock detected, too many connections";
  const error = translateServer({ code: "22023", message: tempting }, "w");
  assert.deepEqual([error.code, error.retry], ["RIVET_SOURCE_QUERY_FAILED", "never"]);
  const dial = translateDial(new Error(tempting), "w", never);
  assert.equal(dial.retry, "never");
});

Deno.test("a busy server may be asked again later, a refused password may not", () => {
  for (const code of ["53300", "57P03"]) {
    const error = translateLogin({ code, message: "busy" }, "w");
    assert.equal(error.retry, "reconnect");
    assert.ok(error.retryDelayMs >= 10_000);
  }
  for (const code of ["28P01", "28000", "3D000", "42501"]) {
    assert.equal(translateLogin({ code, message: "no" }, "w").retry, "never");
  }
});

Deno.test("a certificate that is refused sends to ca_file where none was given", () => {
  const error = new Deno.errors.InvalidData("UnknownIssuer");
  assert.match(translateTls(error, "w", never, false).cure, /^Name .* `source\.tls\.ca_file`/);
  assert.match(translateTls(error, "w", never, true).cure, /^Compare `source\.tls\.ca_file`/);
});

Deno.test("codes of the system are no SQLSTATE", () => {
  for (const code of ["EPIPE", "ECONNRESET", "ERR_X", "28P0", "28P012", "abcde"]) {
    assert.equal(isServerError(Object.assign(new Error("x"), { code })), false, code);
  }
  for (const code of ["28P01", "00000", "XX000", "P0001", "HV000"]) {
    assert.equal(isServerError(Object.assign(new Error("x"), { code })), true, code);
  }
  for (const value of [null, undefined, "28P01", { code: 28000 }]) assert.equal(isServerError(value), false);
});

Deno.test("a network that fails may be tried again, a certificate that is refused may not", () => {
  const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  assert.equal(translateDial(refused, "w", never).retry, "reconnect");
  assert.equal(translateTls(new Deno.errors.InvalidData("UnknownIssuer"), "w", never, true).retry, "never");
  assert.equal(translateTls(new Deno.errors.UnexpectedEof("eof"), "w", never, true).retry, "reconnect");
  assert.equal(translateDial(new Error("x"), "w", AbortSignal.abort()).retry, "reconnect");
  const files = Object.assign(new Error("too many"), { code: "EMFILE" });
  assert.equal(translateDial(files, "w", never).code, "RIVET_SOURCE_RUNTIME_UNAVAILABLE");
});
