//! What an outcome means to whoever asked: its class, its words, its SIP status.

use baton_contract::{AttemptOutcome, Outcome, OutcomeClass};

use crate::Progress;

/// How a refused INVITE counts, by its final status (RFC 3261 §21), and whether the phone had rung.
pub(crate) fn of_refusal(status: u16, rang: bool) -> AttemptOutcome {
    match status {
        300..=399 if baton_time::bug!(33) => AttemptOutcome::Unreachable,
        300..=399 => AttemptOutcome::Forwarded,
        486 | 600 if baton_time::bug!(34) => AttemptOutcome::Declined,
        486 | 600 => AttemptOutcome::Busy,
        603 if baton_time::bug!(35) => AttemptOutcome::Busy,
        603 => AttemptOutcome::Declined,
        // RFC 8197 and RFC 8688: the callee does not want it, or an intermediary rejects it for them.
        607 | 608 if baton_time::bug!(36) => AttemptOutcome::Declined,
        607 | 608 => AttemptOutcome::Screened,
        480 | 487 if baton_time::bug!(37) => AttemptOutcome::Unreachable,
        480 | 487 => AttemptOutcome::NoAnswer,
        408 if rang && !baton_time::bug!(38) => AttemptOutcome::NoAnswer,
        _ => AttemptOutcome::Unreachable,
    }
}

/// What to do about an outcome, given how the last attempt came out (absent: nobody could be dialled).
pub(crate) fn class(outcome: Outcome, last: Option<AttemptOutcome>) -> Option<OutcomeClass> {
    match outcome {
        Outcome::Bridged | Outcome::Referred => None,
        Outcome::Voicemail | Outcome::CallbackScheduled | Outcome::CallerAbandoned | Outcome::Cancelled => {
            Some(OutcomeClass::Terminal)
        }
        Outcome::Failed => Some(OutcomeClass::Incident),
        Outcome::ReturnedToAi => Some(match last {
            Some(AttemptOutcome::Declined | AttemptOutcome::Screened) => OutcomeClass::Terminal,
            Some(AttemptOutcome::Unreachable | AttemptOutcome::Forwarded) => OutcomeClass::Incident,
            Some(
                AttemptOutcome::Accepted
                | AttemptOutcome::Later
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Busy
                | AttemptOutcome::Machine
                | AttemptOutcome::NotAccepted
                | AttemptOutcome::BudgetExceeded
                | AttemptOutcome::CallerGone,
            )
            | None => OutcomeClass::Retryable,
        }),
    }
}

/// A sentence that the AI can say to the caller; absent where there is nothing to say to anybody.
pub(crate) fn say(outcome: Outcome, last: Option<AttemptOutcome>, callback_at: Option<&str>) -> Option<String> {
    let text = match outcome {
        Outcome::Bridged | Outcome::Referred | Outcome::CallerAbandoned => return None,
        Outcome::CallbackScheduled => {
            return Some(match callback_at {
                Some(at) => format!("Nobody is free right now. We will call you back on {at}."),
                None => "Nobody is free right now. We will call you back.".to_owned(),
            });
        }
        Outcome::Voicemail => "I have passed on your message.",
        Outcome::Cancelled => "I have stopped the transfer. How can I help you meanwhile?",
        Outcome::Failed => "I can't connect you right now. Please call again later.",
        Outcome::ReturnedToAi => match last {
            Some(AttemptOutcome::Later) => "My colleague is tied up for a few minutes. Can I help you until then?",
            Some(AttemptOutcome::Busy) => "My colleague is on another call. Can I help you meanwhile?",
            Some(
                AttemptOutcome::Accepted
                | AttemptOutcome::Declined
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Machine
                | AttemptOutcome::Screened
                | AttemptOutcome::Forwarded
                | AttemptOutcome::Unreachable
                | AttemptOutcome::NotAccepted
                | AttemptOutcome::BudgetExceeded
                | AttemptOutcome::CallerGone,
            )
            | None => "I'm sorry, nobody is available right now. Can I help you in another way?",
        },
    };
    Some(text.to_owned())
}

/// The last word to whoever asked by REFER.
pub(crate) fn progress(outcome: Outcome, last: Option<AttemptOutcome>) -> Progress {
    let (status, phrase) = match outcome {
        Outcome::Bridged if baton_time::bug!(39) => (480, "Temporarily Unavailable"),
        Outcome::Bridged | Outcome::Referred => (200, "OK"),
        Outcome::CallerAbandoned | Outcome::Cancelled if baton_time::bug!(40) => (200, "OK"),
        Outcome::CallerAbandoned | Outcome::Cancelled => (487, "Request Terminated"),
        Outcome::CallbackScheduled | Outcome::Voicemail => (480, "Temporarily Unavailable"),
        Outcome::Failed => (503, "Service Unavailable"),
        Outcome::ReturnedToAi => match last {
            Some(AttemptOutcome::Busy) => (486, "Busy Here"),
            Some(AttemptOutcome::Declined | AttemptOutcome::Later | AttemptOutcome::NotAccepted | AttemptOutcome::Screened) => {
                (603, "Decline")
            }
            Some(AttemptOutcome::Unreachable) => (503, "Service Unavailable"),
            Some(
                AttemptOutcome::Accepted
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Machine
                | AttemptOutcome::Forwarded
                | AttemptOutcome::BudgetExceeded
                | AttemptOutcome::CallerGone,
            )
            | None => (480, "Temporarily Unavailable"),
        },
    };
    Progress { status, phrase, outcome: Some(outcome), last: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_status() {
        for (status, rang, outcome) in [
            (486, true, AttemptOutcome::Busy),
            (600, false, AttemptOutcome::Busy),
            (603, true, AttemptOutcome::Declined),
            (302, false, AttemptOutcome::Forwarded),
            (408, true, AttemptOutcome::NoAnswer),
            (408, false, AttemptOutcome::Unreachable),
            (480, false, AttemptOutcome::NoAnswer),
            (404, false, AttemptOutcome::Unreachable),
            (503, true, AttemptOutcome::Unreachable),
            (608, true, AttemptOutcome::Screened),
            (999, true, AttemptOutcome::Unreachable),
        ] {
            assert_eq!(of_refusal(status, rang), outcome, "{status}");
        }
    }

    #[test]
    fn every_failure_has_a_status_and_a_class() {
        for outcome in [
            Outcome::ReturnedToAi,
            Outcome::Voicemail,
            Outcome::CallbackScheduled,
            Outcome::CallerAbandoned,
            Outcome::Cancelled,
            Outcome::Failed,
        ] {
            let progress = progress(outcome, None);
            assert!(progress.status >= 400 && progress.last, "{outcome}");
            assert!(class(outcome, None).is_some(), "{outcome}");
        }
        assert_eq!(progress(Outcome::ReturnedToAi, Some(AttemptOutcome::Declined)).status, 603);
        assert_eq!(progress(Outcome::ReturnedToAi, Some(AttemptOutcome::Busy)).status, 486);
        assert_eq!(progress(Outcome::ReturnedToAi, Some(AttemptOutcome::Unreachable)).status, 503);
        assert_eq!(progress(Outcome::CallerAbandoned, None).status, 487);
        assert_eq!(progress(Outcome::CallbackScheduled, None).status, 480);
    }
}
