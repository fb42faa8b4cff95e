// `rivet schema`: the JSON Schemas of config and plan, and the table of error codes, from the same code that uses them.

import { CODES } from "../errors.ts";
import { VERSION } from "../version.ts";
import type { AddCommand } from "./command.ts";

export const addSchema: AddCommand = (program, context) => {
  const schema = program.command("schema").description("Print a JSON Schema or the table of error codes");
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
    .description("all error codes as a Markdown table")
    .addHelpText("after", "\nExample:\n  rivet schema errors | less")
    .action(() => {
      context.terminal.out("| code | kind | meaning | cure |\n|---|---|---|---|\n");
      for (const [code, info] of Object.entries(CODES)) {
        context.terminal.out(`| ${code} | ${info.kind} | ${info.meaning} | ${info.cure} |\n`);
      }
    });
};
