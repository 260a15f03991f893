//! Fixtures: calls in plain text that read like a ladder, played in virtual time on the [`World`](crate::World).
//!
//! [`read`] makes [`Story`]s of a text: one, or one for each value of its `for` line. [`play`] plays a story against the production
//! switchboard, SIP, transfers and media. `docs/fixtures.md` teaches the format.

mod asking;
mod ladder;
mod parse;
mod pattern;
mod perform;
mod raw;
mod steps;

use std::time::Duration;

use baton_party::Step;

use crate::{Setup, Store};

pub use parse::{Unreadable, read};
pub use perform::{Failure, Passed, SLACK, make_ready, play, play_really, play_throughout, steps_of, trail_of};

/// One call to be played.
#[derive(Debug, Clone)]
pub struct Story {
    /// What it is called; with the value of its `for` line in brackets where there is one.
    pub name: String,
    /// Who takes part.
    pub(crate) setup: Setup,
    /// What is done and expected, in order.
    pub(crate) lines: Vec<Line>,
}

impl Story {
    /// Why a story means what it says in virtual time only; none: it can be played where real time goes by, too.
    pub fn only_virtual(&self) -> Option<&'static str> {
        None
    }
}

/// A line of a story.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Where it stands, from 1 on.
    pub(crate) number: usize,
    /// As it is written.
    pub(crate) text: String,
    /// What it means.
    pub(crate) what: What,
}

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// Time goes by.
    Wait(Duration),
    /// A party does something.
    Act { who: usize, step: Step },
    /// What the caller says from now on, once somebody writes it down.
    Utters(String),
    /// A party is cut off.
    CutOff { who: usize },
    /// A party sends a text of our own making.
    Send { who: Who, text: String },
    /// The store changes its mind.
    Store(Store),
    /// Baton takes no new calls.
    Drain,
    /// The network does something to datagrams.
    Network(Network),
    /// Somebody asks Baton for something through its API.
    Ask { verb: String, fields: Vec<(String, String)>, status: String },
    /// A SIP message comes.
    Message { message: pattern::Message, window: Window },
    /// A SIP message does not come.
    NoMessage { message: pattern::Message, span: Duration },
    /// Somebody hears something soon.
    HearsSoon { who: usize, sound: pattern::Heard, within: Duration },
    /// Somebody hears something all the time.
    HearsFor { who: usize, sound: pattern::Heard, span: Duration },
    /// Something is published.
    Event { name: String, facts: Vec<Fact>, window: Window },
    /// Something is not published.
    NoEvent { name: String, span: Duration },
    /// The last transfer, or the call, as the API shows it.
    View { of: View, facts: Vec<Fact> },
    /// A track of a recording was closed, of this kind and of this leg, and as long; or none of the kind ever was.
    Track { kind: String, role: String, window: Window },
    /// No track of this kind was closed.
    NoTrack { kind: String },
    /// Exactly these boundaries were written beside the tracks.
    Marks(Vec<String>),
    /// A row is in the store, or none.
    Journal { kind: String, facts: Vec<Fact>, is_there: bool },
}

/// Who sends or gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A party.
    Party(usize),
    /// Somebody whom Baton does not know.
    Stranger,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// The transfer.
    Transfer,
    /// The call.
    Call,
    /// The payload, as the API shows it.
    Context,
}

/// A fact that must be true: a path into JSON, and what may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    /// `attempts.0.outcome`
    pub(crate) path: String,
    /// One of these; `*` stands for any run of characters.
    pub(crate) values: Vec<String>,
}

/// When something is to come, counted from the line before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Not before.
    pub(crate) from: Duration,
    /// Not after.
    pub(crate) to: Duration,
}

/// What the network does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Network {
    /// To which datagrams.
    pub(crate) which: Which,
    /// What.
    pub(crate) fate: crate::Fate,
}

/// Which datagrams.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Which {
    /// All of them, for so long.
    All(Duration),
    /// The one of this number, from the beginning of the story on.
    Number(usize),
    /// The next ones like this, so many of them.
    Next(pattern::Message, usize),
}
