// Every stable code: its kind, what it means and what cures it. `docs/reference/errors.md` is generated from this table.

import type { CodeInfo } from "./errors.ts";

const table = {
  RIVET_CONFIG_NO_EXPORTS: {
    kind: "usage",
    meaning: "the list is empty",
    cure: "",
  },
  RIVET_CONFIG_DUPLICATE_EXPORT: {
    kind: "usage",
    meaning: "one name twice",
    cure: "",
  },
  RIVET_CONFIG_FILE_UNREADABLE: {
    kind: "environment",
    meaning: "config missing or not readable",
    cure: "",
  },
  RIVET_CONFIG_YAML_INVALID: {
    kind: "usage",
    meaning: "syntax, unknown key, key in the wrong place",
    cure: "",
  },
  RIVET_CONFIG_SECRET_UNSET: {
    kind: "environment",
    meaning: "an env var, `${param}` or secret file is absent",
    cure: "",
  },
  RIVET_CONFIG_SOURCE_CONNECTION_INVALID: {
    kind: "usage",
    meaning: "none, several or half of a connection method",
    cure: "",
  },
  RIVET_CONFIG_SOURCE_URL_INVALID: {
    kind: "usage",
    meaning: "malformed URL",
    cure: "",
  },
  RIVET_CONFIG_SOURCE_URL_SCHEME_MISMATCH: {
    kind: "usage",
    meaning: "URL scheme names another engine than `type`",
    cure: "",
  },
  RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED: {
    kind: "usage",
    meaning: "a mode, key or build feature this engine lacks",
    cure: "",
  },
  RIVET_CONFIG_SOURCE_OPTION_UNSUPPORTED: {
    kind: "usage",
    meaning: "a mode, key or build feature this engine lacks",
    cure: "",
  },
  RIVET_CONFIG_SOURCE_FEATURE_MISSING: {
    kind: "usage",
    meaning: "a mode, key or build feature this engine lacks",
    cure: "",
  },
  RIVET_CONFIG_TLS_VERIFICATION_DOWNGRADE: {
    kind: "usage",
    meaning: "danger knob beside an explicit mode",
    cure: "",
  },
  RIVET_CONFIG_TLS_CA_INVALID: {
    kind: "usage",
    meaning: "CA file unreadable or not PEM",
    cure: "",
  },
  RIVET_CONFIG_EXPORT_SOURCE_INVALID: {
    kind: "usage",
    meaning: "not exactly one of query, query_file, table, tables; bad file path",
    cure: "",
  },
  RIVET_CONFIG_EXPORT_NAME_RESERVED: {
    kind: "usage",
    meaning: "`name#<digits>` belongs to split units",
    cure: "",
  },
  RIVET_CONFIG_PATH_UNSAFE: {
    kind: "usage",
    meaning: "separators, `..`, NUL, leading dot or scheme in a name or path",
    cure: "",
  },
  RIVET_CONFIG_MODE_SETTING_INVALID: {
    kind: "usage",
    meaning: "a setting the mode needs is missing, or one it would ignore is set",
    cure: "",
  },
  RIVET_CONFIG_VALUE_OUT_OF_RANGE: {
    kind: "usage",
    meaning: "size, level, duration; also two exclusive sizing keys",
    cure: "",
  },
  RIVET_CONFIG_CHUNK_COUNT_INVALID: {
    kind: "usage",
    meaning: "below 1",
    cure: "",
  },
  RIVET_CONFIG_CHUNK_BY_DAYS_INVALID: {
    kind: "usage",
    meaning: "below 1",
    cure: "",
  },
  RIVET_CONFIG_CHUNK_COLUMN_NOT_INTEGER: {
    kind: "usage",
    meaning: "range key is float or decimal (now found under `query:` too, by its result type)",
    cure: "",
  },
  RIVET_CONFIG_CURSOR_COLUMN_CASE: {
    kind: "usage",
    meaning: "cursor fits a result column only when case is ignored",
    cure: "",
  },
  RIVET_CONFIG_COLUMN_OVERRIDE_CASE: {
    kind: "usage",
    meaning: "same for a `columns:` key",
    cure: "",
  },
  RIVET_CONFIG_COLUMN_OVERRIDE_TABLE_UNKNOWN: {
    kind: "usage",
    meaning: "qualified key for a table not exported",
    cure: "",
  },
  RIVET_CONFIG_COLUMN_OVERRIDE_TYPE_INVALID: {
    kind: "usage",
    meaning: "unknown type name, decimal out of range",
    cure: "",
  },
  RIVET_CONFIG_KEYSET_KEY_UUID_OVERRIDE: {
    kind: "usage",
    meaning: "hex text would be compared with raw bytes (MySQL)",
    cure: "",
  },
  RIVET_CONFIG_SETTLE_COLUMN_NOT_TEMPORAL: {
    kind: "usage",
    meaning: "settle column is no date or timestamp",
    cure: "",
  },
  RIVET_CONFIG_ROW_HASH_INVALID: {
    kind: "usage",
    meaning: "empty or repeated list, or a list over several tables",
    cure: "",
  },
  RIVET_CONFIG_META_COLUMN_COLLISION: {
    kind: "usage",
    meaning: "a source column is named like an added one, any case",
    cure: "",
  },
  RIVET_CONFIG_CANON_TYPE_UNSUPPORTED: {
    kind: "usage",
    meaning: "hash or uniqueness over a type without canonical bytes",
    cure: "",
  },
  RIVET_CONFIG_QUALITY_COLUMN_UNKNOWN: {
    kind: "usage",
    meaning: "a rule names a column the export does not produce",
    cure: "",
  },
  RIVET_CONFIG_FORMAT_COLUMN_UNSUPPORTED: {
    kind: "usage",
    meaning: "CSV cannot write this type",
    cure: "",
  },
  RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED: {
    kind: "usage",
    meaning: "codec asked for CSV",
    cure: "",
  },
  RIVET_CONFIG_DESTINATION_AUTH_INVALID: {
    kind: "usage",
    meaning: "incomplete or mixed auth",
    cure: "",
  },
  RIVET_CONFIG_DESTINATION_SETTING_MISSING: {
    kind: "usage",
    meaning: "bucket, account …",
    cure: "",
  },
  RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE: {
    kind: "usage",
    meaning: "endpoint is not loopback",
    cure: "",
  },
  RIVET_CONFIG_TARGET_UNKNOWN: {
    kind: "usage",
    meaning: "unknown `target` / `--target`",
    cure: "",
  },
  RIVET_CONFIG_BATCH_MEMORY_EXCEEDED: {
    kind: "usage",
    meaning: "`on_batch_memory_exceeded: fail` fired",
    cure: "",
  },
  RIVET_TYPE_UNSAFE_MAPPING: {
    kind: "usage",
    meaning: "no mapping, or lossy/unsupported under `--strict`",
    cure: "",
  },
  RIVET_SOURCE_CONNECT_FAILED: {
    kind: "environment",
    meaning: "dial, login or TLS",
    cure: "",
  },
  RIVET_SOURCE_RUNTIME_UNAVAILABLE: {
    kind: "environment",
    meaning: "process out of descriptors or threads",
    cure: "",
  },
  RIVET_SOURCE_QUERY_FAILED: {
    kind: "environment",
    meaning: "the server refused the statement",
    cure: "",
  },
  RIVET_SOURCE_TABLE_NOT_FOUND: {
    kind: "environment",
    meaning: "MySQL 1146, PG 42P01, SQL Server 208",
    cure: "",
  },
  RIVET_SOURCE_STATEMENT_TIMEOUT: {
    kind: "environment",
    meaning: "duration budget",
    cure: "",
  },
  RIVET_SOURCE_SESSION_TIME_ZONE_NOT_APPLIED: {
    kind: "refusal",
    meaning: "MySQL session off UTC after the SET (checked at every checkout)",
    cure: "",
  },
  RIVET_VALUE_TOO_LARGE: {
    kind: "usage",
    meaning: "one cell above `max_value_mb` (its text still begins `RIVET_VALUE_TOO_LARGE`)",
    cure: "",
  },
  RIVET_SOURCE_VALUE_UNREPRESENTABLE: {
    kind: "refusal",
    meaning:
      "infinity, `24:00:00`, MySQL TIME outside a day, NaN into decimal, invalid UTF-8 (PG), MONEY ≥ 2⁵³, multi-dimensional array",
    cure: "",
  },
  RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH: {
    kind: "usage",
    meaning: "the declared type cannot read this value",
    cure: "",
  },
  RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ: {
    kind: "environment",
    meaning: "DDL between probe and read",
    cure: "",
  },
  RIVET_SOURCE_PROBE_UNREADABLE: {
    kind: "refusal",
    meaning: 'min, max or boundary of a type the planner cannot read (was "no rows")',
    cure: "",
  },
  RIVET_SOURCE_KEYSET_KEY_COARSE: {
    kind: "refusal",
    meaning: "a page ends on the key it began after",
    cure: "",
  },
  RIVET_PLAN_NOTHING_TO_PLAN: {
    kind: "usage",
    meaning: "no batch export in the config",
    cure: "",
  },
  RIVET_PLAN_REJECTED: {
    kind: "usage",
    meaning: "a rule of level Rejected",
    cure: "",
  },
  RIVET_PLAN_SOURCE_UNREADABLE: {
    kind: "environment",
    meaning: "preflight failed, no plan written",
    cure: "",
  },
  RIVET_PLAN_CHUNK_KEY_UNUSABLE: {
    kind: "usage",
    meaning: "no safe shape for this table or key",
    cure: "",
  },
  RIVET_PLAN_CHUNK_KEY_SPARSE: {
    kind: "usage",
    meaning: "far too many empty windows",
    cure: "",
  },
  RIVET_PLAN_CHUNK_KEY_NULL: {
    kind: "refusal",
    meaning: "NULL keys that no window would hold",
    cure: "",
  },
  RIVET_PLAN_ARTIFACT_INVALID: {
    kind: "usage",
    meaning: "edited or not a plan",
    cure: "",
  },
  RIVET_PLAN_ARTIFACT_NO_CREDENTIALS: {
    kind: "usage",
    meaning: "sealed from an inline secret",
    cure: "",
  },
  RIVET_PLAN_ARTIFACT_STALE: {
    kind: "refusal",
    meaning: "over 24 h (not incremental) or cursor moved by another run",
    cure: "",
  },
  RIVET_PLAN_PARTITION_TOKEN_UNEXPANDED: {
    kind: "usage",
    meaning: "sealed plan with `{partition}`",
    cure: "",
  },
  RIVET_STATE_BACKEND_FAILED: {
    kind: "environment",
    meaning: "cannot open, read or migrate",
    cure: "",
  },
  RIVET_STATE_FILE_CORRUPT: {
    kind: "environment",
    meaning: "not a database",
    cure: "",
  },
  RIVET_STATE_NOT_WRITABLE: {
    kind: "environment",
    meaning: "refused before the run exports",
    cure: "",
  },
  RIVET_STATE_CURSOR_NOT_STORED: {
    kind: "environment",
    meaning: "data and manifest landed, cursor did not: next run repeats the window",
    cure: "",
  },
  RIVET_STATE_URL_SCHEME_UNSUPPORTED: {
    kind: "usage",
    meaning: "typo or other engine (was a silent SQLite file)",
    cure: "",
  },
  RIVET_STATE_URL_TLS_REQUIRED: {
    kind: "refusal",
    meaning: "remote PG state without `sslmode`",
    cure: "",
  },
  RIVET_STATE_URL_LEAVES_STATE_BEHIND: {
    kind: "refusal",
    meaning: "new `sqlite:` path empty, old file holds progress",
    cure: "",
  },
  RIVET_STATE_SCHEMA_NEWER: {
    kind: "refusal",
    meaning: "newer than the binary",
    cure: "",
  },
  RIVET_STATE_BACKUP_FAILED: {
    kind: "environment",
    meaning: "copy before migration impossible",
    cure: "",
  },
  RIVET_STATE_MIGRATION_LOCKED: {
    kind: "environment",
    meaning: "another process migrates",
    cure: "",
  },
  RIVET_STATE_UPGRADE_BESIDE_LIVE_RUN: {
    kind: "busy",
    meaning: "a lease is held by an older run",
    cure: "",
  },
  RIVET_STATE_COPY_SOURCE_EMPTY: {
    kind: "usage",
    meaning: "`state copy`",
    cure: "",
  },
  RIVET_STATE_COPY_TARGET_MISSING: {
    kind: "usage",
    meaning: "`state copy`",
    cure: "",
  },
  RIVET_STATE_COPY_TARGET_NOT_EMPTY: {
    kind: "refusal",
    meaning: "`state copy`",
    cure: "",
  },
  RIVET_STATE_COPY_COUNT_MISMATCH: {
    kind: "integrity",
    meaning: "`state copy`",
    cure: "",
  },
  RIVET_STATE_RUN_IN_PROGRESS: {
    kind: "busy",
    meaning: "the lease is held (with `--lock-wait 0`)",
    cure: "",
  },
  RIVET_STATE_LOCK_TIMEOUT: {
    kind: "busy",
    meaning: "waited and still held",
    cure: "",
  },
  RIVET_STATE_LEASE_KEEPER_UNAVAILABLE: {
    kind: "environment",
    meaning: "renewal connection cannot be opened (`LEASE_LOST` b is raised by load only)",
    cure: "",
  },
  RIVET_STATE_LEASE_LOST: {
    kind: "busy",
    meaning: "renewal connection cannot be opened (`LEASE_LOST` b is raised by load only)",
    cure: "",
  },
  RIVET_STATE_CURSOR_OWNER_MISMATCH: {
    kind: "refusal",
    meaning: "other cursor column, coalesce pair or mode key",
    cure: "",
  },
  RIVET_STATE_CURSOR_STREAM_MISMATCH: {
    kind: "refusal",
    meaning: "other table, other `search_path`, edited text after FROM",
    cure: "",
  },
  RIVET_STATE_CURSOR_DESTINATION_MISMATCH: {
    kind: "refusal",
    meaning: "other destination (as written) or format",
    cure: "",
  },
  RIVET_STATE_CURSOR_PAST_MANIFEST: {
    kind: "refusal",
    meaning: "cursor above `cursor_high` of the success manifest at the destination",
    cure: "",
  },
  RIVET_STATE_CURSOR_INCOMPARABLE: {
    kind: "refusal",
    meaning: "stored text does not convert to the column's type",
    cure: "",
  },
  RIVET_STATE_INTERRUPTED_RUN_OWNER_MISMATCH: {
    kind: "refusal",
    meaning: "unfinished run met by another mode, format, or without its checkpoint",
    cure: "",
  },
  RIVET_STATE_KEYSET_SEQUENTIAL_ANCHOR_UNFINISHED: {
    kind: "refusal",
    meaning: "`parallel:` raised over a sequential keyset_incremental crash",
    cure: "",
  },
  RIVET_STATE_CHUNK_RUN_MISSING: {
    kind: "usage",
    meaning: "reconcile without a recorded run",
    cure: "",
  },
  RIVET_STATE_CHUNK_RUN_UNFINISHED: {
    kind: "refusal",
    meaning: "lost a race to open the run",
    cure: "",
  },
  RIVET_STATE_CHUNK_RUN_OWNER_UNKNOWN: {
    kind: "refusal",
    meaning: "rows left by ≤ 0.31",
    cure: "",
  },
  RIVET_STATE_CHUNK_RUN_SUPERSEDED: {
    kind: "refusal",
    meaning: "rows left by ≤ 0.31",
    cure: "",
  },
  RIVET_STATE_CHUNK_PLAN_CHANGED: {
    kind: "refusal",
    meaning: "resume, reconcile or repair under other chunk settings",
    cure: "",
  },
  RIVET_STATE_CHUNK_WINDOWS_BROKEN: {
    kind: "refusal",
    meaning: "stored windows overlap or are not integers",
    cure: "",
  },
  RIVET_STATE_CHUNK_CHECKPOINT_GONE: {
    kind: "refusal",
    meaning: "run row deleted under the run",
    cure: "",
  },
  RIVET_DEST_CREDENTIALS_INVALID: {
    kind: "environment",
    meaning: "expired or rejected",
    cure: "",
  },
  RIVET_DEST_CONTAINER_NOT_FOUND: {
    kind: "environment",
    meaning: "bucket or container absent (asked once after a 404)",
    cure: "",
  },
  RIVET_DEST_PREFIX_UNLISTABLE: {
    kind: "environment",
    meaning: "no list right at resume",
    cure: "",
  },
  RIVET_DEST_IO_RUNTIME_UNAVAILABLE: {
    kind: "environment",
    meaning: "no threads for the client",
    cure: "",
  },
  RIVET_DEST_OBJECT_NOT_FOUND: {
    kind: "environment",
    meaning: "vanished between two reads",
    cure: "",
  },
  RIVET_DEST_UPLOAD_CORRUPTED: {
    kind: "environment",
    meaning: "MD5 differs after upload",
    cure: "",
  },
  RIVET_DEST_MANIFEST_MISSING: {
    kind: "usage",
    meaning: "repair without one",
    cure: "",
  },
  RIVET_DEST_MANIFEST_NOT_WRITTEN: {
    kind: "environment",
    meaning: "parts landed, manifest did not: run fails, cursor stays",
    cure: "",
  },
  RIVET_DEST_CONTROL_ARTIFACT_INVALID: {
    kind: "refusal",
    meaning: "manifest does not parse or is over the cap",
    cure: "",
  },
  RIVET_DEST_PREFIX_MODE_MISMATCH: {
    kind: "refusal",
    meaning: "batch over a CDC prefix or the reverse",
    cure: "",
  },
  RIVET_DEST_RELATIVE_PATH_MOVED: {
    kind: "refusal",
    meaning: "see 1.1",
    cure: "",
  },
  RIVET_DEST_ALREADY_COMPLETE: {
    kind: "refusal",
    meaning: "`--resume` over `_SUCCESS`",
    cure: "",
  },
  RIVET_DEST_COMMITTED_PART_GONE: {
    kind: "refusal",
    meaning: "keyset resume misses a part",
    cure: "",
  },
  RIVET_DEST_PART_ROWS_MISMATCH: {
    kind: "integrity",
    meaning: "re-read count differs under `--validate`",
    cure: "",
  },
  RIVET_RUN_UNITS_FAILED: {
    kind: "environment",
    meaning: "worker failures that carry no code",
    cure: "",
  },
  RIVET_RUN_RECONCILE_UNVERIFIED: {
    kind: "environment",
    meaning: "the count could not run",
    cure: "",
  },
  RIVET_VALIDATE_FAILED: {
    kind: "integrity",
    meaning: "also the exit of `run --validate` now",
    cure: "",
  },
  RIVET_VALIDATE_UNVERIFIED: {
    kind: "environment",
    meaning: "also the exit of `run --validate` now",
    cure: "",
  },
  RIVET_CLI_EXPORT_UNKNOWN: {
    kind: "usage",
    meaning: "names",
    cure: "",
  },
  RIVET_CLI_RUN_ID_UNKNOWN: {
    kind: "usage",
    meaning: "names",
    cure: "",
  },
  RIVET_CLI_RUN_ID_EXPORT_MISMATCH: {
    kind: "usage",
    meaning: "names",
    cure: "",
  },
  RIVET_CLI_VALUE_INVALID: {
    kind: "usage",
    meaning: "arguments, option for another mode, foreign report",
    cure: "",
  },
  RIVET_CLI_OPTION_UNSUPPORTED: {
    kind: "usage",
    meaning: "arguments, option for another mode, foreign report",
    cure: "",
  },
  RIVET_CLI_REPORT_INVALID: {
    kind: "usage",
    meaning: "arguments, option for another mode, foreign report",
    cure: "",
  },
  RIVET_CLI_INPUT_UNREADABLE: {
    kind: "environment",
    meaning: "files, self-exec, hook",
    cure: "",
  },
  RIVET_CLI_OUTPUT_UNWRITABLE: {
    kind: "environment",
    meaning: "files, self-exec, hook",
    cure: "",
  },
  RIVET_CLI_EXECUTABLE_UNRESOLVED: {
    kind: "environment",
    meaning: "files, self-exec, hook",
    cure: "",
  },
  RIVET_CLI_TEST_FAULT_INJECTED: {
    kind: "environment",
    meaning: "files, self-exec, hook",
    cure: "",
  },
  RIVET_CLI_PREFLIGHT_FAILED: {
    kind: "usage",
    meaning: "doctor; `CLI_CHECK_REPORTED_ERRORS` e — check",
    cure: "",
  },
  RIVET_CLI_PREFLIGHT_UNVERIFIED: {
    kind: "environment",
    meaning: "doctor; `CLI_CHECK_REPORTED_ERRORS` e — check",
    cure: "",
  },
  RIVET_INIT_CONFIG_EXISTS: {
    kind: "refusal",
    meaning: "",
    cure: "",
  },
  RIVET_INIT_TABLE_NOT_FOUND: {
    kind: "usage",
    meaning: "",
    cure: "",
  },
  RIVET_INIT_NO_TABLES: {
    kind: "usage",
    meaning: "",
    cure: "",
  },
  RIVET_MCP_REQUEST_INVALID: {
    kind: "usage",
    meaning: "",
    cure: "",
  },
  RIVET_INTERNAL_RUN_INVARIANT: {
    kind: "internal",
    meaning: "a broken invariant",
    cure: "",
  },
  RIVET_INTERNAL_SOURCE_INVARIANT: {
    kind: "internal",
    meaning: "a broken invariant",
    cure: "",
  },
  RIVET_INTERNAL_DEST_INVARIANT: {
    kind: "internal",
    meaning: "a broken invariant",
    cure: "",
  },
  RIVET_INTERNAL_STATE_INVARIANT: {
    kind: "internal",
    meaning: "a broken invariant",
    cure: "",
  },
  RIVET_INTERNAL_TYPE_BUILDER: {
    kind: "internal",
    meaning: "a column builder met a type it was not made for",
    cure: "",
  },
  RIVET_INTERNAL_VALUE_CONVERTER: {
    kind: "internal",
    meaning: "a value changed between the wire and the file",
    cure: "",
  },
  RIVET_VERIFY_MANIFEST_MISSING: {
    kind: "integrity",
    meaning: "_SUCCESS without manifest",
    cure: "",
  },
  RIVET_VERIFY_RUN_NOT_SUCCESSFUL: {
    kind: "environment",
    meaning: "manifest of a failed or running run",
    cure: "",
  },
  RIVET_VERIFY_VALUE_CHECK_NOT_AVAILABLE: {
    kind: "environment",
    meaning: "no values to recompute",
    cure: "",
  },
  RIVET_VERIFY_PART_MISSING: {
    kind: "integrity",
    meaning: "part missing",
    cure: "",
  },
  RIVET_VERIFY_PART_SIZE_MISMATCH: {
    kind: "integrity",
    meaning: "part size mismatch",
    cure: "",
  },
  RIVET_VERIFY_PART_CHECKSUM_MISMATCH: {
    kind: "integrity",
    meaning: "part checksum mismatch",
    cure: "",
  },
  RIVET_VERIFY_VALUE_CHECKSUM: {
    kind: "integrity",
    meaning: "value checksum",
    cure: "",
  },
  RIVET_VERIFY_PART_ROW_COUNT: {
    kind: "integrity",
    meaning: "part row count",
    cure: "",
  },
  RIVET_VERIFY_SUCCESS_MALFORMED: {
    kind: "integrity",
    meaning: "success malformed",
    cure: "",
  },
  RIVET_VERIFY_SUCCESS_STALE: {
    kind: "integrity",
    meaning: "success stale",
    cure: "",
  },
  RIVET_VERIFY_MANIFEST_INCONSISTENT: {
    kind: "integrity",
    meaning: "manifest inconsistent",
    cure: "",
  },
  RIVET_VERIFY_CONTENT_UNMET: {
    kind: "integrity",
    meaning: "content unmet",
    cure: "",
  },
  RIVET_VERIFY_MANIFEST_REQUIRED: {
    kind: "integrity",
    meaning: "manifest required",
    cure: "",
  },
  RIVET_VERIFY_MANIFEST_READ_ERROR: {
    kind: "environment",
    meaning: "manifest read error",
    cure: "",
  },
  RIVET_VERIFY_SUCCESS_READ_ERROR: {
    kind: "environment",
    meaning: "success read error",
    cure: "",
  },
  RIVET_VERIFY_LIST_ERROR: {
    kind: "environment",
    meaning: "list error",
    cure: "",
  },
  RIVET_VERIFY_UNTRACKED_OBJECT: {
    kind: "environment",
    meaning: "untracked object",
    cure: "",
  },
  RIVET_CONFIG_FEATURE_NOT_AVAILABLE: {
    kind: "usage",
    meaning: "a key whose feature this version does not have",
    cure: "",
  },
  RIVET_CONFIG_QUERY_COLUMNS_INVALID: {
    kind: "usage",
    meaning: "a query returns no columns or two of one name",
    cure: "",
  },
  RIVET_DEST_WRITE_FAILED: {
    kind: "environment",
    meaning: "the destination refused a write",
    cure: "",
  },
  RIVET_DEST_READ_FAILED: {
    kind: "environment",
    meaning: "the destination refused a read",
    cure: "",
  },
  RIVET_DEST_DISK_FULL: {
    kind: "environment",
    meaning: "no space left at the destination",
    cure: "",
  },
  RIVET_SOURCE_TLS_REQUIRED: {
    kind: "refusal",
    meaning: "a remote host without tls",
    cure: "",
  },
  RIVET_SOURCE_CONNECTION_LOST: {
    kind: "environment",
    meaning: "the connection broke during a read",
    cure: "",
  },
  RIVET_RUN_INTERRUPTED: {
    kind: "environment",
    meaning: "stopped by a signal",
    cure: "",
  },
  RIVET_QUALITY_FAILED: {
    kind: "integrity",
    meaning: "a quality rule was broken",
    cure: "",
  },
  RIVET_RUN_RECONCILE_MISMATCH: {
    kind: "integrity",
    meaning: "source and export counts differ",
    cure: "",
  },
  RIVET_SCHEMA_DRIFT: {
    kind: "drift",
    meaning: "the columns differ from the stored ones under on_schema_drift: fail",
    cure: "",
  },
} as const satisfies Record<string, CodeInfo>;

/** A stable error code, printed as `[CODE]` and as `code` in JSON. */
export type ErrorCode = keyof typeof table;

export const CODES: Readonly<Record<ErrorCode, CodeInfo>> = table;
