//! How a transfer came out, and what made it so.

use std::time::Duration;

use baton_contract::{At, AttemptOutcome, EventKind, Outcome, OutcomeClass};
use serde_json::Value;

use super::{Case, text};
use crate::console::words::{Here, span, transfer_state};

impl Case {
    /// The outcome and its reason; where it stands, while there is none.
    pub(super) fn ending(&self, here: &Here) -> String {
        let transfer = &self.transfer;
        let Some(outcome) = transfer.outcome else {
            let so_far = span(here.since(transfer.requested_at));
            return format!("After {so_far} it is still under way: {}.", transfer_state(transfer.state));
        };
        let after = transfer.stages_ms.total.map(|ms| format!("{} after the request", span(Duration::from_millis(ms))));
        let after = after.unwrap_or_else(|| "In the end".to_owned());
        let what = match outcome {
            Outcome::Bridged => self.bridged(),
            Outcome::Referred => "the trunk took the call on".to_owned(),
            Outcome::ReturnedToAi => format!("the caller was with the AI again{}", self.why_back()),
            Outcome::Voicemail => "the caller had left a message".to_owned(),
            Outcome::CallbackScheduled => self.promised(here),
            Outcome::CallerAbandoned => "the caller hung up, before anybody had taken the call".to_owned(),
            Outcome::Cancelled => "the transfer was called off".to_owned(),
            Outcome::Failed => "nothing had worked, and the caller was told so".to_owned(),
        };
        let class = match transfer.class {
            Some(OutcomeClass::Incident) => " Somebody should look into this one.",
            Some(OutcomeClass::Retryable) => " Asking again later may work.",
            Some(OutcomeClass::Terminal) | None => "",
        };
        format!("{after} {what}.{class}")
    }

    fn bridged(&self) -> String {
        let last = self.transfer.attempts.last().map_or("the AE", |attempt| self.name(attempt.ae.as_str()));
        let dropped = self.transfer.ai_drop_ms.map(|ms| format!("; the AI was gone {ms} ms later")).unwrap_or_default();
        format!("caller and {last} heard each other{dropped}")
    }

    fn why_back(&self) -> &'static str {
        match self.transfer.attempts.last().and_then(|attempt| attempt.outcome) {
            Some(AttemptOutcome::Declined | AttemptOutcome::Later) => {
                ": that follows where an AE says no and nobody else is left"
            }
            Some(
                AttemptOutcome::Accepted
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Busy
                | AttemptOutcome::Machine
                | AttemptOutcome::Screened
                | AttemptOutcome::Forwarded
                | AttemptOutcome::Unreachable
                | AttemptOutcome::NotAccepted
                | AttemptOutcome::BudgetExceeded
                | AttemptOutcome::CallerGone,
            )
            | None => ": nobody else was left to be dialled, and no callback came about",
        }
    }

    fn promised(&self, here: &Here) -> String {
        let event = self.events.iter().find(|event| event.kind == EventKind::CallbackScheduled);
        let at = event.and_then(|event| serde_json::from_value::<At>(event.data.get("at").cloned().unwrap_or(Value::Null)).ok());
        let by = event.and_then(|event| text(event, "ae")).map(|ae| format!(" by {}", self.name(ae))).unwrap_or_default();
        let when = at.map(|at| format!(" at {}", here.time(at))).unwrap_or_default();
        format!("a callback{by}{when} was promised: nobody else was left to be dialled")
    }
}
