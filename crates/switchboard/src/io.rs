//! What the switchboard is told and what it answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use baton_contract::{Command, CommitLevel, Event, Problem, Record, Reply, TransferId};
use baton_media::{Clip, TapId};
use baton_sip::{ConnectionId, Incoming, Transmit, Transport};
use baton_transfer::{Language, Line};

use crate::{RecordFault, RecordOrder, Recorded};

/// Something that the switchboard is told.
#[derive(Debug)]
pub enum Input {
    /// SIP bytes came in: one datagram, or one framed message of a stream.
    Sip(Incoming),
    /// A SIP stream has ended.
    ConnectionClosed {
        /// Which.
        connection: ConnectionId,
        /// Its far end, if that had said anything by it.
        remote: Option<SocketAddr>,
    },
    /// A SIP message could not be sent.
    SendFailed {
        /// By what.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
    },
    /// A media thread noticed something.
    Media(baton_media::Event),
    /// Somebody asks for something; answered by [`Output::Answer`] with the same ticket.
    Ask {
        /// Comes back with the answer.
        ticket: u64,
        /// What is asked.
        command: Box<Command>,
    },
    /// The store has written the commit with this ticket.
    Committed(u64),
    /// The store could not write the commit with this ticket.
    CommitRefused(u64),
    /// A briefing was rendered, or could not be.
    Rendered {
        /// Of the [`Output::Render`].
        ticket: u64,
        /// The clips; none where no voice managed in time.
        spoken: Option<Spoken>,
    },
    /// What was said is written down, or cannot be.
    WrittenDown {
        /// Of the [`Output::WriteDown`].
        ticket: u64,
        /// The text.
        text: Option<String>,
    },
    /// There are recordings of lines in another language.
    Prompts {
        /// Which language.
        language: Language,
        /// The recordings.
        clips: BTreeMap<Line, Arc<Clip>>,
    },
    /// A track of a recording has ended: once for each that was opened.
    Recorded {
        /// The track.
        tap: TapId,
        /// What was written.
        result: Result<Recorded, RecordFault>,
    },
    /// Somebody has written down what is said in a voicemail.
    Transcribed {
        /// The transfer that it belongs to.
        transfer: TransferId,
        /// The text.
        text: String,
    },
    /// Callbacks as the store has them: answers to [`Output::WantCallbacks`] and [`Output::WantCallback`].
    Callbacks(Vec<baton_contract::CallbackView>),
    /// These ports are bound and free: the even one of each pair.
    Ports(Vec<u16>),
    /// Takes no new calls from now on; those that are up go on.
    Drain {
        /// What Retry-After says.
        retry_after: std::time::Duration,
    },
    /// The sockets are open: registers with trunks, and looks who is there. Comes once.
    Up,
    /// The name of a peer was looked up again.
    Resolved {
        /// Whose.
        whom: crate::Named,
        /// Its addresses, the first to be tried first; none: nothing is known, and what was known goes on.
        hops: Vec<baton_sip::Hop>,
    },
    /// Hangs up every call, and takes registrations with trunks back.
    HangUpAll,
    /// Time has gone by.
    Wake,
}

/// A briefing as sound.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// The whole briefing.
    pub full: Arc<Clip>,
    /// Its first sentence.
    pub short: Arc<Clip>,
}

/// Something that the shell is to do.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit(Transmit),
    /// Tell the media thread.
    Media(baton_media::Command),
    /// Write these records together. Whatever depends on them stays here until the store has answered.
    Commit {
        /// Comes back with [`Input::Committed`] or [`Input::CommitRefused`]; none where nobody waits.
        ticket: Option<u64>,
        /// What it must survive.
        level: CommitLevel,
        /// The rows.
        records: Vec<Record>,
    },
    /// Tell everyone who listens.
    Publish(Box<Event>),
    /// Speak these texts into clips; answered by [`Input::Rendered`].
    Render {
        /// Comes back with the clips.
        ticket: u64,
        /// The whole briefing.
        full: String,
        /// Its first sentence.
        short: String,
        /// The language of both.
        language: Language,
    },
    /// Somebody is to write down what was said, and the file is not kept; answered by [`Input::WrittenDown`].
    WriteDown {
        /// Comes back with the text.
        ticket: u64,
        /// The file, as [`Recorded`] names it.
        file: String,
        /// The language that is spoken, probably.
        language: Language,
    },
    /// A recording is not to be kept.
    Forget {
        /// The file, as [`Recorded`] names it.
        file: String,
    },
    /// Tell the writer of recordings.
    Record(RecordOrder),
    /// The answer to an [`Input::Ask`].
    Answer {
        /// Of the question.
        ticket: u64,
        /// The answer.
        result: Result<Reply, Problem>,
    },
    /// Read the callbacks that are open and promised for a time before this; answered by [`Input::Callbacks`].
    WantCallbacks {
        /// Before when.
        before: baton_contract::At,
    },
    /// Read this callback; answered by [`Input::Callbacks`].
    WantCallback(baton_contract::CallbackId),
    /// The stock of free ports runs low.
    WantPorts,
}
