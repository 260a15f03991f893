//! Events on their way to webhooks.

use baton_contract::{At, OutboxStep};
use baton_time::Wall;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Error, Row, SqliteConnection};

use super::{signed, unsigned};
use crate::outbox::{OVERTAKEN_AFTER, Parcel};

/// Carries out one step.
pub(super) async fn write(connection: &mut SqliteConnection, step: &OutboxStep) -> Result<(), Error> {
    let query = match step {
        OutboxStep::Due { hook, seq, call, at } => {
            let sql =
                "INSERT INTO outbox (hook, seq, call, tries, since_us, due_us) VALUES (?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING";
            let at = at.0.as_micros();
            sqlx::query(sql).bind(hook).bind(signed(*seq)).bind(call.map(|id| id.to_string())).bind(at).bind(at)
        }
        OutboxStep::Later { hook, seq, tries, due } => {
            let sql = "UPDATE outbox SET tries = ?, due_us = ? WHERE hook = ? AND seq = ?";
            sqlx::query(sql).bind(i64::from(*tries)).bind(due.0.as_micros()).bind(hook).bind(signed(*seq))
        }
        OutboxStep::Done { hook, seq } => {
            sqlx::query("DELETE FROM outbox WHERE hook = ? AND seq = ?").bind(hook).bind(signed(*seq))
        }
        OutboxStep::Only { hooks } => {
            let names = serde_json::to_string(hooks).map_err(|error| Error::Encode(error.into()))?;
            sqlx::query("DELETE FROM outbox WHERE hook NOT IN (SELECT value FROM json_each(?))").bind(names)
        }
    };
    query.execute(connection).await.map(drop)
}

/// What may be delivered to a webhook at `now`, the longest due first.
pub(super) async fn due(pool: &SqlitePool, hook: &str, now: At, limit: u32) -> Result<Vec<Parcel>, Error> {
    // What has failed before is sent alone; after what is new the next of the same call may be sent, and stands behind it in this order.
    let sql = "SELECT o.seq, o.tries, o.since_us, a.body, o.call FROM outbox o JOIN audit a ON a.seq = o.seq
        WHERE o.hook = ?1 AND o.due_us <= ?2 AND NOT EXISTS (SELECT 1 FROM outbox p
            WHERE p.hook = ?1 AND p.call = o.call AND p.seq < o.seq AND p.tries < ?3 AND (p.tries > 0 OR p.due_us > o.due_us))
        ORDER BY o.due_us, o.seq LIMIT ?4";
    let rows = sqlx::query(sql).bind(hook).bind(now.0.as_micros()).bind(OVERTAKEN_AFTER).bind(limit).fetch_all(pool).await?;
    rows.iter().map(parcel).collect()
}

/// When the next event is due that is not due yet.
pub(super) async fn next_due(pool: &SqlitePool, hook: &str, now: At) -> Result<Option<At>, Error> {
    let sql = "SELECT MIN(due_us) FROM outbox WHERE hook = ? AND due_us > ?";
    let next: Option<i64> = sqlx::query_scalar(sql).bind(hook).bind(now.0.as_micros()).fetch_one(pool).await?;
    Ok(next.map(|at| At(Wall::from_micros(at))))
}

fn parcel(row: &SqliteRow) -> Result<Parcel, Error> {
    let (seq, tries): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (seq, tries) = (unsigned(seq), u32::try_from(tries).unwrap_or(u32::MAX));
    let since = At(Wall::from_micros(row.try_get(2)?));
    let call: Option<String> = row.try_get(4)?;
    let before_next_of = call.filter(|_| tries < OVERTAKEN_AFTER).and_then(|call| call.parse().ok());
    Ok(Parcel { seq, before_next_of, tries, since, body: row.try_get(3)? })
}
