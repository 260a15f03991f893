//! From events to spans: a trace for each call, in it its transfers, in these their attempts and the stages of the budget.

use std::collections::BTreeMap;

use baton_contract::{CallId, Event, EventKind, TransferId};
use baton_time::Wall;
use serde_json::Value;

/// Calls that are followed at the same time; of further ones no span of their own is told.
const CALLS_MAX: usize = 10_000;

/// Transfers that are followed at the same time.
const TRANSFERS_MAX: usize = 10_000;

/// Something that took its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Of the call: 32 hexadecimal digits.
    pub(super) trace: String,
    /// Its own: 16 hexadecimal digits.
    pub(super) id: String,
    /// What it is a part of; none where it is the whole call.
    pub(super) parent: Option<String>,
    /// `call`, `transfer`, `attempt`, `budget.ringing`.
    pub(super) name: String,
    /// When it began.
    pub(super) from: Wall,
    /// When it ended.
    pub(super) to: Wall,
    /// What is known about it; no names and no numbers of people.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// Limits that were missed meanwhile: when, and which.
    pub(super) missed: Vec<(Wall, String)>,
    /// Whether it ended as it should.
    pub(super) ending: Ending,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Well,
    /// Otherwise.
    Badly,
}

/// What is known of calls and transfers that are not over.
#[derive(Debug, Default)]
pub(super) struct Spans {
    calls: BTreeMap<CallId, Wall>,
    transfers: BTreeMap<TransferId, Open>,
}

/// A transfer that is not over.
#[derive(Debug)]
struct Open {
    call: CallId,
    requested: Wall,
    mode: String,
    /// How many spans it has had: their ids count on.
    spans: u8,
    attempt: Option<Attempt>,
    missed: Vec<(Wall, String)>,
    done: Vec<Span>,
    bridged: Option<Wall>,
}

#[derive(Debug)]
struct Attempt {
    ae: String,
    started: Wall,
    rang: Option<Wall>,
    answered: Option<Wall>,
    accepted: Option<Wall>,
}

impl Spans {
    /// Takes an event; yields the spans that are over with it.
    pub(super) fn on(&mut self, event: &Event) -> Vec<Span> {
        let at = event.at.0;
        match (event.kind, event.call, event.transfer) {
            (EventKind::CallStarted, Some(call), _) => {
                if self.calls.len() < CALLS_MAX {
                    self.calls.insert(call, at);
                }
                Vec::new()
            }
            (EventKind::CallEnded, Some(call), _) => self.call_ended(call, event),
            (EventKind::TransferRequested, Some(call), Some(transfer)) => {
                if self.transfers.len() < TRANSFERS_MAX {
                    let mode = text(event, "mode").unwrap_or_else(|| "warm".to_owned());
                    self.transfers.insert(transfer, Open::new(call, at, mode));
                }
                Vec::new()
            }
            (EventKind::TransferEnded, _, Some(transfer)) => {
                self.transfers.remove(&transfer).map(|open| open.ended(transfer, event)).unwrap_or_default()
            }
            (_, _, Some(transfer)) => {
                if let Some(open) = self.transfers.get_mut(&transfer) {
                    open.on(transfer, event);
                }
                Vec::new()
            }
            (_, _, None) => Vec::new(),
        }
    }

    fn call_ended(&mut self, call: CallId, event: &Event) -> Vec<Span> {
        let Some(from) = self.calls.remove(&call) else { return Vec::new() };
        let outcome = text(event, "outcome");
        vec![Span {
            trace: trace_of(call),
            id: root_of(call),
            parent: None,
            name: "call".to_owned(),
            from,
            to: event.at.0,
            attributes: known([("baton.call", Some(call.to_string())), ("baton.outcome", outcome)]),
            missed: Vec::new(),
            ending: Ending::Well,
        }]
    }
}

impl Open {
    fn new(call: CallId, requested: Wall, mode: String) -> Open {
        let (missed, done) = (Vec::new(), Vec::new());
        Open { call, requested, mode, spans: 0, attempt: None, missed, done, bridged: None }
    }

    fn on(&mut self, transfer: TransferId, event: &Event) {
        let at = event.at.0;
        match event.kind {
            EventKind::AttemptStarted => {
                if self.done.is_empty() {
                    self.stage(transfer, "budget.start", self.requested, at);
                }
                let ae = text(event, "ae").unwrap_or_default();
                self.attempt = Some(Attempt { ae, started: at, rang: None, answered: None, accepted: None });
            }
            EventKind::Ringing => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.rang.get_or_insert(at);
                }
            }
            EventKind::Answered => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.answered.get_or_insert(at);
                }
            }
            EventKind::Accepted => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.accepted.get_or_insert(at);
                }
            }
            EventKind::AttemptFailed => self.attempt_over(transfer, at, text(event, "outcome"), Ending::Badly),
            EventKind::Bridged => {
                self.attempt_over(transfer, at, Some("accepted".to_owned()), Ending::Well);
                self.bridged = Some(at);
            }
            EventKind::BudgetMissed => {
                let which = [text(event, "stage"), text(event, "limit")].map(Option::unwrap_or_default).join(" ");
                self.missed.push((at, which));
            }
            EventKind::CallStarted
            | EventKind::CallEnded
            | EventKind::DriverChanged
            | EventKind::Texted
            | EventKind::TransferRequested
            | EventKind::BriefingStarted
            | EventKind::TransferEnded
            | EventKind::Transcribed
            | EventKind::CallbackScheduled
            | EventKind::CallbackReminded
            | EventKind::CallbackKept
            | EventKind::CallbackMissed
            | EventKind::CallbackTried
            | EventKind::CallbackMoved
            | EventKind::CallbackCancelled
            | EventKind::PresenceChanged
            | EventKind::FeedbackReceived => {}
        }
    }

    /// The attempt is over: its span, and those of the stages that it reached.
    fn attempt_over(&mut self, transfer: TransferId, at: Wall, outcome: Option<String>, ending: Ending) {
        let Some(attempt) = self.attempt.take() else { return };
        let ringing = attempt.rang.or(attempt.answered);
        self.stage(transfer, "budget.ringing", attempt.started, ringing.unwrap_or(at));
        if let Some(ringing) = ringing {
            self.stage(transfer, "budget.accept", ringing, attempt.accepted.unwrap_or(at));
        }
        let attributes = known([("baton.ae", Some(attempt.ae)), ("baton.outcome", outcome)]);
        self.span(transfer, "attempt", attempt.started, at, attributes, ending);
    }

    fn stage(&mut self, transfer: TransferId, name: &str, from: Wall, to: Wall) {
        let stage = name.trim_start_matches("budget.").to_owned();
        let missed = self.missed.iter().any(|(_, which)| which.split(' ').next() == Some(stage.as_str()));
        let ending = if missed { Ending::Badly } else { Ending::Well };
        self.span(transfer, name, from, to, known([("baton.stage", Some(stage)), ("baton.outcome", None)]), ending);
    }

    fn span(
        &mut self,
        transfer: TransferId,
        name: &str,
        from: Wall,
        to: Wall,
        attributes: Vec<(&'static str, String)>,
        ending: Ending,
    ) {
        self.spans = self.spans.wrapping_add(1);
        let parent = id_of(transfer);
        // A transfer's digits end at random; its parts have the last two of them exchanged for their number.
        let id = format!("{}{:02x}", &parent[..14], self.spans ^ 0xa5);
        let (trace, name, missed) = (trace_of(self.call), name.to_owned(), Vec::new());
        self.done.push(Span { trace, id, parent: Some(parent), name, from, to, attributes, missed, ending });
    }

    fn ended(mut self, transfer: TransferId, event: &Event) -> Vec<Span> {
        let (at, outcome) = (event.at.0, text(event, "outcome"));
        self.attempt_over(transfer, at, outcome.clone(), Ending::Badly);
        self.stage(transfer, "budget.total", self.requested, self.bridged.unwrap_or(at));
        let failed = outcome.as_deref() == Some("failed");
        let attributes = known([
            ("baton.transfer", Some(transfer.to_string())),
            ("baton.mode", Some(self.mode.clone())),
            ("baton.outcome", outcome),
        ]);
        let whole = Span {
            trace: trace_of(self.call),
            id: id_of(transfer),
            parent: Some(root_of(self.call)),
            name: "transfer".to_owned(),
            from: self.requested,
            to: at,
            attributes,
            missed: self.missed,
            ending: if failed { Ending::Badly } else { Ending::Well },
        };
        self.done.push(whole);
        self.done
    }
}

/// A call's id is a UUID, as long as the id of a trace.
fn trace_of(call: CallId) -> String {
    call.uuid().simple().to_string()
}

/// The span of the whole call; the second half of the UUID is its random part.
fn root_of(call: CallId) -> String {
    trace_of(call)[16..].to_owned()
}

fn id_of(transfer: TransferId) -> String {
    transfer.uuid().simple().to_string()[16..].to_owned()
}

fn known<const N: usize>(attributes: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn text(event: &Event, key: &str) -> Option<String> {
    event.data.get(key).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CALL: &str = "c_019a5f5f5f5f7000800000000000000a";
    const TRANSFER: &str = "t_019a5f5f5f5f7000800000000000000b";

    fn event(second: i64, kind: &str, data: Value) -> Event {
        let at = baton_contract::At(Wall::from_seconds(second)).to_string();
        let transfer = if kind.starts_with("call.") { Value::Null } else { json!(TRANSFER) };
        let event = json!({"id": "e", "seq": 1, "at": at, "type": kind, "call": CALL, "transfer": transfer, "data": data});
        serde_json::from_value(event).unwrap()
    }

    fn told(events: &[(i64, &str, Value)]) -> Vec<Span> {
        let mut spans = Spans::default();
        events.iter().flat_map(|(second, kind, data)| spans.on(&event(*second, kind, data.clone()))).collect()
    }

    fn line(span: &Span) -> String {
        let seconds = |at: Wall| at.as_micros() / 1_000_000;
        format!("{} {}..{} {:?}", span.name, seconds(span.from), seconds(span.to), span.ending)
    }

    #[test]
    fn a_transfer_has_a_span_for_each_attempt_and_each_stage() {
        let spans = told(&[
            (0, "call.started", json!({})),
            (10, "transfer.requested", json!({"mode": "warm"})),
            (11, "transfer.attempt_started", json!({"ae": "michael"})),
            (12, "transfer.ringing", json!({})),
            (20, "budget.missed", json!({"stage": "accept", "limit": "target"})),
            (30, "transfer.attempt_failed", json!({"ae": "michael", "outcome": "no_answer"})),
            (30, "transfer.attempt_started", json!({"ae": "sara"})),
            (31, "transfer.answered", json!({})),
            (35, "transfer.accepted", json!({})),
            (36, "transfer.bridged", json!({})),
            (36, "transfer.ended", json!({"outcome": "bridged"})),
            (90, "call.ended", json!({"outcome": "completed"})),
        ]);
        let lines: Vec<String> = spans.iter().map(line).collect();
        let expected = [
            "budget.start 10..11 Well",
            "budget.ringing 11..12 Well",
            "budget.accept 12..30 Badly",
            "attempt 11..30 Badly",
            "budget.ringing 30..31 Well",
            "budget.accept 31..35 Badly",
            "attempt 30..36 Well",
            "budget.total 10..36 Well",
            "transfer 10..36 Well",
            "call 0..90 Well",
        ];
        assert_eq!(lines, expected);
        assert!(spans.iter().all(|span| span.trace == CALL[2..]));
        let ids: std::collections::BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        assert_eq!(ids.len(), spans.len(), "every span has an id of its own");
        let (transfer, call) = (&spans[8], &spans[9]);
        assert_eq!((transfer.parent.as_deref(), call.parent.as_deref()), (Some(call.id.as_str()), None));
        assert!(spans[..8].iter().all(|span| span.parent.as_deref() == Some(transfer.id.as_str())));
        assert_eq!(transfer.missed, [(Wall::from_seconds(20), "accept target".to_owned())]);
    }

    #[test]
    fn what_began_before_anybody_listened_is_not_told() {
        let spans = told(&[
            (30, "transfer.bridged", json!({})),
            (31, "transfer.ended", json!({"outcome": "bridged"})),
            (32, "call.ended", json!({})),
        ]);
        assert_eq!(spans, []);
    }

    #[test]
    fn a_caller_who_leaves_ends_the_attempt_too() {
        let spans = told(&[
            (10, "transfer.requested", json!({})),
            (11, "transfer.attempt_started", json!({"ae": "michael"})),
            (13, "transfer.ended", json!({"outcome": "caller_abandoned"})),
        ]);
        let lines: Vec<String> = spans.iter().map(line).collect();
        let expected = [
            "budget.start 10..11 Well",
            "budget.ringing 11..13 Well",
            "attempt 11..13 Badly",
            "budget.total 10..13 Well",
            "transfer 10..13 Well",
        ];
        assert_eq!(lines, expected);
    }
}
