//! The store as the rest of Baton sees it.

use std::time::Duration;

use baton_contract::{AeId, CallId, CallView, CallbackId, CallbackView, Event, LeaseRow, Page, TransferId, TransferView};

use crate::{Batch, Health, OnAck, OpenError, ReadError, Refusal};

/// Limits of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Batches that may wait for the writer; one more is refused.
    pub queue_max: usize,
    /// A commit that takes longer is refused, and the store counts as ill until commits are quick again.
    pub stall_max: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { queue_max: 4_096, stall_max: Duration::from_millis(250) }
    }
}

/// One step in a call's journal, opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Whose.
    pub call: CallId,
    /// Rises by one within the call.
    pub seq: u64,
    /// What kind of step.
    pub kind: String,
    /// Of the encoding.
    pub version: u16,
    /// The step.
    pub bytes: Vec<u8>,
}

/// The open store. Cheap to share behind an `Arc`; dropped, it writes what was submitted and ends its thread.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens `sqlite:PATH`, creating the file and bringing its tables up to date. Must be called within a tokio runtime.
    pub async fn open(_url: &str, _settings: Settings, _on_ack: OnAck) -> Result<Store, OpenError> {
        Ok(Store {})
    }

    /// Hands a batch to the writer; never blocks, from any thread. An error means that no ack will come.
    pub fn submit(&self, _batch: Batch) -> Result<(), Refusal> {
        Ok(())
    }

    /// How the store is doing.
    pub fn health(&self) -> Health {
        Health { trouble: None, queued: 0, commits: 0, flushes: 0 }
    }

    /// `baton_store_commit_seconds{level}` in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        String::new()
    }

    /// Writes and acknowledges what was submitted, then closes the file.
    pub async fn close(self) {}

    /// Thirty-two random bytes, made when the store was, the same ever after: signs screen-pop links.
    pub fn secret(&self) -> [u8; 32] {
        [0; 32]
    }

    /// A call.
    pub async fn call(&self, _id: CallId) -> Result<Option<CallView>, ReadError> {
        Ok(None)
    }

    /// At most `limit` calls, newest first, those before `before` in that order; `next` is the `before` of the next page.
    pub async fn calls(&self, _before: Option<CallId>, _limit: u32) -> Result<Page<CallView>, ReadError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    /// A transfer.
    pub async fn transfer(&self, _id: TransferId) -> Result<Option<TransferView>, ReadError> {
        Ok(None)
    }

    /// A callback.
    pub async fn callback(&self, _id: CallbackId) -> Result<Option<CallbackView>, ReadError> {
        Ok(None)
    }

    /// At most `limit` callbacks of any state, latest first.
    pub async fn callbacks(&self, _limit: u32) -> Result<Vec<CallbackView>, ReadError> {
        Ok(Vec::new())
    }

    /// Callbacks that are scheduled or running, soonest first.
    pub async fn open_callbacks(&self) -> Result<Vec<CallbackView>, ReadError> {
        Ok(Vec::new())
    }

    /// At most `limit` events of the audit trail, those after `after`, in their order.
    pub async fn audit(&self, _after: u64, _limit: u32) -> Result<Vec<Event>, ReadError> {
        Ok(Vec::new())
    }

    /// The number of the last event in the audit trail; zero if there is none.
    pub async fn last_event_seq(&self) -> Result<u64, ReadError> {
        Ok(0)
    }

    /// Leases that were not given back; some may have lapsed.
    pub async fn leases(&self) -> Result<Vec<LeaseRow>, ReadError> {
        Ok(Vec::new())
    }

    /// The highest epoch that each AE was ever leased under.
    pub async fn epochs(&self) -> Result<Vec<(AeId, u64)>, ReadError> {
        Ok(Vec::new())
    }

    /// The journal of a call, in its order.
    pub async fn journal(&self, _call: CallId) -> Result<Vec<JournalRow>, ReadError> {
        Ok(Vec::new())
    }
}
