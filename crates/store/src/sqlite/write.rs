//! Writing records.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use baton_contract::{CallView, CallbackView, Event, LeaseRow, Record, TransferView};
use serde::Serialize;
use sqlx::{Error, Row, SqliteConnection};

use super::script::{Played, Script};
use super::{outbox, past, refusal, signed};
use crate::ledger::{Flush, Ledger, Tidy, Undo};
use crate::{Batch, Refusal};

/// The one connection that writes.
pub(crate) struct Writer {
    connection: SqliteConnection,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection) -> Writer {
        Writer { connection }
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Error> {
        sqlx::query(sql).execute(&mut self.connection).await.map(drop)
    }

    /// Ends a transaction that went wrong. SQLite has ended some of them by itself, and then says that there is none.
    async fn roll_back(&mut self) {
        if let Err(error) = self.run("ROLLBACK").await {
            tracing::debug!(%error, "nothing to roll back");
        }
    }

    async fn write_all(&mut self, batches: &[Batch]) -> Result<Vec<Result<Vec<Undo>, Refusal>>, Error> {
        if let Some(script) = Script::of(batches) {
            match script.play(&mut self.connection).await? {
                Played::Written => return Ok(vec![Ok(Vec::new()); batches.len()]),
                Played::Refused => self.roll_back().await,
            }
        }
        self.run("BEGIN IMMEDIATE").await?;
        if let [only] = batches {
            let result = self.write_batch(only).await?;
            self.run(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            return Ok(vec![result]);
        }
        let mut results = Vec::with_capacity(batches.len());
        for batch in batches {
            self.run("SAVEPOINT batch").await?;
            let result = self.write_batch(batch).await?;
            if result.is_err() {
                self.run("ROLLBACK TO batch").await?;
            }
            self.run("RELEASE batch").await?;
            results.push(result);
        }
        self.run("COMMIT").await?;
        Ok(results)
    }

    async fn write_batch(&mut self, batch: &Batch) -> Result<Result<Vec<Undo>, Refusal>, Error> {
        let mut undos = Vec::new();
        for record in &batch.records {
            if let Err(refusal) = self.write_record(record, &mut undos).await? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(undos))
    }

    async fn write_record(&mut self, record: &Record, undos: &mut Vec<Undo>) -> Result<Result<(), Refusal>, Error> {
        match record {
            Record::Journal { call, seq, kind, version, bytes } => {
                sqlx::query("INSERT OR REPLACE INTO journal (call, seq, kind, version, bytes) VALUES (?, ?, ?, ?, ?)")
                    .bind(call.to_string())
                    .bind(signed(*seq))
                    .bind(kind)
                    .bind(*version)
                    .bind(bytes)
                    .execute(&mut self.connection)
                    .await?;
                Ok(Ok(()))
            }
            Record::Call(call) => self.call(call).await.map(Ok),
            Record::Transfer(transfer) => self.transfer(transfer).await.map(Ok),
            Record::Callback(callback) => self.callback(callback).await.map(|undo| {
                undos.push(undo);
                Ok(())
            }),
            Record::Claim { from, callback } => {
                self.claim(*from, callback).await.map(|claimed| claimed.map(|undo| undos.push(undo)))
            }
            Record::Lease(lease) => self.lease(lease).await,
            Record::Release { ae, epoch } => {
                sqlx::query("UPDATE leases SET held = 0 WHERE ae = ? AND epoch = ?")
                    .bind(ae.as_str())
                    .bind(signed(*epoch))
                    .execute(&mut self.connection)
                    .await?;
                Ok(Ok(()))
            }
            Record::Audit(event) => self.audit(event).await,
            Record::Outbox(step) => outbox::write(&mut self.connection, step).await.map(Ok),
            Record::Placed(row) => past::placed(&mut self.connection, row).await.map(Ok),
            Record::Forget(what) => past::forget(&mut self.connection, what).await.map(Ok),
        }
    }

    async fn call(&mut self, call: &CallView) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO calls (id, state, started_us, body) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET state = excluded.state, body = excluded.body",
        )
        .bind(call.id.to_string())
        .bind(name_of(&call.state)?)
        .bind(call.started_at.0.as_micros())
        .bind(json(call)?)
        .execute(&mut self.connection)
        .await
        .map(drop)
    }

    async fn transfer(&mut self, transfer: &TransferView) -> Result<(), Error> {
        let id = transfer.id.to_string();
        sqlx::query(
            "INSERT INTO transfers (id, call, state, outcome, body) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET state = excluded.state, outcome = excluded.outcome, body = excluded.body",
        )
        .bind(&id)
        .bind(transfer.call.to_string())
        .bind(transfer.state.name())
        .bind(transfer.outcome.map(|outcome| outcome.name()))
        .bind(json(transfer)?)
        .execute(&mut self.connection)
        .await?;
        for (number, attempt) in (0_i64..).zip(&transfer.attempts) {
            sqlx::query(
                "INSERT OR REPLACE INTO attempts (transfer, number, ae, leg, outcome, sip_status, reason)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(&id)
            .bind(number)
            .bind(attempt.ae.as_str())
            .bind(attempt.leg.to_string())
            .bind(attempt.outcome.map(|outcome| outcome.name()))
            .bind(attempt.sip_status)
            .bind(&attempt.reason)
            .execute(&mut self.connection)
            .await?;
        }
        Ok(())
    }

    async fn callback(&mut self, callback: &CallbackView) -> Result<Undo, Error> {
        let (id, written) = (callback.id.to_string(), json(callback)?);
        let before =
            sqlx::query("SELECT body FROM callbacks WHERE id = ?").bind(&id).fetch_optional(&mut self.connection).await?;
        let before = before.map(|row| row.try_get(0)).transpose()?;
        self.put_callback(callback, &written).await?;
        Ok(Undo { id: callback.id, written, before })
    }

    /// Writes a callback over the row that whoever writes it knows; refused where another one stands, or none.
    async fn claim(&mut self, from: u64, callback: &CallbackView) -> Result<Result<Undo, Refusal>, Error> {
        let undo = self.callback(callback).await?;
        let known = |body: &String| serde_json::from_str::<CallbackView>(body).map(|before| before.progress.epoch);
        let before = undo.before.as_ref().map(known).transpose().map_err(|error| Error::Decode(error.into()))?;
        Ok(if before == Some(from) { Ok(undo) } else { Err(Refusal::ClaimTaken) })
    }

    async fn put_callback(&mut self, callback: &CallbackView, body: &str) -> Result<(), Error> {
        sqlx::query("INSERT OR REPLACE INTO callbacks (id, state, ae, at_us, body) VALUES (?, ?, ?, ?, ?)")
            .bind(callback.id.to_string())
            .bind(name_of(&callback.state)?)
            .bind(callback.ae.as_str())
            .bind(callback.at.0.as_micros())
            .bind(body)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Takes a lease, unless one stands that is as new; the same one again only moves its end.
    async fn lease(&mut self, lease: &LeaseRow) -> Result<Result<(), Refusal>, Error> {
        let done = sqlx::query(
            "INSERT INTO leases (ae, transfer, epoch, until_us, held) VALUES (?, ?, ?, ?, 1)
             ON CONFLICT DO UPDATE SET transfer = excluded.transfer, epoch = excluded.epoch, until_us = excluded.until_us, held = 1
             WHERE excluded.epoch > epoch OR (excluded.epoch = epoch AND excluded.transfer = transfer AND held = 1)",
        )
        .bind(lease.ae.as_str())
        .bind(lease.transfer.to_string())
        .bind(signed(lease.epoch))
        .bind(lease.until.0.as_micros())
        .execute(&mut self.connection)
        .await?;
        Ok(if done.rows_affected() == 0 { Err(Refusal::LeaseTaken) } else { Ok(()) })
    }

    /// Appends an event; the same one again changes nothing.
    async fn audit(&mut self, event: &Event) -> Result<Result<(), Refusal>, Error> {
        let done = sqlx::query(
            "INSERT INTO audit (seq, id, at_us, kind, call, transfer, body) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(signed(event.seq))
        .bind(&event.id)
        .bind(event.at.0.as_micros())
        .bind(event.kind.name())
        .bind(event.call.map(|id| id.to_string()))
        .bind(event.transfer.map(|id| id.to_string()))
        .bind(json(event)?)
        .execute(&mut self.connection)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(Ok(()));
        }
        let standing: String = sqlx::query_scalar("SELECT id FROM audit WHERE seq = ?")
            .bind(signed(event.seq))
            .fetch_one(&mut self.connection)
            .await?;
        Ok(if standing == event.id { Ok(()) } else { Err(Refusal::Duplicate) })
    }

    async fn undo_all(&mut self, undos: &[Undo]) -> Result<(), Error> {
        self.run("BEGIN IMMEDIATE").await?;
        for undo in undos.iter().rev() {
            let standing: Option<String> = sqlx::query_scalar("SELECT body FROM callbacks WHERE id = ?")
                .bind(undo.id.to_string())
                .fetch_optional(&mut self.connection)
                .await?;
            if standing.as_ref() != Some(&undo.written) {
                continue;
            }
            match &undo.before {
                Some(before) => {
                    let callback = serde_json::from_str(before).map_err(|error| Error::Decode(error.into()))?;
                    self.put_callback(&callback, before).await?;
                }
                None => {
                    let id = undo.id.to_string();
                    sqlx::query("DELETE FROM callbacks WHERE id = ?").bind(id).execute(&mut self.connection).await?;
                }
            }
        }
        self.run("COMMIT").await
    }
}

#[async_trait]
impl Ledger for Writer {
    async fn write(&mut self, batches: &[Batch]) -> Result<Vec<Result<Vec<Undo>, Refusal>>, Refusal> {
        match self.write_all(batches).await {
            Ok(results) => Ok(results),
            Err(error) => {
                tracing::debug!(%error, "commit failed");
                self.roll_back().await;
                Err(refusal(&error))
            }
        }
    }

    async fn undo(&mut self, undos: &[Undo]) -> Result<(), Refusal> {
        if let Err(error) = self.undo_all(undos).await {
            self.roll_back().await;
            return Err(refusal(&error));
        }
        Ok(())
    }

    async fn probe(&mut self) -> Result<(), Refusal> {
        let sql = "INSERT INTO meta (key, value) VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1";
        self.run(sql).await.map_err(|error| refusal(&error))
    }
}

/// The disk under the log.
pub(crate) struct Disk {
    log: Arc<File>,
    connection: SqliteConnection,
    /// A flush has failed: the kernel may have dropped pages and forgotten it, so flushing the log again would prove nothing.
    failed: bool,
}

impl Disk {
    pub(super) fn new(log: Arc<File>, connection: SqliteConnection) -> Disk {
        Disk { log, connection, failed: false }
    }
}

#[async_trait]
impl Flush for Disk {
    async fn flush(&mut self) -> Result<(), Refusal> {
        if self.failed {
            let whole =
                checkpoint(&mut self.connection, "PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(|error| refusal(&error))?;
            if !whole {
                return Err(Refusal::FlushFailed);
            }
            self.failed = false;
        }
        let log = Arc::clone(&self.log);
        let flushed = tokio::task::spawn_blocking(move || log.sync_data()).await;
        self.failed = !matches!(flushed, Ok(Ok(())));
        if self.failed { Err(Refusal::FlushFailed) } else { Ok(()) }
    }
}

/// Carries the log into the database file now and then, so that it starts anew and no commit has to.
pub(crate) struct Checkpointer {
    connection: SqliteConnection,
}

impl Checkpointer {
    pub(super) fn new(connection: SqliteConnection) -> Checkpointer {
        Checkpointer { connection }
    }
}

#[async_trait]
impl Tidy for Checkpointer {
    async fn tidy(&mut self) {
        if let Err(error) = checkpoint(&mut self.connection, "PRAGMA wal_checkpoint(PASSIVE)").await {
            tracing::warn!(%error, "the log was not carried into the database file");
        }
    }
}

/// Carries the log into the database file; says whether all of it was.
async fn checkpoint(connection: &mut SqliteConnection, sql: &'static str) -> Result<bool, Error> {
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let (busy, frames, carried): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(busy == 0 && frames == carried)
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Encode(error.into()))
}

/// The name of a state as it stands in JSON.
pub(super) fn name_of<T: Serialize>(state: &T) -> Result<String, Error> {
    json(state).map(|quoted| quoted.trim_matches('"').to_owned())
}

#[cfg(test)]
impl Writer {
    /// Makes the database full at so many pages.
    pub(crate) async fn limit_pages(&mut self, pages: u32) {
        sqlx::raw_sql(&format!("PRAGMA max_page_count = {pages}")).execute(&mut self.connection).await.unwrap();
    }
}
