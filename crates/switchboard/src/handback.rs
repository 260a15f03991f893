//! The caller goes back to the AI, or the AI is paused: who may ask for it, and what an AI that is called back is told.

use baton_contract::{CallId, Driver, EventKind, Problem, Reply, TransferId};
use baton_sip::wire::Header;
use baton_time::Now;
use baton_transfer::{Event, HandBackBy, Progress, Purpose, SceneName};
use serde_json::{Map, json};

use crate::call::{Phase, Rests};
use crate::payload::{context_headers, printable};
use crate::switchboard::Switchboard;

/// The longest note of an AE, in bytes: it travels in a header.
const NOTE_BYTES_MAX: usize = 1_024;

impl Switchboard {
    /// What the INVITE of an AI that is called back says: what it resumes, why, and what is known about the caller.
    pub(crate) fn recall_headers(&self, id: CallId, resume: TransferId, purpose: Purpose, note: Option<&str>) -> Vec<Header> {
        let mut headers = vec![Header::new("X-Baton-Resume", resume.to_string()), Header::new("X-Baton-Purpose", purpose.name())];
        let Some(call) = self.calls.get(&id) else { return headers };
        let view = call.transfer.as_ref().map(|running| running.view());
        let last = view.as_ref().and_then(|view| view.attempts.last());
        headers.extend(last.map(|attempt| Header::new("X-Baton-Ae", attempt.ae.as_str())));
        headers.extend(note.map(|note| Header::new("X-Baton-Note", printable(note, NOTE_BYTES_MAX))));
        headers.extend(context_headers(&call.context));
        headers
    }

    /// The AE hands the caller back without a key.
    pub(crate) fn hand_back(&mut self, now: Now, id: CallId, note: Option<String>) -> Result<Reply, Problem> {
        let Some(call) = self.calls.get(&id) else {
            self.call_view(id)?;
            return Err(Problem::conflict("this call has ended"));
        };
        if call.driver != Driver::Human {
            return Err(Problem::conflict("no human has this caller who could hand them back"));
        }
        if note.as_ref().is_some_and(|note| note.len() > NOTE_BYTES_MAX) {
            return Err(Problem::invalid("note", format!("a note has at most {NOTE_BYTES_MAX} bytes")));
        }
        let _span = self.span(id, None).entered();
        self.tell(now, id, Event::HandBack { by: HandBackBy::Api, note });
        self.call_view(id).map(|view| Reply::Call(Box::new(view)))
    }

    /// Pauses the AI, lets it go on, or takes the caller back from a human.
    pub(crate) fn set_driver(&mut self, now: Now, id: CallId, driver: Driver) -> Result<Reply, Problem> {
        let Some(call) = self.calls.get(&id) else {
            self.call_view(id)?;
            return Err(Problem::conflict("this call has ended"));
        };
        match (driver, call.driver) {
            (Driver::Human, _) => return Err(Problem::invalid("driver", "\"ai\" or \"paused\"; a human comes by a transfer")),
            (Driver::Ai, Driver::Human) => return self.hand_back(now, id, None),
            (Driver::Paused, Driver::Human) => return Err(Problem::conflict("a human has this caller")),
            (Driver::Ai | Driver::Paused, Driver::Ai | Driver::Paused) => {}
        }
        if call.transfer.is_some() || !matches!(call.phase, Phase::Active) {
            return Err(Problem::conflict("a transfer runs, or the call is not up: the driver follows that"));
        }
        if call.driver != driver {
            let _span = self.span(id, None).entered();
            self.rest(now, id, if driver == Driver::Paused { Rests::Paused } else { Rests::No });
        }
        self.call_view(id).map(|view| Reply::Call(Box::new(view)))
    }

    /// Pauses the AI, or lets it go on.
    pub(crate) fn rest(&mut self, now: Now, id: CallId, rests: Rests) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        (call.driver, call.scene) = match rests {
            Rests::Paused => (Driver::Paused, SceneName::Rescue),
            Rests::No => (Driver::Ai, SceneName::Conversation),
        };
        call.rests = rests;
        let mut data = Map::new();
        data.insert("driver".into(), json!(call.driver));
        self.swap_scene(id);
        self.publish(now, EventKind::DriverChanged, Some(id), None, data);
    }

    /// A transfer begins: the driver follows that, and an AI that rested is told as the driver first.
    pub(crate) fn end_rest(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if std::mem::replace(&mut call.rests, Rests::No) == Rests::Paused {
            call.driver = Driver::Ai;
            let data = Map::from_iter([("driver".to_owned(), json!(call.driver))]);
            self.publish(now, EventKind::DriverChanged, Some(id), None, data);
        }
    }

    /// The AE whose REFER moves the call hears how that went, before our BYE.
    pub(crate) fn settle_move(&mut self, now: Now, id: CallId, progress: &Progress) {
        let running = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut());
        if let Some(referrer) = running.and_then(|running| running.moving.take()).filter(|_| !baton_time::bug!(99)) {
            self.notify(now, referrer, progress);
        }
    }

    /// The caller is with the AE again: whatever their REFER wanted has come to nothing.
    pub(crate) fn settle_move_back(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let moving = call.transfer.as_ref().and_then(|running| running.moving);
        let still = call.ae().map(|leg| leg.session);
        if moving.is_some_and(|referrer| Some(referrer.session()) == still) {
            self.settle_move(now, id, &NOT_MOVED);
        }
    }

    /// The caller is with somebody else, and whoever wanted that has left before it came about.
    pub(crate) fn settle_move_on(&mut self, now: Now, id: CallId) {
        let call = self.calls.get(&id);
        let moving = call.and_then(|call| call.transfer.as_ref()).and_then(|running| running.moving);
        let human = call.and_then(|call| call.ae()).map(|leg| leg.session);
        if moving.is_some_and(|referrer| human.is_some_and(|human| human != referrer.session())) {
            self.settle_move(now, id, &MOVED);
        }
    }
}

/// What the AE's REFER hears last when the caller has hung up meanwhile.
pub(crate) const NOBODY_TO_MOVE: Progress = Progress { status: 487, phrase: "Request Terminated", outcome: None, last: true };

/// What the AE's REFER hears last when the caller has gone where they wanted.
pub(crate) const MOVED: Progress = Progress { status: 200, phrase: "OK", outcome: None, last: true };

pub(crate) const NOT_MOVED: Progress = Progress { status: 503, phrase: "Service Unavailable", outcome: None, last: true };
