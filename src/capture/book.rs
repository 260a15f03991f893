//! The last messages, by what they were about: what a ladder is drawn from.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use baton_sip::Transport;
use baton_time::Wall;
use parking_lot::Mutex;

use super::peek::Peek;
use super::{Direction, Wire};

/// The longest title that is remembered, in bytes; no method is longer.
const TITLE_MAX: usize = 40;

/// As many bytes as a message's words have, as a rule.
const WORDS_USUAL: usize = 64;

/// A message, without what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// When it was read or sent.
    pub(crate) at: Wall,
    /// Which way it went.
    pub(crate) direction: Direction,
    /// What carried it.
    pub(crate) transport: Transport,
    /// The far end.
    pub(crate) remote: SocketAddr,
    /// `INVITE`, or `200 INVITE`.
    pub(crate) title: Box<str>,
    /// Its Call-ID.
    pub(crate) call_id: Box<str>,
    /// How long it was, in bytes.
    pub(crate) bytes: usize,
}

/// The last messages of all calls, oldest first.
#[derive(Debug)]
pub(crate) struct Book {
    rows_max: usize,
    pages: Mutex<Pages>,
}

/// There are many messages, and few are ever asked for: each is a short row, and all their words are one text. In pieces of their own among what comes and goes with
/// every message they would hold on to all of its memory.
#[derive(Debug)]
struct Pages {
    rows: VecDeque<Row>,
    words: VecDeque<u8>,
}

/// A message without its words, which are the far end, the title and the Call-ID.
#[derive(Debug, Clone, Copy)]
struct Row {
    at: Wall,
    bytes: u32,
    direction: Direction,
    transport: Transport,
    title_length: u8,
    call_id_length: u8,
    remote_length: u8,
}

impl Row {
    fn words(&self) -> usize {
        [self.remote_length, self.title_length, self.call_id_length].map(usize::from).iter().sum()
    }

    fn call_id<'a>(&self, words: &'a [u8]) -> &'a [u8] {
        words.get(words.len() - usize::from(self.call_id_length)..).unwrap_or_default()
    }

    fn remembered(&self, words: &[u8]) -> Option<Remembered> {
        let (remote, rest) = words.split_at_checked(self.remote_length.into())?;
        let (title, call_id) = rest.split_at_checked(self.title_length.into())?;
        let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.into());
        let (remote, title, call_id) = (unpacked(remote)?, text(title)?, text(call_id)?);
        let Row { at, direction, transport, .. } = *self;
        Some(Remembered { at, direction, transport, remote, title, call_id, bytes: self.bytes as usize })
    }
}

/// An address in few bytes: the IP, the port, and for IPv6 the zone.
fn packed(remote: SocketAddr, words: &mut VecDeque<u8>) -> u8 {
    let before = words.len();
    match remote.ip() {
        IpAddr::V4(ip) => words.extend(ip.octets()),
        IpAddr::V6(ip) => words.extend(ip.octets()),
    }
    words.extend(remote.port().to_be_bytes());
    if let SocketAddr::V6(remote) = remote {
        words.extend(remote.scope_id().to_be_bytes());
    }
    (words.len() - before) as u8
}

fn unpacked(bytes: &[u8]) -> Option<SocketAddr> {
    if let Some((ip, port)) = bytes.split_first_chunk::<4>().filter(|(_, rest)| rest.len() == 2) {
        return Some(SocketAddr::from((*ip, u16::from_be_bytes(port.try_into().ok()?))));
    }
    let (ip, rest) = bytes.split_first_chunk::<16>()?;
    let (port, zone) = rest.split_first_chunk::<2>()?;
    let zone = u32::from_be_bytes(zone.try_into().ok()?);
    Some(SocketAddrV6::new((*ip).into(), u16::from_be_bytes(*port), 0, zone).into())
}

impl Book {
    /// A book of so many rows; the oldest one is forgotten for a new one.
    pub(crate) fn new(rows_max: usize) -> Book {
        // Room for all of them at once: a row of rows that grows leaves copies of itself behind. Room that was never used is no memory.
        let pages = Pages { rows: VecDeque::with_capacity(rows_max), words: VecDeque::with_capacity(rows_max * WORDS_USUAL) };
        Book { rows_max, pages: Mutex::new(pages) }
    }

    /// Remembers a message. A Call-ID of more than 255 bytes is that of nobody's call.
    pub(super) fn note(&self, wire: &Wire, peek: &Peek<'_>) {
        let Ok(call_id_length) = u8::try_from(peek.call_id.len()) else { return };
        if self.rows_max == 0 || peek.call_id.is_empty() {
            return;
        }
        let title_length =
            peek.title.char_indices().take(TITLE_MAX).map(|(at, letter)| at + letter.len_utf8()).last().unwrap_or(0);
        let (Some(title), Ok(title_length)) = (peek.title.get(..title_length), u8::try_from(title_length)) else { return };
        let Pages { rows, words } = &mut *self.pages.lock();
        if rows.len() >= self.rows_max
            && let Some(oldest) = rows.pop_front()
        {
            words.drain(..oldest.words());
        }
        let remote_length = packed(wire.remote, words);
        words.extend(title.as_bytes());
        words.extend(peek.call_id.as_bytes());
        rows.push_back(Row {
            at: wire.at.wall,
            bytes: wire.bytes.len() as u32,
            direction: wire.direction,
            transport: wire.transport,
            title_length,
            call_id_length,
            remote_length,
        });
    }

    /// The messages with one of these Call-IDs, in the order in which they were seen.
    pub(crate) fn of(&self, call_ids: &[String]) -> Vec<Remembered> {
        let Pages { rows, words } = &mut *self.pages.lock();
        let mut rest = &*words.make_contiguous();
        let mut found = Vec::new();
        for row in rows.iter() {
            let Some((words, behind)) = rest.split_at_checked(row.words()) else { break };
            rest = behind;
            if call_ids.iter().any(|id| id.as_bytes() == row.call_id(words)) {
                found.extend(row.remembered(words));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use baton_time::{Mono, Now};

    use super::*;

    const REMOTES: [&str; 3] = ["192.0.2.7:5060", "[2001:db8::1]:5070", "[fe80::1%3]:5080"];

    fn wire(number: usize) -> Wire {
        Wire {
            at: Now { mono: Mono::ZERO, wall: Wall::from_micros(1_700_000_000_000_000 + number as i64) },
            direction: if number.is_multiple_of(2) { Direction::In } else { Direction::Out },
            transport: if number.is_multiple_of(3) { Transport::Udp } else { Transport::Tcp },
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: REMOTES[number % REMOTES.len()].parse().unwrap(),
            bytes: vec![b'x'; number].into(),
        }
    }

    /// Messages of three calls in turn.
    fn noted(book: &Book, numbers: std::ops::Range<usize>) -> Vec<Remembered> {
        let rows = numbers.map(|number| {
            let (wire, title, call_id) =
                (wire(number), format!("{} INVITE", "1".repeat(number % 5)), format!("call-{}@x", number % 3));
            book.note(&wire, &Peek { title: title.clone(), call_id: &call_id, call: None });
            let Wire { at, direction, transport, remote, .. } = wire;
            let (title, call_id) = (title.into(), call_id.into());
            Remembered { at: at.wall, direction, transport, remote, title, call_id, bytes: number }
        });
        rows.collect()
    }

    #[test]
    fn a_message_is_told_as_it_was_and_the_oldest_is_forgotten() {
        let book = Book::new(50);
        let all = noted(&book, 0..333);
        let known = &all[all.len() - 50..];
        assert_eq!(book.of(&["call-0@x".to_owned(), "call-1@x".to_owned(), "call-2@x".to_owned()]), known);
        let one: Vec<Remembered> = known.iter().filter(|row| &*row.call_id == "call-1@x").cloned().collect();
        assert_eq!(book.of(&["call-1@x".to_owned(), "all-1@x".to_owned(), "@x".to_owned()]), one);
        let later = noted(&book, 333..340);
        let Pages { rows, words } = &*book.pages.lock();
        assert_eq!((rows.len(), words.len()), (50, rows.iter().map(Row::words).sum()));
        assert_eq!(later.len(), 7);
    }

    #[test]
    fn long_titles_are_cut_and_what_belongs_to_no_call_is_left_out() {
        let book = Book::new(3);
        let note = |title: &str, call_id: &str| book.note(&wire(1), &Peek { title: title.to_owned(), call_id, call: None });
        note(&"é".repeat(70), "one");
        note("BYE", "");
        note("BYE", &"x".repeat(256));
        note("BYE", &"y".repeat(255));
        assert_eq!(&*book.of(&["one".to_owned()])[0].title, "é".repeat(TITLE_MAX));
        assert_eq!((book.of(&[String::new(), "x".repeat(256)]), book.of(&["y".repeat(255)]).len()), (Vec::new(), 1));
        let none = Book::new(0);
        none.note(&wire(1), &Peek { title: "BYE".to_owned(), call_id: "one", call: None });
        assert_eq!(none.of(&["one".to_owned()]), Vec::new());
    }
}
