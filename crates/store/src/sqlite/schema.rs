//! The tables, and the steps from one version of them to the next.

use sqlx::{Connection, Error, Row, SqliteConnection};

/// Step `n` leads from version `n` to version `n + 1`. A step that has been released is never changed.
const STEPS: [&[&str]; 4] = [&[
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE journal (call TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL,
        bytes BLOB NOT NULL, PRIMARY KEY (call, seq)) STRICT, WITHOUT ROWID",
    "CREATE TABLE calls (id TEXT PRIMARY KEY, state TEXT NOT NULL, started_us INTEGER NOT NULL, body TEXT NOT NULL) STRICT",
    "CREATE TABLE transfers (id TEXT PRIMARY KEY, call TEXT NOT NULL, state TEXT NOT NULL, outcome TEXT,
        body TEXT NOT NULL) STRICT",
    "CREATE INDEX transfers_by_call ON transfers (call)",
    "CREATE TABLE attempts (transfer TEXT NOT NULL, number INTEGER NOT NULL, ae TEXT NOT NULL, leg TEXT NOT NULL, outcome TEXT,
        sip_status INTEGER, reason TEXT, PRIMARY KEY (transfer, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE callbacks (id TEXT PRIMARY KEY, state TEXT NOT NULL, ae TEXT NOT NULL, at_us INTEGER NOT NULL,
        body TEXT NOT NULL) STRICT",
    "CREATE INDEX callbacks_by_time ON callbacks (at_us)",
    "CREATE TABLE leases (ae TEXT PRIMARY KEY, transfer TEXT NOT NULL, epoch INTEGER NOT NULL, until_us INTEGER NOT NULL,
        held INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at_us INTEGER NOT NULL, kind TEXT NOT NULL, call TEXT,
        transfer TEXT, body TEXT NOT NULL) STRICT",
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END",
    "CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END",
], &[
    "CREATE INDEX audit_by_transfer ON audit (transfer, seq) WHERE transfer IS NOT NULL",
], &[
    "CREATE TABLE outbox (hook TEXT NOT NULL, seq INTEGER NOT NULL, call TEXT, tries INTEGER NOT NULL, since_us INTEGER NOT NULL,
        due_us INTEGER NOT NULL, PRIMARY KEY (hook, seq)) STRICT, WITHOUT ROWID",
    "CREATE INDEX outbox_by_time ON outbox (hook, due_us)",
    "CREATE INDEX outbox_by_call ON outbox (hook, call, seq)",
], &[
    "CREATE TABLE placed (key TEXT PRIMARY KEY, call TEXT NOT NULL, at_us INTEGER NOT NULL, request TEXT NOT NULL)
        STRICT, WITHOUT ROWID",
    "CREATE INDEX placed_by_time ON placed (at_us)",
    "CREATE INDEX calls_by_time ON calls (state, started_us)",
]];

/// The version that this Baton reads and writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// What was found in a file that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Empty,
    /// Our tables, in this version.
    Version(i64),
    /// Somebody else's tables.
    Foreign,
}

/// Looks what is in the file.
pub(super) async fn look(connection: &mut SqliteConnection) -> Result<Found, Error> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'").fetch_all(&mut *connection).await?;
    if tables.is_empty() {
        return Ok(Found::Empty);
    }
    if !tables.iter().any(|name| name == "meta") || !tables.iter().any(|name| name == "audit") {
        return Ok(Found::Foreign);
    }
    let row = sqlx::query("SELECT value FROM meta WHERE key = 'schema_version'").fetch_optional(connection).await?;
    row.map_or(Ok(Found::Foreign), |row| row.try_get(0).map(Found::Version))
}

/// Brings the tables from `version` to [`VERSION`], all or nothing.
pub(super) async fn migrate(connection: &mut SqliteConnection, version: i64) -> Result<(), Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        for sql in *step {
            sqlx::raw_sql(sql).execute(&mut *transaction).await?;
        }
    }
    sqlx::query("INSERT INTO meta (key, value) VALUES ('schema_version', ?) ON CONFLICT DO UPDATE SET value = excluded.value")
        .bind(VERSION)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
