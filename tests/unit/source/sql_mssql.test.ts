// T-SQL literals: compared by the column's own rules, whatever its type and collation.

import assert from "node:assert/strict";
import { buildLiteral, type KeyColumn, textExpression } from "../../../src/source/mod.ts";
import type { LogicalType } from "../../../src/types/mod.ts";

const column = (nativeType: string, type: LogicalType): KeyColumn => ({
  names: ["k"],
  type,
  nativeType,
  notNull: true,
});
const TEXT: LogicalType = { kind: "string" };
const MOMENT: LogicalType = { kind: "timestamp", unit: "us", utc: false };

Deno.test("a varchar is never compared with a national literal", () => {
  const ascii = buildLiteral("mssql", "O'Neil-1", column("varchar(20)", TEXT));
  assert.equal(ascii, "'O''Neil-1'");
  assert.equal(buildLiteral("mssql", "É", column("varchar(20)", TEXT)), "CAST(N'É' AS varchar(8000))");
  assert.equal(
    buildLiteral("mssql", "日", column("varchar(20) COLLATE Japanese_CI_AS", TEXT)),
    "CAST(N'日' COLLATE Japanese_CI_AS AS varchar(8000))",
  );
  assert.equal(buildLiteral("mssql", "É", column("nvarchar(20)", TEXT)), "N'É'");
  assert.equal(buildLiteral("mssql", "E", column("nvarchar(20)", TEXT)), "'E'");
});

Deno.test("a datetime is compared with a datetime, everything finer with its own precision", () => {
  const value = "2026-01-01T00:00:00.003000";
  assert.equal(
    buildLiteral("mssql", value, column("datetime", MOMENT)),
    `CAST(CAST('${value}' AS datetime2(7)) AS datetime)`,
  );
  assert.equal(buildLiteral("mssql", value, column("datetime2(3)", MOMENT)), `CAST('${value}' AS datetime2(7))`);
  const instant: LogicalType = { kind: "timestamp", unit: "ns", utc: true };
  assert.equal(
    buildLiteral("mssql", "2026-01-01T00:00:00.123456700Z", column("datetimeoffset(7)", instant)),
    "CAST('2026-01-01T00:00:00.1234567Z' AS datetimeoffset(7))",
  );
  assert.equal(
    buildLiteral("mssql", "12:34:56.123456700", column("time(7)", { kind: "time", unit: "ns" })),
    "CAST('12:34:56.1234567' AS time(7))",
  );
  assert.equal(buildLiteral("mssql", "2026-01-01", column("date", { kind: "date" })), "CAST('2026-01-01' AS date)");
});

Deno.test("numbers and bytes are literals of their own", () => {
  const decimal: LogicalType = { kind: "decimal", precision: 38, scale: 2 };
  assert.equal(buildLiteral("mssql", "-123.45", column("decimal(38,2)", decimal)), "-123.45");
  assert.equal(buildLiteral("mssql", "5e-324", column("float", { kind: "float64" })), "5e-324");
  assert.equal(buildLiteral("mssql", "00ff", column("rowversion", { kind: "binary" })), "0x00ff");
});

Deno.test("a key is read as the source reads every value, but text in Unicode", () => {
  assert.equal(textExpression("mssql", "[k]", { kind: "float64" }), "[k]");
  assert.equal(textExpression("mssql", "[k]", MOMENT), "[k]");
  assert.equal(textExpression("mssql", "[k]", TEXT), "CONVERT(nvarchar(max), [k])");
});
