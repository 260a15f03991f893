//! A transfer, as it is asked for and as the API shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AeId, At, CallId, CallbackId, Context, LegId, TransferId};

/// The kind of transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The AE is briefed and accepts before the caller is bridged.
    #[default]
    #[serde(alias = "attended")]
    Warm,
    /// The caller is passed on at once.
    #[serde(alias = "blind")]
    Cold,
    /// A time is booked.
    Scheduled,
    /// A message is left.
    Voicemail,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Asked for; nobody dialled.
    Requested,
    /// The consult INVITE has gone out.
    Dialing,
    /// The AE's phone rings.
    Ringing,
    /// The AE has answered; the briefing has not begun.
    Answered,
    /// The AE hears the briefing, or is being waited for after it.
    Briefing,
    /// The AE has accepted; the bridge is being made.
    Accepted,
    /// Three on the line.
    Introducing,
    /// Caller and AE hear each other.
    Bridged,
    /// The caller is offered slots or other ways.
    Offering,
    /// The caller leaves a message.
    Recording,
    /// Over without a bridge.
    Ended,
}

/// How a transfer came out: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Caller and AE were connected.
    Bridged,
    /// The trunk took the call on.
    Referred,
    /// The caller is with the AI again.
    ReturnedToAi,
    /// A message was left.
    Voicemail,
    /// A callback was promised.
    CallbackScheduled,
    /// The caller hung up before.
    CallerAbandoned,
    /// Somebody called it off.
    Cancelled,
    /// Nothing worked.
    Failed,
}

/// What to do about an outcome that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// Asking again later may work.
    Retryable,
    /// Asking again will not help.
    Terminal,
    /// Somebody should look into it.
    Incident,
}

/// How an attempt came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The AE took it.
    Accepted,
    /// The AE said no.
    Declined,
    /// The AE said later.
    Later,
    /// Nobody answered within `ring_max`.
    NoAnswer,
    /// Busy, or already on a call.
    Busy,
    /// A machine answered.
    Machine,
    /// Somebody else screened the call.
    Screened,
    /// The phone was forwarded elsewhere.
    Forwarded,
    /// No response, or the far side could not be reached.
    Unreachable,
    /// Answered, but no acceptance came.
    NotAccepted,
    /// What was left of the budget did not allow going on.
    BudgetExceeded,
    /// The caller hung up meanwhile.
    CallerGone,
}

/// A stage of the latency budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Decision to consult INVITE sent.
    Start,
    /// INVITE sent to any 18x, or the answer.
    Ringing,
    /// Ringing to acceptance.
    Accept,
    /// Decision to the human on the line.
    Total,
}

macro_rules! snake_names {
    ($kind:ident { $($variant:ident => $name:literal),* $(,)? }) => {
        impl $kind {
            /// The name in JSON, metrics and headers.
            pub const fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),* }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

snake_names!(Mode { Warm => "warm", Cold => "cold", Scheduled => "scheduled", Voicemail => "voicemail" });
snake_names!(TransferState {
    Requested => "requested", Dialing => "dialing", Ringing => "ringing", Answered => "answered", Briefing => "briefing",
    Accepted => "accepted", Introducing => "introducing", Bridged => "bridged", Offering => "offering",
    Recording => "recording", Ended => "ended",
});
snake_names!(Outcome {
    Bridged => "bridged", Referred => "referred", ReturnedToAi => "returned_to_ai", Voicemail => "voicemail",
    CallbackScheduled => "callback_scheduled", CallerAbandoned => "caller_abandoned", Cancelled => "cancelled",
    Failed => "failed",
});
snake_names!(AttemptOutcome {
    Accepted => "accepted", Declined => "declined", Later => "later", NoAnswer => "no_answer", Busy => "busy",
    Machine => "machine", Screened => "screened", Forwarded => "forwarded", Unreachable => "unreachable",
    NotAccepted => "not_accepted", BudgetExceeded => "budget_exceeded", CallerGone => "caller_gone",
});
snake_names!(Stage { Start => "start", Ringing => "ringing", Accept => "accept", Total => "total" });

/// Asks for a transfer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransferRequest {
    /// The kind; absent: what the table of modes says, which is warm unless the caller prefers something else.
    pub mode: Option<Mode>,
    /// AE id, group, number or SIP URI; absent: the policy chooses.
    pub to: Option<String>,
    /// Why; a free word, kept in metrics where it is a known one.
    pub reason: Option<String>,
    /// Laid over the call's context.
    pub context: Option<Context>,
    /// How the AE is briefed; absent: composed from the context.
    pub briefing: Option<BriefingRequest>,
    /// Whether the AI introduces caller and AE to each other; absent: as configured.
    pub introduce: Option<bool>,
    /// What the caller hears until then; absent: as configured.
    pub while_dialing: Option<Meanwhile>,
    /// What follows when the AE hangs up; absent: as configured.
    pub after_ae: Option<Afterwards>,
}

/// What a caller hears while somebody is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meanwhile {
    /// Music.
    Music,
    /// The AI.
    Ai,
    /// A ringback tone.
    Ringback,
}

/// What follows when the AE hangs up after the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Afterwards {
    /// The call ends.
    End,
    /// The caller goes back to the AI.
    Ai,
}

/// How the AE is to be briefed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum BriefingRequest {
    /// This text, spoken.
    Text(String),
    /// By the AI, live, while the caller hears music.
    Ai,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferView {
    /// Its id.
    pub id: TransferId,
    /// The call that it belongs to.
    pub call: CallId,
    /// Its kind.
    pub mode: Mode,
    /// Where it stands.
    pub state: TransferState,
    /// How it came out.
    pub outcome: Option<Outcome>,
    /// What to do about it, where it is no success.
    pub class: Option<OutcomeClass>,
    /// A sentence that the AI can say.
    pub say_to_caller: Option<String>,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// When.
    pub requested_at: At,
    /// Each stage that has ended, in milliseconds.
    pub stages_ms: StagesMs,
    /// From the bridge to the AI leg's BYE.
    pub ai_drop_ms: Option<u64>,
    /// Everyone who was tried.
    pub attempts: Vec<AttemptView>,
    /// The callback that it ended in.
    pub callback: Option<CallbackId>,
    /// The message that the caller has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageView>,
}

/// A message that a caller has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// The recording, below the folder of recordings.
    pub file: String,
    /// How long it is.
    pub duration_ms: u64,
    /// How much of it is speech.
    pub speech_ms: u64,
    /// What was said, where it was transcribed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
}

/// Milliseconds spent in the stages of the last attempt, and in total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagesMs {
    /// Decision to consult INVITE sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// INVITE sent to any 18x, or the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ringing: Option<u64>,
    /// Ringing to acceptance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<u64>,
    /// Decision to the human on the line, or to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// One dialled AE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Who.
    pub ae: AeId,
    /// The consult leg.
    pub leg: LegId,
    /// How it came out; absent while it runs.
    pub outcome: Option<AttemptOutcome>,
    /// The final SIP status of the consult INVITE.
    pub sip_status: Option<u16>,
    /// In words: what happened.
    pub reason: Option<String>,
    /// From the INVITE to the answer, or to the end of ringing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_ms: Option<u64>,
    /// How long the briefing was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub briefing_ms: Option<u64>,
    /// From the answer to the acceptance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trade_s_other_words_for_a_mode_are_understood() {
        assert_eq!(serde_json::from_str::<Mode>("\"attended\"").unwrap(), Mode::Warm);
        assert_eq!(serde_json::from_str::<Mode>("\"blind\"").unwrap(), Mode::Cold);
    }

    #[test]
    fn names_and_json_agree() {
        for outcome in [Outcome::ReturnedToAi, Outcome::CallbackScheduled, Outcome::CallerAbandoned] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
        assert_eq!(serde_json::to_value(AttemptOutcome::BudgetExceeded).unwrap(), AttemptOutcome::BudgetExceeded.name());
    }
}
