//! What Baton remembers: journal, calls, transfers, callbacks, leases and the audit trail.
//!
//! [`Store::submit`] hands a batch to the store's own writer and returns at once; the [`Ack`] comes through the callback given to
//! [`Store::open`]. Process-level batches wait for no disk flush; power-level ones are acknowledged after one.
#![forbid(unsafe_code)]

mod commit;
mod error;
mod flusher;
mod health;
mod ledger;
mod outbox;
mod past;
#[cfg(test)]
mod plays;
mod sqlite;
mod store;
mod writer;

pub use commit::{Ack, Batch, JournalRow, OnAck, Refusal, WhenLate};
pub use error::{OpenError, ReadError};
pub use health::Health;
pub use outbox::Parcel;
pub use past::past_events;
pub use store::{Settings, Store};
