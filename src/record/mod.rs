//! Recordings: what the media threads copy out of calls is written to disk here, on a thread of its own.
//!
//! A call never waits for this thread. Where it cannot keep up or the disk is full, the recording suffers and says so.

#[cfg(test)]
mod tests;
mod track;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use baton_media::{TapId, Tapped};
use baton_switchboard::{RecordFault, RecordOrder, Recorded};
use baton_time::Now;
use parking_lot::Mutex;

use writer::Writer;

/// Packets and orders that may wait for the disk: most of a second of 200 legs.
const WAITING_MAX: usize = 8_192;

/// Where it is told what became of tracks: called on the writer's thread, must not block; says whether there was room. What finds
/// none is told again.
pub(crate) type Tell = Box<dyn Fn(TapId, &Result<Recorded, RecordFault>) -> bool + Send>;

/// What waits for the writer.
#[expect(clippy::large_enum_variant, reason = "nearly all are packets, and media threads take no memory for them")]
#[derive(Debug)]
enum Work {
    /// A packet.
    Tapped(Tapped),
    /// An order, and when it was given.
    Order(RecordOrder, Now),
    /// Ends the thread, once everything before it is written.
    Stop,
}

/// What has become of recordings, for the metrics.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tracks that were written to their end.
    pub(crate) written: u64,
    /// Tracks that were not.
    pub(crate) failed: u64,
    /// Packets for which there was no room.
    pub(crate) lost: u64,
}

/// The way to the writer.
pub(crate) struct Recorder {
    work: SyncSender<Work>,
    counts: Arc<Mutex<Counts>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts the writer; recordings go into `folder`, which is made if it is not there.
    pub(crate) fn start(folder: &Path, tell: Tell) -> std::io::Result<Recorder> {
        Recorder::with_disk(folder, tell, Box::new(writer::free_bytes))
    }

    fn with_disk(folder: &Path, tell: Tell, free_bytes: writer::FreeBytes) -> std::io::Result<Recorder> {
        writer::make_folder(folder)?;
        let (work, queue) = sync_channel(WAITING_MAX);
        let counts = Arc::new(Mutex::new(Counts::default()));
        let writer = Writer::new(folder, tell, counts.clone(), free_bytes);
        let thread = std::thread::Builder::new().name("baton-record".to_owned()).spawn(move || writer.run(&queue))?;
        Ok(Recorder { work, counts, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a packet; never blocks.
    pub(crate) fn hear(&self, tapped: Tapped) -> bool {
        let taken = self.work.try_send(Work::Tapped(tapped)).is_ok();
        if !taken {
            self.counts.lock().lost += 1;
        }
        taken
    }

    /// Takes an order; never blocks. Yields it where there is no room.
    pub(crate) fn obey(&self, order: RecordOrder, now: Now) -> Result<(), RecordOrder> {
        match self.work.try_send(Work::Order(order, now)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => match work {
                Work::Order(order, _) => Err(order),
                Work::Tapped(_) | Work::Stop => Ok(()),
            },
        }
    }

    /// What has become of recordings so far.
    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// Ends all tracks and waits until they are on the disk.
    pub(crate) fn stop(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        if self.work.send(Work::Stop).is_err() || thread.join().is_err() {
            tracing::error!("the writer of recordings has failed");
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
