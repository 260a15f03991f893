//! What must hold of texts: only whoever may hear somebody reads what they write, and whoever writes is told the truth about it.

use baton_contract::{Author, CallId, Event};
use serde_json::Value;

use crate::chance::plan::AI;
use crate::chance::run::Run;
use crate::chance::wire::Seen;

/// How a text begins; its number follows.
const TEXT: &str = "text";

/// A text that somebody has written.
#[derive(Debug)]
pub(in crate::chance) struct Written {
    by: Writer,
    call: Option<CallId>,
    /// Leg and number of the MESSAGE that has brought it to somebody.
    passed: Option<(usize, u32)>,
    /// Whether it was told of.
    told: bool,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chance) enum Writer {
    /// Whoever is on this leg, by a MESSAGE with this number.
    Leg(usize, u32),
    /// Somebody by the API.
    Api(Author),
}

/// Whose leg it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Caller,
    Ai,
    Ae,
}

impl Run<'_> {
    /// What is written next; every text is another one.
    pub(in crate::chance) fn next_text(&self) -> String {
        format!("{TEXT}{}", self.watch.texts.len())
    }

    /// Somebody writes [`Run::next_text`].
    pub(in crate::chance) fn watch_writing(&mut self, by: Writer, call: Option<CallId>) {
        self.watch.texts.push(Written { by, call, passed: None, told: false });
    }

    /// The call in which somebody on this leg writes.
    pub(in crate::chance) fn call_of_writer(&mut self, at: usize) -> Option<CallId> {
        let leg = &self.legs[at];
        leg.call.or_else(|| self.watch.call_of_leg(leg).map(|call| call.id))
    }

    fn party(&self, at: usize) -> Party {
        match self.legs[at].who.phone {
            AI => Party::Ai,
            phone if self.is_caller(phone) => Party::Caller,
            _ => Party::Ae,
        }
    }

    /// Baton sends a text to a phone.
    pub(super) fn text_leaves(&mut self, to: usize, seen: &Seen<'_>) {
        let number = seen.body.strip_prefix(TEXT).and_then(|number| number.parse::<usize>().ok());
        let Some(number) = number.filter(|number| *number < self.watch.texts.len()) else {
            return self.watch.blame(format!("a text leaves that nobody has written: {}", seen.body));
        };
        let Written { by, call, passed, told } = self.watch.texts[number];
        let this = (to, seen.seq());
        if passed == Some(this) {
            return; // Nobody has answered it.
        }
        self.watch.must(passed.is_none(), || "a text is sent twice".to_owned());
        self.watch.must(told, || "a text is sent that was not told of".to_owned());
        self.watch.texts[number].passed = Some(this);
        let reader = self.call_of_writer(to);
        self.watch.must(reader == call, || "a text goes to another call".to_owned());
        let allowed = self.may_read(by, to, call);
        let who = self.legs[to].who.phone;
        self.watch.must(allowed, || format!("phone {who} reads what {by:?} has written (I3, I4)"));
    }

    /// As with voices: AI and AE write to the caller while they have them, and the caller to whoever has them.
    fn may_read(&self, by: Writer, to: usize, call: Option<CallId>) -> bool {
        // Before anybody drives it is the AI's call.
        let driver = self.call(call).map(|call| call.driver.as_str()).filter(|driver| !driver.is_empty()).unwrap_or("ai");
        let now = self.now.mono;
        let has_accepted = |at: usize| {
            let facts = &self.legs[at].facts;
            facts.accepts.is_some() && !facts.was_closed(now) && driver == "human"
        };
        match (by, self.party(to)) {
            (Writer::Leg(at, _), reader) => match (self.party(at), reader) {
                (Party::Caller, Party::Ai) | (Party::Ai, Party::Caller) => driver == "ai",
                (Party::Caller, Party::Ae) => has_accepted(to),
                (Party::Ae, Party::Caller) => has_accepted(at),
                (Party::Caller, Party::Caller) | (Party::Ai | Party::Ae, Party::Ai | Party::Ae) => false,
            },
            (Writer::Api(Author::Ai), Party::Caller) => driver == "ai",
            (Writer::Api(Author::Human), Party::Caller) => matches!(driver, "human" | "paused"),
            (Writer::Api(_), Party::Ai | Party::Ae) | (Writer::Api(Author::Caller), Party::Caller) => false,
        }
    }

    /// Baton answers a text of a phone: 200 is said where it went on, 202 where it is only kept (RFC 3428 §7).
    pub(super) fn text_answered(&mut self, at: usize, seen: &Seen<'_>) {
        let by = Writer::Leg(at, seen.seq());
        let Some(text) = self.watch.texts.iter().find(|text| text.by == by) else {
            return self.watch.blame("a text is answered that nobody has written".to_owned());
        };
        let (passed, told, status) = (text.passed.is_some(), text.told, seen.status);
        self.watch.must(told == matches!(status, 200 | 202), || format!("{status} to a text that was told of: {told}"));
        self.watch.must(passed == (status == 200), || format!("{status} to a text that went on: {passed}"));
    }

    /// A text is told of.
    pub(super) fn text_told(&mut self, event: &Event) {
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = text("text").strip_prefix(TEXT).and_then(|number| number.parse::<usize>().ok());
        let Some(number) = number.filter(|number| *number < self.watch.texts.len()) else {
            return self.watch.blame("a text is told of that nobody has written".to_owned());
        };
        let author = match self.watch.texts[number].by {
            Writer::Leg(at, _) => match self.party(at) {
                Party::Caller => "caller",
                Party::Ai => "ai",
                Party::Ae => "human",
            },
            Writer::Api(Author::Ai) => "ai",
            Writer::Api(Author::Human) => "human",
            Writer::Api(Author::Caller) => "caller",
        };
        let fits = author == text("author") && event.call == self.watch.texts[number].call;
        self.watch.must(fits, || format!("a text of {author} is told of as one of {}", text("author")));
        let twice = std::mem::replace(&mut self.watch.texts[number].told, true);
        self.watch.must(!twice, || "a text is told of twice".to_owned());
    }
}
