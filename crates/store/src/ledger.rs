//! What the store asks of a database. SQLite answers today; whatever else keeps these promises may follow.

use async_trait::async_trait;
use baton_contract::{
    AeId, At, CallId, CallView, CallbackId, CallbackView, Event, LeaseRow, Page, PlacedRow, TransferId, TransferView,
};

use crate::{Batch, JournalRow, Parcel, ReadError, Refusal};

/// The one writer of a database.
#[async_trait]
pub(crate) trait Ledger: Send + 'static {
    /// Writes the batches in one transaction that survives a crash of the process.
    ///
    /// Each batch is written whole or not at all and has its own result, with what would take it back. The outer error means
    /// that none of them was written.
    async fn write(&mut self, batches: &[Batch]) -> Result<Vec<Result<Vec<Undo>, Refusal>>, Refusal>;

    /// Takes writes back whose batches were refused after all: the last one first, and only where nobody wrote since.
    async fn undo(&mut self, undos: &[Undo]) -> Result<(), Refusal>;

    /// Writes something that means nothing: is the database well again?
    async fn probe(&mut self) -> Result<(), Refusal>;
}

/// Makes what the [`Ledger`] has written survive a loss of power.
#[async_trait]
pub(crate) trait Flush: Send + 'static {
    /// Returns when everything that was written before the call is on the disk for good.
    async fn flush(&mut self) -> Result<(), Refusal>;
}

/// Housekeeping, which may take its time.
#[async_trait]
pub(crate) trait Tidy: Send + 'static {
    /// Called every now and then after commits.
    async fn tidy(&mut self);
}

/// The readers of a database.
#[async_trait]
pub(crate) trait Archive: Send + Sync + 'static {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, ReadError>;
    async fn calls(&self, before: Option<CallId>, limit: u32) -> Result<Page<CallView>, ReadError>;
    async fn transfer(&self, id: TransferId) -> Result<Option<TransferView>, ReadError>;
    async fn callback(&self, id: CallbackId) -> Result<Option<CallbackView>, ReadError>;
    async fn callbacks(&self, limit: u32) -> Result<Vec<CallbackView>, ReadError>;
    async fn callbacks_due(&self, before: At) -> Result<Vec<CallbackView>, ReadError>;
    async fn open_callbacks(&self) -> Result<Vec<CallbackView>, ReadError>;
    async fn placed(&self, key: &str) -> Result<Option<PlacedRow>, ReadError>;
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<Event>, ReadError>;
    async fn events_of(&self, transfer: TransferId, limit: u32) -> Result<Vec<Event>, ReadError>;
    async fn last_event_seq(&self) -> Result<u64, ReadError>;
    async fn leases(&self) -> Result<Vec<LeaseRow>, ReadError>;
    async fn epochs(&self) -> Result<Vec<(AeId, u64)>, ReadError>;
    async fn journal(&self, call: CallId) -> Result<Vec<JournalRow>, ReadError>;
    async fn parcels(&self, hook: &str, now: At, limit: u32) -> Result<Vec<Parcel>, ReadError>;
    async fn next_parcel_at(&self, hook: &str, now: At) -> Result<Option<At>, ReadError>;
    async fn close(&self);
}

/// Takes back one write of a promise to somebody. Facts are not taken back: the next one is written over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undo {
    /// The callback.
    pub(crate) id: CallbackId,
    /// What was written: if something else stands there by now, it stays.
    pub(crate) written: String,
    /// What stood there before.
    pub(crate) before: Option<String>,
}
