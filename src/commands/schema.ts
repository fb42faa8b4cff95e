// `rivet schema`: the JSON Schemas of config and plan, and the table of error codes, from the same code that uses them.

import { CODES, exitCodesOf } from "../errors.ts";
import { VERSION } from "../version.ts";
import { type AddCommand, toJson } from "./command.ts";

export const addSchema: AddCommand = (program, context) => {
  const schema = program.command("schema").description("Print a JSON Schema or the table of error codes")
    .addHelpText("after", "\nExample:\n  rivet schema config > rivet.schema.json");
  schema.command("config")
    .description("JSON Schema of rivet.yaml (draft 2020-12)")
    .addHelpText("after", "\nExample:\n  rivet schema config > rivet.schema.json")
    .action(async () => {
      const { buildJsonSchema } = await import("../config/mod.ts");
      context.terminal.out(`${JSON.stringify(buildJsonSchema(VERSION), null, 2)}\n`);
    });
  schema.command("plan")
    .description("JSON Schema of the file that `rivet plan` writes (draft 2020-12)")
    .addHelpText("after", "\nExample:\n  rivet schema plan > rivet-plan.schema.json")
    .action(async () => {
      const { buildArtifactSchema } = await import("../plan/mod.ts");
      context.terminal.out(`${JSON.stringify(buildArtifactSchema(VERSION), null, 2)}\n`);
    });
  schema.command("errors")
    .description("All error codes: kind, exit code, meaning and cure, as a Markdown table")
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  rivet schema errors | less\n  rivet schema errors --json | jq '.RIVET_PLAN_REJECTED'",
    )
    .action((flags) => {
      const rows = Object.entries(CODES).map(([code, { kind, meaning, cure }]) => ({ code, kind, meaning, cure }));
      if (flags.json) {
        const entries = rows.map(({ code, ...row }) => [code, { ...row, exit_codes: exitCodesOf(row.kind) }]);
        return context.terminal.out(toJson(Object.fromEntries(entries)));
      }
      context.terminal.out("| code | kind | meaning | cure |\n|---|---|---|---|\n");
      for (const { code, kind, meaning, cure } of rows) {
        context.terminal.out(`| ${code} | ${kind} | ${meaning} | ${cure} |\n`);
      }
    });
};
