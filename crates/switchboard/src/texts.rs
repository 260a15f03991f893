//! Texts beside a call: whoever may speak to the caller may write to them too, and the AI rests from the moment a human writes.

use std::collections::VecDeque;

use baton_contract::{At, Author, CallId, Driver, EventKind, LegRole, NewText, Problem, Reply, TextView};
use baton_sip::{QuestionId, SessionId, TEXT_BYTES_MAX};
use baton_time::Now;
use baton_transfer::SceneName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::call::{Call, Phase, Rests};
use crate::switchboard::Switchboard;

/// How many texts a call keeps; the oldest go first.
const TEXTS_MAX: usize = 64;
/// So many texts may come from one author ...
const BURST_MAX: usize = 16;
/// ... within so long, in microseconds.
const BURST_US: i64 = 5_000_000;

/// The texts of a call, oldest first.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Thread(VecDeque<TextView>);

impl Thread {
    /// Whether this author writes more than anybody could read.
    fn floods(&self, now: Now, author: Author) -> bool {
        let last = self.0.iter().rev().filter(|text| text.author == author).nth(BURST_MAX - 1);
        last.is_some_and(|text| (0..BURST_US).contains(&(now.wall.as_micros() - text.at.0.as_micros())))
    }

    fn keep(&mut self, text: TextView) {
        if self.0.len() >= TEXTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(text);
    }
}

impl Switchboard {
    /// The texts of a call that is up.
    pub(crate) fn texts(&self, id: CallId) -> Result<Reply, Problem> {
        match self.calls.get(&id) {
            Some(call) => Ok(Reply::Texts(call.thread.0.iter().cloned().collect())),
            None => self.call_view(id).map(|_| Reply::Texts(Vec::new())),
        }
    }

    /// Somebody writes to the caller by the API.
    pub(crate) fn send_text(&mut self, now: Now, id: CallId, new: NewText) -> Result<Reply, Problem> {
        let Some(call) = self.calls.get(&id) else {
            self.call_view(id)?;
            return Err(Problem::conflict("this call has ended"));
        };
        if !(1..=TEXT_BYTES_MAX).contains(&new.text.len()) {
            return Err(Problem::invalid("text", format!("a text has 1 to {TEXT_BYTES_MAX} bytes")));
        }
        if new.author == Author::Caller {
            return Err(Problem::invalid("author", "\"ai\" or \"human\"; the caller writes on their phone"));
        }
        if !matches!(call.phase, Phase::Active) {
            return Err(Problem::conflict("the call is not up"));
        }
        if call.thread.floods(now, new.author) {
            return Err(Problem::unavailable(format!("more than {BURST_MAX} texts in {} seconds", BURST_US / 1_000_000)));
        }
        match (new.author, call.driver) {
            (Author::Ai, Driver::Human | Driver::Paused) => {
                return Err(Problem::conflict("a human has this conversation; the AI may write again once the driver is \"ai\""));
            }
            (Author::Human, Driver::Ai) if call.transfer.is_some() => {
                return Err(Problem::conflict("a transfer runs: the driver follows that"));
            }
            (Author::Human, Driver::Ai) => self.rest(now, id, Rests::Paused),
            (Author::Ai, Driver::Ai) | (Author::Human, Driver::Human | Driver::Paused) | (Author::Caller, _) => {}
        }
        let _span = self.span(id, None).entered();
        let text = self.keep_text(now, id, new.author, new.text);
        self.pass_text(now, id, LegRole::Caller, &text.text);
        Ok(Reply::Text(text))
    }

    /// A text came on a leg.
    pub(crate) fn on_text(&mut self, now: Now, session: SessionId, question: QuestionId, text: String) {
        let status = self.take_text(now, session, text);
        self.agent.answer_text(now.mono, question, status);
    }

    /// Yields the answer: 200 where the text went on, 202 where it is only kept (RFC 3428 §7).
    fn take_text(&mut self, now: Now, session: SessionId, text: String) -> u16 {
        let Some((id, leg)) = self.call_of(session) else { return 481 };
        let Some(call) = self.calls.get(&id) else { return 481 };
        let Some(role) = call.leg(leg).map(|leg| leg.role) else { return 481 };
        let (author, to) = match role {
            LegRole::Caller => (Author::Caller, reader(call)),
            // It rests until it is told to go on, with its words as with its voice.
            LegRole::Ai if call.driver != Driver::Ai || call.ai().map(|ai| ai.id) != Some(leg) => return 480,
            LegRole::Ai => (Author::Ai, Some(LegRole::Caller)),
            // Whoever has not taken the caller yet has nothing to say to them.
            LegRole::Ae if call.scene != SceneName::Human || call.ae_leg() != Some(leg) => return 480,
            LegRole::Ae => (Author::Human, Some(LegRole::Caller)),
        };
        if !matches!(call.phase, Phase::Active) || call.thread.floods(now, author) {
            return 480;
        }
        let text = self.keep_text(now, id, author, text);
        if to.is_some_and(|to| self.pass_text(now, id, to, &text.text)) { 200 } else { 202 }
    }

    /// Puts a text on record and tells those who follow the call.
    fn keep_text(&mut self, now: Now, id: CallId, author: Author, text: String) -> TextView {
        let text = TextView { at: At(now.wall), author, text };
        let mut data = Map::new();
        data.insert("author".into(), json!(text.author));
        data.insert("text".into(), json!(text.text));
        let transfer = self.running_id(id);
        if let Some(call) = self.calls.get_mut(&id) {
            call.thread.keep(text.clone());
        }
        self.publish(now, EventKind::Texted, Some(id), transfer, data);
        text
    }

    /// Sends a text to somebody in the call; says whether they are there.
    fn pass_text(&mut self, now: Now, id: CallId, to: LegRole, text: &str) -> bool {
        let Some(call) = self.calls.get(&id) else { return false };
        let leg = match to {
            LegRole::Caller => call.caller(),
            LegRole::Ai => call.ai(),
            LegRole::Ae => call.ae(),
        };
        let Some(session) = leg.filter(|leg| leg.is_up()).map(|leg| leg.session) else { return false };
        match self.agent.text(now.mono, session, text) {
            Ok(()) => true,
            Err(fault) => {
                tracing::debug!(%fault, "a text cannot be sent");
                false
            }
        }
    }
}

/// Who reads what the caller writes.
fn reader(call: &Call) -> Option<LegRole> {
    match call.driver {
        Driver::Ai => Some(LegRole::Ai),
        Driver::Human => Some(LegRole::Ae),
        Driver::Paused => None,
    }
}
