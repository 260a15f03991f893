//! What is spoken in SIP, for those who look on: a tap at the engine that never holds it up, and the thread behind it.
//!
//! That thread remembers the last messages for `baton call --ladder`, writes them into pcapng files and sends them on by HEP, as `[capture]` says.

mod book;
mod files;
mod hep;
pub(crate) mod pcapng;
mod peek;
mod scribe;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use baton_contract::Record;
use baton_sip::{Incoming, Transmit, Transport};
use baton_time::Now;
use bytes::Bytes;

pub(crate) use book::{Book, Remembered};
pub(crate) use hep::HepSettings;
pub(crate) use scribe::Scribe;

/// How many messages may wait to be looked at; a fifth of a second of three thousand calls a second. Each place is memory from the beginning. When full: the message is counted as lost.
const WAITING_MAX: usize = 8_192;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// One SIP message as it was on the wire, decrypted where it came or goes under TLS: a datagram, or one framed message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    /// When the engine read or sent it.
    pub(crate) at: Now,
    /// Which way it went.
    pub(crate) direction: Direction,
    /// What carried it.
    pub(crate) transport: Transport,
    /// Our address.
    pub(crate) local: SocketAddr,
    /// The address of the far end.
    pub(crate) remote: SocketAddr,
    /// The message.
    pub(crate) bytes: Bytes,
}

/// What goes through the tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A message.
    Wire(Wire),
    /// The SIP Call-IDs that belong to a call.
    Legs {
        /// Baton's id of the call.
        call: String,
        /// Those of its legs so far.
        sip: Vec<String>,
    },
}

/// What is done with what is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CaptureSettings {
    /// How many messages are remembered; none: nobody asks for ladders.
    pub(crate) remember: usize,
    /// Files that are written, if any.
    pub(crate) files: Option<FileSettings>,
    /// Whom messages are sent on to, if anybody.
    pub(crate) hep: Option<HepSettings>,
}

/// Files of what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSettings {
    /// Where they are.
    pub(crate) dir: PathBuf,
    /// How long one becomes, in bytes.
    pub(crate) bytes_max: u64,
    /// How many are kept; older ones are deleted.
    pub(crate) count_max: usize,
}

/// What has become of messages that were seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// There was no room for them.
    pub(crate) lost: AtomicU64,
    /// They are in a file.
    pub(crate) written: AtomicU64,
    /// They are in no file, because the disk did not take them.
    pub(crate) unwritten: AtomicU64,
    /// They were sent on.
    pub(crate) sent: AtomicU64,
    /// They could not be sent on.
    pub(crate) unsent: AtomicU64,
}

impl Counts {
    /// By how it came out.
    pub(crate) fn results(&self) -> [(&'static str, u64); 5] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("lost", of(&self.lost)),
            ("written", of(&self.written)),
            ("write_failed", of(&self.unwritten)),
            ("sent", of(&self.sent)),
            ("send_failed", of(&self.unsent)),
        ]
    }
}

/// Where the engine tells of every message that it reads or sends. It is off unless somebody looks on, and costs one branch then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tap {
    line: Option<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    /// Boxed: the queue is memory from the beginning to the end.
    queue: SyncSender<Box<Seen>>,
    counts: Arc<Counts>,
}

impl Tap {
    /// A tap that somebody listens to at the other end; what finds no room there is counted as lost.
    fn open(counts: Arc<Counts>) -> (Tap, Receiver<Box<Seen>>) {
        let (queue, seen) = sync_channel(WAITING_MAX);
        (Tap { line: Some(Line { queue, counts }) }, seen)
    }

    /// What has become of messages that went through; nothing where nobody looks on.
    pub(crate) fn results(&self) -> Vec<(&'static str, u64)> {
        self.line.as_ref().map(|line| line.counts.results().to_vec()).unwrap_or_default()
    }

    /// A message has come in.
    pub(crate) fn received(&self, at: Now, message: &Incoming) {
        if let Some(line) = &self.line {
            let Incoming { transport, local, remote, .. } = *message;
            let (direction, bytes) = (Direction::In, message.bytes.clone());
            line.tell(Seen::Wire(Wire { at, direction, transport, local, remote, bytes }));
        }
    }

    /// A message goes out.
    pub(crate) fn sent(&self, at: Now, message: &Transmit) {
        if let Some(line) = &self.line {
            let Transmit { transport, local, remote, .. } = *message;
            let (direction, bytes) = (Direction::Out, message.bytes.clone());
            line.tell(Seen::Wire(Wire { at, direction, transport, local, remote, bytes }));
        }
    }

    /// Something is put on record; what matters here is which legs a call has.
    pub(crate) fn recorded(&self, records: &[Record]) {
        let Some(line) = &self.line else { return };
        for record in records {
            if let Record::Call(view) = record {
                let sip = view.legs.iter().map(|leg| leg.sip_call_id.clone()).collect();
                line.tell(Seen::Legs { call: view.id.to_string(), sip });
            }
        }
    }
}

impl Line {
    fn tell(&self, seen: Seen) {
        if self.queue.try_send(Box::new(seen)).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming() -> Incoming {
        Incoming {
            transport: Transport::Udp,
            connection: None,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "127.0.0.1:5080".parse().unwrap(),
            bytes: Bytes::from_static(b"OPTIONS sip:x SIP/2.0\r\n\r\n"),
        }
    }

    #[test]
    fn a_tap_that_is_off_tells_nobody() {
        Tap::default().received(Now::default(), &incoming());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_holds_nobody_up() {
        let counts = Arc::new(Counts::default());
        let (tap, seen) = Tap::open(counts.clone());
        for _ in 0..WAITING_MAX + 3 {
            tap.received(Now::default(), &incoming());
        }
        assert_eq!((seen.try_iter().count(), counts.lost.load(Ordering::Relaxed)), (WAITING_MAX, 3));
    }

    #[test]
    fn whoever_has_gone_is_not_waited_for() {
        let counts = Arc::new(Counts::default());
        let (tap, seen) = Tap::open(counts.clone());
        drop(seen);
        tap.received(Now::default(), &incoming());
        assert_eq!(counts.lost.load(Ordering::Relaxed), 1);
    }
}
