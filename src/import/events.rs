//! From Baton's own audit trail to a fixture: the events of a transfer, as `GET /v1/transfers/{id}/events` or a line for each.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_contract::{Event, EventKind, Page};
use serde_json::Value;

/// Why there is no story in events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoEvents {
    /// It is no JSON of events.
    #[error("has no events in it that can be read: {0}")]
    Unreadable(String),
    /// Nobody asked for a human.
    #[error("has no transfer.requested in it")]
    NoTransfer,
}

/// How much longer than it took something may take when it is played.
const PATIENCE: Duration = Duration::from_millis(500);

/// An AE who is asked for where nobody was tried: they do not work when worlds begin.
const NOBODY: &str = "ae1";

/// Shorter waits are left out.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The fixture of the first transfer.
pub(super) fn story(text: &str) -> Result<String, NoEvents> {
    let mut events = read(text)?;
    events.sort_by_key(|event| event.seq);
    told(&events, "events")
}

/// The fixture of the first transfer among these, in their order; `from` is what they were read out of.
pub(super) fn told(events: &[Event], from: &str) -> Result<String, NoEvents> {
    let first = events.iter().position(|event| event.kind == EventKind::TransferRequested).ok_or(NoEvents::NoTransfer)?;
    let begun = events[first].clone();
    let of_it =
        |event: &&Event| event.transfer == begun.transfer || event.kind == EventKind::CallEnded && event.call == begun.call;
    let mut writer = Writer {
        names: BTreeMap::new(),
        order: Vec::new(),
        lines: Vec::new(),
        last: begun.at.0.as_micros(),
        answered: None,
        ended: false,
    };
    let events: Vec<&Event> = events[first..].iter().filter(of_it).collect();
    for event in events.iter().filter(|event| event.kind == EventKind::AttemptStarted) {
        writer.name(event);
    }
    for event in events {
        writer.event(event);
    }
    Ok(writer.text(from))
}

/// A page of the API, an array, or one event a line.
fn read(text: &str) -> Result<Vec<Event>, NoEvents> {
    let page = || serde_json::from_str::<Page<Event>>(text).map(|page| page.items);
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str::<Event>).collect();
    page()
        .or_else(|_| serde_json::from_str::<Vec<Event>>(text))
        .or_else(|_| lines())
        .map_err(|fault: serde_json::Error| NoEvents::Unreadable(fault.to_string()))
}

struct Writer {
    /// What each AE is called here.
    names: BTreeMap<String, String>,
    order: Vec<String>,
    lines: Vec<String>,
    /// The instant of the last line.
    last: i64,
    /// Who of them has answered last.
    answered: Option<String>,
    /// The caller has hung up.
    ended: bool,
}

impl Writer {
    fn name(&mut self, event: &Event) -> String {
        let own = text_of(event, "ae").unwrap_or_default();
        let next = format!("ae{}", self.names.len() + 1);
        let name = self.names.entry(own).or_insert_with(|| next.clone()).clone();
        if name == next {
            self.order.push(next);
        }
        name
    }

    fn event(&mut self, event: &Event) {
        let at = event.at.0.as_micros();
        match event.kind {
            EventKind::TransferRequested => {
                // Where nobody was tried, nobody could be.
                let to = self.order.first().cloned().unwrap_or_else(|| NOBODY.to_owned());
                let mode = text_of(event, "mode").filter(|mode| mode != "warm").map(|mode| format!(" mode={mode}"));
                self.lines.push(format!("api transfer to={to}{} => 202", mode.unwrap_or_default()));
            }
            EventKind::AttemptStarted => {
                let name = self.name(event);
                self.expected(at, format!("{name} <- INVITE"));
            }
            EventKind::Ringing => {
                let name = self.name(event);
                self.done(at, format!("{name} rings"));
            }
            EventKind::Answered => {
                let name = self.name(event);
                self.done(at, format!("{name} answers"));
                self.answered = Some(name);
            }
            EventKind::Accepted => {
                let name = self.name(event);
                match text_of(event, "by").as_deref() {
                    Some("key") => self.done(at, format!("{name} presses 1")),
                    Some("answer" | "cold") => {}
                    Some(_) | None => self.done(at, "api accept => 200".to_owned()),
                }
            }
            EventKind::Bridged => self.expected(at, "event transfer.bridged".to_owned()),
            EventKind::AttemptFailed => self.failed(at, event),
            EventKind::TransferEnded => {
                let outcome = text_of(event, "outcome").unwrap_or_default();
                if outcome == "caller_abandoned" && !self.ended {
                    self.hang_up(at);
                }
                self.expected(at, format!("event transfer.ended outcome={outcome}"));
            }
            EventKind::CallEnded if !self.ended => self.hang_up(at),
            EventKind::CallEnded
            | EventKind::CallStarted
            | EventKind::DriverChanged
            | EventKind::Texted
            | EventKind::BriefingStarted
            | EventKind::Transcribed
            | EventKind::BudgetMissed
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

    /// An attempt has failed: what the AE or the caller did, or what Baton did about somebody who did nothing.
    fn failed(&mut self, at: i64, event: &Event) {
        let name = self.name(event);
        let status = event.data.get("sip_status").and_then(Value::as_u64).filter(|status| *status >= 300);
        let listens = self.answered.as_ref() == Some(&name);
        match (text_of(event, "outcome").as_deref(), status) {
            (Some("caller_gone"), _) if !self.ended => self.hang_up(at),
            (_, Some(status)) if !listens => self.done(at, format!("{name} refuses {status}")),
            (Some("declined"), _) if listens => self.done(at, format!("{name} presses 2")),
            (Some("later"), _) if listens => self.done(at, format!("{name} presses 3")),
            (Some("declined" | "later"), _) => self.done(at, "api decline => 200".to_owned()),
            (Some("no_answer"), _) => self.expected(at, format!("{name} <- CANCEL")),
            (Some("not_accepted"), _) => self.expected(at, format!("{name} <- BYE")),
            (Some(_) | None, _) => {}
        }
    }

    fn hang_up(&mut self, at: i64) {
        self.done(at, "caller hangs up".to_owned());
        self.ended = true;
    }

    /// Somebody did something then.
    fn done(&mut self, at: i64, line: String) {
        let pause = span(self.last, at);
        if pause >= PAUSE_MIN {
            self.lines.push(format!("wait {}ms", pause.as_millis()));
        }
        self.lines.push(line);
        self.last = at.max(self.last);
    }

    /// Baton did something then.
    fn expected(&mut self, at: i64, line: String) {
        let within = span(self.last, at);
        let within = format!("within {}ms", (within + within / 2 + PATIENCE).as_millis());
        // Facts of events stand behind the time.
        let line = match line.split_once(" outcome=") {
            Some((event, outcome)) => format!("{event} {within} outcome={outcome}"),
            None => format!("{line} {within}"),
        };
        self.lines.push(line);
        self.last = at.max(self.last);
    }

    fn text(self, from: &str) -> String {
        let mut text = format!("# Imported from {from}. Names are made up; look it over before you keep it.\n");
        if self.order.is_empty() {
            text.push_str(&format!("ae {NOBODY} hours Sat-Sun 09:00-17:00\n"));
        }
        for (place, name) in self.order.iter().enumerate() {
            let backup = self.order.get(place + 1).map(|next| format!(" backup {next}")).unwrap_or_default();
            text.push_str(&format!("ae {name}{backup}\n"));
        }
        text.push_str("\nin conversation\n");
        text.extend(self.lines.iter().map(|line| format!("{line}\n")));
        text
    }
}

fn text_of(event: &Event, key: &str) -> Option<String> {
    event.data.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn span(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or(0))
}
