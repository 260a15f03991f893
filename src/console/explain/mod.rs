//! `baton explain TRANSFER`: what was waited for, how long, and why it went the way it went.

mod attempt;
mod ending;
mod stages;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::BTreeMap;

use baton_contract::{AeId, AeView, Event, EventKind, Page, TransferId, TransferView};
use serde::Serialize;
use serde_json::Value;

use super::daemon::{Daemon, Trouble};
use super::words::{Here, ae_state, clean};

/// A transfer with everything that is known about it.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    transfer: TransferView,
    events: Vec<Event>,
    #[serde(skip)]
    names: BTreeMap<AeId, String>,
}

/// The case and its explanation, for machines.
#[derive(Serialize)]
struct Explained<'c> {
    sentences: Vec<String>,
    #[serde(flatten)]
    case: &'c Case,
}

/// `baton explain TRANSFER`
pub(crate) fn explain(daemon: &Daemon, json: bool, here: &Here, id: TransferId) -> Result<String, Trouble> {
    let transfer = daemon.get::<TransferView>(&format!("/v1/transfers/{id}"))?.view;
    let events = daemon.get::<Page<Event>>(&format!("/v1/transfers/{id}/events"))?.view.items;
    let aes = daemon.get::<Page<AeView>>("/v1/aes")?.view.items;
    let names = aes.into_iter().map(|ae| (ae.id, ae.name)).collect();
    let case = Case { transfer, events, names };
    let sentences = case.sentences(here);
    if json {
        let explained = Explained { sentences, case: &case };
        return serde_json::to_string(&explained).map_err(|fault| Trouble::Output(fault.into()));
    }
    Ok(case.page(here, &sentences))
}

impl Case {
    /// The explanation, a thought a sentence.
    fn sentences(&self, here: &Here) -> Vec<String> {
        let mut all = vec![self.asked(here)];
        all.extend(self.never_dialled());
        for number in 1..=self.transfer.attempts.len() {
            all.extend(self.passed_over(number));
            all.push(self.attempt(number, here));
        }
        all.push(self.ending(here));
        all.extend(self.misses());
        all.iter().map(|sentence| clean(sentence)).collect()
    }

    fn page(&self, here: &Here, sentences: &[String]) -> String {
        let (story, stages, timeline) = (sentences.join("\n"), self.stages(), self.timeline());
        let head = format!("{} in {}, {}", self.transfer.id, self.transfer.call, here.time(self.transfer.requested_at));
        format!("{head}\n\n{story}\n\n{stages}\n{timeline}")
    }

    fn asked(&self, here: &Here) -> String {
        let TransferView { mode, reason, requested_at, .. } = &self.transfer;
        let why = reason.as_ref().map(|reason| format!(" because of {reason}")).unwrap_or_default();
        let request = self.events.iter().find(|event| event.kind == EventKind::TransferRequested);
        let to = request.and_then(|event| text(event, "to")).map(|to| format!(" to {}", self.name(to))).unwrap_or_default();
        format!("A {mode} transfer{to} was asked for at {}{why}.", here.clock(*requested_at))
    }

    /// Where nobody was dialled at all: why not.
    fn never_dialled(&self) -> Option<String> {
        if !self.transfer.attempts.is_empty() {
            return None;
        }
        let request = self.events.iter().find(|event| event.kind == EventKind::TransferRequested)?;
        let why = self.reasons(request);
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Some(format!("Nobody could be dialled{why}."))
    }

    /// Who stood before this attempt's AE in the plan and could not be dialled.
    fn passed_over(&self, number: usize) -> Option<String> {
        let why = self.reasons(self.event_of(EventKind::AttemptStarted, number)?);
        (!why.is_empty()).then(|| format!("Passed over: {why}."))
    }

    /// `Michael (outside working hours), Sara (on a call)`
    fn reasons(&self, event: &Event) -> String {
        let all = event.data.get("passed_over").and_then(Value::as_array).into_iter().flatten();
        let one = |passed: &Value| {
            let why = passed.get("why")?.as_str()?;
            let state =
                serde_json::from_value(Value::from(why)).map_or_else(|_| why.to_owned(), |state| ae_state(state).to_owned());
            Some(format!("{} ({state})", self.name(passed.get("ae")?.as_str()?)))
        };
        all.filter_map(one).collect::<Vec<_>>().join(", ")
    }

    /// The event of this kind in this attempt.
    fn event_of(&self, kind: EventKind, number: usize) -> Option<&Event> {
        let is_of = |event: &&Event| event.data.get("attempt").and_then(Value::as_u64) == u64::try_from(number).ok();
        self.events.iter().filter(|event| event.kind == kind).find(is_of)
    }

    /// The AE's name; the id where it is nobody's any more.
    fn name<'s>(&'s self, id: &'s str) -> &'s str {
        self.names.get(&AeId::from(id)).map_or(id, String::as_str)
    }
}

/// A member of an event's data that is a text.
fn text<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.data.get(name).and_then(Value::as_str)
}

/// A member of an event's data that is a number.
fn number(event: &Event, name: &str) -> Option<u64> {
    event.data.get(name).and_then(Value::as_u64)
}
