//! What a transfer is told.

use std::time::Duration;

use baton_contract::{At, LegId};

use crate::{Callee, Key, SayId};
use serde::{Deserialize, Serialize};

/// Something that has happened. An event that does not fit where the transfer stands changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The store has this fact.
    Committed(Fact),
    /// The store does not have it, and will not.
    CommitRefused(Fact),
    /// The INVITE to the AE has left.
    Dialed {
        /// The consult leg.
        leg: LegId,
    },
    /// The far end works on it (a 100): it is reachable, nothing rings yet.
    Trying {
        /// The consult leg.
        leg: LegId,
    },
    /// Any 18x.
    Ringing {
        /// The consult leg.
        leg: LegId,
        /// The status.
        status: u16,
    },
    /// The AE's phone was answered.
    Answered {
        /// The consult leg.
        leg: LegId,
    },
    /// The INVITE has failed for good.
    Refused {
        /// The consult leg.
        leg: LegId,
        /// The status; 408 or 503 also where nothing was ever heard or the connection failed.
        status: u16,
        /// What the far end said in its status line.
        phrase: String,
    },
    /// An AE leg that was up has ended.
    LegGone {
        /// Which.
        leg: LegId,
        /// How.
        why: LegEnd,
    },
    /// The AE pressed a key.
    Key {
        /// On which leg.
        leg: LegId,
        /// Which.
        key: Key,
    },
    /// The caller pressed a key.
    CallerKey(Key),
    /// The AE has accepted without a key.
    Accept,
    /// The AE has declined without a key.
    Decline {
        /// Why.
        reason: Option<String>,
        /// They would like to be asked again: the attempt ends as `later`.
        retry_after: Option<Duration>,
    },
    /// The briefing can be played.
    BriefingReady {
        /// How long it takes.
        full: Duration,
        /// How long its shortened form takes.
        short: Duration,
    },
    /// There will be no rendered briefing.
    BriefingFailed,
    /// The first sound of a speech was sent.
    SpeechStarted(SayId),
    /// A speech has been said to its end.
    SpeechEnded(SayId),
    /// Caller and AE hear each other: the new scene has taken hold.
    Switched,
    /// The AE has put the caller on hold.
    AeHeld,
    /// The AE has taken the caller off hold.
    AeResumed,
    /// The caller has hung up, or their leg is lost.
    CallerGone,
    /// The AI leg has ended: by itself, or by our BYE.
    AiGone,
    /// The AI leg is up, but has sent nothing for a second.
    AiSilent,
    /// The AI that was called back has answered.
    AiBack,
    /// The AI that was called back cannot be had.
    AiFailed,
    /// Whatever the AI was to tell the AE, it is done with it: the live briefing, or the introduction. Through the API, or by a BYE.
    AiDone,
    /// The trunk has taken the REFER: a 2xx.
    ReferAccepted,
    /// A NOTIFY of the REFER says how far it is: 1xx.
    ReferProgress(u16),
    /// The trunk has connected the caller: a NOTIFY with 2xx.
    ReferDone,
    /// The trunk has refused the REFER, could not be asked, or a NOTIFY says that it came to nothing.
    ReferFailed {
        /// The status.
        status: u16,
    },
    /// The recording has ended and can be kept.
    Recorded(Message),
    /// There is no recording.
    RecordFailed,
    /// The caller is to go back to the AI: by the AE's key, through the API, or by the AE's REFER to the AI.
    HandBack {
        /// How.
        by: HandBackBy,
        /// What the AI is to know.
        note: Option<String>,
    },
    /// The AE passes the caller on: a REFER to somebody who is not the AI.
    AeRefers {
        /// To whom, in the order in which they are tried; outside targets are allowed ones already.
        to: Vec<Callee>,
    },
    /// An INVITE with Replaces has taken the place of the AE's leg, and was answered.
    AeReplaced {
        /// The new leg.
        leg: LegId,
    },
    /// Somebody calls the transfer off.
    Cancel,
    /// A slot was picked through the API.
    SlotPicked(At),
    /// The time asked for has come, or may have.
    Wake,
}

/// What a commit states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// The transfer with this attempt, counted from 1, and the AE's lease.
    Attempt(u8),
    /// The transfer; nobody could be dialled for it.
    Requested,
    /// The AE of this attempt has accepted.
    Accepted(u8),
    /// The promise of a callback.
    Callback,
    /// The message that the caller has left.
    Message,
    /// The AE to whom another one passes the caller on is held.
    PassedOn,
    /// The callback that the store was silent about is not promised.
    Withdrawn,
    /// How the transfer came out.
    Outcome,
    /// The AE is free again.
    Released,
    /// What a leg that was given up has answered at last.
    Evidence,
}

/// How a leg that was up came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LegEnd {
    /// The far end hung up.
    HungUp,
    /// It was lost: no RTP, or 408 or 481 in the dialog.
    Lost,
}

/// How an AE has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceptedBy {
    /// By the accept key.
    Key,
    /// Through the API.
    Api,
    /// By answering.
    Answer,
    /// By answering a cold transfer, which has no briefing.
    Cold,
    /// By telling the AI.
    Spoken,
}

/// How an AE hands the caller back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HandBackBy {
    /// By the hand-back key.
    Key,
    /// Through the API.
    Api,
    /// By a REFER to the AI.
    Refer,
}

impl HandBackBy {
    /// The name in events.
    pub const fn name(self) -> &'static str {
        match self {
            HandBackBy::Key => "key",
            HandBackBy::Api => "api",
            HandBackBy::Refer => "refer",
        }
    }
}

/// A message that a caller has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where it is kept.
    pub file: String,
    /// How long it is.
    pub duration: Duration,
    /// How much of it is speech.
    pub speech: Duration,
}

impl AcceptedBy {
    /// The name in events.
    pub const fn name(self) -> &'static str {
        match self {
            AcceptedBy::Key => "key",
            AcceptedBy::Api => "api",
            AcceptedBy::Answer => "answer",
            AcceptedBy::Cold => "cold",
            AcceptedBy::Spoken => "spoken",
        }
    }
}
