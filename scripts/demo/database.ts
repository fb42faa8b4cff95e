// The demo's shop: made by SQL alone, the same rows on every machine.

import { DatabaseSync } from "node:sqlite";

const CUSTOMERS = 20_000;
const ORDERS = 200_000;
const READINGS = 5_000;
const SENSORS = 40;

/** Makes the database; the file must not exist. */
export function buildDatabase(path: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA journal_mode = off; PRAGMA synchronous = off; BEGIN");
    db.exec(`${CUSTOMERS_SQL}; ${ORDERS_SQL}; ${ITEMS_SQL}; ${readingsSql()}; ${EVERY_TYPE_SQL}`);
    db.exec("COMMIT; ANALYZE; PRAGMA journal_mode = wal");
  } finally {
    db.close();
  }
}

/** The numbers 1 to `count` as `n(i)`. */
const numbers = (count: number) => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

/** A number from 0 to 2³²−1 that looks like chance and is none. */
const hash = (i: string, seed: number) =>
  `(((${i}) * 2654435761 + ${seed} * 40503) % 4294967296 * 1103515245 >> 7 & 4294967295)`;

const pick = (i: string, seed: number, values: readonly string[]) =>
  `CASE ${hash(i, seed)} % ${values.length} ${values.map((v, at) => `WHEN ${at} THEN '${v}'`).join(" ")} END`;

const uuid = (i: string) =>
  `printf('%08x-%04x-4%03x-8%03x-%012x', ${hash(i, 1)}, ${hash(i, 2)} & 65535, ${hash(i, 3)} & 4095, ` +
  `${hash(i, 4)} & 4095, ${hash(i, 5)})`;

const FIRST = [
  "Ada",
  "Björn",
  "Chloé",
  "Dmitri",
  "Eleni",
  "Farid",
  "Grace",
  "Hiroshi",
  "Inês",
  "Jürgen",
  "Kwame",
  "李",
];
const LAST = ["Andersson", "Brontë", "Castro", "Dvořák", "Eriksen", "Fischer", "García", "Hopper", "Ito", "Jansen"];

const CUSTOMERS_SQL = `
CREATE TABLE customers (
  id INTEGER PRIMARY KEY, public_id UUID NOT NULL, name VARCHAR(80) NOT NULL, country CHAR(2),
  vip BOOLEAN NOT NULL, joined DATE NOT NULL, preferences JSON
);
INSERT INTO customers ${numbers(CUSTOMERS)}
SELECT i, ${uuid("i")}, ${pick("i", 11, FIRST)} || ' ' || ${pick("i", 12, LAST)},
  CASE WHEN i % 9 = 0 THEN NULL ELSE ${pick("i", 13, ["DE", "FR", "SE", "JP", "BR", "US"])} END,
  i % 20 = 0, date('2019-01-01', '+' || (${hash("i", 14)} % 1800) || ' days'),
  CASE WHEN i % 3 = 0 THEN NULL ELSE json_object('newsletter', json(iif(i % 2, 'true', 'false')), 'size', i % 7 + 36) END
FROM n`;

const ORDERS_SQL = `
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, status TEXT NOT NULL, total DECIMAL(12,2) NOT NULL,
  note TEXT, created_at DATETIME NOT NULL, shipped_on DATE
);
INSERT INTO orders ${numbers(ORDERS)}
SELECT i, ${hash("i", 21)} % ${CUSTOMERS} + 1, ${pick("i", 22, ["paid", "shipped", "new", "returned"])},
  (${hash("i", 23)} % 250000 + 499) / 100.0,
  CASE WHEN i % 10 < 7 THEN NULL ELSE 'Please leave parcel ' || i || ' at the door' END,
  strftime('%Y-%m-%d %H:%M:%f', 1704067200 + i * 157 + ${hash("i", 24)} % 100 / 100.0, 'unixepoch'),
  CASE WHEN i % 4 = 0 THEN NULL ELSE date(1704067200 + i * 157 + 172800, 'unixepoch') END
FROM n`;

const ITEMS_SQL = `
CREATE TABLE order_items (
  order_id INTEGER NOT NULL, line INTEGER NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL, weight_kg REAL,
  PRIMARY KEY (order_id, line)
) WITHOUT ROWID;
INSERT INTO order_items
SELECT o.id, l.line, printf('SKU-%05d', ${hash("o.id * 3 + l.line", 31)} % 5000), ${hash("o.id + l.line", 32)} % 5 + 1,
  ${hash("o.id * l.line", 33)} % 10000 / 333.0
FROM orders AS o JOIN (SELECT 1 AS line UNION ALL SELECT 2) AS l ON l.line <= 1 + o.id % 2
WHERE o.id <= ${ORDERS / 2}`;

function readingsSql(): string {
  const names = Array.from({ length: SENSORS }, (_, k) => `sensor_${String(k + 1).padStart(2, "0")}`);
  const value = (k: number) =>
    k % 4 === 3 ? `CASE WHEN i % ${k + 2} = 0 THEN NULL ELSE ${hash("i", 40 + k)} % 1000 / 7.0 END` : `i * 0.25 + ${k}`;
  return `
CREATE TABLE readings (id INTEGER PRIMARY KEY, taken_at DATETIME NOT NULL, ${names.map((n) => `${n} REAL`).join(", ")});
INSERT INTO readings ${numbers(READINGS)}
SELECT i, datetime(1735689600 + i * 60, 'unixepoch'), ${names.map((_, k) => value(k)).join(", ")} FROM n`;
}

/** Every declared type that means something to rivet, at its edges. */
const EVERY_TYPE_SQL = `
CREATE TABLE every_type (
  an_integer INTEGER, a_bigint BIGINT, a_real REAL, a_boolean BOOLEAN, a_decimal DECIMAL(20,4), a_text TEXT, a_varchar VARCHAR(20),
  a_blob BLOB, a_date DATE, a_time TIME, a_datetime DATETIME, a_timestamptz TIMESTAMPTZ, a_uuid UUID, a_json JSON, a_jsonb JSONB,
  an_any ANY
);
INSERT INTO every_type VALUES
  (1, 9223372036854775807, 0.1, 1, 1234567890.1234, 'plain', 'short', x'00ff10', '2024-02-29', '23:59:59.999999',
   '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00+02:00', '123e4567-e89b-12d3-a456-426614174000', '{"a": [1, null, "ü"]}',
   jsonb('{"nested": {"deep": true}}'), 42),
  (0, -9223372036854775808, -1.7976931348623157e308, 0, -0.0001, 'grüße, 漢字, 🦀', '', x'', '0001-01-01', '00:00:00',
   '9999-12-31 23:59:59', '1970-01-01T00:00:00Z', x'00112233445566778899aabbccddeeff', '"text"', jsonb('[]'), 2.5),
  (-1, 9007199254740993, 5e-324, NULL, 7, 'a NUL' || char(0) || 'inside', 'x', zeroblob(3), '1969-12-31', '12:30:00',
   '2000-01-01T00:00:00', '2024-12-31 23:59:59.5-11:30', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', 'null', jsonb('1'), 'text'),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`;
