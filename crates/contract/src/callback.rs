//! A promise to call somebody back.

use serde::{Deserialize, Serialize};

use crate::{AeId, At, AttemptView, CallId, CallbackId, Context, LegId, TransferId};

/// How far a callback has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackState {
    /// Promised.
    Scheduled,
    /// Called off.
    Cancelled,
    /// Being carried out.
    Running,
    /// Caller and AE were connected.
    Kept,
    /// It did not come about.
    Missed,
}

/// A callback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallbackView {
    /// Its id.
    pub id: CallbackId,
    /// How far it has come.
    pub state: CallbackState,
    /// The call in which it was promised.
    pub call: Option<CallId>,
    /// The transfer that ended in it.
    pub transfer: Option<TransferId>,
    /// Who calls.
    pub ae: AeId,
    /// Who is called: number or SIP URI.
    pub caller: String,
    /// When.
    pub at: At,
    /// IANA name of the zone in which it was told to the caller.
    pub timezone: String,
    /// What the AE should know.
    #[serde(default)]
    pub context: Context,
    /// When it was promised.
    pub created_at: At,
    /// How carrying it out has gone so far.
    #[serde(flatten)]
    pub progress: CallbackProgress,
}

/// How carrying out a callback has gone so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallbackProgress {
    /// When it is tried next; absent: at its time, or never again.
    pub next_at: Option<At>,
    /// When its reminder was told.
    pub reminded_at: Option<At>,
    /// Rises with every change and every claim: whoever knows an older one may not act.
    pub epoch: u64,
    /// Who carries it out; there while it is running.
    pub claim: Option<CallbackClaim>,
    /// How often it was tried since it was promised or moved.
    pub tries: u8,
    /// Every try, the newest last; no more than a few are kept.
    pub attempts: Vec<CallbackAttempt>,
    /// In words: why it was missed or put off.
    pub reason: Option<String>,
}

/// The right to carry out one try of a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackClaim {
    /// The name of the node that has it.
    pub node: String,
    /// When it lapses by itself.
    pub until: At,
}

/// One try of a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackAttempt {
    /// When it was begun.
    pub started_at: At,
    /// The call in which it was made.
    pub call: CallId,
    /// The transfer that holds the AEs meanwhile, and to which the screen-pop belongs.
    pub transfer: TransferId,
    /// The AEs who were dialled.
    pub aes: Vec<AttemptView>,
    /// The caller, once they are dialled.
    pub caller: Option<CallerAttempt>,
    /// How it came out; absent while it runs.
    pub outcome: Option<CallbackOutcome>,
}

/// A caller who was dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerAttempt {
    /// Their leg.
    pub leg: LegId,
    /// The final SIP status of the INVITE.
    pub sip_status: Option<u16>,
    /// In words: what happened.
    pub reason: Option<String>,
    /// From the INVITE to the answer, or to the end of ringing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_ms: Option<u64>,
    /// From the answer to the confirmation, or to the end without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_ms: Option<u64>,
}

/// How a try of a callback came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackOutcome {
    /// Caller and AE were connected.
    Connected,
    /// No AE was there: none free, or none who answered and accepted.
    NoAe,
    /// The caller did not answer.
    NoAnswer,
    /// The caller was busy, or refused.
    Busy,
    /// The caller could not be reached.
    Unreachable,
    /// Somebody or something answered, and nobody confirmed.
    NotConfirmed,
    /// The caller hung up without confirming.
    HungUp,
    /// The AE left while the caller was being called.
    AeGone,
    /// The hours in which the caller may be called had ended.
    WindowClosed,
    /// Baton was stopped in the middle of it.
    Interrupted,
    /// It was called off or moved in the middle of it.
    Cancelled,
}

impl CallbackOutcome {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            CallbackOutcome::Connected => "connected",
            CallbackOutcome::NoAe => "no_ae",
            CallbackOutcome::NoAnswer => "no_answer",
            CallbackOutcome::Busy => "busy",
            CallbackOutcome::Unreachable => "unreachable",
            CallbackOutcome::NotConfirmed => "not_confirmed",
            CallbackOutcome::HungUp => "hung_up",
            CallbackOutcome::AeGone => "ae_gone",
            CallbackOutcome::WindowClosed => "window_closed",
            CallbackOutcome::Interrupted => "interrupted",
            CallbackOutcome::Cancelled => "cancelled",
        }
    }
}

impl CallbackView {
    /// When it is tried next, or was to be tried.
    pub fn due_at(&self) -> At {
        self.progress.next_at.unwrap_or(self.at)
    }
}

/// What is needed to promise a callback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCallback {
    /// The call in which it is promised; picks the slot where that call is being offered some.
    #[serde(default)]
    pub call: Option<CallId>,
    /// Who calls.
    pub ae: AeId,
    /// Who is called: number or SIP URI.
    pub caller: String,
    /// When.
    pub at: At,
    /// IANA name of the caller's time zone; absent: the AE's.
    #[serde(default)]
    pub timezone: Option<String>,
    /// What the AE should know.
    #[serde(default)]
    pub context: Option<Context>,
}

/// What may be changed about a callback.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateCallback {
    /// A new AE.
    pub ae: Option<AeId>,
    /// A new time.
    pub at: Option<At>,
    /// A new zone.
    pub timezone: Option<String>,
}
