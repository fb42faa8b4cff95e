// Command lines that messages tell people to type. Of a parameter only the name: its value may be a secret, and such lines are printed
// and stored.

/** What a command reads: the config as the reader would name it, and the parameters that were given with it. */
export interface CommandPlace {
  readonly path: string;
  readonly parameters: readonly string[];
}

export interface CommandMore {
  readonly exportName?: string | undefined;
  /** What follows, as it is typed. */
  readonly flags?: string;
}

/** `rivet run -c rivet.yaml -e orders -p DAY=… --validate` */
export function commandLine(command: string, { path, parameters }: CommandPlace, more: CommandMore = {}): string {
  const name = more.exportName === undefined ? "" : ` -e ${quoted(more.exportName)}`;
  const flags = more.flags === undefined ? "" : ` ${more.flags}`;
  return `rivet ${command} -c ${quoted(path)}${name}${parameterFlags(parameters)}${flags}`;
}

/** `rivet apply plan.json -p DAY=…` */
export function applyLine(planPath: string, parameters: readonly string[]): string {
  return `rivet apply ${quoted(planPath)}${parameterFlags(parameters)}`;
}

function parameterFlags(parameters: readonly string[]): string {
  return parameters.map((name) => ` -p ${quoted(name)}=…`).join("");
}

/** As a shell takes it for one word. */
function quoted(text: string): string {
  return /^[\p{L}\p{N}_@%+=:,./~-]+$/u.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
