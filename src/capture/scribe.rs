//! The thread at the other end of the tap.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use super::files::Files;
use super::hep::Hep;
use super::peek::{Peek, peek};
use super::{Book, CaptureSettings, Counts, Seen, Tap, Wire};

/// How long messages are gathered once the first one has come: the engine wakes this thread once for all of them, and what is said
/// about the legs of a call just after its first INVITE is known before that INVITE is sent on.
const GATHER: Duration = Duration::from_millis(100);

/// How many messages are looked at in one go.
const BATCH_MAX: usize = super::WAITING_MAX;

/// Of how many legs it is remembered which call they belong to.
const LEGS_MAX: usize = 16_384;

/// The tap, what it fills, and the thread between them.
#[derive(Debug)]
pub(crate) struct Scribe {
    /// What the engine tells.
    pub(crate) tap: Tap,
    /// The last messages.
    pub(crate) book: Arc<Book>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    /// Opens what is wanted; a folder that cannot be written, or no socket, is a reason not to start.
    pub(crate) fn start(settings: CaptureSettings, node: &str) -> io::Result<Scribe> {
        let book = Arc::new(Book::new(settings.remember));
        let counts = Arc::new(Counts::default());
        if settings == CaptureSettings::default() {
            return Ok(Scribe { tap: Tap::default(), book, thread: None });
        }
        let files = settings.files.map(|files| Files::new(files, node.to_owned())).transpose()?;
        let hep = settings.hep.map(Hep::open).transpose()?;
        let (tap, seen) = Tap::open(counts.clone());
        let mut desk = Desk { book: book.clone(), counts, files, hep, legs: Legs::default() };
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || desk.run(&seen))?;
        Ok(Scribe { tap, book, thread: Some(thread) })
    }

    /// Waits until everything that was seen is where it belongs. The engine must have ended, and with it its end of the tap.
    pub(crate) fn stop(self) {
        drop(self.tap);
        if self.thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of captures has panicked");
        }
    }
}

struct Desk {
    book: Arc<Book>,
    counts: Arc<Counts>,
    files: Option<Files>,
    hep: Option<Hep>,
    legs: Legs,
}

impl Desk {
    /// Until nobody is left who could tell anything.
    fn run(&mut self, seen: &Receiver<Box<Seen>>) {
        while let Ok(first) = seen.recv() {
            std::thread::park_timeout(GATHER);
            self.take(std::iter::once(first).chain(seen.try_iter().take(BATCH_MAX)).map(|seen| *seen));
        }
    }

    fn take(&mut self, batch: impl Iterator<Item = Seen>) {
        let mut wires = Vec::new();
        for seen in batch {
            match seen {
                Seen::Wire(wire) => wires.push(wire),
                // Which call a leg belongs to is told to whoever messages are sent on to, and to nobody else.
                Seen::Legs { call, sip } if self.hep.is_some() => {
                    sip.into_iter().for_each(|leg| self.legs.belongs(leg, &call));
                }
                Seen::Legs { .. } => {}
            }
        }
        for wire in &wires {
            let peek = peek(&wire.bytes);
            if let Some(Peek { call: Some(call), call_id, .. }) = &peek
                && self.hep.is_some()
            {
                self.legs.belongs((*call_id).to_owned(), call);
            }
            if let Some(peek) = &peek {
                self.book.note(wire, peek);
            }
            self.pass_on(wire, peek.as_ref());
        }
        if let Some(files) = &mut self.files
            && let Err(fault) = files.flush()
        {
            tracing::warn!(%fault, path = files.path().map(|path| path.display().to_string()), "captures cannot be written");
        }
    }

    fn pass_on(&mut self, wire: &Wire, peek: Option<&Peek<'_>>) {
        let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        if let Some(files) = &mut self.files {
            match files.write(wire) {
                Ok(()) => count(&self.counts.written),
                Err(fault) => {
                    tracing::debug!(%fault, "a message cannot be written");
                    count(&self.counts.unwritten)
                }
            };
        }
        if let (Some(hep), Some(peek)) = (&self.hep, peek) {
            match hep.send(wire, self.legs.call_of(peek.call_id)) {
                Ok(()) => count(&self.counts.sent),
                Err(fault) => {
                    tracing::debug!(%fault, "a message cannot be sent on");
                    count(&self.counts.unsent)
                }
            };
        }
    }
}

/// Which call a leg belongs to, of the last legs.
#[derive(Debug, Default)]
struct Legs {
    calls: BTreeMap<String, String>,
    order: VecDeque<String>,
}

impl Legs {
    fn belongs(&mut self, leg: String, call: &str) {
        if leg.is_empty() || self.calls.contains_key(&leg) {
            return;
        }
        if self.order.len() >= LEGS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.calls.remove(&oldest);
        }
        self.order.push_back(leg.clone());
        self.calls.insert(leg, call.to_owned());
    }

    fn call_of(&self, leg: &str) -> Option<&str> {
        self.calls.get(leg).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use baton_sip::{Incoming, Transport};
    use baton_time::{Mono, Now, Wall};
    use bytes::Bytes;

    use super::super::{FileSettings, HepSettings};
    use super::*;

    fn message(call_id: &str, pad: usize) -> Incoming {
        let text = format!("OPTIONS sip:x SIP/2.0\r\nCall-ID: {call_id}\r\nX-Pad: {}\r\n\r\n", "x".repeat(pad));
        Incoming {
            transport: Transport::Tcp,
            connection: None,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "127.0.0.1:5080".parse().unwrap(),
            bytes: Bytes::from(text),
        }
    }

    fn at(second: i64) -> Now {
        Now { mono: Mono::ZERO, wall: Wall::from_seconds(1_700_000_000 + second) }
    }

    #[test]
    fn everything_that_was_seen_is_in_its_place_after_the_end() {
        let dir = std::env::temp_dir().join(format!("baton-capture-{}", std::process::id()));
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        collector.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let files = Some(FileSettings { dir: dir.clone(), bytes_max: 1_500, count_max: 2 });
        let address = collector.local_addr().unwrap();
        let hep = Some(HepSettings { collector: address, agent: 1, key: None, node: "n".to_owned() });
        let scribe = Scribe::start(CaptureSettings { remember: 3, files, hep }, "baton-1").unwrap();
        for second in 0..6 {
            scribe.tap.received(at(second), &message(if second == 5 { "b" } else { "a" }, 900));
        }
        let (book, counts) = (scribe.book.clone(), scribe.tap.line.as_ref().unwrap().counts.clone());
        scribe.stop();
        assert_eq!(counts.results().map(|(_, count)| count), [0, 6, 0, 6, 0]);
        let titles: Vec<Box<str>> = book.of(&["a".to_owned()]).into_iter().map(|row| row.title).collect();
        assert_eq!(titles, ["OPTIONS".into(), "OPTIONS".into()], "three are remembered, the last one is of another call");
        let mut names: Vec<String> =
            std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names.len(), 2, "one message a file, and two files are kept: {names:?}");
        let mut buffer = [0; 4_096];
        for _ in 0..6 {
            assert!(collector.recv_from(&mut buffer).is_ok());
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_leg_is_found_by_what_was_recorded_and_the_oldest_is_forgotten() {
        let mut legs = Legs::default();
        for number in 0..=LEGS_MAX {
            legs.belongs(format!("leg-{number}"), "c_1");
        }
        assert_eq!((legs.call_of("leg-0"), legs.call_of("leg-1")), (None, Some("c_1")));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_reason_not_to_start() {
        let files = Some(FileSettings { dir: "/proc/none/of/yours".into(), bytes_max: 1, count_max: 1 });
        assert!(Scribe::start(CaptureSettings { files, ..CaptureSettings::default() }, "n").is_err());
    }

    #[test]
    fn nothing_is_started_where_nobody_looks_on() {
        let scribe = Scribe::start(CaptureSettings::default(), "n").unwrap();
        scribe.tap.received(at(0), &message("a", 0));
        assert!(scribe.book.of(&["a".to_owned()]).is_empty());
        scribe.stop();
    }
}
