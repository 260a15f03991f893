//! What a run is told, what it wants done, and why it wants to be woken.

use std::fmt;
use std::time::Duration;

use baton_contract::{AeId, CallId, CallbackView, CommitLevel, EventKind, LegId, Record, TransferId};
use serde_json::{Map, Value};

use crate::briefing::Briefing;
use crate::{Cause, Key, LegEnd, Line, SayId, SceneName};
use serde::{Deserialize, Serialize};

/// Something that has happened. An event that does not fit where the run stands changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum CallbackEvent {
    /// The time asked for has come, or may have; or somebody has set the clock.
    Wake,
    /// The store has the commit of this number.
    Committed(u32),
    /// The store does not have it, and will not: somebody else was first, or it is ill.
    CommitRefused(u32),
    /// The far end of a leg that was dialled works on it (a 100).
    Trying {
        /// Which leg.
        leg: LegId,
    },
    /// Any 18x.
    Ringing {
        /// Which leg.
        leg: LegId,
        /// The status.
        status: u16,
    },
    /// The phone was answered.
    Answered {
        /// Which leg.
        leg: LegId,
    },
    /// The INVITE has failed for good.
    Refused {
        /// Which leg.
        leg: LegId,
        /// The final status.
        status: u16,
        /// What the far end said in its status line.
        phrase: String,
    },
    /// A leg that was up has ended.
    Gone {
        /// Which leg.
        leg: LegId,
        /// How.
        why: LegEnd,
    },
    /// Somebody pressed a key.
    Key {
        /// On which leg.
        leg: LegId,
        /// Which.
        key: Key,
    },
    /// The AE has accepted without a key.
    Accept,
    /// The AE has declined without a key.
    Decline {
        /// Why.
        reason: Option<String>,
    },
    /// The briefing can be played, or will not come.
    Rendered(Result<(), NoBriefing>),
    /// A speech has been said to its end.
    SpeechEnded(SayId),
    /// What the caller has said, written down; none where nothing was said, or where nobody could write it down.
    Heard(Option<String>),
    /// Caller and AE hear each other: the new scene has taken hold.
    Switched,
    /// Somebody has ended the call of the try, with every leg of it.
    CallOver,
    /// Somebody wants it changed.
    Change(Change),
    /// The row as the store has it now.
    Row(Box<CallbackView>),
}

/// There will be no rendered briefing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoBriefing;

/// A change that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It is called off.
    Cancel,
    /// It is to be at another time, by another AE, or told in another zone; every field as it is to be.
    Move {
        /// Who calls.
        ae: AeId,
        /// When.
        at: baton_contract::At,
        /// The caller's zone.
        timezone: String,
    },
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unchanged {
    /// The store did not take it.
    Store,
    /// Caller and AE are being connected, or are.
    Connected,
    /// It is over.
    Over,
    /// Another node carries it out.
    Elsewhere,
    /// Another change is on its way.
    Busy,
}

/// Something to be done, in the order in which it is handed out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CallbackAction {
    /// Write this, and answer with [`CallbackEvent::Committed`] or [`CallbackEvent::CommitRefused`].
    Commit {
        /// The answer repeats it.
        number: u32,
        /// What it must survive.
        level: CommitLevel,
        /// The rows.
        records: Vec<Record>,
    },
    /// Read the row from the store again, and answer with [`CallbackEvent::Row`].
    Reload,
    /// Send the INVITE to an AE, in this call; it is to be opened if it is not there.
    DialAe {
        /// The call.
        call: CallId,
        /// Who holds the AE.
        transfer: TransferId,
        /// The leg.
        leg: LegId,
        /// Who.
        ae: AeId,
    },
    /// Send the INVITE to the caller, in the call that is open.
    DialCaller {
        /// The leg.
        leg: LegId,
        /// Number or SIP URI.
        to: String,
    },
    /// End a leg, in whatever state it is.
    HangUp {
        /// Which leg.
        leg: LegId,
        /// Why, for the Reason header.
        cause: Cause,
    },
    /// Swap who hears whom.
    Scene(SceneName),
    /// Say something to the AE.
    SayToAe {
        /// The leg.
        leg: LegId,
        /// Named in [`CallbackEvent::SpeechEnded`].
        say: SayId,
        /// What.
        speech: Vec<Said>,
    },
    /// Say something to the caller.
    SayToCaller {
        /// Named in [`CallbackEvent::SpeechEnded`].
        say: SayId,
        /// What.
        speech: Vec<Said>,
    },
    /// Listen to the caller, in place of listening to them so far, and answer with [`CallbackEvent::Heard`]: until they have said nothing
    /// for `silence_max`, for `longest` at most.
    Listen {
        /// The longest answer.
        longest: Duration,
        /// A silence of this length ends it.
        silence_max: Duration,
    },
    /// Listen no longer, and forget what was heard.
    StopListening,
    /// Render the briefing, and answer with [`CallbackEvent::Rendered`].
    Render(Briefing),
    /// Publish an event.
    Report(EventKind, Map<String, Value>),
    /// Caller and AE hear each other: from here on a transfer looks after the call, under the id of this try. See
    /// [`crate::Transfer::take_over`].
    HandOver {
        /// The AE who has the caller.
        ae: AeId,
        /// Their leg.
        leg: LegId,
        /// Of the AE's lease.
        epoch: u64,
    },
    /// A change that was wanted is on record, or is not made.
    Changed(Result<(), Unchanged>),
    /// End the call that was opened: every leg that is left.
    EndCall,
}

/// A piece of what somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// A line.
    Line(Line),
    /// The rendered briefing.
    Briefing,
    /// The configured greeting to the caller; where it cannot be spoken, the shipped one.
    Greeting,
    /// The configured message to a mailbox; where it cannot be spoken, the shipped one.
    Message,
}

/// The reason of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackWhy {
    /// The reminder is to be told.
    Reminder,
    /// The callback is due.
    Due,
    /// The store must have answered.
    StoreMustAnswer,
    /// The row is looked at again.
    LookAgain,
    /// The claim of another node lapses.
    ClaimLapses,
    /// The far end must have sent any response at all.
    MustRespond,
    /// The AE must have answered.
    AeMustAnswer,
    /// The AE must have accepted.
    AeMustAccept,
    /// The AE is told once more which keys there are.
    AeIsReminded,
    /// The caller must have answered.
    CallerMustAnswer,
    /// The caller must have confirmed.
    CallerMustConfirm,
    /// The caller is asked once more.
    CallerIsAskedAgain,
    /// A recording must have ended.
    SpeechMustEnd,
    /// The caller's audio must have been switched to the AE.
    AudioMustSwitch,
    /// The try must have ended: its claim lapses soon.
    TryMustEnd,
}

impl CallbackWhy {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            CallbackWhy::Reminder => "the reminder is to be told",
            CallbackWhy::Due => "the callback is due",
            CallbackWhy::StoreMustAnswer => "the store must have answered",
            CallbackWhy::LookAgain => "the row is looked at again",
            CallbackWhy::ClaimLapses => "the claim of another node lapses",
            CallbackWhy::MustRespond => "the phone must have responded",
            CallbackWhy::AeMustAnswer => "the AE must have answered",
            CallbackWhy::AeMustAccept => "the AE must have accepted",
            CallbackWhy::AeIsReminded => "the AE is told the keys once more",
            CallbackWhy::CallerMustAnswer => "the caller must have answered",
            CallbackWhy::CallerMustConfirm => "the caller must have confirmed",
            CallbackWhy::CallerIsAskedAgain => "the caller is asked once more",
            CallbackWhy::SpeechMustEnd => "the recording must have ended",
            CallbackWhy::AudioMustSwitch => "the audio must have been switched",
            CallbackWhy::TryMustEnd => "the try must have ended",
        }
    }
}

impl fmt::Display for CallbackWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
