//! What a transfer wants done.

use std::time::Duration;

use baton_contract::{CommitLevel, EventKind, LegId, Outcome, Record, TransferId};
use serde_json::{Map, Value};

use crate::{Callee, Fact, Line};
use serde::{Deserialize, Serialize};

/// Something to be done, in the order in which it is handed out.
///
/// What depends on a [`Action::Commit`] is handed out only after [`crate::Event::Committed`] has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this, and answer with [`crate::Event::Committed`] or [`crate::Event::CommitRefused`].
    Commit {
        /// What is stated; the answer repeats it.
        fact: Fact,
        /// What it must survive.
        level: CommitLevel,
        /// The rows.
        records: Vec<Record>,
    },
    /// Send the INVITE to an AE, or to somebody outside.
    Dial {
        /// The consult leg.
        leg: LegId,
        /// Who.
        to: Callee,
        /// Which attempt, from 1.
        attempt: u8,
    },
    /// End a leg, in whatever state it is: CANCEL or BYE.
    HangUp {
        /// The consult leg.
        leg: LegId,
        /// Why, for the Reason header.
        cause: Cause,
    },
    /// Swap who hears whom.
    Scene(SceneName),
    /// Say something to the caller, in place of what they are being told, if anything; then they hear what the scene says.
    SayToCaller {
        /// Named in [`crate::Event::SpeechEnded`].
        say: SayId,
        /// What.
        lines: Vec<Line>,
    },
    /// Stop what is being said to the caller.
    HushCaller,
    /// Say something to the AE, in place of what they are being told, if anything; then they hear nothing.
    SayToAe {
        /// The consult leg.
        leg: LegId,
        /// Named in [`crate::Event::SpeechStarted`] and [`crate::Event::SpeechEnded`].
        say: SayId,
        /// What.
        speech: AeSpeech,
    },
    /// Render the briefing, and answer with [`crate::Event::BriefingReady`] or [`crate::Event::BriefingFailed`].
    Render(crate::briefing::Briefing),
    /// End the AI leg.
    DropAi,
    /// Dial the AI again, with `X-Baton-Resume`, and answer with [`crate::Event::AiBack`] or [`crate::Event::AiFailed`].
    RecallAi {
        /// Which transfer it resumes from.
        resume: TransferId,
        /// What it is called back for.
        purpose: Purpose,
        /// What the AE wants it to know.
        note: Option<String>,
    },
    /// Ask the caller's trunk to take the call on (REFER on the caller's leg, which stays up), and answer with
    /// [`crate::Event::ReferAccepted`] or [`crate::Event::ReferFailed`], then with what its NOTIFYs say.
    ReferCaller {
        /// Where to.
        to: Callee,
    },
    /// Record what the caller says from now on, and answer with [`crate::Event::Recorded`] or [`crate::Event::RecordFailed`] once it
    /// has ended: by itself at a limit, by [`Action::StopRecording`], or with the caller's leg.
    Record {
        /// The longest message.
        max: Duration,
        /// A silence of this length ends it.
        silence_max: Duration,
    },
    /// End the recording and keep what there is of it.
    StopRecording,
    /// Give up dialling the AI again.
    ForgetAi,
    /// Tell whoever asked by REFER.
    Progress(Progress),
    /// Publish an event.
    Report(EventKind, Map<String, Value>),
    /// End the call: every leg that is left.
    EndCall,
    /// The transfer has its outcome. It may still own the call: see [`crate::Transfer::is_over`].
    Finished(Outcome),
}

/// Names one speech, within its transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SayId(pub u32);

/// What an AI is called back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// The transfer has come to nothing, and the AI that asked for it has left meanwhile.
    Return,
    /// The AE hands the caller back.
    HandBack,
    /// The AE has hung up, and the AI is to go on.
    AfterAe,
    /// The AE was lost.
    Lost,
}

impl Purpose {
    /// The name in events and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Return => "return",
            Purpose::HandBack => "handback",
            Purpose::AfterAe => "after_ae",
            Purpose::Lost => "lost",
        }
    }
}

/// What an AE is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AeSpeech {
    /// The rendered briefing, then these lines.
    Briefing(Vec<Line>),
    /// The shortened form of the rendered briefing, then these lines.
    Short(Vec<Line>),
    /// Lines only.
    Lines(Vec<Line>),
}

/// Why an AE's leg is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// Nobody answered in time.
    NoAnswer,
    /// The far end never responded.
    Unreachable,
    /// The AE said no.
    Declined,
    /// The AE said later.
    Later,
    /// No acceptance came.
    NotAccepted,
    /// The budget is used up.
    BudgetExceeded,
    /// The caller hung up.
    CallerGone,
    /// The transfer was called off.
    Cancelled,
    /// The media of this leg was lost.
    Lost,
    /// The call is over.
    CallOver,
    /// The caller is with the AI again, as the AE wanted.
    HandedBack,
    /// The caller is with somebody else now, as the AE wanted.
    MovedOn,
}

impl Cause {
    /// In words, for the text of a Reason header.
    pub const fn words(self) -> &'static str {
        match self {
            Cause::NoAnswer => "No answer in time",
            Cause::Unreachable => "No response",
            Cause::Declined => "Declined",
            Cause::Later => "Asked for later",
            Cause::NotAccepted => "Not accepted",
            Cause::BudgetExceeded => "Out of time",
            Cause::CallerGone => "Caller hung up",
            Cause::Cancelled => "Transfer cancelled",
            Cause::Lost => "Media lost",
            Cause::CallOver => "Call over",
            Cause::HandedBack => "Handed back",
            Cause::MovedOn => "Passed on",
        }
    }
}

/// Who hears whom: a name for one row of the table of scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SceneName {
    /// Caller and AI hear each other.
    Conversation,
    /// The caller hears music and what they are told, the AI hears nothing; the AE hears what they are told.
    ConsultMusic,
    /// Caller and AI hear each other; the AE hears what they are told.
    ConsultAi,
    /// As with music, but a ringback tone.
    ConsultRingback,
    /// The AI briefs the AE: these two hear each other, the caller hears music and what they are told.
    ConsultLive,
    /// The caller is passed on without a briefing: they hear what the AE's leg sends before its answer, or a ringback tone, and what they
    /// are told; the AE and the AI hear nothing.
    PassingOn,
    /// Caller, AI and AE each hear the two others.
    Introduction,
    /// Caller and AE hear each other; the AI hears nothing.
    Human,
    /// The AE holds: the caller hears music, the AE nothing.
    AeHolds,
    /// The caller is offered something and hears music around it; nobody hears them.
    Offering,
    /// The caller leaves a message: they hear what they are told, then silence; nobody hears them.
    Voicemail,
    /// Somebody was lost, or the caller is on their way from one to another: the caller hears music and what they are told; nobody hears them.
    Rescue,
    /// The caller of a callback is being dialled or asked: caller and AE hear music and what they are told, and not each other.
    CallingBack,
}

impl SceneName {
    /// Every scene.
    pub const ALL: [SceneName; 13] = [
        SceneName::Conversation,
        SceneName::ConsultMusic,
        SceneName::ConsultAi,
        SceneName::ConsultRingback,
        SceneName::ConsultLive,
        SceneName::PassingOn,
        SceneName::Introduction,
        SceneName::Human,
        SceneName::AeHolds,
        SceneName::Offering,
        SceneName::Voicemail,
        SceneName::Rescue,
        SceneName::CallingBack,
    ];
}

/// Progress of a REFER (RFC 3515 §2.4.5): the status line of the fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The status: 100, 180, 200, or a failure.
    pub status: u16,
    /// Its phrase.
    #[serde(with = "phrase")]
    pub phrase: Phrase,
    /// The outcome, for `X-Baton-Outcome`; there from the last one on.
    pub outcome: Option<Outcome>,
    /// Whether it is the last one.
    pub last: bool,
}

/// Words that live as long as the program.
pub type Phrase = &'static str;

/// A phrase in a value that is read: it is kept for good, so this is for the start of a process only.
mod phrase {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Phrase;

    pub(super) fn serialize<S: Serializer>(phrase: &Phrase, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(phrase)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Phrase, D::Error> {
        Ok(Box::leak(String::deserialize(deserializer)?.into_boxed_str()))
    }
}
