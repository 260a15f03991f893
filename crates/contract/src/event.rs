//! What happened, as subscribers and webhooks hear it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{At, CallId, TransferId};

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A caller's INVITE was taken.
    #[serde(rename = "call.started")]
    CallStarted,
    /// The last leg has ended.
    #[serde(rename = "call.ended")]
    CallEnded,
    /// Somebody else may speak to the caller now; `data.driver`.
    #[serde(rename = "call.driver_changed")]
    DriverChanged,
    /// Somebody has written a text beside the call; `data.author`, `data.text`.
    #[serde(rename = "call.message")]
    Texted,
    /// A transfer was asked for; `data.reason`, `data.to`.
    #[serde(rename = "transfer.requested")]
    TransferRequested,
    /// An AE is being dialled; `data.ae`, `data.leg`.
    #[serde(rename = "transfer.attempt_started")]
    AttemptStarted,
    /// Their phone rings.
    #[serde(rename = "transfer.ringing")]
    Ringing,
    /// They have answered.
    #[serde(rename = "transfer.answered")]
    Answered,
    /// They hear the first sound of the briefing; `data.after_answer_ms`.
    #[serde(rename = "transfer.briefing_started")]
    BriefingStarted,
    /// They have accepted; `data.by`.
    #[serde(rename = "transfer.accepted")]
    Accepted,
    /// Caller and AE hear each other.
    #[serde(rename = "transfer.bridged")]
    Bridged,
    /// An attempt has failed; `data.ae`, `data.outcome`, `data.sip_status`, `data.reason`.
    #[serde(rename = "transfer.attempt_failed")]
    AttemptFailed,
    /// The transfer has its outcome; `data` is the transfer.
    #[serde(rename = "transfer.ended")]
    TransferEnded,
    /// A voicemail was written down; `data.text`.
    #[serde(rename = "transfer.transcribed")]
    Transcribed,
    /// A limit of the budget was missed; `data.stage`, `data.limit` (`target` or `worst`), `data.after_ms`.
    #[serde(rename = "budget.missed")]
    BudgetMissed,
    /// A callback was promised; `data` is the callback.
    #[serde(rename = "callback.scheduled")]
    CallbackScheduled,
    /// A callback is due in half an hour.
    #[serde(rename = "callback.reminded")]
    CallbackReminded,
    /// A callback came about.
    #[serde(rename = "callback.kept")]
    CallbackKept,
    /// A callback did not come about.
    #[serde(rename = "callback.missed")]
    CallbackMissed,
    /// A try of a callback has failed, or it was put off; `data` is the callback, with the time of the next try.
    #[serde(rename = "callback.tried")]
    CallbackTried,
    /// A callback was moved; `data` is the callback.
    #[serde(rename = "callback.moved")]
    CallbackMoved,
    /// A callback was called off; `data` is the callback.
    #[serde(rename = "callback.cancelled")]
    CallbackCancelled,
    /// An AE's presence has changed; `data.ae`, `data.presence`.
    #[serde(rename = "ae.presence_changed")]
    PresenceChanged,
    /// An AE has said what they thought of a transfer.
    #[serde(rename = "feedback.received")]
    FeedbackReceived,
}

impl EventKind {
    /// The type as subscribers see it: `transfer.bridged`.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::CallStarted => "call.started",
            EventKind::CallEnded => "call.ended",
            EventKind::DriverChanged => "call.driver_changed",
            EventKind::Texted => "call.message",
            EventKind::TransferRequested => "transfer.requested",
            EventKind::AttemptStarted => "transfer.attempt_started",
            EventKind::Ringing => "transfer.ringing",
            EventKind::Answered => "transfer.answered",
            EventKind::BriefingStarted => "transfer.briefing_started",
            EventKind::Accepted => "transfer.accepted",
            EventKind::Bridged => "transfer.bridged",
            EventKind::AttemptFailed => "transfer.attempt_failed",
            EventKind::TransferEnded => "transfer.ended",
            EventKind::Transcribed => "transfer.transcribed",
            EventKind::BudgetMissed => "budget.missed",
            EventKind::CallbackScheduled => "callback.scheduled",
            EventKind::CallbackReminded => "callback.reminded",
            EventKind::CallbackKept => "callback.kept",
            EventKind::CallbackMissed => "callback.missed",
            EventKind::CallbackTried => "callback.tried",
            EventKind::CallbackMoved => "callback.moved",
            EventKind::CallbackCancelled => "callback.cancelled",
            EventKind::PresenceChanged => "ae.presence_changed",
            EventKind::FeedbackReceived => "feedback.received",
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique, for those who may receive it twice.
    pub id: String,
    /// Rises by one from event to event.
    pub seq: u64,
    /// When it happened.
    pub at: At,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// In which call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// In which transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferId>,
    /// The facts.
    pub data: Map<String, Value>,
}
