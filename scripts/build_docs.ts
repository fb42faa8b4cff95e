// Writes the reference pages from the code that they describe; with --check, says whether the committed ones are those.

import { buildConfigReference, buildJsonSchema } from "../src/config/mod.ts";
import { CODES } from "../src/errors.ts";
import { buildArtifactSchema } from "../src/plan/mod.ts";
import { VERSION } from "../src/version.ts";

const EXITS: Record<string, string> = {
  usage: "1",
  environment: "1, or 2 when it may pass by itself",
  busy: "2",
  integrity: "3",
  drift: "4",
  refusal: "5",
  internal: "6",
};

function errorsPage(): string {
  const lines = [
    "# Error codes",
    "",
    "Generated from `src/codes.ts`; `rivet schema errors` prints the table. A failure is printed as `Error: [CODE] what`, `where`, `cure`, and with",
    "`--json-errors` as one JSON object with the same parts.",
    "",
    "| kind | exit |",
    "|---|---|",
    ...Object.entries(EXITS).map(([kind, exit]) => `| ${kind} | ${exit} |`),
    "",
    "| code | kind | meaning | cure |",
    "|---|---|---|---|",
    ...Object.entries(CODES).map(([code, info]) => `| ${code} | ${info.kind} | ${info.meaning} | ${info.cure} |`),
    "",
  ];
  return lines.join("\n");
}

const PAGES: Record<string, () => string> = {
  "docs/reference/config.md": buildConfigReference,
  "docs/reference/errors.md": errorsPage,
  "docs/reference/plan.schema.json": () => `${JSON.stringify(buildArtifactSchema(VERSION), null, 2)}\n`,
  "docs/reference/config.schema.json": () => `${JSON.stringify(buildJsonSchema(VERSION), null, 2)}\n`,
};

const root = new URL("..", import.meta.url);
let stale = 0;
for (const [path, build] of Object.entries(PAGES)) {
  const text = build();
  const url = new URL(path, root);
  const committed = await Deno.readTextFile(url).catch(() => "");
  if (committed === text) continue;
  stale++;
  if (Deno.args.includes("--check")) console.error(`${path} is not what the code says: run \`deno task build:docs\``);
  else await Deno.writeTextFile(url, text);
}
if (Deno.args.includes("--check") && stale > 0) Deno.exit(1);
