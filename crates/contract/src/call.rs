//! A call and its legs, as the API shows them.

use serde::{Deserialize, Serialize};

use crate::{At, CallId, Context, LegId, TransferId};

/// Whether a call has come up, and whether it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// The caller has not been answered.
    Connecting,
    /// The caller is up.
    Active,
    /// The last leg has ended.
    Ended,
}

/// Who may speak to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// The AI.
    Ai,
    /// The AE.
    Human,
    /// Nobody but Baton itself.
    Paused,
}

/// The part that a leg plays in its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegRole {
    /// The caller.
    Caller,
    /// The AI.
    Ai,
    /// The AE.
    Ae,
}

/// How far a leg has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// Invited; nothing heard yet.
    Trying,
    /// Ringing.
    Ringing,
    /// Answered.
    Up,
    /// Over.
    Ended,
}

/// How a call begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// The caller called.
    #[default]
    Inbound,
    /// Baton called them for an AI.
    Outbound,
    /// Baton called them because a callback was due.
    Callback,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Somebody talked to the caller.
    Completed,
    /// The callee was busy.
    Busy,
    /// The callee did not answer in time, or let it ring.
    NoAnswer,
    /// The callee did not want the call.
    Refused,
    /// The callee could not be reached: no such number, no way there, no room on the trunk.
    Unreachable,
    /// Hung up before anybody had answered, by the caller, by the AI or through the API.
    Cancelled,
    /// No AI could be had, and nobody else either.
    NoAi,
    /// Anything else.
    Failed,
}

/// How a call ended, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    /// What came of it.
    pub outcome: CallOutcome,
    /// The final SIP status of the far side, where there is one.
    pub sip_status: Option<u16>,
    /// The phrase that came with it, or our own words.
    pub reason: String,
}

/// A call that is to be placed for an AI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// Number, `tel:` or SIP URI.
    pub to: String,
    /// The number that is shown; absent: the trunk's own.
    #[serde(default)]
    pub from: Option<String>,
    /// The name of the trunk; absent: the first that may dial `to`.
    #[serde(default)]
    pub trunk: Option<String>,
    /// The name of the AI that is to talk.
    pub ai: String,
    /// What is known about whoever is called.
    #[serde(default)]
    pub context: Option<Context>,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    /// Its id.
    pub id: CallId,
    /// How far it has come.
    pub state: CallState,
    /// How it began.
    #[serde(default)]
    pub direction: CallDirection,
    /// Who may speak to the caller.
    pub driver: Driver,
    /// The caller's number or user.
    pub from: String,
    /// The dialled number or user.
    pub to: String,
    /// When the INVITE came.
    pub started_at: At,
    /// When the last leg ended.
    pub ended_at: Option<At>,
    /// Its legs, in the order in which they began.
    pub legs: Vec<LegView>,
    /// The transfer that runs, or else the last one.
    pub transfer: Option<TransferId>,
    /// How it ended; none while it has not.
    #[serde(default)]
    pub end: Option<CallEnd>,
}

impl CallView {
    /// The call as it is where only the record knows it: over. If it was up when Baton ended, nobody has taken it up again.
    pub fn only_on_record(mut self) -> CallView {
        if self.state != CallState::Ended {
            self.state = CallState::Ended;
            self.legs.iter_mut().for_each(|leg| leg.state = LegState::Ended);
            let reason = "Baton ended while the call was up".to_owned();
            self.end.get_or_insert(CallEnd { outcome: CallOutcome::Failed, sip_status: None, reason });
        }
        self
    }
}

/// A leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegView {
    /// Its id.
    pub id: LegId,
    /// Its part.
    pub role: LegRole,
    /// How far it has come.
    pub state: LegState,
    /// The Call-ID of its dialog.
    pub sip_call_id: String,
    /// `PCMU/8000` or the like, once agreed.
    pub codec: Option<String>,
}
