//! The thread that writes: it knows where the last line of every call is, so that the file can be begun anew when it has grown, or when the disk was
//! full.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
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

/// How many turns are written at a time.
const GROUP_MAX: usize = 256;

/// How often a disk that was full is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Marks that are older than this belong to streams that have ended.
const MARK_AGE_MAX: Duration = Duration::from_secs(30);

/// The writer's side.
pub(super) struct Writer {
    path: PathBuf,
    beginning: Vec<u8>,
    calls: BTreeMap<CallId, Kept>,
    phones: BTreeMap<String, PhonesRecord>,
    marks: BTreeMap<(RoomId, Port), StreamMark>,
    /// Where lines are, once it has been begun.
    file: Option<File>,
    state: State,
    length: u64,
    /// Counts the lines of calls, for the self-test.
    counted: u64,
    dies: Option<Death>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// Not begun yet, or a write has failed: everything is to be written once more.
    Broken,
}

/// The last line of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    /// It is in the file: a call that is up for an hour needs no memory for it.
    There { at: u64, length: usize },
    /// It is in no file yet.
    Here(Vec<u8>),
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Kept::There { length, .. } => *length,
            Kept::Here(bytes) => bytes.len(),
        }
    }

    /// Reads it, from this file where it is in one.
    fn read(&self, file: Option<&File>) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Kept::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Kept::There { at, length } => {
                let mut bytes = vec![0; *length];
                file.ok_or(io::ErrorKind::NotFound)?.read_exact_at(&mut bytes, *at)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
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
        let calls = calls.into_iter().map(|(id, bytes)| (id, Kept::Here(bytes))).collect();
        let marks = marks.into_iter().map(|mark| ((mark.room, mark.port), mark)).collect();
        Writer {
            path,
            beginning,
            calls,
            phones,
            marks,
            file: None,
            state: State::Broken,
            length: 0,
            counted: 0,
            dies: Death::from_environment(),
        }
    }

    /// Writes until nobody is left who could say anything.
    pub(super) fn run(mut self, queue: &Receiver<Vec<Line>>, clock: Clock, metrics: &Arc<Mutex<Metrics>>) {
        self.begin_anew(clock);
        loop {
            let first = match queue.recv_timeout(TRY_AGAIN) {
                Ok(lines) => lines,
                Err(RecvTimeoutError::Timeout) if self.state == State::Broken => {
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
            while let Some(lines) = next {
                for line in lines {
                    match line {
                        Line::Leave(done) => waiting = Some(done),
                        line @ (Line::Call(..) | Line::Gone(_) | Line::Phones(_) | Line::Marks(_)) => self.take(line, &mut group),
                    }
                }
                taken += 1;
                next = if taken < GROUP_MAX && waiting.is_none() { queue.try_recv().ok() } else { None };
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
                let (end, length) = (self.length + group.len() as u64, bytes.len());
                self.calls.insert(id, Kept::There { at: end - length as u64, length });
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
        let begin = self.length;
        self.length += group.len() as u64;
        let live: usize = if self.length > LENGTH_MAX { self.calls.values().map(Kept::len).sum() } else { 0 };
        let fits = self.state == State::Whole && self.length <= LENGTH_MAX.max(live as u64 * 4);
        let Some(file) = self.file.as_mut().filter(|_| fits) else {
            self.keep_here(begin, group);
            return self.begin_anew(clock);
        };
        if let Err(fault) = file.write_all(group) {
            tracing::error!(%fault, "the journal of calls cannot be written; calls go on, but would not survive the process");
            self.keep_here(begin, group);
            self.state = State::Broken;
        }
    }

    /// Keeps the lines of a group that is in no file, and would have begun there.
    fn keep_here(&mut self, begin: u64, group: &[u8]) {
        for kept in self.calls.values_mut() {
            if let Kept::There { at, length } = kept
                && let Some(start) = at.checked_sub(begin).and_then(|start| usize::try_from(start).ok())
                && let Some(bytes) = group.get(start..start + *length)
            {
                *kept = Kept::Here(bytes.to_vec());
            }
        }
    }

    /// Writes everything that is known into a new file and puts it in the place of the old one.
    fn begin_anew(&mut self, clock: Clock) {
        let now = clock.now().mono;
        self.marks.retain(|_, mark| now.since(mark.at) < MARK_AGE_MAX);
        let mut bytes = self.beginning.clone();
        let mut there = BTreeMap::new();
        for (id, kept) in &self.calls {
            match kept.read(self.file.as_ref()) {
                Ok(call) => {
                    file::append(&mut bytes, Kind::Call, [id.to_string().as_bytes(), &call]);
                    there.insert(*id, Kept::There { at: (bytes.len() - call.len()) as u64, length: call.len() });
                }
                Err(fault) => {
                    tracing::error!(call = %id, %fault, "a line of the journal is lost; the next step of its call is written")
                }
            }
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
        let was_broken = self.state == State::Broken && self.length > 0;
        match self.replace(&bytes) {
            Ok(file) => {
                (self.file, self.state, self.length, self.calls) = (Some(file), State::Whole, bytes.len() as u64, there);
            }
            Err(fault) => {
                if !was_broken {
                    tracing::error!(%fault, "the journal of calls cannot be begun anew");
                }
                self.state = State::Broken;
            }
        }
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<File> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use baton_contract::IdSource;
    use baton_time::Wall;

    use super::*;

    /// The last line of each call in a file.
    fn calls_in(path: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
        let bytes = std::fs::read(path).unwrap();
        let (mut file, mut calls) = (&bytes[..], BTreeMap::new());
        while let Some((kind, line)) = file::next(&mut file).unwrap() {
            let (id, call) = line.split_at(line.len().min(crate::journal::past::ID_LENGTH));
            match kind {
                Kind::Call => drop(calls.insert(String::from_utf8_lossy(id).into_owned(), call.to_vec())),
                Kind::Gone => drop(calls.remove(&*String::from_utf8_lossy(id))),
                Kind::Head | Kind::Common | Kind::Phones | Kind::Marks => {}
            }
        }
        calls
    }

    /// Has a writer write lines into a file of its own.
    fn written(path: &std::path::Path, taken_up: Vec<(CallId, Vec<u8>)>, tell: impl FnOnce(&dyn Fn(Line))) {
        let clock = Clock::start();
        let common = serde_json::from_str(r#"{"secret": [1, 2], "last_session": 0, "last_refer": 0}"#).unwrap();
        let taken_up = TakenUp { calls: taken_up, phones: BTreeMap::new(), marks: Vec::new() };
        let writer = Writer::new(path.to_owned(), &Head::new(clock).unwrap(), &common, taken_up);
        let (lines, queue) = sync_channel(16);
        let thread = std::thread::spawn(move || writer.run(&queue, clock, &Arc::default()));
        tell(&|line| lines.send(vec![line]).unwrap());
        drop(lines);
        thread.join().unwrap();
    }

    #[test]
    fn a_file_that_is_begun_anew_has_the_last_line_of_every_call() {
        let path = std::env::temp_dir().join(format!("baton-writer-{}", std::process::id()));
        let mut ids = IdSource::seeded(7);
        let [talks, leaves, was_there] = [(); 3].map(|()| CallId::new(&mut ids, Wall::from_seconds(1)));
        written(&path, vec![(was_there, b"as it was".to_vec())], |tell| {
            for step in 0..60 {
                tell(Line::Call(talks, vec![step; 200_000]));
                tell(Line::Call(leaves, vec![step; 10]));
            }
            tell(Line::Gone(leaves));
        });
        let expected = [(talks.to_string(), vec![59; 200_000]), (was_there.to_string(), b"as it was".to_vec())];
        assert!(calls_in(&path) == BTreeMap::from(expected), "{:?}", calls_in(&path).keys());
        assert!(std::fs::metadata(&path).unwrap().len() <= LENGTH_MAX, "it was begun anew");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_could_not_be_written_is_written_when_it_can_be() {
        let folder = std::env::temp_dir().join(format!("baton-writer-late-{}", std::process::id()));
        let call = CallId::new(&mut IdSource::seeded(7), Wall::from_seconds(1));
        let path = folder.join("journal");
        written(&path, Vec::new(), |tell| {
            tell(Line::Call(call, b"early".to_vec()));
            std::fs::create_dir(&folder).unwrap();
            tell(Line::Call(call, b"late".to_vec()));
        });
        assert_eq!(calls_in(&path), BTreeMap::from([(call.to_string(), b"late".to_vec())]));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
