// Every stable code: its kind, what it means and what cures it. `docs/reference/errors.md` is generated from this table.

import type { CodeInfo, ErrorKind } from "./errors.ts";

function row(kind: ErrorKind, meaning: string, cure: string): CodeInfo {
  return { kind, meaning, cure };
}

const table = {
  RIVET_CONFIG_NO_EXPORTS: row("usage", "The config lists no exports", "Add at least one entry below `exports:`"),
  RIVET_CONFIG_DUPLICATE_EXPORT: row(
    "usage",
    "Two exports have the same name",
    "Rename one of them: state and files are kept by name",
  ),
  RIVET_CONFIG_FILE_UNREADABLE: row(
    "environment",
    "The config file is missing or cannot be read",
    "Check the path given with `-c` and the file's permissions",
  ),
  RIVET_CONFIG_YAML_INVALID: row(
    "usage",
    "The config has a syntax error, an unknown key, or a key in the wrong place",
    "Correct the key; `rivet schema config` lists all of them",
  ),
  RIVET_CONFIG_SECRET_UNSET: row(
    "environment",
    "An environment variable, parameter or secret file that the config refers to is not there",
    "Export the variable, give `--param NAME=VALUE`, or create the file",
  ),
  RIVET_CONFIG_FEATURE_NOT_AVAILABLE: row(
    "usage",
    "The config asks for a feature that this version does not have",
    "Remove the key",
  ),
  RIVET_CONFIG_SOURCE_CONNECTION_INVALID: row(
    "usage",
    "The connection is given in no way, in several ways, or only half",
    "Give exactly one of `url_env`, `url_file`, `url`, or `host` with `user` and `database`",
  ),
  RIVET_CONFIG_SOURCE_URL_INVALID: row(
    "usage",
    "The connection URL cannot be read",
    "Write it as scheme://user:password@host:port/database",
  ),
  RIVET_CONFIG_SOURCE_URL_SCHEME_MISMATCH: row(
    "usage",
    "The scheme of the URL is that of another engine than `source.type`",
    "Correct `source.type` or the URL",
  ),
  RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED: row(
    "usage",
    "The mode does not exist for this source",
    "Choose full, incremental, chunked or time_window",
  ),
  RIVET_CONFIG_SOURCE_OPTION_UNSUPPORTED: row(
    "usage",
    "The setting does not exist for this source",
    "Remove the setting",
  ),
  RIVET_CONFIG_SOURCE_FEATURE_MISSING: row(
    "usage",
    "The config names a source or a feature that is not part of rivet",
    "Use what the message names instead",
  ),
  RIVET_CONFIG_TLS_VERIFICATION_DOWNGRADE: row(
    "usage",
    "A setting that weakens TLS stands beside an explicit mode that forbids it",
    "Remove the `accept_invalid_…` setting, or leave `tls.mode` out",
  ),
  RIVET_CONFIG_TLS_CA_INVALID: row(
    "usage",
    "The CA file cannot be read or holds no PEM certificate",
    "Point `tls.ca_file` to the PEM file of the certificate authority",
  ),
  RIVET_CONFIG_EXPORT_SOURCE_INVALID: row(
    "usage",
    "An export does not say what to read in exactly one way",
    "Give one of `table`, `query`, `query_file`",
  ),
  RIVET_CONFIG_EXPORT_NAME_RESERVED: row(
    "usage",
    "The export's name has a form that is reserved",
    "Rename the export so that it does not end in # and a number",
  ),
  RIVET_CONFIG_PATH_UNSAFE: row(
    "usage",
    "A name or path holds separators, `..`, a NUL, a leading dot or a URL scheme",
    "Name the file or folder itself, without leaving its place",
  ),
  RIVET_CONFIG_MODE_SETTING_INVALID: row(
    "usage",
    "A setting that the mode needs is missing, or one that it would ignore is set",
    "Set or remove the setting that the message names",
  ),
  RIVET_CONFIG_QUERY_COLUMNS_INVALID: row(
    "usage",
    "A query returns no columns, or two columns of one name",
    "Give each column of the query its own name with AS",
  ),
  RIVET_CONFIG_VALUE_OUT_OF_RANGE: row(
    "usage",
    "A number, size or duration is out of range, or two sizes exclude each other",
    "Correct the value; `rivet schema config` has the ranges",
  ),
  RIVET_CONFIG_CHUNK_COUNT_INVALID: row(
    "usage",
    "`chunk_count` is below 1 or stands beside another chunk shape",
    "Set `chunk_count` to 1 or more, alone",
  ),
  RIVET_CONFIG_CHUNK_BY_DAYS_INVALID: row(
    "usage",
    "`chunk_by_days` is below 1 or stands beside another chunk shape",
    "Set `chunk_by_days` to 1 or more, alone",
  ),
  RIVET_CONFIG_CHUNK_COLUMN_NOT_INTEGER: row(
    "usage",
    "`chunk_column` is not an integer column",
    "Use `chunk_by_key`, which takes any indexed type",
  ),
  RIVET_CONFIG_CURSOR_COLUMN_CASE: row(
    "usage",
    "A column is named in another letter case than it has",
    "Write the name as the source has it",
  ),
  RIVET_CONFIG_COLUMN_OVERRIDE_CASE: row(
    "usage",
    "An entry of `columns:` names no column, or one in another letter case",
    "Write the name as the source has it",
  ),
  RIVET_CONFIG_COLUMN_OVERRIDE_TABLE_UNKNOWN: row(
    "usage",
    "An entry of `columns:` is qualified with another table",
    "Write the bare column name",
  ),
  RIVET_CONFIG_COLUMN_OVERRIDE_TYPE_INVALID: row(
    "usage",
    "An entry of `columns:` names no type",
    "Use a type name such as string, int64 or decimal(10,2)",
  ),
  RIVET_CONFIG_KEYSET_KEY_UUID_OVERRIDE: row(
    "usage",
    "The chunk key is read as uuid but compared as raw bytes",
    "Remove the override, or choose another key",
  ),
  RIVET_CONFIG_SETTLE_COLUMN_NOT_TEMPORAL: row(
    "usage",
    "The column of `settle` is no date or timestamp",
    "Name a date or timestamp column in `settle.column`",
  ),
  RIVET_CONFIG_ROW_HASH_INVALID: row(
    "usage",
    "`row_hash` is an empty list or names a column twice",
    "Name each column once, or write `true`",
  ),
  RIVET_CONFIG_META_COLUMN_COLLISION: row(
    "usage",
    "A source column has the name of a column that rivet adds",
    "Rename it in a `query:`, or switch the meta column off",
  ),
  RIVET_CONFIG_CANON_TYPE_UNSUPPORTED: row(
    "usage",
    "A hash or a uniqueness rule covers a type without canonical bytes",
    "Leave the column out of `row_hash` or `unique_columns`",
  ),
  RIVET_CONFIG_QUALITY_COLUMN_UNKNOWN: row(
    "usage",
    "A quality rule names a column that the export does not have",
    "Correct the name in `quality:`",
  ),
  RIVET_CONFIG_FORMAT_COLUMN_UNSUPPORTED: row(
    "usage",
    "The format cannot hold a column of this type",
    "Declare another type in `columns:`, or use the other format",
  ),
  RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED: row(
    "usage",
    "CSV cannot be compressed with this codec",
    "Use gzip, zstd or none",
  ),
  RIVET_CONFIG_DESTINATION_AUTH_INVALID: row(
    "usage",
    "The destination's credentials are incomplete or mixed",
    "Give one complete way to sign in",
  ),
  RIVET_CONFIG_DESTINATION_SETTING_MISSING: row(
    "usage",
    "The destination lacks a setting that its type needs",
    "Set the key that the message names",
  ),
  RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE: row(
    "usage",
    "A custom endpoint is not this machine",
    "Use the provider's own endpoint, or `allow_anonymous`",
  ),
  RIVET_CONFIG_TARGET_UNKNOWN: row(
    "usage",
    "The warehouse of `target` is not known",
    "Choose bigquery, snowflake, duckdb or clickhouse",
  ),
  RIVET_CONFIG_BATCH_MEMORY_EXCEEDED: row(
    "usage",
    "A batch was larger than `max_batch_memory_mb` allows",
    "Lower `batch_size`, or raise `max_batch_memory_mb`",
  ),
  RIVET_TYPE_UNSAFE_MAPPING: row(
    "usage",
    "A column has no type that keeps its values",
    "Declare one in `columns:`, for example `string`",
  ),
  RIVET_SOURCE_CONNECT_FAILED: row(
    "environment",
    "The source could not be reached, or refused the login or its TLS",
    "Check host, port, user, password and `tls:` of the source",
  ),
  RIVET_SOURCE_TLS_REQUIRED: row(
    "refusal",
    "The source is another machine and TLS is not configured",
    "Add `tls: {mode: verify-full}`, or accept plaintext with `tls: {mode: disable}`",
  ),
  RIVET_SOURCE_CONNECTION_LOST: row(
    "environment",
    "The connection to the source broke while it was in use",
    "Run the same command again; it continues where it stopped",
  ),
  RIVET_SOURCE_RUNTIME_UNAVAILABLE: row(
    "environment",
    "The process has no file descriptors or threads left",
    "Raise the limits of the process, or lower `parallel`",
  ),
  RIVET_SOURCE_QUERY_FAILED: row(
    "environment",
    "The source refused a statement",
    "Correct the query or the privileges that the message names",
  ),
  RIVET_SOURCE_TABLE_NOT_FOUND: row(
    "environment",
    "The table does not exist or is not visible to this user",
    "Check the table's name and schema, and the user's privileges",
  ),
  RIVET_SOURCE_STATEMENT_TIMEOUT: row(
    "environment",
    "A statement ran longer than its budget",
    "Use `mode: chunked` with smaller chunks, or raise `tuning.statement_timeout_s`",
  ),
  RIVET_SOURCE_SESSION_TIME_ZONE_NOT_APPLIED: row(
    "refusal",
    "The session's time zone is not UTC although it was set",
    "Connect to the server directly: a proxy swallows `SET time_zone`",
  ),
  RIVET_VALUE_TOO_LARGE: row(
    "usage",
    "A value is larger than `tuning.max_value_mb`",
    "Raise `tuning.max_value_mb`, or leave the column out with a `query:`",
  ),
  RIVET_SOURCE_VALUE_UNREPRESENTABLE: row(
    "refusal",
    "A value does not exist in the column's type",
    "Declare the column as string in `columns:`, or correct the value in the source",
  ),
  RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH: row(
    "usage",
    "A value cannot be read as the type that `columns:` declares",
    "Correct or remove the entry in `columns:`",
  ),
  RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ: row(
    "environment",
    "The columns changed between planning and reading",
    "Run again; the new columns are planned anew",
  ),
  RIVET_SOURCE_PROBE_UNREADABLE: row(
    "refusal",
    "The bounds of a key could not be read",
    "Choose another key, or use `mode: full`",
  ),
  RIVET_SOURCE_KEYSET_KEY_COARSE: row(
    "refusal",
    "More rows share one key than a chunk may hold",
    "Choose a key with more values, or add a second column to `chunk_by_key`",
  ),
  RIVET_PLAN_NOTHING_TO_PLAN: row("usage", "The config has no export to plan", "Add an export, or name one with `-e`"),
  RIVET_PLAN_REJECTED: row("usage", "The settings contradict each other", "Change what the rule in the message names"),
  RIVET_PLAN_CHUNK_KEY_UNUSABLE: row(
    "usage",
    "No key of the table allows safe chunks",
    "Set `chunk_column` or `chunk_by_key` to an indexed key, or use `mode: full`",
  ),
  RIVET_PLAN_CHUNK_KEY_SPARSE: row(
    "usage",
    "The keys are so far apart that most chunks would be empty",
    "Use `chunk_by_key`, `chunk_count`, or a larger `chunk_size`",
  ),
  RIVET_PLAN_CHUNK_KEY_NULL: row(
    "refusal",
    "Rows without a key would be left out",
    "Fill the column, or choose how to treat them with `on_cursor_null`",
  ),
  RIVET_PLAN_ARTIFACT_INVALID: row(
    "usage",
    "The plan file was edited or is no plan",
    "Make the plan anew",
  ),
  RIVET_PLAN_ARTIFACT_NO_CREDENTIALS: row(
    "usage",
    "The plan was made from an inline secret, which it does not hold",
    "Use `url_env` or `password_env` and plan again",
  ),
  RIVET_PLAN_ARTIFACT_STALE: row(
    "refusal",
    "The plan is too old, or the cursor has moved since",
    "Plan again, or apply it with `--force`",
  ),
  RIVET_PLAN_ARTIFACT_FOREIGN: row(
    "refusal",
    "The plan was made for another source than it would be applied to",
    "Apply it with the environment it was made in, or plan again",
  ),
  RIVET_PLAN_PARTITION_TOKEN_UNEXPANDED: row(
    "usage",
    "The destination holds a placeholder that has no value",
    "Set `partition_by`, or remove the placeholder",
  ),
  RIVET_STATE_BACKEND_FAILED: row(
    "environment",
    "The state store failed",
    "Check the file or server that `RIVET_STATE_URL` names, then run again",
  ),
  RIVET_STATE_FILE_CORRUPT: row(
    "environment",
    "The state file is no database or is damaged",
    "Restore it from its backup beside it, or move it away to start over",
  ),
  RIVET_STATE_NOT_WRITABLE: row(
    "environment",
    "The state cannot be written",
    "Make the file and its folder writable, or set `RIVET_STATE_URL`",
  ),
  RIVET_STATE_CURSOR_NOT_STORED: row(
    "environment",
    "Data and manifest are stored, the cursor is not",
    "Run again: the window is finished under the same names",
  ),
  RIVET_STATE_URL_SCHEME_UNSUPPORTED: row(
    "usage",
    "`RIVET_STATE_URL` begins with an unknown scheme",
    "Use `postgres://` or `sqlite:`",
  ),
  RIVET_STATE_URL_TLS_REQUIRED: row(
    "refusal",
    "The state server is another machine and its URL does not say how to use TLS",
    "Add `?sslmode=verify-full` to `RIVET_STATE_URL`",
  ),
  RIVET_STATE_URL_LEAVES_STATE_BEHIND: row(
    "refusal",
    "The new state is empty while the old file holds progress",
    "Copy the old state first, or unset `RIVET_STATE_URL`",
  ),
  RIVET_STATE_SCHEMA_NEWER: row("refusal", "The state was written by a newer rivet", "Use that version or a later one"),
  RIVET_STATE_BACKUP_FAILED: row(
    "environment",
    "The state could not be copied before its migration",
    "Free some space beside it and run again",
  ),
  RIVET_STATE_MIGRATION_LOCKED: row("environment", "Another process migrates the state", "Wait for it and run again"),
  RIVET_STATE_UPGRADE_BESIDE_LIVE_RUN: row("busy", "An older rivet runs on this state", "Wait for its run to end"),
  RIVET_STATE_COPY_SOURCE_EMPTY: row("usage", "There is no state to copy", "Check the config whose state is meant"),
  RIVET_STATE_COPY_TARGET_MISSING: row(
    "usage",
    "No target was given for the copy",
    "Give `--to`, or set `RIVET_STATE_URL`",
  ),
  RIVET_STATE_COPY_TARGET_NOT_EMPTY: row("refusal", "The target already holds a state", "Choose an empty database"),
  RIVET_STATE_COPY_COUNT_MISMATCH: row(
    "integrity",
    "The copy does not hold as many rows as the original",
    "Nothing was kept; copy again",
  ),
  RIVET_STATE_RUN_IN_PROGRESS: row("busy", "Another process runs this export", "Wait for it to end, or stop it"),
  RIVET_STATE_LOCK_TIMEOUT: row(
    "busy",
    "Another process still runs this export after the waiting time",
    "Wait longer with `--lock-wait`, or stop the other process",
  ),
  RIVET_STATE_LEASE_LOST: row(
    "busy",
    "Another process took this export over",
    "Let it finish; this one changed nothing more",
  ),
  RIVET_STATE_CURSOR_OWNER_MISMATCH: row(
    "refusal",
    "The stored cursor was taken from another column or mode",
    "Start over with `rivet state reset`; keep it with `rivet state accept` only if the column was renamed",
  ),
  RIVET_STATE_CURSOR_STREAM_MISMATCH: row(
    "refusal",
    "The stored cursor was taken from other rows",
    "Keep it with `rivet state accept`, or start over with `rivet state reset`",
  ),
  RIVET_STATE_CURSOR_DESTINATION_MISMATCH: row(
    "refusal",
    "The stored cursor belongs to another destination or format",
    "Keep it with `rivet state accept`, or start over with `rivet state reset`",
  ),
  RIVET_STATE_CURSOR_PAST_MANIFEST: row(
    "refusal",
    "The stored cursor is not where the files at the destination end",
    "Restore the state or the destination that belongs to the other, or start over with `rivet state reset`",
  ),
  RIVET_STATE_CURSOR_INCOMPARABLE: row(
    "refusal",
    "The stored cursor cannot be compared with the column any more",
    "Start over with `rivet state reset`",
  ),
  RIVET_STATE_INTERRUPTED_RUN_OWNER_MISMATCH: row(
    "refusal",
    "An interrupted run was made with other settings",
    "Undo the edit and run again, or give the run up with `rivet state reset-chunks`",
  ),
  RIVET_STATE_CHUNK_RUN_MISSING: row("usage", "There is no recorded run", "Run the export first"),
  RIVET_STATE_CHUNK_RUN_UNFINISHED: row(
    "refusal",
    "The export's last run is not finished",
    "Run the export again to finish it",
  ),
  RIVET_STATE_CHUNK_PLAN_CHANGED: row(
    "refusal",
    "The chunk settings changed since the run was interrupted",
    "Undo the edit and run again, or give the run up with `rivet state reset-chunks`",
  ),
  RIVET_STATE_CHUNK_WINDOWS_BROKEN: row(
    "refusal",
    "The stored chunks are not those that were planned",
    "Give the run up with `rivet state reset-chunks`, then run again",
  ),
  RIVET_STATE_CHUNK_CHECKPOINT_GONE: row(
    "refusal",
    "The run's record was deleted while it ran",
    "Run again; it is planned anew",
  ),
  RIVET_SCHEMA_DRIFT: row(
    "drift",
    "The columns differ from those of the last run, and `on_schema_drift` is fail",
    "Check the change, then run once with `on_schema_drift: warn`",
  ),
  RIVET_QUALITY_FAILED: row(
    "integrity",
    "The rows break a quality rule",
    "Look at the source's data or correct the rule in `quality:`; nothing was published",
  ),
  RIVET_DEST_CREDENTIALS_INVALID: row(
    "environment",
    "The destination refused the credentials",
    "Check the keys, tokens and their expiry",
  ),
  RIVET_DEST_CONTAINER_NOT_FOUND: row(
    "environment",
    "The bucket or container does not exist",
    "Create it, or correct `destination.bucket`",
  ),
  RIVET_DEST_PREFIX_UNLISTABLE: row(
    "environment",
    "The destination may not be listed",
    "Grant the right to list objects below the prefix",
  ),
  RIVET_DEST_OBJECT_NOT_FOUND: row(
    "environment",
    "An object vanished between two reads",
    "Run again; check whether another process removes objects",
  ),
  RIVET_DEST_UPLOAD_CORRUPTED: row(
    "environment",
    "What the store holds is not what was sent",
    "Run again; if it repeats, check the network between here and the store",
  ),
  RIVET_DEST_WRITE_FAILED: row(
    "environment",
    "The destination refused a write",
    "Check that the folder or bucket exists and may be written",
  ),
  RIVET_DEST_READ_FAILED: row("environment", "The destination refused a read", "Check that the objects may be read"),
  RIVET_DEST_DISK_FULL: row(
    "environment",
    "The disk of the destination is full",
    "Free some space and run again; finished chunks are kept",
  ),
  RIVET_DEST_MANIFEST_MISSING: row("usage", "The destination holds no manifest", "Run the export first"),
  RIVET_DEST_MANIFEST_NOT_WRITTEN: row(
    "environment",
    "The data is stored, the manifest is not",
    "Run again: the run is finished under the same names",
  ),
  RIVET_DEST_CONTROL_ARTIFACT_INVALID: row(
    "refusal",
    "A manifest at the destination cannot be read",
    "Move it aside, or restore it, and run again",
  ),
  RIVET_DEST_PREFIX_MODE_MISMATCH: row(
    "refusal",
    "The prefix belongs to another kind of export",
    "Choose another path or prefix",
  ),
  RIVET_DEST_RELATIVE_PATH_MOVED: row(
    "refusal",
    "A relative path now leads to another folder",
    "Give the path absolutely, or move the old data",
  ),
  RIVET_DEST_ALREADY_COMPLETE: row(
    "refusal",
    "There is nothing to resume, the prefix is complete",
    "Run without `--resume`, or add `--force`",
  ),
  RIVET_DEST_COMMITTED_PART_GONE: row(
    "refusal",
    "A committed file is missing at the destination",
    "Run again: its chunk is read anew",
  ),
  RIVET_DEST_PART_ROWS_MISMATCH: row(
    "integrity",
    "A stored file does not hold the rows that were written",
    "Run again, and check the destination's storage",
  ),
  RIVET_RUN_UNITS_FAILED: row(
    "environment",
    "Chunks of the run did not finish",
    "Run the same command again; finished chunks are kept",
  ),
  RIVET_RUN_INTERRUPTED: row(
    "environment",
    "The run was stopped by a signal",
    "Run the same command again; it continues where it stopped",
  ),
  RIVET_RUN_RECONCILE_MISMATCH: row(
    "integrity",
    "The source has another number of rows than the export",
    "Run the export again; `rivet state chunks` shows the rows of each chunk",
  ),
  RIVET_RUN_RECONCILE_UNVERIFIED: row(
    "environment",
    "The source could not be counted",
    "Run again with `--reconcile` when the source can be reached",
  ),
  RIVET_VALIDATE_FAILED: row(
    "integrity",
    "Stored files are not what was written",
    "Run again: damaged chunks are read anew",
  ),
  RIVET_VALIDATE_UNVERIFIED: row(
    "environment",
    "The stored files could not be checked",
    "Check the destination and validate again",
  ),
  RIVET_CLI_EXPORT_UNKNOWN: row(
    "usage",
    "The config has no export of this name",
    "Choose one of the names in the config",
  ),
  RIVET_CLI_RUN_ID_UNKNOWN: row("usage", "There is no run of this id", "List the runs with `rivet state runs`"),
  RIVET_CLI_RUN_ID_EXPORT_MISMATCH: row(
    "usage",
    "The run belongs to another export",
    "List the runs with `rivet state runs -e NAME`",
  ),
  RIVET_CLI_VALUE_INVALID: row(
    "usage",
    "An argument is missing, unknown or malformed",
    "Run the command with `--help` to see what it takes",
  ),
  RIVET_CLI_OPTION_UNSUPPORTED: row("usage", "The option does not apply to this export", "Leave the option out"),
  RIVET_CLI_REPORT_INVALID: row(
    "usage",
    "The report file is of another export or not a report",
    "Make the report anew",
  ),
  RIVET_CLI_INPUT_UNREADABLE: row("environment", "An input file cannot be read", "Check the path and its permissions"),
  RIVET_CLI_OUTPUT_UNWRITABLE: row(
    "environment",
    "An output file, or standard output, cannot be written",
    "Check the path and its permissions, and the room on the disk",
  ),
  RIVET_CLI_PREFLIGHT_FAILED: row(
    "usage",
    "A check of the config, source or destination failed",
    "Follow the hints of the failed checks",
  ),
  RIVET_CLI_PREFLIGHT_UNVERIFIED: row(
    "environment",
    "A check could not be made",
    "Run it again when the system can be reached",
  ),
  RIVET_CLI_CHECK_REPORTED_ERRORS: row(
    "environment",
    "`rivet check` found errors",
    "Correct what its lines name, then check again",
  ),
  RIVET_INIT_CONFIG_EXISTS: row(
    "refusal",
    "The file to write already exists",
    "Choose another name, or move the file away",
  ),
  RIVET_INIT_TABLE_NOT_FOUND: row("usage", "The table to scaffold does not exist", "Check its name and schema"),
  RIVET_INIT_NO_TABLES: row("usage", "No table matches", "Check schema, `--include` and `--exclude`"),
  RIVET_MCP_REQUEST_INVALID: row(
    "usage",
    "A request of the tool protocol is malformed",
    "Correct the client's request",
  ),
  RIVET_INTERNAL_RUN_INVARIANT: row(
    "internal",
    "A mistake of rivet's own while running",
    "Report it with the journal: `rivet journal`",
  ),
  RIVET_INTERNAL_SOURCE_INVARIANT: row(
    "internal",
    "A mistake of rivet's own while reading",
    "Report it with the journal: `rivet journal`",
  ),
  RIVET_INTERNAL_DEST_INVARIANT: row(
    "internal",
    "A mistake of rivet's own while writing",
    "Report it with the journal: `rivet journal`",
  ),
  RIVET_INTERNAL_STATE_INVARIANT: row(
    "internal",
    "A mistake of rivet's own in its state",
    "Report it with the journal: `rivet journal`",
  ),
  RIVET_INTERNAL_TYPE_BUILDER: row(
    "internal",
    "A column met a value it was not made for",
    "Report it with the column's type",
  ),
  RIVET_INTERNAL_VALUE_CONVERTER: row(
    "internal",
    "A value changed between the source and the file",
    "Report it with the column's type",
  ),
  RIVET_VERIFY_MANIFEST_MISSING: row("integrity", "There is a marker but no manifest", "Run the export again"),
  RIVET_VERIFY_RUN_NOT_SUCCESSFUL: row(
    "environment",
    "The manifest is of a run that did not succeed",
    "Run the export again",
  ),
  RIVET_VERIFY_VALUE_CHECK_NOT_AVAILABLE: row(
    "environment",
    "Values of this format cannot be recomputed",
    "Rely on the content digests, or use Parquet",
  ),
  RIVET_VERIFY_PART_MISSING: row(
    "integrity",
    "A file that the manifest names is missing",
    "Run the export again",
  ),
  RIVET_VERIFY_PART_SIZE_MISMATCH: row(
    "integrity",
    "A file has another size than the manifest says",
    "Run the export again",
  ),
  RIVET_VERIFY_PART_CHECKSUM_MISMATCH: row(
    "integrity",
    "A file has other content than the manifest says",
    "Run the export again",
  ),
  RIVET_VERIFY_VALUE_CHECKSUM: row(
    "integrity",
    "The values in a file are not those that were written",
    "Run the export again",
  ),
  RIVET_VERIFY_PART_ROW_COUNT: row(
    "integrity",
    "A file holds another number of rows than the manifest says",
    "Run the export again",
  ),
  RIVET_VERIFY_PART_UNREADABLE: row(
    "integrity",
    "A file cannot be decoded",
    "Run the export again, or `rivet repair` its chunk",
  ),
  RIVET_VERIFY_PART_READ_ERROR: row(
    "environment",
    "A file could not be read",
    "Check the destination and validate again",
  ),
  RIVET_VERIFY_SUCCESS_ABSENT: row(
    "environment",
    "There is a manifest but no marker",
    "Run the export again if its readers wait for `_SUCCESS`",
  ),
  RIVET_VERIFY_SUCCESS_MALFORMED: row("integrity", "The marker is not one of rivet's", "Run the export again"),
  RIVET_VERIFY_SUCCESS_STALE: row("integrity", "The marker belongs to another manifest", "Run the export again"),
  RIVET_VERIFY_MANIFEST_INCONSISTENT: row("integrity", "The manifest contradicts itself", "Run the export again"),
  RIVET_VERIFY_CONTENT_UNMET: row(
    "integrity",
    "`verify: content` asks for more than the store can prove",
    "Use `--depth full`, or a store with checksums",
  ),
  RIVET_VERIFY_MANIFEST_REQUIRED: row(
    "integrity",
    "There is no manifest where one is required",
    "Check the prefix, or run the export",
  ),
  RIVET_VERIFY_MANIFEST_READ_ERROR: row(
    "environment",
    "The manifest could not be read",
    "Check the destination and validate again",
  ),
  RIVET_VERIFY_SUCCESS_READ_ERROR: row(
    "environment",
    "The marker could not be read",
    "Check the destination and validate again",
  ),
  RIVET_VERIFY_LIST_ERROR: row(
    "environment",
    "The prefix could not be listed",
    "Check the rights on the destination and validate again",
  ),
  RIVET_VERIFY_RUN_UNFINISHED: row(
    "environment",
    "Files of a run lie at the prefix that is not finished",
    "Run the export again: it finishes that run, and its manifest names the files",
  ),
  RIVET_VERIFY_UNTRACKED_OBJECT: row(
    "environment",
    "An object lies at the prefix that no manifest names",
    "Nothing needs to be done; readers use the manifest",
  ),
};

/** A stable error code, printed as `[CODE]` and as `code` in JSON. */
export type ErrorCode = keyof typeof table;

export const CODES: Readonly<Record<ErrorCode, CodeInfo>> = table;
