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
    rows: Mutex<VecDeque<Remembered>>,
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
        let row = Remembered {
            at: wire.at.wall,
            direction: wire.direction,
            transport: wire.transport,
            remote: wire.remote,
            title: peek.title.chars().take(TITLE_MAX).collect::<String>().into(),
            call_id: peek.call_id.into(),
            bytes: wire.bytes.len(),
        };
        let mut rows = self.rows.lock();
        if rows.len() >= self.rows_max {
            rows.pop_front();
        }
        rows.push_back(row);
    }

    /// The messages with one of these Call-IDs, in the order in which they were seen.
    pub(crate) fn of(&self, call_ids: &[String]) -> Vec<Remembered> {
        self.rows.lock().iter().filter(|row| call_ids.iter().any(|id| **id == *row.call_id)).cloned().collect()
    }
}
