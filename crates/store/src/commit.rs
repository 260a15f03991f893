//! What is handed in to be written, what is answered, and what a journal gives back.

use std::time::Duration;

use baton_contract::{CallId, CommitLevel, Record};

/// Rows that are written together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Names the batch in its [`Ack`].
    pub ticket: u64,
    /// What the rows must survive before the ack says so.
    pub level: CommitLevel,
    /// What becomes of it while the store cannot write.
    pub when_late: WhenLate,
    /// The rows, in the order in which they are written.
    pub records: Vec<Record>,
}

impl Batch {
    /// How much room it takes among what is kept: its records, one at least.
    pub(crate) fn weight(&self) -> usize {
        self.records.len().max(1)
    }
}

/// What becomes of a batch that the store cannot write in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenLate {
    /// It is refused, and not there: somebody waits for the answer, and has another way if there is none.
    Refuse,
    /// It is kept, and written before anything that was handed in later: a fact that has happened, whoever hears of it when. Only a batch
    /// that is at fault itself is refused.
    Keep,
}

/// What became of a batch. Each submitted batch gets exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The batch.
    pub ticket: u64,
    /// Its level. Acks come in the order of submission within a level, but that what is refused does not wait for what is kept; a
    /// process-level ack never waits for a disk flush.
    pub level: CommitLevel,
    /// Durable at its level, or not there at all.
    pub result: Result<(), Refusal>,
    /// From submission to this ack.
    pub took: Duration,
}

/// Called for every ack, on the store's own thread: it must not block.
pub type OnAck = Box<dyn Fn(Ack) + Send + Sync>;

/// Why a batch was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// The queue to the writer is full, or more is kept than may be.
    #[error("too many commits are waiting")]
    QueueFull,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The disk, or the quota on it, is full.
    #[error("the disk is full")]
    DiskFull,
    /// The file or its disk may not be written any more.
    #[error("the store is read-only")]
    ReadOnly,
    /// Another process holds the file locked.
    #[error("another process holds the store locked")]
    Locked,
    /// The commit took longer than a live call can wait.
    #[error("the disk does not answer in time")]
    Stalled,
    /// The disk reported that a flush failed.
    #[error("the disk could not be flushed")]
    FlushFailed,
    /// The file or the disk under it is broken.
    #[error("the store is broken")]
    Broken,
    /// Another lease of this AE stands, with the same or a higher epoch.
    #[error("the AE is leased to somebody else")]
    LeaseTaken,
    /// Somebody else has claimed or changed this callback.
    #[error("the callback was claimed or changed by somebody else")]
    ClaimTaken,
    /// Another audit line stands under this number.
    #[error("another audit line has this number")]
    Duplicate,
}

impl Refusal {
    /// Whether the store is to blame, and not the batch: promises should be refused until [`crate::Health`] is well again.
    pub const fn is_outage(self) -> bool {
        match self {
            Refusal::QueueFull
            | Refusal::Closed
            | Refusal::DiskFull
            | Refusal::ReadOnly
            | Refusal::Locked
            | Refusal::Stalled
            | Refusal::FlushFailed
            | Refusal::Broken => true,
            Refusal::LeaseTaken | Refusal::ClaimTaken | Refusal::Duplicate => false,
        }
    }

    /// A stable name for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::QueueFull => "queue_full",
            Refusal::Closed => "closed",
            Refusal::DiskFull => "disk_full",
            Refusal::ReadOnly => "read_only",
            Refusal::Locked => "locked",
            Refusal::Stalled => "stalled",
            Refusal::FlushFailed => "flush_failed",
            Refusal::Broken => "broken",
            Refusal::LeaseTaken => "lease_taken",
            Refusal::ClaimTaken => "claim_taken",
            Refusal::Duplicate => "duplicate",
        }
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
