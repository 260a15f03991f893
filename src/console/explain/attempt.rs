//! One attempt in one sentence: how long the phone rang, how far the AE came, and what ended it.

use std::time::Duration;

use baton_contract::{AttemptOutcome, AttemptView, EventKind};

use super::{Case, text};
use crate::console::words::{Here, span};

impl Case {
    /// `Michael was rung for 4.0 s and did not answer (ring_max 4 s; SIP 487).`
    pub(super) fn attempt(&self, number: usize, here: &Here) -> String {
        let Some(attempt) = number.checked_sub(1).and_then(|index| self.transfer.attempts.get(index)) else {
            return String::new();
        };
        let name = self.name(attempt.ae.as_str());
        let (called, evidence) = (self.called(attempt, number), evidence(attempt));
        let listened = self.listened(attempt, number);
        let did = |what: &str| match &listened {
            Some(listened) => format!("{name} {listened} and {what}{evidence}."),
            None => format!("{name} was {called} and {what}{evidence}."),
        };
        match attempt.outcome {
            None => self.under_way(attempt, number, here),
            Some(AttemptOutcome::Accepted) => self.accepted(attempt, number),
            Some(AttemptOutcome::NoAnswer) => format!("{name} was {called} and did not answer{evidence}."),
            Some(AttemptOutcome::Declined) => did("declined"),
            Some(AttemptOutcome::Later) => did("asked for another try later"),
            Some(AttemptOutcome::NotAccepted) => did("did not accept"),
            Some(AttemptOutcome::Busy) => format!("{name} was busy{evidence}."),
            Some(AttemptOutcome::Machine) => format!("A machine answered {name}'s phone{evidence}."),
            Some(AttemptOutcome::Screened) => format!("The call to {name} was screened{evidence}."),
            Some(AttemptOutcome::Forwarded) => format!("{name}'s phone is forwarded, and Baton does not follow{evidence}."),
            Some(AttemptOutcome::Unreachable) => format!("{name} could not be reached{evidence}."),
            Some(AttemptOutcome::BudgetExceeded) => did("was given up to keep the budget"),
            Some(AttemptOutcome::CallerGone) => match listened {
                Some(listened) => format!("{name} {listened}; then the caller hung up{}.", sip(attempt)),
                None => format!("{name} was {called}; then the caller hung up{}.", sip(attempt)),
            },
        }
    }

    /// How far an attempt has come that has no outcome yet.
    fn under_way(&self, attempt: &AttemptView, number: usize, here: &Here) -> String {
        let name = self.name(attempt.ae.as_str());
        let steps = [
            (EventKind::BriefingStarted, "has been hearing the briefing"),
            (EventKind::Answered, "has been on the line"),
            (EventKind::Ringing, "has been rung"),
            (EventKind::AttemptStarted, "has been dialled"),
        ];
        let step = steps.into_iter().find_map(|(kind, doing)| Some((self.event_of(kind, number)?, doing)));
        match step {
            Some((event, doing)) => format!("{name} {doing} for {}.", span(here.since(event.at))),
            None => format!("{name} is about to be dialled."),
        }
    }

    fn accepted(&self, attempt: &AttemptView, number: usize) -> String {
        let name = self.name(attempt.ae.as_str());
        let listened = self.listened(attempt, number).unwrap_or_else(|| format!("was {}", self.called(attempt, number)));
        let event = self.event_of(EventKind::Accepted, number);
        let by = match event.and_then(|event| text(event, "by")) {
            Some("key") => " by key",
            Some("answer") => " by answering",
            Some("api") => " by the API",
            Some(_) | None => "",
        };
        let after =
            attempt.accept_ms.map(|ms| format!(" {} after answering", span(Duration::from_millis(ms)))).unwrap_or_default();
        format!("{name} {listened} and accepted{by}{after}.")
    }

    /// `rung for 4.0 s`, where the phone is known to have rung.
    fn called(&self, attempt: &AttemptView, number: usize) -> String {
        let verb = if self.event_of(EventKind::Ringing, number).is_some() { "rung" } else { "called" };
        match attempt.ring_ms {
            Some(ms) => format!("{verb} for {}", span(Duration::from_millis(ms))),
            None => verb.to_owned(),
        }
    }

    /// `answered after 1.2 s, heard the briefing for 5.0 s`; nothing where nobody answered.
    fn listened(&self, attempt: &AttemptView, number: usize) -> Option<String> {
        let has_heard = attempt.briefing_ms.is_some() || attempt.accept_ms.is_some();
        if !has_heard && self.event_of(EventKind::Answered, number).is_none() {
            return None;
        }
        let after = attempt.ring_ms.map(|ms| format!(" after {}", span(Duration::from_millis(ms)))).unwrap_or_default();
        let heard = attempt.briefing_ms.map(|ms| format!(", heard the briefing for {}", span(Duration::from_millis(ms))));
        Some(format!("answered{after}{}", heard.unwrap_or_default()))
    }
}

/// ` (ring_max 4 s; SIP 487)`: what the attempt's end rests on.
fn evidence(attempt: &AttemptView) -> String {
    let reason = attempt.reason.as_deref().unwrap_or_default();
    let reason = reason.strip_prefix("not answered within ").unwrap_or(reason);
    let refusal = reason.strip_prefix("refused: ");
    let status = attempt.sip_status.map(|status| format!("SIP {status}"));
    let parts = match (refusal, reason) {
        (Some(refusal), _) => vec![format!("SIP {}", refusal.trim())],
        (None, "" | "declined") => status.into_iter().collect(),
        (None, reason) => [reason.to_owned()].into_iter().chain(status).collect(),
    };
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

fn sip(attempt: &AttemptView) -> String {
    attempt.sip_status.map(|status| format!(" (SIP {status})")).unwrap_or_default()
}
