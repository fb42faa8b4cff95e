// What the demo exports, and what must be the same in the database and in the files.

import type { FileRow } from "./files.ts";

export interface DemoExport {
  readonly name: string;
  readonly format: "parquet" | "csv";
  readonly checks: readonly Check[];
}

/** One figure, asked of the database in SQL and taken from the rows of the files. */
export interface Check {
  readonly label: string;
  readonly sql: string;
  readonly columns: readonly string[];
  readonly ofRows: (rows: readonly FileRow[]) => bigint;
}

export const EXPORTS: readonly DemoExport[] = [
  {
    name: "orders",
    format: "parquet",
    checks: [
      rows("orders"),
      {
        label: "total, in cents",
        sql: "SELECT sum(CAST(round(total * 100) AS INTEGER)) FROM orders",
        columns: ["total"],
        ofRows: (rows) => sum(rows, (row) => BigInt(Math.round(Number(row.total) * 100))),
      },
      nulls("orders", "note"),
    ],
  },
  {
    name: "order_items",
    format: "parquet",
    checks: [rows("order_items"), total("order_items", "quantity"), total("order_items", "order_id")],
  },
  {
    name: "customers",
    format: "parquet",
    checks: [rows("customers"), {
      label: "vip",
      sql: "SELECT sum(vip) FROM customers",
      columns: ["vip"],
      ofRows: (rows) => sum(rows, (row) => row.vip ? 1n : 0n),
    }, nulls("customers", "preferences")],
  },
  { name: "readings", format: "parquet", checks: [rows("readings"), nulls("readings", "sensor_04")] },
  { name: "every_type", format: "parquet", checks: [rows("every_type"), total("every_type", "a_bigint")] },
  {
    name: "revenue_by_month",
    format: "csv",
    checks: [{
      label: "rows",
      sql: "SELECT count(DISTINCT substr(created_at, 1, 7)) FROM orders",
      columns: [],
      ofRows: (rows) => BigInt(rows.length),
    }, {
      label: "orders",
      sql: "SELECT count(*) FROM orders",
      columns: ["orders"],
      ofRows: (rows) => sum(rows, (row) => BigInt(String(row.orders))),
    }],
  },
];

function rows(table: string): Check {
  return { label: "rows", sql: `SELECT count(*) FROM ${table}`, columns: [], ofRows: (rows) => BigInt(rows.length) };
}

function total(table: string, column: string): Check {
  return {
    label: `sum of ${column}`,
    sql: `SELECT sum(${column}) FROM ${table}`,
    columns: [column],
    ofRows: (rows) => sum(rows, (row) => row[column] === null ? 0n : BigInt(row[column] as bigint)),
  };
}

function nulls(table: string, column: string): Check {
  return {
    label: `NULLs in ${column}`,
    sql: `SELECT count(*) - count(${column}) FROM ${table}`,
    columns: [column],
    ofRows: (rows) => sum(rows, (row) => row[column] === null ? 1n : 0n),
  };
}

function sum(rows: readonly FileRow[], of: (row: FileRow) => bigint): bigint {
  return rows.reduce((sum, row) => sum + of(row), 0n);
}

export const CONFIG = `# A shop on SQLite, exported to files. Every relative path starts here.
source:
  type: sqlite
  path: shop.db
  environment: local # nobody else works here, so nothing waits

exports:
  - name: orders
    table: orders
    format: parquet
    destination: {type: local, path: out/orders}

  # Slices of a key: a run that was stopped goes on where it was.
  - name: order_items
    table: order_items
    mode: chunked
    chunk_column: order_id
    chunk_size: 25000
    format: parquet
    destination: {type: local, path: out/order_items}

  - name: customers
    table: customers
    format: parquet
    compression_profile: compact
    destination: {type: local, path: out/customers}

  # Forty sensors wide.
  - name: readings
    table: readings
    format: parquet
    destination: {type: local, path: out/readings}

  # Every type, at its edges.
  - name: every_type
    table: every_type
    format: parquet
    columns: {an_any: string}
    destination: {type: local, path: out/every_type}

  - name: revenue_by_month
    query: >
      SELECT substr(created_at, 1, 7) AS month, CAST(count(*) AS INTEGER) AS orders, sum(total) AS revenue
      FROM orders GROUP BY 1 ORDER BY 1
    columns: {month: string, revenue: "decimal(14,2)"}
    format: csv
    destination: {type: local, path: out/revenue_by_month}
`;
