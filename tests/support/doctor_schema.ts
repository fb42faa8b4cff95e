// The shape of `rivet doctor --json`. Strict: a new or a missing key must show.

import { z } from "zod";

const CHECK = z.strictObject({
  name: z.string().min(1),
  ok: z.boolean(),
  status: z.enum(["ok", "warn", "fail"]),
  detail: z.string().min(1),
  hint: z.string().min(1).nullable(),
  code: z.string().regex(/^RIVET_[A-Z_]+$/).nullable(),
}).refine(({ ok, status, code }) => ok === (status !== "fail") && (code === null) === ok);

export const DOCTOR_REPORT = z.strictObject({
  config_path: z.string(),
  all_ok: z.boolean(),
  checks: z.array(CHECK).min(1),
}).refine(({ all_ok, checks }) => all_ok === checks.every(({ ok }) => ok));

export type DoctorReport = z.infer<typeof DOCTOR_REPORT>;

export function parseDoctor(stdout: string): DoctorReport {
  return DOCTOR_REPORT.parse(JSON.parse(stdout));
}

/** `name: status` of every check. */
export function statuses(report: DoctorReport): string[] {
  return report.checks.map(({ name, status }) => `${name}: ${status}`);
}
