//! The journal of live calls: what they are, written down after every step that counts by a thread of its own, so that a process that comes
//! after this one can take them up. It guards against the death of the process, not against a loss of power: after that nobody is on the line any more.

mod file;
mod past;
mod poison;
mod steps;
mod writer;

pub(crate) use past::Past;
pub(crate) use poison::Recovery;
pub(crate) use steps::{NoSteps, Step, is_journal, steps};
#[cfg(test)]
pub(crate) use steps::{written, written_as};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use baton_contract::CallId;
use baton_media::StreamMark;
use baton_sip::AgentSnapshot;
use baton_switchboard::{CallSnapshot, Haste, PhonesRecord, Standing, Switchboard};
use baton_time::{Mono, Timers};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::metrics::Metrics;

/// How many turns of the engine may wait for the writer with what they have brought. When full: a call is written again with its next step, or a
/// moment later.
const TURNS_MAX: usize = 2_048;

/// What is written.
#[derive(Debug)]
pub(crate) enum Line {
    /// A call as it stands.
    Call(CallId, Vec<u8>),
    /// A call is over.
    Gone(CallId),
    /// Who has registered with an account.
    Phones(PhonesRecord),
    /// Where streams stand.
    Marks(Vec<StreamMark>),
    /// Everything before is on record; nothing more is written.
    Leave(SyncSender<()>),
}

/// What of former processes is taken up, as it was read: it is on record from the first moment on.
#[derive(Debug)]
pub(crate) struct TakenUp {
    /// Each call.
    pub(crate) calls: Vec<(CallId, Vec<u8>)>,
    /// Who has registered, by account.
    pub(crate) phones: BTreeMap<String, PhonesRecord>,
    /// Where streams stood.
    pub(crate) marks: Vec<StreamMark>,
}

/// What may wait until others wait too is written at multiples of this: provisional answers, acknowledgements, the last words of a call.
const GATHER: Duration = Duration::from_millis(100);

/// How many calls that waited are written down at a time.
const AT_ONCE_MAX: usize = 16;

/// The way to the writer.
pub(crate) struct Journal {
    lines: SyncSender<Vec<Line>>,
    /// How each call stood when it was written down last; those that were taken up have not been written by us yet.
    written: BTreeMap<CallId, Option<Standing>>,
    /// Calls that have made a step since then, and those whose line found the queue full: when they are to be written down.
    waiting: Timers<CallId>,
    /// Where a call is encoded before it is copied in its length: lines wait in memory, and encoding grows as it goes.
    scratch: Vec<u8>,
    metrics: Arc<Mutex<Metrics>>,
    clock: Clock,
}

/// Where marks go: the media threads keep it.
#[derive(Clone)]
pub(crate) struct Marks(SyncSender<Vec<Line>>);

impl Marks {
    /// Hands marks over; those that find no room are missed, the next ones come in a second.
    pub(crate) fn tell(&self, marks: Vec<StreamMark>) {
        if self.0.try_send(vec![Line::Marks(marks)]).is_err() {
            tracing::debug!("the journal takes no marks");
        }
    }
}

/// A journal that is open: nothing is written before `begin`.
pub(crate) struct Open {
    path: PathBuf,
    lines: SyncSender<Vec<Line>>,
    queue: std::sync::mpsc::Receiver<Vec<Line>>,
}

impl Open {
    /// The journal beside the store of this URL.
    pub(crate) fn beside(url: &str) -> Open {
        let (lines, queue) = sync_channel(TURNS_MAX);
        Open { path: path_beside(url), lines, queue }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where marks go.
    pub(crate) fn marks(&self) -> Marks {
        Marks(self.lines.clone())
    }

    /// Starts the writer with a file of its own, in which the calls that were taken up are from the first moment on.
    pub(crate) fn begin(
        self,
        clock: Clock,
        common: &AgentSnapshot,
        taken_up: TakenUp,
        metrics: Arc<Mutex<Metrics>>,
    ) -> anyhow::Result<Journal> {
        let head = past::Head::new(clock)?;
        let written = taken_up.calls.iter().map(|(id, _)| (*id, None)).collect();
        let writer = writer::Writer::new(self.path, &head, common, taken_up);
        let (queue, told) = (self.queue, metrics.clone());
        std::thread::Builder::new()
            .name("baton-journal".to_owned())
            .spawn(move || writer.run(&queue, clock, &told))
            .context("the journal's thread cannot be started")?;
        let (waiting, scratch) = (Timers::default(), Vec::new());
        Ok(Journal { lines: self.lines, written, waiting, scratch, metrics, clock })
    }
}

/// Whether all lines have found room with the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Some,
    None,
}

impl Journal {
    /// Writes down the calls that have changed: at once where somebody has come or is up, and every step of a transfer; else within a moment.
    pub(crate) fn follow(&mut self, now: Mono, board: &mut Switchboard) {
        let rebound: Vec<Line> = board.take_rebound(now).into_iter().map(Line::Phones).collect();
        if !rebound.is_empty() && self.lines.try_send(rebound).is_err() {
            tracing::debug!("the journal takes no registrations; the next refresh is written");
        }
        let mut pressing = Vec::new();
        for id in board.take_touched() {
            let standing = board.standing(id);
            let due = match standing.haste(self.written.get(&id).copied().flatten()) {
                Haste::Now => {
                    self.waiting.clear(&id);
                    pressing.push(id);
                    continue;
                }
                // Of a call that is over before it was ever written nobody has to know.
                Haste::Later if standing == Standing::Gone && !self.written.contains_key(&id) => {
                    self.waiting.clear(&id);
                    continue;
                }
                // Nobody knows of it yet; it has a step as soon as somebody does.
                Haste::Later if standing == Standing::Unheard => (now + GATHER).rounded_up(GATHER),
                Haste::Later => now.rounded_up(GATHER),
            };
            if self.waiting.get(&id).is_none_or(|set| due < set) {
                self.waiting.set(id, due);
            }
        }
        // Not all of them at once: whoever calls meanwhile waits for it.
        pressing.extend(std::iter::from_fn(|| self.waiting.pop_due(now)).map(|(_, id)| id).take(AT_ONCE_MAX));
        if !pressing.is_empty() {
            self.write(now, pressing, board);
        }
    }

    /// When [`Journal::follow`] is wanted, whatever happens.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        self.waiting.next().map(|(at, _)| at)
    }

    /// Hands the lines of these calls over together: the writer is woken once.
    fn write(&mut self, now: Mono, ids: Vec<CallId>, board: &Switchboard) -> Room {
        let began = self.clock.now().mono;
        let count = ids.len();
        let (mut lines, mut stand) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for id in ids {
            let line = match board.snapshot(id) {
                None if !self.written.contains_key(&id) => continue,
                None => Line::Gone(id),
                Some(call) => match encode(&mut self.scratch, &call) {
                    Ok(bytes) => Line::Call(id, bytes),
                    Err(fault) => {
                        tracing::error!(call = %id, %fault, "a call cannot be written down");
                        continue;
                    }
                },
            };
            lines.push(line);
            stand.push((id, board.standing(id)));
        }
        let mut room = Room::Some;
        if !lines.is_empty() {
            match self.lines.try_send(lines) {
                Err(TrySendError::Full(_)) => {
                    stand.iter().for_each(|(id, _)| self.waiting.set(*id, now + GATHER));
                    room = Room::None;
                }
                Ok(()) | Err(TrySendError::Disconnected(_)) => self.are_written(stand),
            }
        }
        let each = self.clock.now().mono.since(began).as_secs_f64() / count as f64;
        self.metrics.lock().observe("baton_journal_seconds", &[("part", "engine")], each);
        room
    }

    fn are_written(&mut self, calls: Vec<(CallId, Standing)>) {
        for (id, standing) in calls {
            if standing == Standing::Gone {
                self.written.remove(&id);
            } else {
                self.written.insert(id, Some(standing));
            }
        }
    }

    /// Waits until everything is on record, for a moment at most; the process is about to be replaced.
    pub(crate) fn leave(&mut self, board: &mut Switchboard) {
        let now = self.clock.now().mono;
        let mut changed = board.take_touched();
        changed.extend(std::iter::from_fn(|| self.waiting.pop_due(now + GATHER * 2)).map(|(_, id)| id));
        if !changed.is_empty() && self.write(now, changed.into_iter().collect(), board) == Room::None {
            tracing::error!("the last steps of some calls are not on record");
        }
        let (done, written) = sync_channel(1);
        if self.lines.try_send(vec![Line::Leave(done)]).is_err()
            || written.recv_timeout(std::time::Duration::from_millis(500)).is_err()
        {
            tracing::error!("the journal is not on record to its end");
        }
    }
}

/// A call as it is written down.
fn encode(scratch: &mut Vec<u8>, call: &CallSnapshot<'_>) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    scratch.clear();
    rmp_serde::encode::write_named(scratch, call)?;
    Ok(scratch.as_slice().to_vec())
}

/// The journal's file beside the file of the store.
fn path_beside(url: &str) -> PathBuf {
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)).unwrap_or(url);
    PathBuf::from(format!("{path}.journal"))
}
