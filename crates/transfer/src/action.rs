//! What a transfer wants done.

use baton_contract::{AeId, CommitLevel, EventKind, LegId, Outcome, Record, TransferId};
use serde_json::{Map, Value};

use crate::{Fact, Line};

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
    /// Send the INVITE to an AE.
    Dial {
        /// The consult leg.
        leg: LegId,
        /// Who.
        ae: AeId,
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
    },
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SayId(pub u32);

/// What an AE is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AeSpeech {
    /// The rendered briefing, then these lines.
    Briefing(Vec<Line>),
    /// The shortened form of the rendered briefing, then these lines.
    Short(Vec<Line>),
    /// Lines only.
    Lines(Vec<Line>),
}

/// Why an AE's leg is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        }
    }
}

/// Who hears whom: a name for one row of the table of scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SceneName {
    /// Caller and AI hear each other.
    Conversation,
    /// The caller hears music and what they are told, the AI hears nothing; the AE hears what they are told.
    ConsultMusic,
    /// Caller and AI hear each other; the AE hears what they are told.
    ConsultAi,
    /// As with music, but a ringback tone.
    ConsultRingback,
    /// Caller and AE hear each other; the AI hears nothing.
    Human,
    /// The AE holds: the caller hears music, the AE nothing.
    AeHolds,
    /// The caller is offered something and hears music around it; nobody hears them.
    Offering,
    /// Somebody was lost: the caller hears music and what they are told; nobody hears them.
    Rescue,
    /// The caller of a callback is being dialled or asked: caller and AE hear music and what they are told, and not each other.
    CallingBack,
}

impl SceneName {
    /// Every scene.
    pub const ALL: [SceneName; 9] = [
        SceneName::Conversation,
        SceneName::ConsultMusic,
        SceneName::ConsultAi,
        SceneName::ConsultRingback,
        SceneName::Human,
        SceneName::AeHolds,
        SceneName::Offering,
        SceneName::Rescue,
        SceneName::CallingBack,
    ];
}

/// Progress of a REFER (RFC 3515 §2.4.5): the status line of the fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The status: 100, 180, 200, or a failure.
    pub status: u16,
    /// Its phrase.
    pub phrase: &'static str,
    /// The outcome, for `X-Baton-Outcome`; there from the last one on.
    pub outcome: Option<Outcome>,
    /// Whether it is the last one.
    pub last: bool,
}
