//! The store as the rest of Baton sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use baton_contract::{
    AeId, At, CallId, CallView, CallbackId, CallbackView, Event, LeaseRow, Page, PlacedRow, TransferId, TransferView,
};
use tokio::runtime::Builder;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::Instant;

use crate::flusher::Flusher;
use crate::ledger::{Archive, Flush, Ledger, Tidy};
use crate::sqlite::{self, Opened};
use crate::writer::{Desk, Keeper, Pen, Work};
use crate::{Batch, Health, JournalRow, OnAck, OpenError, Parcel, ReadError, Refusal, WhenLate};

/// Limits of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Batches that may wait for the writer; one more is refused.
    pub queue_max: usize,
    /// Records of batches beside them that are kept while the store is ill, [`WhenLate::Keep`]; what would be more is refused.
    pub kept_max: usize,
    /// A commit that takes longer is refused, or kept, and the store counts as ill until commits are quick again.
    pub stall_max: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { queue_max: 4_096, kept_max: 131_072, stall_max: Duration::from_millis(250) }
    }
}

/// The open store. Dropped, it still writes what was submitted; [`Store::close`] waits for that.
pub struct Store {
    work: Sender<Work>,
    desk: Arc<Desk>,
    archive: Arc<dyn Archive>,
    settings: Settings,
    secret: [u8; 32],
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens `sqlite:PATH`, creating the file and bringing its tables up to date. Must be called within a tokio runtime.
    pub async fn open(url: &str, settings: Settings, on_ack: OnAck) -> Result<Store, OpenError> {
        let opened = sqlite::open(url).await?;
        let thread_error = |error: std::io::Error| OpenError::NoThread { path: url.to_owned(), why: error.to_string() };
        let Opened { writer, disk, house, reader, secret } = opened;
        Store::start((writer, disk, house), Arc::new(reader), secret, settings, on_ack).map_err(thread_error)
    }

    /// Starts the writer's thread over any database.
    pub(crate) fn start<L: Ledger, F: Flush, K: Tidy>(
        (ledger, disk, house): (L, F, K),
        archive: Arc<dyn Archive>,
        secret: [u8; 32],
        settings: Settings,
        on_ack: OnAck,
    ) -> std::io::Result<Store> {
        let desk = Arc::new(Desk::new(on_ack, settings.stall_max));
        // Each queue holds all that may wait, so that no task ever waits for room in front of the other.
        let room = settings.queue_max + settings.kept_max;
        let (work, to_write) = channel(room);
        let (to_flush, written) = channel(room);
        let (undone, to_undo) = channel(room);
        let pen = Pen::new(ledger, Arc::clone(&desk), to_flush);
        let flusher = Flusher::new(disk, Arc::clone(&desk), undone);
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let keeper = Keeper { house, desk: Arc::clone(&desk) };
        let all = async move {
            tokio::select! {
                _ = async { tokio::join!(pen.run(to_write, to_undo), flusher.run(written)) } => {}
                () = keeper.run() => {}
            }
        };
        let run = move || runtime.block_on(all);
        let thread = std::thread::Builder::new().name("baton-store".to_owned()).spawn(run)?;
        Ok(Store { work, desk, archive, settings, secret, thread })
    }

    /// Hands a batch to the writer; never blocks, from any thread. An error means that no ack will come.
    pub fn submit(&self, batch: Batch) -> Result<(), Refusal> {
        let (waiting, weight, max) = match batch.when_late {
            WhenLate::Refuse => (&self.desk.waiting, 1, self.settings.queue_max),
            WhenLate::Keep => (&self.desk.kept, batch.weight(), self.settings.kept_max),
        };
        if waiting.fetch_add(weight, Ordering::AcqRel) + weight > max {
            waiting.fetch_sub(weight, Ordering::AcqRel);
            return Err(Refusal::QueueFull);
        }
        self.work.try_send(Work { batch, since: Instant::now() }).map_err(|refused| {
            waiting.fetch_sub(weight, Ordering::AcqRel);
            match refused {
                TrySendError::Full(_) => Refusal::QueueFull,
                TrySendError::Closed(_) => Refusal::Closed,
            }
        })
    }

    /// How the store is doing.
    pub fn health(&self) -> Health {
        self.desk.gauges.health(self.desk.waiting.load(Ordering::Acquire) + self.desk.kept.load(Ordering::Acquire))
    }

    /// `baton_store_commit_seconds{level}` in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        self.desk.gauges.prometheus()
    }

    /// Writes and acknowledges what was submitted, then closes the file.
    pub async fn close(self) {
        drop(self.work);
        self.archive.close().await;
        let thread = self.thread;
        if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the store's thread has failed");
        }
    }

    /// Thirty-two random bytes, made with the store and the same ever after: signs screen-pop links.
    pub fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// A call.
    pub async fn call(&self, id: CallId) -> Result<Option<CallView>, ReadError> {
        self.archive.call(id).await
    }

    /// At most `limit` calls, newest first, those before `before` in that order; `next` is the `before` of the next page.
    pub async fn calls(&self, before: Option<CallId>, limit: u32) -> Result<Page<CallView>, ReadError> {
        self.archive.calls(before, limit).await
    }

    /// A transfer.
    pub async fn transfer(&self, id: TransferId) -> Result<Option<TransferView>, ReadError> {
        self.archive.transfer(id).await
    }

    /// A callback.
    pub async fn callback(&self, id: CallbackId) -> Result<Option<CallbackView>, ReadError> {
        self.archive.callback(id).await
    }

    /// At most `limit` callbacks of any state, latest first.
    pub async fn callbacks(&self, limit: u32) -> Result<Vec<CallbackView>, ReadError> {
        self.archive.callbacks(limit).await
    }

    /// Callbacks that are scheduled or running and were promised for a time before `before`, soonest first.
    pub async fn callbacks_due(&self, before: At) -> Result<Vec<CallbackView>, ReadError> {
        self.archive.callbacks_due(before).await
    }

    /// Callbacks that are scheduled or running, soonest first.
    pub async fn open_callbacks(&self) -> Result<Vec<CallbackView>, ReadError> {
        self.archive.open_callbacks().await
    }

    /// What was placed under an idempotency key.
    pub async fn placed(&self, key: &str) -> Result<Option<PlacedRow>, ReadError> {
        self.archive.placed(key).await
    }

    /// At most `limit` events of the audit trail, those after `after`, in their order.
    pub async fn audit(&self, after: u64, limit: u32) -> Result<Vec<Event>, ReadError> {
        self.archive.audit(after, limit).await
    }

    /// At most `limit` events of one transfer, from its first, in their order.
    pub async fn events_of(&self, transfer: TransferId, limit: u32) -> Result<Vec<Event>, ReadError> {
        self.archive.events_of(transfer, limit).await
    }

    /// The number of the last event in the audit trail; zero if there is none.
    pub async fn last_event_seq(&self) -> Result<u64, ReadError> {
        self.archive.last_event_seq().await
    }

    /// Leases that were not given back; some may have lapsed.
    pub async fn leases(&self) -> Result<Vec<LeaseRow>, ReadError> {
        self.archive.leases().await
    }

    /// The highest epoch that each AE was ever leased under.
    pub async fn epochs(&self) -> Result<Vec<(AeId, u64)>, ReadError> {
        self.archive.epochs().await
    }

    /// At most `limit` events that may be delivered to a webhook at `now`, the longest due first. Those of one call are in their order, and each
    /// waits for the one before ([`Parcel::before_next_of`]); one that has failed is alone, until it was tried three times.
    pub async fn parcels(&self, hook: &str, now: At, limit: u32) -> Result<Vec<Parcel>, ReadError> {
        self.archive.parcels(hook, now, limit).await
    }

    /// When the next event for a webhook is due that is not due at `now`.
    pub async fn next_parcel_at(&self, hook: &str, now: At) -> Result<Option<At>, ReadError> {
        self.archive.next_parcel_at(hook, now).await
    }

    /// The journal of a call, in its order.
    pub async fn journal(&self, call: CallId) -> Result<Vec<JournalRow>, ReadError> {
        self.archive.journal(call).await
    }
}
