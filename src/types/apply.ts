// `columns:` applied to described columns: one entry a column, each checked by the engine that must read it.

import { RivetError } from "../errors.ts";
import type { Fidelity, LogicalType } from "./logical.ts";
import { overrideMssql } from "./mssql.ts";
import { overrideMysql } from "./mysql.ts";
import { overridePostgres } from "./postgres_override.ts";
import { overrideSqlite } from "./sqlite.ts";

/** What an override looks at and changes; the described column of any engine. */
interface Overridable {
  readonly name: string;
  readonly nativeType: string;
  readonly type: LogicalType | null;
  readonly wire: string;
  readonly select: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
}

/** The columns as the config declares them. An entry that names no column, or one that cannot be read so, is refused. */
export function applyOverrides<C extends Overridable>(
  shape: { readonly columns: readonly C[] },
  overrides: Readonly<Record<string, LogicalType>>,
  engine: "postgres" | "mysql" | "mssql" | "sqlite",
): { columns: C[] } {
  const names = new Set(shape.columns.map((column) => column.name));
  for (const name of Object.keys(overrides)) {
    // A qualified entry was checked against the export's table by the config.
    const bare = bareName(name);
    if (!names.has(bare)) throw unknownColumn(bare, [...names]);
  }
  const wanted = new Map(Object.entries(overrides).map(([name, type]) => [bareName(name), type]));
  return {
    columns: shape.columns.map((column) => {
      const type = wanted.get(column.name);
      return type === undefined ? column : override(column, type, engine);
    }),
  };
}

function bareName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function override<C extends Overridable>(
  column: C,
  type: LogicalType,
  engine: "postgres" | "mysql" | "mssql" | "sqlite",
): C {
  switch (engine) {
    case "postgres":
      return overridePostgres(column, type);
    case "mysql":
      return overrideMysql(column, type);
    case "mssql":
      return overrideMssql(column, type);
    case "sqlite":
      return overrideSqlite(column, type);
  }
}

function unknownColumn(name: string, names: readonly string[]): RivetError {
  const close = names.find((known) => known.toLowerCase() === name.toLowerCase());
  if (close !== undefined) {
    return new RivetError(
      "RIVET_CONFIG_COLUMN_OVERRIDE_CASE",
      `\`columns:\` names '${name}', the column is '${close}'`,
      { cure: `Write '${close}'` },
    );
  }
  return new RivetError(
    "RIVET_CONFIG_COLUMN_OVERRIDE_CASE",
    `\`columns:\` names '${name}', which the export does not have`,
    {
      cure: `Choose one of: ${names.join(", ")}`,
    },
  );
}
