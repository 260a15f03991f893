//! The thread that writes: it knows the last line of every call, so that the file can be begun anew when it has grown, or when the disk was full.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use baton_contract::CallId;
use baton_media::{Port, RoomId, StreamMark};
use baton_sip::AgentSnapshot;
use baton_switchboard::PhonesRecord;
use parking_lot::Mutex;

use super::file::{self, Kind};
use super::past::Head;
use super::{Line, TakenUp};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The file is begun anew when it is longer than this and than four times what is in it, in octets: all of it is read while callers wait.
const LENGTH_MAX: u64 = 4 << 20;

/// How many lines are written at a time.
const GROUP_MAX: usize = 256;

/// How often a disk that was full is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Marks that are older than this belong to streams that have ended.
const MARK_AGE_MAX: Duration = Duration::from_secs(30);

/// The writer's side.
pub(super) struct Writer {
    path: PathBuf,
    beginning: Vec<u8>,
    calls: BTreeMap<CallId, Vec<u8>>,
    phones: BTreeMap<String, PhonesRecord>,
    marks: BTreeMap<(RoomId, Port), StreamMark>,
    file: State,
    length: u64,
    /// Counts the lines of calls, for the self-test.
    counted: u64,
    dies: Option<Death>,
}

enum State {
    Whole(File),
    /// Not begun yet, or a write has failed: everything is to be written once more.
    Broken,
}

/// The self-test: the process kills itself at a line, before or after it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Before(u64),
    After(u64),
}

impl Death {
    fn from_environment() -> Option<Death> {
        let text = std::env::var("BATON_SELF_TEST").ok()?;
        let (when, line) = text.split_once(':')?;
        let line = line.parse().ok()?;
        match when {
            "die-before" => Some(Death::Before(line)),
            "die-after" => Some(Death::After(line)),
            _ => None,
        }
    }
}

impl Writer {
    pub(super) fn new(path: PathBuf, head: &Head, common: &AgentSnapshot, TakenUp { calls, phones, marks }: TakenUp) -> Writer {
        let mut beginning = Vec::new();
        for (kind, bytes) in [(Kind::Head, rmp_serde::to_vec_named(head)), (Kind::Common, rmp_serde::to_vec_named(common))] {
            match bytes {
                Ok(bytes) => file::append(&mut beginning, kind, [&bytes, &[]]),
                Err(fault) => tracing::error!(%fault, "the journal cannot be begun"),
            }
        }
        let calls = calls.into_iter().collect();
        let marks = marks.into_iter().map(|mark| ((mark.room, mark.port), mark)).collect();
        Writer {
            path,
            beginning,
            calls,
            phones,
            marks,
            file: State::Broken,
            length: 0,
            counted: 0,
            dies: Death::from_environment(),
        }
    }

    /// Writes until nobody is left who could say anything.
    pub(super) fn run(mut self, queue: &Receiver<Line>, clock: Clock, metrics: &Arc<Mutex<Metrics>>) {
        self.begin_anew(clock);
        loop {
            let first = match queue.recv_timeout(TRY_AGAIN) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) if matches!(self.file, State::Broken) => {
                    self.begin_anew(clock);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let began = clock.now().mono;
            let (mut group, mut waiting) = (Vec::new(), None);
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(line) = next {
                match line {
                    Line::Leave(done) => {
                        waiting = Some(done);
                        break;
                    }
                    line @ (Line::Call(..) | Line::Gone(_) | Line::Phones(_) | Line::Marks(_)) => self.take(line, &mut group),
                }
                taken += 1;
                next = if taken < GROUP_MAX { queue.try_recv().ok() } else { None };
            }
            self.write(&group, clock);
            self.die_after();
            metrics.lock().observe("baton_journal_seconds", &[("part", "writer")], clock.now().mono.since(began).as_secs_f64());
            if let Some(done) = waiting {
                if done.send(()).is_err() {
                    tracing::debug!("nobody waits for the journal any more");
                }
                return;
            }
        }
    }

    fn take(&mut self, line: Line, group: &mut Vec<u8>) {
        match line {
            Line::Call(id, bytes) => {
                self.die_before();
                file::append(group, Kind::Call, [id.to_string().as_bytes(), &bytes]);
                self.calls.insert(id, bytes);
            }
            Line::Gone(id) => {
                if self.calls.remove(&id).is_some() {
                    self.die_before();
                    file::append(group, Kind::Gone, [id.to_string().as_bytes(), &[]]);
                }
            }
            Line::Phones(record) => {
                if let Ok(bytes) = rmp_serde::to_vec_named(&record) {
                    file::append(group, Kind::Phones, [&bytes, &[]]);
                }
                if record.is_empty() {
                    self.phones.remove(&record.account);
                } else {
                    self.phones.insert(record.account.clone(), record);
                }
            }
            Line::Marks(marks) => {
                if let Ok(bytes) = rmp_serde::to_vec_named(&marks) {
                    file::append(group, Kind::Marks, [&bytes, &[]]);
                }
                self.marks.extend(marks.into_iter().map(|mark| ((mark.room, mark.port), mark)));
            }
            Line::Leave(_) => {}
        }
    }

    fn write(&mut self, group: &[u8], clock: Clock) {
        self.length += group.len() as u64;
        let live: usize = if self.length > LENGTH_MAX { self.calls.values().map(Vec::len).sum() } else { 0 };
        match &mut self.file {
            State::Whole(file) if self.length <= LENGTH_MAX.max(live as u64 * 4) => {
                if let Err(fault) = file.write_all(group) {
                    tracing::error!(%fault, "the journal of calls cannot be written; calls go on, but would not survive the process");
                    self.file = State::Broken;
                }
            }
            State::Whole(_) | State::Broken => self.begin_anew(clock),
        }
    }

    /// Writes everything that is known into a new file and puts it in the place of the old one.
    fn begin_anew(&mut self, clock: Clock) {
        let now = clock.now().mono;
        self.marks.retain(|_, mark| now.since(mark.at) < MARK_AGE_MAX);
        let mut bytes = self.beginning.clone();
        for (id, call) in &self.calls {
            file::append(&mut bytes, Kind::Call, [id.to_string().as_bytes(), call]);
        }
        for record in self.phones.values() {
            if let Ok(record) = rmp_serde::to_vec_named(record) {
                file::append(&mut bytes, Kind::Phones, [&record, &[]]);
            }
        }
        let marks: Vec<&StreamMark> = self.marks.values().collect();
        if let Ok(marks) = rmp_serde::to_vec_named(&marks) {
            file::append(&mut bytes, Kind::Marks, [&marks, &[]]);
        }
        let was_broken = matches!(self.file, State::Broken) && self.length > 0;
        match self.replace(&bytes) {
            Ok(file) => (self.file, self.length) = (State::Whole(file), bytes.len() as u64),
            Err(fault) => {
                if !was_broken {
                    tracing::error!(%fault, "the journal of calls cannot be begun anew");
                }
                self.file = State::Broken;
            }
        }
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<File> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        std::fs::rename(&beside, &self.path)?;
        Ok(file)
    }

    fn die_before(&mut self) {
        self.counted += 1;
        if self.dies == Some(Death::Before(self.counted)) {
            die();
        }
    }

    fn die_after(&self) {
        if matches!(self.dies, Some(Death::After(line)) if line <= self.counted) {
            die();
        }
    }
}

/// As `kill -9` does it.
fn die() {
    if let Err(fault) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL) {
        tracing::error!(%fault, "the self-test cannot kill the process");
    }
}
