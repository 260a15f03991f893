//! Reading rows back.

use async_trait::async_trait;
use baton_contract::{
    AeId, At, CallId, CallView, CallbackId, CallbackView, Event, LeaseRow, Page, PlacedRow, TransferId, TransferView,
};
use baton_time::Wall;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Error, Row};

use super::{outbox, past, signed, unsigned};
use crate::ledger::Archive;
use crate::{JournalRow, Parcel, ReadError};

/// The connections that read.
pub(crate) struct Reader {
    pool: SqlitePool,
}

impl Reader {
    pub(super) fn new(pool: SqlitePool) -> Reader {
        Reader { pool }
    }

    async fn by_id<T: DeserializeOwned>(
        &self,
        table: &'static str,
        sql: &'static str,
        id: String,
    ) -> Result<Option<T>, ReadError> {
        let row = sqlx::query(sql).bind(id).fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(|row| body(table, &row)).transpose()
    }
}

#[async_trait]
impl Archive for Reader {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, ReadError> {
        self.by_id("calls", "SELECT body FROM calls WHERE id = ?", id.to_string()).await
    }

    async fn calls(&self, before: Option<CallId>, limit: u32) -> Result<Page<CallView>, ReadError> {
        // Ids sort by time, and "d" sorts after every one of them.
        let before = before.map_or_else(|| "d".to_owned(), |id| id.to_string());
        let rows = sqlx::query("SELECT body FROM calls WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let mut items: Vec<CallView> = bodies("calls", &rows)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| is_more).map(|call| call.id.to_string());
        Ok(Page { items, next })
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferView>, ReadError> {
        self.by_id("transfers", "SELECT body FROM transfers WHERE id = ?", id.to_string()).await
    }

    async fn callback(&self, id: CallbackId) -> Result<Option<CallbackView>, ReadError> {
        self.by_id("callbacks", "SELECT body FROM callbacks WHERE id = ?", id.to_string()).await
    }

    async fn callbacks(&self, limit: u32) -> Result<Vec<CallbackView>, ReadError> {
        let sql = "SELECT body FROM callbacks ORDER BY at_us DESC, id DESC LIMIT ?";
        let rows = sqlx::query(sql).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        bodies("callbacks", &rows)
    }

    async fn callbacks_due(&self, before: At) -> Result<Vec<CallbackView>, ReadError> {
        let sql = "SELECT body FROM callbacks WHERE at_us < ? AND state IN ('scheduled', 'running') ORDER BY at_us, id";
        let rows = sqlx::query(sql).bind(before.0.as_micros()).fetch_all(&self.pool).await.map_err(failed)?;
        bodies("callbacks", &rows)
    }

    async fn open_callbacks(&self) -> Result<Vec<CallbackView>, ReadError> {
        let sql = "SELECT body FROM callbacks WHERE state IN ('scheduled', 'running') ORDER BY at_us, id";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.map_err(failed)?;
        bodies("callbacks", &rows)
    }

    async fn placed(&self, key: &str) -> Result<Option<PlacedRow>, ReadError> {
        let sql = "SELECT key, call, at_us, request FROM placed WHERE key = ?";
        let row = sqlx::query(sql).bind(key).fetch_optional(&self.pool).await.map_err(failed)?;
        row.as_ref().map(past::placed_row).transpose().map_err(|error| damaged("placed", &error))
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<Event>, ReadError> {
        let sql = "SELECT body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?";
        let rows = sqlx::query(sql).bind(signed(after)).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        bodies("audit", &rows)
    }

    async fn events_of(&self, transfer: TransferId, limit: u32) -> Result<Vec<Event>, ReadError> {
        let sql = "SELECT body FROM audit WHERE transfer = ? ORDER BY seq LIMIT ?";
        let rows = sqlx::query(sql).bind(transfer.to_string()).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        bodies("audit", &rows)
    }

    async fn last_event_seq(&self) -> Result<u64, ReadError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM audit").fetch_one(&self.pool).await.map_err(failed)?;
        Ok(unsigned(last.unwrap_or(0)))
    }

    async fn leases(&self) -> Result<Vec<LeaseRow>, ReadError> {
        let sql = "SELECT ae, transfer, epoch, until_us FROM leases WHERE held = 1 ORDER BY ae";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(lease).collect()
    }

    async fn epochs(&self) -> Result<Vec<(AeId, u64)>, ReadError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT ae, epoch FROM leases ORDER BY ae").fetch_all(&self.pool).await.map_err(failed)?;
        Ok(rows.into_iter().map(|(ae, epoch)| (AeId(ae), unsigned(epoch))).collect())
    }

    async fn journal(&self, call: CallId) -> Result<Vec<JournalRow>, ReadError> {
        let sql = "SELECT seq, kind, version, bytes FROM journal WHERE call = ? ORDER BY seq";
        let rows = sqlx::query(sql).bind(call.to_string()).fetch_all(&self.pool).await.map_err(failed)?;
        let step = |row: &SqliteRow| -> Result<JournalRow, Error> {
            let (seq, kind, version, bytes) = (row.try_get(0).map(unsigned)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            Ok(JournalRow { call, seq, kind, version, bytes })
        };
        rows.iter().map(|row| step(row).map_err(|error| damaged("journal", &error))).collect()
    }

    async fn parcels(&self, hook: &str, now: At, limit: u32) -> Result<Vec<Parcel>, ReadError> {
        outbox::due(&self.pool, hook, now, limit).await.map_err(failed)
    }

    async fn next_parcel_at(&self, hook: &str, now: At) -> Result<Option<At>, ReadError> {
        outbox::next_due(&self.pool, hook, now).await.map_err(failed)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

fn lease(row: &SqliteRow) -> Result<LeaseRow, ReadError> {
    let wrong = |error: Error| damaged("leases", &error);
    let transfer: String = row.try_get(1).map_err(wrong)?;
    Ok(LeaseRow {
        ae: AeId(row.try_get(0).map_err(wrong)?),
        transfer: transfer.parse().map_err(|error| damaged("leases", &error))?,
        epoch: row.try_get(2).map(unsigned).map_err(wrong)?,
        until: At(Wall::from_micros(row.try_get(3).map_err(wrong)?)),
    })
}

fn bodies<T: DeserializeOwned>(table: &'static str, rows: &[SqliteRow]) -> Result<Vec<T>, ReadError> {
    rows.iter().map(|row| body(table, row)).collect()
}

fn body<T: DeserializeOwned>(table: &'static str, row: &SqliteRow) -> Result<T, ReadError> {
    let text: String = row.try_get(0).map_err(|error| damaged(table, &error))?;
    serde_json::from_str(&text).map_err(|error| damaged(table, &error))
}

fn damaged(table: &'static str, error: &dyn std::fmt::Display) -> ReadError {
    ReadError::Damaged { table, why: error.to_string() }
}

fn failed(error: Error) -> ReadError {
    ReadError::Failed { why: error.to_string() }
}
