//! Opening: what is wrong is said in one sentence that names the place.

use sqlx::{Connection, SqliteConnection};

use super::*;

async fn complaint(url: &str) -> String {
    Store::open(url, Settings::default(), bell().0).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_store_is_named() {
    let scratch = Scratch::new();
    let folder = scratch.folder().display();
    let there = |name: &str| format!("sqlite:{folder}/{name}");
    assert_eq!(
        complaint(&there("no/baton.db")).await,
        format!("the store {folder}/no/baton.db cannot be opened: its folder does not exist")
    );
    assert_eq!(
        complaint(&format!("sqlite:{folder}")).await,
        format!("the store {folder} cannot be opened: it is a folder, not a file")
    );
    std::fs::write(scratch.folder().join("text.db"), "once upon a time ".repeat(500)).unwrap();
    assert_eq!(complaint(&there("text.db")).await, format!("the store {folder}/text.db is not an SQLite database"));
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused_without_showing_its_password() {
    assert_eq!(
        complaint("postgres://baton:hush@db.example/baton").await,
        "the store URL \"postgres://…@db.example/baton\" is not understood: write `sqlite:PATH`"
    );
    for url in ["", "baton.db", "sqlite:", "sqlite::memory:", "sqlite:x.db?mode=ro"] {
        assert!(complaint(url).await.ends_with("is not understood: write `sqlite:PATH`"), "{url}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_ours_is_left_alone() {
    let scratch = Scratch::new();
    std::fs::write(scratch.file(), "").unwrap();
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("CREATE TABLE songs (title TEXT)").execute(&mut raw).await.unwrap();
    let path = scratch.file().display().to_string();
    assert_eq!(complaint(&scratch.url()).await, format!("the store {path} is another program's database"));
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema").fetch_all(&mut raw).await.unwrap();
    assert_eq!(tables, ["songs"]);
}

#[tokio::test]
async fn a_store_from_the_future_is_not_touched() {
    let scratch = Scratch::new();
    open(&scratch).await.0.close().await;
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("UPDATE meta SET value = 99 WHERE key = 'schema_version'").execute(&mut raw).await.unwrap();
    assert_eq!(
        complaint(&scratch.url()).await,
        format!("the store {} has schema version 99, and this Baton knows versions up to 4", scratch.file().display())
    );
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_up_to_date_with_what_is_in_it() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let (_, transfer, _) = ids();
    commit(&store, &mut acks, CommitLevel::Power, vec![audit_of(1, Some(transfer))]).await;
    store.close().await;
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    let later = ["DROP TABLE placed", "DROP INDEX calls_by_time"];
    for sql in later.into_iter().chain([
        "DROP INDEX audit_by_transfer",
        "DROP TABLE outbox",
        "UPDATE meta SET value = 1 WHERE key = 'schema_version'",
    ]) {
        sqlx::query(sql).execute(&mut raw).await.unwrap();
    }
    let (store, _acks) = open(&scratch).await;
    assert_eq!(store.events_of(transfer, 10).await.unwrap().len(), 1);
    let plan: String =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE name = 'audit_by_transfer'").fetch_one(&mut raw).await.unwrap();
    assert_eq!(plan, "audit_by_transfer");
}

#[tokio::test]
async fn a_store_that_somebody_holds_locked_is_named() {
    let scratch = Scratch::new();
    open(&scratch).await.0.close().await;
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
    assert_eq!(complaint(&scratch.url()).await, format!("the store {} is locked by another process", scratch.file().display()));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_secret() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let (_store, _acks) = open(&scratch).await;
    for name in ["baton.db", "baton.db-wal"] {
        let mode = std::fs::metadata(scratch.folder().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}
