//! The thread that writes.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use baton_contract::{At, CallId, LegRole};
use baton_media::TapId;
use baton_switchboard::{RecordFault, RecordKind, RecordOrder, Recorded, Track as Wanted};
use baton_time::{Mono, Now};
use parking_lot::Mutex;
use serde_json::json;

use super::track::{Track, fault_of, settle};
use super::{Counts, Tell, Work};

/// Tracks that may be open at the same time.
const TRACKS_MAX: usize = 600;

/// Recording stops where less of the disk than this is free: the store may be on it too.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// How often files are brought to where a crash would leave them, and the disk is looked at.
const TIDY_EVERY: Duration = Duration::from_secs(2);

/// How long the thread sleeps at most while something is still to be told or tidied.
const NAP: Duration = Duration::from_millis(100);

/// How much of the disk under a folder is free, in bytes.
pub(super) type FreeBytes = Box<dyn Fn(&Path) -> io::Result<u64> + Send>;

/// What the system says is free for us.
pub(super) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Makes a folder for its owner only; one that is there is taken.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// What is open for one call.
struct Open {
    call: CallId,
    kind: RecordKind,
    role: LegRole,
    track: Track,
}

/// The writer.
pub(super) struct Writer {
    folder: PathBuf,
    tell: Tell,
    counts: Arc<Mutex<Counts>>,
    free_bytes: FreeBytes,
    tracks: BTreeMap<TapId, Open>,
    /// The lines beside the tracks, of calls that have any.
    lines: BTreeMap<CallId, File>,
    /// What nobody has taken yet.
    untold: VecDeque<(TapId, Result<Recorded, RecordFault>)>,
    tidied: Mono,
    full: Fullness,
}

/// How the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fullness {
    Room,
    Full,
}

impl Writer {
    pub(super) fn new(folder: &Path, tell: Tell, counts: Arc<Mutex<Counts>>, free_bytes: FreeBytes) -> Writer {
        Writer {
            folder: folder.to_owned(),
            tell,
            counts,
            free_bytes,
            tracks: BTreeMap::new(),
            lines: BTreeMap::new(),
            untold: VecDeque::new(),
            tidied: Mono::ZERO,
            full: Fullness::Room,
        }
    }

    /// Works until it is told to stop, or nobody is left who could tell anything.
    pub(super) fn run(mut self, queue: &Receiver<Work>) {
        loop {
            let work = match self.untold.is_empty() {
                true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => queue.recv_timeout(NAP),
            };
            match work {
                Ok(Work::Tapped(tapped)) => {
                    self.tidy(tapped.at);
                    if let Some(open) = self.tracks.get_mut(&tapped.tap)
                        && let Err(fault) = open.track.hear(&tapped)
                    {
                        self.fail(tapped.tap, fault);
                    }
                }
                Ok(Work::Order(order, now)) => {
                    self.tidy(now.mono);
                    self.obey(order, now);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tell_untold();
        }
        for tap in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.close(tap);
        }
        self.tell_untold();
    }

    fn obey(&mut self, order: RecordOrder, now: Now) {
        match order {
            RecordOrder::Open(wanted) => {
                if let Err(fault) = self.open(&wanted, now) {
                    self.is_ended(wanted.tap, Err(fault));
                }
            }
            RecordOrder::Mark { call, what } => {
                let at_ms = self.tracks.values().find(|open| open.call == call).map(|open| open.track.at_ms(now.mono));
                self.line(call, json!({"at": At(now.wall), "what": what, "at_ms": at_ms}));
            }
            RecordOrder::Close(tap) => {
                self.close_with_line(tap, now);
            }
            RecordOrder::CloseCall(call) => {
                let of_call = self.tracks.iter().filter(|(_, open)| open.call == call).map(|(tap, _)| *tap);
                for tap in of_call.collect::<Vec<_>>() {
                    self.close_with_line(tap, now);
                }
            }
        }
    }

    fn open(&mut self, wanted: &Wanted, now: Now) -> Result<(), RecordFault> {
        if self.tracks.len() >= TRACKS_MAX {
            return Err(RecordFault::TooMany);
        }
        if self.full == Fullness::Full {
            return Err(RecordFault::DiskFull);
        }
        let folder = self.folder.join(wanted.call.to_string());
        make_folder(&folder).map_err(|error| fault_of(&error))?;
        let name = format!("{}/{}-{}-{}.wav", wanted.call, kind_name(wanted.kind), role_name(wanted.role), wanted.leg);
        let track = self.create(name, now.mono)?;
        let line = json!({
            "at": At(now.wall), "what": "track_started", "file": track.name, "leg": wanted.leg, "role": wanted.role,
            "kind": kind_name(wanted.kind), "transfer": wanted.transfer,
        });
        self.tracks.insert(wanted.tap, Open { call: wanted.call, kind: wanted.kind, role: wanted.role, track });
        self.line(wanted.call, line);
        Ok(())
    }

    /// A leg may be recorded more than once in a call: each time has a file of its own.
    fn create(&self, name: String, since: Mono) -> Result<Track, RecordFault> {
        let stem = name.trim_end_matches(".wav").to_owned();
        for number in 2..100 {
            let name = if number == 2 { name.clone() } else { format!("{stem}-{}.wav", number - 1) };
            if !self.folder.join(&name).exists() {
                return Track::create(&self.folder, name, since);
            }
        }
        Err(RecordFault::TooMany)
    }

    fn close_with_line(&mut self, tap: TapId, now: Now) {
        let Some(open) = self.tracks.get(&tap) else { return };
        let (call, role, kind) = (open.call, open.role, open.kind);
        if let Some(recorded) = self.close(tap) {
            let line = json!({
                "at": At(now.wall), "what": "track_ended", "file": recorded.file, "role": role, "kind": kind_name(kind),
                "duration_ms": recorded.duration_ms, "speech_ms": recorded.speech_ms,
            });
            self.line(call, line);
        }
    }

    fn close(&mut self, tap: TapId) -> Option<Recorded> {
        let open = self.tracks.remove(&tap)?;
        // A message is promised to be passed on; for other tracks nobody waits, and a flush for each would keep packets waiting.
        let result = open.track.close().and_then(|recorded| match open.kind {
            RecordKind::Voicemail => settle(&self.folder.join(&recorded.file)).map(|()| recorded),
            RecordKind::Call | RecordKind::Consult | RecordKind::Answer => Ok(recorded),
        });
        let recorded = result.as_ref().ok().cloned();
        self.is_ended(tap, result);
        recorded
    }

    /// A track that cannot be written on is ended as far as it came.
    fn fail(&mut self, tap: TapId, fault: RecordFault) {
        if let Some(open) = self.tracks.remove(&tap) {
            tracing::warn!(call = %open.call, %fault, "recording-stopped");
            if open.track.close().is_err() {
                tracing::debug!("what was recorded is not whole");
            }
            self.is_ended(tap, Err(fault));
        }
    }

    fn is_ended(&mut self, tap: TapId, result: Result<Recorded, RecordFault>) {
        let mut counts = self.counts.lock();
        if result.is_ok() {
            counts.written += 1;
        } else {
            counts.failed += 1;
        }
        drop(counts);
        self.untold.push_back((tap, result));
    }

    fn tell_untold(&mut self) {
        while let Some((tap, result)) = self.untold.front() {
            if !(self.tell)(*tap, result) {
                return;
            }
            self.untold.pop_front();
        }
    }

    /// Appends a line to what is beside the tracks of a call. A line that is lost costs nobody a recording.
    fn line(&mut self, call: CallId, line: serde_json::Value) {
        if let std::collections::btree_map::Entry::Vacant(place) = self.lines.entry(call) {
            let folder = self.folder.join(call.to_string());
            let mut options = OpenOptions::new();
            options.create(true).append(true).mode(0o600);
            match make_folder(&folder).and_then(|()| options.open(folder.join("events.jsonl"))) {
                Ok(file) => place.insert(file),
                Err(error) => return tracing::warn!(%call, %error, "no line beside a recording"),
            };
        }
        let written = self.lines.get_mut(&call).map(|file| file.write_all(format!("{line}\n").as_bytes()));
        if let Some(Err(error)) = written {
            tracing::warn!(%call, %error, "no line beside a recording");
        }
        // Nobody says when the last line of a call has come; one more would open the file again.
        if !self.tracks.values().any(|open| open.call == call) {
            self.lines.remove(&call);
        }
    }

    /// Now and then brings all files to where a crash would leave them, and sees whether there is room.
    fn tidy(&mut self, now: Mono) {
        if now.since(self.tidied) < TIDY_EVERY {
            return;
        }
        self.tidied = now;
        let free = (self.free_bytes)(&self.folder).unwrap_or(u64::MAX);
        let full = if free < FREE_BYTES_MIN { Fullness::Full } else { Fullness::Room };
        if self.full != full {
            tracing::warn!(free_mb = free / 1024 / 1024, ?full, "the disk for recordings");
        }
        self.full = full;
        let flushed = self.tracks.iter_mut().map(|(tap, open)| match full {
            Fullness::Full => (*tap, Err(RecordFault::DiskFull)),
            Fullness::Room => (*tap, open.track.flush()),
        });
        let failed: Vec<_> = flushed.filter_map(|(tap, result)| result.err().map(|fault| (tap, fault))).collect();
        for (tap, fault) in failed {
            self.fail(tap, fault);
        }
    }
}

fn kind_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Call => "call",
        RecordKind::Consult => "consult",
        RecordKind::Voicemail => "voicemail",
        RecordKind::Answer => "answer",
    }
}

fn role_name(role: LegRole) -> &'static str {
    match role {
        LegRole::Caller => "caller",
        LegRole::Ai => "ai",
        LegRole::Ae => "ae",
    }
}
