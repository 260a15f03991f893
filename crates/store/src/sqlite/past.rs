//! What a key has placed, and what is forgotten.

use baton_contract::{At, Forget, PlacedRow};
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row, SqliteConnection};

/// Remembers which call a key has placed. Whoever was first under it stays.
pub(super) async fn placed(connection: &mut SqliteConnection, row: &PlacedRow) -> Result<(), Error> {
    let request = serde_json::to_string(&row.request).map_err(|error| Error::Encode(error.into()))?;
    sqlx::query("INSERT INTO placed (key, call, at_us, request) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(&row.key)
        .bind(row.call.to_string())
        .bind(row.at.0.as_micros())
        .bind(request)
        .execute(connection)
        .await
        .map(drop)
}

/// Reads such a row back.
pub(super) fn placed_row(row: &SqliteRow) -> Result<PlacedRow, Error> {
    let (key, call, at, request): (String, String, i64, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let call = call.parse().map_err(|_| Error::Decode("no id of a call".into()))?;
    let request = serde_json::from_str(&request).map_err(|error| Error::Decode(error.into()))?;
    Ok(PlacedRow { key, call, at: At(baton_time::Wall::from_micros(at)), request })
}

/// The calls that are forgotten: the oldest first, so that they are the same ones in each statement until they are gone.
macro_rules! calls {
    () => {
        "SELECT id FROM calls WHERE state = 'ended' AND started_us < ?1 ORDER BY started_us, id LIMIT ?2"
    };
}

/// Forgets what is long over, a call with everything that belongs to it.
pub(super) async fn forget(connection: &mut SqliteConnection, what: &Forget) -> Result<(), Error> {
    const OLD_CALLS: [&str; 5] = [
        concat!("DELETE FROM attempts WHERE transfer IN (SELECT id FROM transfers WHERE call IN (", calls!(), "))"),
        concat!("DELETE FROM transfers WHERE call IN (", calls!(), ")"),
        concat!("DELETE FROM journal WHERE call IN (", calls!(), ")"),
        concat!("DELETE FROM calls WHERE id IN (", calls!(), ")"),
        "DELETE FROM callbacks WHERE id IN (SELECT id FROM callbacks
            WHERE state NOT IN ('scheduled', 'running') AND at_us < ?1 ORDER BY at_us LIMIT ?2)",
    ];
    if let Some(before) = what.calls_before {
        for sql in OLD_CALLS {
            sqlx::query(sql).bind(before.0.as_micros()).bind(what.limit).execute(&mut *connection).await?;
        }
    }
    sqlx::query("DELETE FROM placed WHERE key IN (SELECT key FROM placed WHERE at_us < ?1 ORDER BY at_us LIMIT ?2)")
        .bind(what.keys_before.0.as_micros())
        .bind(what.limit)
        .execute(connection)
        .await
        .map(drop)
}
