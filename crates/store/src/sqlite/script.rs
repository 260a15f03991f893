//! A whole transaction as one text: each statement by itself is handed over to the thread that has the database, and its answer back, and a
//! busy daemon writes little else than rows that go well.
//!
//! A script only ever does all of it or fails. What is refused by itself, a lease or an event whose number is taken, makes it fail, and then
//! the batches are written one by one.

use std::collections::BTreeMap;

use baton_contract::{CallId, CallView, Event, LeaseRow, OutboxStep, Record, TransferView};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Error, SqliteConnection};

use super::write::{json, name_of};
use super::{CONSTRAINT, code, signed};
use crate::Batch;

/// Rows of one statement at most: SQLite takes 32,766 values.
const ROWS_MAX: usize = 512;

/// A script of so many bytes at most is kept prepared: those of a transfer's steps come again and again, others have many shapes.
const KEPT_BYTES_MAX: usize = 1_200;

/// What batches say, in an order that comes to the same; of a call that is written several times only the last.
#[derive(Default)]
pub(super) struct Script<'a> {
    events: Vec<&'a Event>,
    calls: BTreeMap<CallId, &'a CallView>,
    due: Vec<&'a OutboxStep>,
    others: Vec<&'a Record>,
}

/// What has become of a script.
pub(super) enum Played {
    /// All of it is written.
    Written,
    /// Nothing is: something in it has to be refused by itself.
    Refused,
}

impl<'a> Script<'a> {
    /// Takes batches apart; none where they hold anything that has to be read before it is written.
    pub(super) fn of(batches: &'a [Batch]) -> Option<Script<'a>> {
        let mut script = Script::default();
        for record in batches.iter().flat_map(|batch| &batch.records) {
            match record {
                Record::Audit(event) => script.events.push(event),
                Record::Call(call) => {
                    script.calls.insert(call.id, call);
                }
                Record::Outbox(step @ OutboxStep::Due { .. }) => script.due.push(step),
                Record::Transfer(_) | Record::Lease(_) | Record::Release { .. } => script.others.push(record),
                Record::Journal { .. }
                | Record::Callback(_)
                | Record::Claim { .. }
                | Record::Outbox(OutboxStep::Later { .. } | OutboxStep::Done { .. } | OutboxStep::Only { .. })
                | Record::Placed(_)
                | Record::Forget(_) => return None,
            }
        }
        Some(script)
    }

    /// Writes all of it in one transaction, or nothing. After an error a transaction may be left open.
    pub(super) async fn play(&self, connection: &mut SqliteConnection) -> Result<Played, Error> {
        let Text { sql, values } = self.text()?;
        let is_kept = sql.len() <= KEPT_BYTES_MAX;
        match sqlx::query_with(&sql, values).persistent(is_kept).execute(connection).await {
            Ok(_) => Ok(Played::Written),
            Err(error) if code(&error).is_some_and(|code| code & 0xff == CONSTRAINT) => Ok(Played::Refused),
            Err(error) => Err(error),
        }
    }

    fn text(&self) -> Result<Text<'a>, Error> {
        let mut text = Text::default();
        text.sql.push_str("BEGIN IMMEDIATE;");
        for events in self.events.chunks(ROWS_MAX) {
            text.rows("INSERT INTO audit (seq, id, at_us, kind, call, transfer, body) VALUES", 7, events.len(), "");
            events.iter().try_for_each(|event| text.event(event))?;
        }
        let calls: Vec<&CallView> = self.calls.values().copied().collect();
        for calls in calls.chunks(ROWS_MAX) {
            let over = " ON CONFLICT DO UPDATE SET state = excluded.state, body = excluded.body";
            text.rows("INSERT INTO calls (id, state, started_us, body) VALUES", 4, calls.len(), over);
            calls.iter().try_for_each(|call| text.call(call))?;
        }
        for due in self.due.chunks(ROWS_MAX) {
            let into = "INSERT INTO outbox (hook, seq, call, tries, since_us, due_us) VALUES";
            text.rows(into, 6, due.len(), " ON CONFLICT DO NOTHING");
            due.iter().try_for_each(|step| text.due(step))?;
        }
        for record in &self.others {
            match record {
                Record::Transfer(transfer) => text.transfer(transfer)?,
                Record::Lease(lease) => text.lease(lease)?,
                Record::Release { ae, epoch } => {
                    text.sql.push_str("UPDATE leases SET held = 0 WHERE ae = ? AND epoch = ?;");
                    text.value(ae.as_str())?;
                    text.value(signed(*epoch))?;
                }
                Record::Journal { .. }
                | Record::Call(_)
                | Record::Callback(_)
                | Record::Claim { .. }
                | Record::Audit(_)
                | Record::Outbox(_)
                | Record::Placed(_)
                | Record::Forget(_) => {}
            }
        }
        text.sql.push_str("COMMIT");
        Ok(text)
    }
}

/// Statements, and the values of all their places in their order.
#[derive(Default)]
struct Text<'a> {
    sql: String,
    values: SqliteArguments<'a>,
}

impl<'a> Text<'a> {
    fn rows(&mut self, into: &str, width: usize, count: usize, then: &str) {
        self.sql.push_str(into);
        for row in 0..count {
            self.sql.push_str(if row == 0 { " (?" } else { ", (?" });
            (1..width).for_each(|_| self.sql.push_str(", ?"));
            self.sql.push(')');
        }
        self.sql.push_str(then);
        self.sql.push(';');
    }

    fn value<T: sqlx::Encode<'a, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + 'a>(&mut self, value: T) -> Result<(), Error> {
        self.values.add(value).map_err(Error::Encode)
    }

    fn event(&mut self, event: &'a Event) -> Result<(), Error> {
        self.value(signed(event.seq))?;
        self.value(event.id.as_str())?;
        self.value(event.at.0.as_micros())?;
        self.value(event.kind.name())?;
        self.value(event.call.map(|id| id.to_string()))?;
        self.value(event.transfer.map(|id| id.to_string()))?;
        self.value(json(event)?)
    }

    fn call(&mut self, call: &CallView) -> Result<(), Error> {
        self.value(call.id.to_string())?;
        self.value(name_of(&call.state)?)?;
        self.value(call.started_at.0.as_micros())?;
        self.value(json(call)?)
    }

    fn due(&mut self, step: &'a OutboxStep) -> Result<(), Error> {
        let OutboxStep::Due { hook, seq, call, at } = step else { return Ok(()) };
        self.value(hook.as_str())?;
        self.value(signed(*seq))?;
        self.value(call.map(|id| id.to_string()))?;
        self.value(0_i64)?;
        self.value(at.0.as_micros())?;
        self.value(at.0.as_micros())
    }

    fn transfer(&mut self, transfer: &'a TransferView) -> Result<(), Error> {
        let id = transfer.id.to_string();
        let over = " ON CONFLICT DO UPDATE SET state = excluded.state, outcome = excluded.outcome, body = excluded.body";
        self.rows("INSERT INTO transfers (id, call, state, outcome, body) VALUES", 5, 1, over);
        self.value(id.clone())?;
        self.value(transfer.call.to_string())?;
        self.value(transfer.state.name())?;
        self.value(transfer.outcome.map(|outcome| outcome.name()))?;
        self.value(json(transfer)?)?;
        if transfer.attempts.is_empty() {
            return Ok(());
        }
        let into = "INSERT OR REPLACE INTO attempts (transfer, number, ae, leg, outcome, sip_status, reason) VALUES";
        self.rows(into, 7, transfer.attempts.len(), "");
        for (number, attempt) in (0_i64..).zip(&transfer.attempts) {
            self.value(id.clone())?;
            self.value(number)?;
            self.value(attempt.ae.as_str())?;
            self.value(attempt.leg.to_string())?;
            self.value(attempt.outcome.map(|outcome| outcome.name()))?;
            self.value(attempt.sip_status)?;
            self.value(attempt.reason.as_deref())?;
        }
        Ok(())
    }

    /// The rule of [`super::write::Writer`]'s lease, but that a lease that is not to be had breaks the table's own: an epoch is never null.
    fn lease(&mut self, lease: &'a LeaseRow) -> Result<(), Error> {
        self.sql.push_str(
            "INSERT INTO leases (ae, transfer, epoch, until_us, held) VALUES (?, ?, ?, ?, 1)
             ON CONFLICT DO UPDATE SET transfer = excluded.transfer, until_us = excluded.until_us, held = 1, epoch = CASE
             WHEN excluded.epoch > epoch OR (excluded.epoch = epoch AND excluded.transfer = transfer AND held = 1)
             THEN excluded.epoch END;",
        );
        self.value(lease.ae.as_str())?;
        self.value(lease.transfer.to_string())?;
        self.value(signed(lease.epoch))?;
        self.value(lease.until.0.as_micros())
    }
}
