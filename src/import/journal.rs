//! From the journal of calls, which a process that dies leaves behind, to a fixture.
//!
//! A journal has no instants of its own, but calls that were written down after each of their steps: what became of a transfer is in
//! the last of them, with how long each phone rang and listened. Whether a phone rang at all, and whether it was taken up, is in those before.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_contract::{
    At, AttemptOutcome, AttemptView, CallId, Event, EventKind, LegId, LegState, Mode, Outcome, TransferId, TransferView,
};
use serde_json::{Map, Value, json};

use super::events::{self, NoEvents};
use crate::journal::{self, NoSteps, Step};

/// Why there is no story in a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTrail {
    /// It cannot be read.
    #[error("{0}")]
    Steps(#[from] NoSteps),
    /// Nobody asked for a human.
    #[error("has no transfer in it; calls that are over are not kept for long")]
    NoTransfer,
    /// What was made of it is no story.
    #[error("{0}")]
    Events(#[from] NoEvents),
}

/// How long people talk where only is known that they did, and that the call is over.
const TALK: Duration = Duration::from_secs(1);

/// The fixture of the first transfer.
pub(super) fn story(bytes: &[u8]) -> Result<String, NoTrail> {
    let seen = Seen::look(journal::steps(bytes)?).ok_or(NoTrail::NoTransfer)?;
    Ok(events::told(&Tale::of(&seen), "a journal")?)
}

/// What is known of the first transfer.
struct Seen {
    /// As it stood last.
    transfer: TransferView,
    /// Phones that were heard ringing.
    rang: BTreeSet<LegId>,
    /// Phones that were taken up.
    up: BTreeSet<LegId>,
    /// The call is over.
    gone: bool,
}

impl Seen {
    fn look(steps: Vec<(String, Step)>) -> Option<Seen> {
        let (mut rang, mut up, mut gone) = (BTreeSet::new(), BTreeSet::new(), false);
        let mut first: Option<(String, TransferId)> = None;
        let mut transfer = None;
        for (call, step) in steps {
            let other = first.as_ref().is_some_and(|(known, _)| *known != call);
            match step {
                Step::Gone => gone |= !other && first.is_some(),
                Step::Stands(record) if !other => {
                    let transfers = record.transfers();
                    first = first.or_else(|| Some((call, transfers.first()?.id)));
                    let id = first.as_ref().map(|(_, id)| *id);
                    transfer = transfers.into_iter().find(|view| Some(view.id) == id).or(transfer);
                    for leg in record.legs() {
                        match leg.state {
                            LegState::Ringing => drop(rang.insert(leg.id)),
                            LegState::Up => drop(up.insert(leg.id)),
                            LegState::Trying | LegState::Ended => {}
                        }
                    }
                }
                Step::Stands(_) => {}
            }
        }
        Some(Seen { transfer: transfer?, rang, up, gone })
    }
}

/// The events of a transfer, told again.
struct Tale {
    call: CallId,
    transfer: TransferId,
    at: At,
    events: Vec<Event>,
}

impl Tale {
    fn of(seen: &Seen) -> Vec<Event> {
        let view = &seen.transfer;
        let mut tale = Tale { call: view.call, transfer: view.id, at: view.requested_at, events: Vec::new() };
        tale.tell(EventKind::TransferRequested, json!({"mode": view.mode}));
        for (place, attempt) in view.attempts.iter().enumerate() {
            tale.attempt(seen, attempt, place + 1 == view.attempts.len());
        }
        if let Some(outcome) = view.outcome {
            let total = view.requested_at.0 + millis(view.stages_ms.total);
            tale.at = tale.at.max(At(total));
            if outcome == Outcome::Bridged {
                tale.tell(EventKind::Bridged, json!({}));
            }
            tale.tell(EventKind::TransferEnded, json!({"outcome": outcome}));
        }
        if seen.gone {
            tale.goes_by(TALK);
            tale.tell(EventKind::CallEnded, json!({}));
        }
        tale.events
    }

    /// How long each stage took is known of the last attempt alone.
    fn attempt(&mut self, seen: &Seen, attempt: &AttemptView, is_last: bool) {
        let stages = seen.transfer.stages_ms;
        let named = |facts: Value| {
            let mut all = json!({"ae": attempt.ae, "sip_status": attempt.sip_status});
            if let (Value::Object(all), Value::Object(facts)) = (&mut all, facts) {
                all.extend(facts);
            }
            all
        };
        if seen.transfer.attempts.len() == 1 {
            self.goes_by(millis(stages.start));
        }
        self.tell(EventKind::AttemptStarted, named(json!({})));
        let rung = millis(attempt.ring_ms);
        let silent = if is_last { millis(stages.ringing) } else { Duration::ZERO };
        let silent = if attempt.ring_ms.is_some() { silent.min(rung) } else { silent };
        if seen.rang.contains(&attempt.leg) {
            self.goes_by(silent);
            self.tell(EventKind::Ringing, named(json!({})));
            self.goes_by(rung.saturating_sub(silent));
        } else {
            self.goes_by(rung);
        }
        let answered = seen.up.contains(&attempt.leg) || attempt.accept_ms.is_some();
        if answered {
            self.tell(EventKind::Answered, named(json!({})));
        }
        match attempt.outcome {
            None => {}
            Some(AttemptOutcome::Accepted) => {
                self.goes_by(millis(attempt.accept_ms));
                let by = if seen.transfer.mode == Mode::Cold { "cold" } else { "key" };
                self.tell(EventKind::Accepted, named(json!({"by": by})));
            }
            Some(outcome) => {
                self.goes_by(millis(attempt.briefing_ms));
                self.tell(EventKind::AttemptFailed, named(json!({"outcome": outcome})));
            }
        }
    }

    fn goes_by(&mut self, span: Duration) {
        self.at = At(self.at.0 + span);
    }

    fn tell(&mut self, kind: EventKind, data: Value) {
        let seq = self.events.len() as u64 + 1;
        let data = if let Value::Object(data) = data { data } else { Map::new() };
        let (call, transfer) = (Some(self.call), Some(self.transfer).filter(|_| kind != EventKind::CallEnded));
        self.events.push(Event { id: format!("told-{seq}"), seq, at: self.at, kind, call, transfer, data });
    }
}

fn millis(count: Option<u64>) -> Duration {
    Duration::from_millis(count.unwrap_or(0))
}
