//! Where a callback stands.

use baton_contract::{AeId, CallbackOutcome, CallbackView, LegId};
use baton_time::{Deadline, Mono, Wall};

use super::event::{CallbackWhy, Change};
use crate::SayId;
use serde::{Deserialize, Serialize};

/// The states, in the order of the way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum State {
    /// Nothing to do before the reminder.
    ///
    /// Entry: promised, moved. Out: the reminder's time: `Writing`; a change: `Writing`; due: `Claiming`.
    Waiting,
    /// The reminder was told, or none is wanted; or an earlier try has failed.
    ///
    /// Entry: the reminder is on record; a try has failed. Out: a change: `Writing`; due: `Claiming`.
    Reminded,
    /// A reminder or a change goes on record. Out: written: as the row says; refused: as before.
    Writing { before: Box<CallbackView>, why: Writing, until: Mono },
    /// It is due, and the claim goes on record: nobody is dialled without it.
    ///
    /// Out: written: `Leasing`; refused, or no answer: `Unclear`.
    Claiming { before: Box<CallbackView>, until: Mono },
    /// The store did not take a commit, or said nothing: the row is read again. Out: as the row says.
    Unclear { until: Mono },
    /// Another node carries it out. Out: its claim has lapsed: `Unclear`.
    Elsewhere { until: Wall },
    /// The AE's lease goes on record. Out: written: `Inviting`; refused: the next AE.
    Leasing { ae: Ae, until: Mono },
    /// The INVITE to the AE has left. Out: 18x: `Ringing`; answer: `Listening`; refusal, 3 s without any response: the next AE.
    Inviting { ae: Ae, invited: Mono, response: Response },
    /// The AE's phone rings. Out: answer: `Listening`; refusal, `ring_max`: the next AE.
    Ringing { ae: Ae, invited: Mono },
    /// The AE hears the briefing and what to press. Out: accepted: `Calling`; declined, hung up, no key in time: the next AE.
    Listening { ae: Ae, answered: Mono, hears: Hears },
    /// The AE has accepted and hears music; the caller is being dialled. Out: answer: `Confirming`; refusal, no answer: `Parting`.
    Calling { ae: Ae, caller: LegId, invited: Mono, response: Response },
    /// The caller hears who calls and which key connects them. Out: the key: `Keeping`; the caller or the AE hangs up, or nobody
    /// presses it in time: `Parting`.
    Confirming { ae: Ae, caller: LegId, answered: Mono, hears: Hears },
    /// The caller has confirmed, and that goes on record. Out: written, or not within half a second: `Switching`.
    Keeping { ae: Ae, caller: LegId, until: Mono },
    /// The scene is swapped. Out: the audio has switched: a transfer takes the call over, `Kept`; one of the two hangs up: `Over`.
    Switching { ae: Ae, caller: LegId, until: Mono, record: OnRecord },
    /// Caller and AE talk, and the call is a transfer's; what is left is to see it on record. Out: it is: `Over`.
    Kept { record: OnRecord },
    /// Whoever is left hears one last thing. Out: it is said: `Settling`.
    Parting { ae: Option<(Ae, SayId)>, caller: Option<(LegId, SayId)>, until: Mono, end: Box<End> },
    /// The end of a try goes on record. Out: written: `Reminded`, or `Over`; refused, or no answer: `Unclear`.
    Settling { until: Mono },
    /// Kept, missed or cancelled. No way out.
    Over,
}

/// What is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Writing {
    Reminder,
    /// Somebody asked for it.
    Change,
    /// It is put off to the next hours in which the caller may be called, or missed.
    Rule,
}

/// An AE who is held for this callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ae {
    pub(crate) id: AeId,
    pub(crate) leg: LegId,
    pub(crate) epoch: u64,
}

/// Whether the far end has responded to an INVITE at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Response {
    Awaited,
    /// A 100: it is there.
    Some,
    /// Any 18x.
    Rings,
}

/// What somebody who has answered hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hears {
    Speech {
        say: SayId,
        until: Mono,
    },
    Nothing {
        until: Mono,
    },
    /// Music, and what they say is listened to; an answer that is not there by then is not waited for.
    Listened {
        until: Mono,
    },
}

/// Whether the store knows that the callback was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OnRecord {
    Yes,
    /// It has not answered yet.
    Awaited,
    /// It refused, and is asked again then.
    Again(Mono),
}

/// How a try ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum End {
    /// It may be tried again.
    Failed(CallbackOutcome, String),
    /// The caller was reached, and that is that.
    Missed(CallbackOutcome, String),
    /// Somebody has called it off or moved it.
    Changed(Change),
}

impl State {
    /// The name, in the table of states and events and in the log.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            State::Waiting => "Waiting",
            State::Reminded => "Reminded",
            State::Writing { .. } => "Writing",
            State::Claiming { .. } => "Claiming",
            State::Unclear { .. } => "Unclear",
            State::Elsewhere { .. } => "Elsewhere",
            State::Leasing { .. } => "Leasing",
            State::Inviting { .. } => "Inviting",
            State::Ringing { .. } => "Ringing",
            State::Listening { .. } => "Listening",
            State::Calling { .. } => "Calling",
            State::Confirming { .. } => "Confirming",
            State::Keeping { .. } => "Keeping",
            State::Switching { .. } => "Switching",
            State::Kept { .. } => "Kept",
            State::Parting { .. } => "Parting",
            State::Settling { .. } => "Settling",
            State::Over => "Over",
        }
    }

    /// The AE who is held.
    pub(crate) fn ae(&self) -> Option<&Ae> {
        match self {
            State::Leasing { ae, .. }
            | State::Inviting { ae, .. }
            | State::Ringing { ae, .. }
            | State::Listening { ae, .. }
            | State::Calling { ae, .. }
            | State::Confirming { ae, .. }
            | State::Keeping { ae, .. }
            | State::Switching { ae, .. } => Some(ae),
            State::Parting { ae, .. } => ae.as_ref().map(|(ae, _)| ae),
            State::Waiting
            | State::Reminded
            | State::Writing { .. }
            | State::Claiming { .. }
            | State::Unclear { .. }
            | State::Elsewhere { .. }
            | State::Kept { .. }
            | State::Settling { .. }
            | State::Over => None,
        }
    }

    /// The caller's leg.
    pub(crate) fn caller(&self) -> Option<LegId> {
        match self {
            State::Calling { caller, .. }
            | State::Confirming { caller, .. }
            | State::Keeping { caller, .. }
            | State::Switching { caller, .. } => Some(*caller),
            State::Parting { caller, .. } => caller.map(|(leg, _)| leg),
            State::Waiting
            | State::Reminded
            | State::Writing { .. }
            | State::Claiming { .. }
            | State::Unclear { .. }
            | State::Elsewhere { .. }
            | State::Leasing { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Listening { .. }
            | State::Kept { .. }
            | State::Settling { .. }
            | State::Over => None,
        }
    }
}

/// The earlier of two deadlines on the monotonic clock.
pub(crate) fn earlier(a: (Mono, CallbackWhy), b: (Mono, CallbackWhy)) -> Option<(Deadline, CallbackWhy)> {
    let (at, why) = if b.0 < a.0 { b } else { a };
    Some((Deadline::Mono(at), why))
}
