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

interface Fault {
  readonly given: string;
  readonly command?: string;
  readonly exit: number;
  readonly code: string | null;
  readonly message: string | null;
  readonly cure: string | null;
}

/** What the golden tests of wrong configs, inputs and damages saw. */
function faultsPage(): string {
  const golden = new URL("../tests/golden/", import.meta.url);
  const configs = [...Deno.readDirSync(new URL("config", golden))].map(({ name }) => name)
    .filter((name) => name.endsWith(".expected")).sort().flatMap((name): Fault[] => {
      const text = Deno.readTextFileSync(new URL(`config/${name}`, golden)).replaceAll("<folder>/", "");
      const { error } = JSON.parse(text);
      if (error === undefined) return [];
      const given = name.slice(0, -".expected".length).replace(/^bad_/, "").replaceAll("_", " ");
      return [{ given, exit: error.exit_code, code: error.code, message: error.error, cure: error.cure }];
    });
  const faults = JSON.parse(Deno.readTextFileSync(new URL("../tests/cli/faults.json", import.meta.url))) as Fault[];
  const cell = (text: string | null) =>
    (text ?? "–").replaceAll("|", "\\|").replaceAll("<", "\\<").replaceAll("\n", " ");
  const row = ({ given, command, code, message, cure, exit }: Fault, withCommand: boolean) =>
    `| ${cell(given)} |${withCommand ? ` \`${command}\` |` : ""} ${cell(code)} | ${cell(message)} | ${
      cell(cure)
    } | ${exit} |`;
  return [
    "# What goes wrong, and what cures it",
    "",
    "Generated from tests that make each of these mistakes. A wrong config or input is refused before anything is written. After a damage there are",
    "two outcomes: exit 0, and the files equal the source; or a refusal that repeats until its cure is followed. The codes by themselves are in",
    "[reference/errors.md](reference/errors.md).",
    "",
    `## ${configs.length} configs`,
    "",
    "| config | code | what | cure | exit |",
    "|---|---|---|---|---|",
    ...configs.map((fault) => row(fault, false)),
    "",
    `## ${faults.length} inputs and damages`,
    "",
    "| given | command | code | what | cure | exit |",
    "|---|---|---|---|---|---|",
    ...faults.map((fault) => row(fault, true)),
    "",
  ].join("\n");
}

const PAGES: Record<string, () => string> = {
  "docs/errors.md": faultsPage,
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
