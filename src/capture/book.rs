//! The last messages, by what they were about: what a ladder is drawn from.

use std::collections::VecDeque;
use std::net::SocketAddr;

use baton_sip::Transport;
use baton_time::Wall;
use parking_lot::Mutex;

use super::peek::Peek;
use super::{Direction, Wire};

/// The longest title that is remembered, in bytes; no method is longer.
const TITLE_MAX: usize = 40;

/// The longest Call-ID that is remembered, in bytes; longer ones are those of nobody's calls.
const CALL_ID_MAX: usize = 255;

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
    rows: Mutex<VecDeque<Row>>,
}

/// A message as it is kept: there are many, and few are ever asked for.
#[derive(Debug)]
struct Row {
    at: Wall,
    remote: SocketAddr,
    bytes: u32,
    direction: Direction,
    transport: Transport,
    /// Where the title ends in the text, and the Call-ID begins.
    title_end: u8,
    text: Box<str>,
}

impl Row {
    fn call_id(&self) -> &str {
        self.text.get(usize::from(self.title_end)..).unwrap_or_default()
    }

    fn remembered(&self) -> Remembered {
        Remembered {
            at: self.at,
            direction: self.direction,
            transport: self.transport,
            remote: self.remote,
            title: self.text.get(..usize::from(self.title_end)).unwrap_or_default().into(),
            call_id: self.call_id().into(),
            bytes: self.bytes as usize,
        }
    }
}

impl Book {
    /// A book of so many rows; the oldest one is forgotten for a new one.
    pub(crate) fn new(rows_max: usize) -> Book {
        // Room for all of them at once: a row of rows that grows leaves copies of itself behind.
        Book { rows_max, rows: Mutex::new(VecDeque::with_capacity(rows_max)) }
    }

    /// Remembers a message.
    pub(super) fn note(&self, wire: &Wire, peek: &Peek<'_>) {
        if self.rows_max == 0 || peek.call_id.is_empty() || peek.call_id.len() > CALL_ID_MAX {
            return;
        }
        let mut text = String::with_capacity(peek.title.len().min(TITLE_MAX) + peek.call_id.len());
        text.extend(peek.title.chars().take(TITLE_MAX));
        let Ok(title_end) = u8::try_from(text.len()) else { return };
        text.push_str(peek.call_id);
        let row = Row {
            at: wire.at.wall,
            remote: wire.remote,
            bytes: wire.bytes.len() as u32,
            direction: wire.direction,
            transport: wire.transport,
            title_end,
            text: text.into(),
        };
        let mut rows = self.rows.lock();
        if rows.len() >= self.rows_max {
            rows.pop_front();
        }
        rows.push_back(row);
    }

    /// The messages with one of these Call-IDs, in the order in which they were seen.
    pub(crate) fn of(&self, call_ids: &[String]) -> Vec<Remembered> {
        let rows = self.rows.lock();
        rows.iter().filter(|row| call_ids.iter().any(|id| id == row.call_id())).map(Row::remembered).collect()
    }
}
