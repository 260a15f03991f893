//! A call and its legs, as the API shows them.

use serde::{Deserialize, Serialize};

use crate::{At, CallId, LegId, TransferId};

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

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    /// Its id.
    pub id: CallId,
    /// How far it has come.
    pub state: CallState,
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
