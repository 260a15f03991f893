//! The conductor of a story: acts for the AI's makers and the AE's desk. It asks for the transfer over REST, looks at the screen-pop
//! before the phone rings, and passes the daemon's events on to the parties.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use baton_party::Message;
use baton_time::{Mono, Now, Wall};
use serde_json::{Value, json};

use super::cast::Role;
use super::stage::{News, Prompter};
use super::story::{Ask, Begins, Story};
use crate::client::{Answer, Api, ApiError};
use crate::clock::Clock;

/// How often a running transfer is looked at, where no event tells what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a call may take to end after its last party has gone.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// An event of the daemon, with when it happened on our clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenEvent {
    /// When it happened, by its own stamp.
    pub(crate) at: Mono,
    /// The whole event.
    pub(crate) event: Value,
}

impl SeenEvent {
    /// Reads a line of the event stream; `start` says what the clocks read together.
    pub(crate) fn read(line: &str, start: Now) -> Option<SeenEvent> {
        let event: Value = serde_json::from_str(line).ok()?;
        let stamp: jiff::Timestamp = event.get("at")?.as_str()?.parse().ok()?;
        let after = Wall::from_micros(stamp.as_microsecond()).since(start.wall);
        Some(SeenEvent { at: start.mono + after, event })
    }

    /// `transfer.ringing`
    pub(crate) fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }

    /// Whether it belongs to a call.
    pub(crate) fn is_of(&self, call: &str) -> bool {
        self.event["call"].as_str() == Some(call)
    }
}

/// What the AE's desk saw when the INVITE had come and the phone had not rung yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pop {
    /// When the page was there.
    pub(crate) at: Mono,
    /// The HTTP status; 0: not reachable.
    pub(crate) status: u16,
    /// The page.
    pub(crate) page: String,
}

/// What a conductor brings home.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Notebook {
    /// The call's id.
    pub(crate) call: Option<String>,
    /// The transfer, as the API shows it in the end.
    pub(crate) transfer: Option<Value>,
    /// The call, as the API shows it in the end.
    pub(crate) ended_call: Option<Value>,
    /// When the transfer was asked for.
    pub(crate) asked: Option<Mono>,
    /// When the daemon had answered that.
    pub(crate) answered: Option<Mono>,
    /// The callback, as the API shows it in the end.
    pub(crate) callback: Option<Value>,
    /// When the caller's message began to be recorded, as far as it was seen.
    pub(crate) recording: Option<Mono>,
    /// Each AE's screen-pop.
    pub(crate) pops: BTreeMap<String, Pop>,
    /// The callback's calendar entry, and when it could be had.
    pub(crate) calendar: Option<(Mono, String)>,
    /// What went wrong on the way.
    pub(crate) troubles: Vec<String>,
    /// The events of this call.
    pub(crate) events: Vec<SeenEvent>,
}

/// The conductor of one story.
pub(crate) struct Conductor {
    index: usize,
    story: Story,
    api: Api,
    prompter: Prompter,
    clock: Clock,
    transfer: Option<String>,
    callback: Option<String>,
    waits_for: Option<&'static str>,
    early: Vec<SeenEvent>,
    book: Notebook,
}

impl Conductor {
    pub(crate) fn new(index: usize, story: Story, api: Api, prompter: Prompter, clock: Clock) -> Conductor {
        let (early, book) = (Vec::new(), Notebook::default());
        let waits_for = match story.outcome {
            "callback_scheduled" => Some("offering"),
            "voicemail" => Some("recording"),
            _ => None,
        };
        Conductor { index, story, api, prompter, clock, transfer: None, callback: None, waits_for, early, book }
    }

    /// Follows the news until the story is over or the stage has closed; `each` sees them go by.
    pub(crate) fn conduct(mut self, news: &Receiver<News>, mut each: impl FnMut(&News)) -> Notebook {
        self.begin();
        loop {
            match news.recv_timeout(LOOK_EVERY) {
                Ok(News::Closed) => {
                    each(&News::Closed);
                    break;
                }
                Ok(news) => {
                    if self.is_ours(&news) {
                        each(&news);
                    }
                    self.take(news);
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.close(news);
        self.book
    }

    /// Whether news are about this story: every conductor hears all events.
    fn is_ours(&self, news: &News) -> bool {
        match news {
            News::Event(event) => self.book.call.as_ref().is_some_and(|call| event.is_of(call)),
            News::Note { .. } | News::Invited { .. } | News::Finished { .. } | News::Closed => true,
        }
    }

    /// Has the daemon begin, where it is its turn.
    fn begin(&mut self) {
        let number = self.story.caller_number;
        match self.story.begins {
            Begins::Caller => {}
            Begins::Outbound => {
                let wish = json!({"to": number, "from": self.story.dialled, "ai": "ava", "context": self.context()});
                let placed = self.api.post("/v1/calls", &wish);
                if let Some(call) = self.expect("POST calls", placed, 201) {
                    self.book.call = call["id"].as_str().map(str::to_owned);
                }
            }
            Begins::Callback { in_seconds } => {
                let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(in_seconds);
                let ae = self.story.taker().map(|ae| ae.id);
                let wish = json!({"ae": ae, "caller": number, "at": at.to_string(), "timezone": "America/Chicago", "context": self.context()});
                let promised = self.api.post("/v1/callbacks", &wish);
                if let Some(callback) = self.expect("POST callbacks", promised, 201) {
                    self.callback = callback["id"].as_str().map(str::to_owned);
                }
            }
        }
    }

    /// What the AI knows.
    fn context(&self) -> Value {
        match self.story.ask {
            Ask::Rest { context, .. } | Ask::NotAtAll { context } => serde_json::from_str(context).unwrap_or(Value::Null),
            Ask::Refer => Value::Null,
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Invited { role: Role::Ai, invite } => self.meet(&invite),
            News::Invited { role: Role::Ae(id), invite } => {
                if self.book.call.is_none() {
                    self.meet(&invite); // of a callback: nobody has called yet
                }
                self.pop(&id, &invite);
            }
            News::Invited { role: Role::Caller | Role::AiAgain, .. } | News::Finished { .. } | News::Closed => {}
            News::Note { note, at, .. } if note == "ask" => self.ask(at),
            News::Note { note, .. } if note == "knows" => self.tell_context(),
            News::Note { .. } => {}
            News::Event(event) => self.hear(&event),
        }
        self.look();
    }

    /// Learns the call's id from the INVITE to the AI.
    fn meet(&mut self, invite: &Message) {
        self.book.call = invite.header("X-Baton-Call").map(str::to_owned);
        if self.book.call.is_none() {
            self.trouble("the INVITE has no X-Baton-Call");
        }
        for event in std::mem::take(&mut self.early) {
            self.hear(&event);
        }
    }

    /// Opens the screen-pop that the INVITE to an AE names, before the phone rings.
    fn pop(&mut self, ae: &str, invite: &Message) {
        let link =
            invite.headers_named("Call-Info").find_map(|value| value.split_once('<')?.1.split_once('>').map(|(link, _)| link));
        let path = link.and_then(|link| {
            link.split_once("://")?.1.find('/').map(|at| link.split_once("://").map_or("", |(_, rest)| &rest[at..]))
        });
        let pop = match path.map(|path| self.api.get(path)) {
            Some(Ok(answer)) => Pop { at: self.clock.now().mono, status: answer.status, page: answer.text() },
            Some(Err(error)) => Pop { at: self.clock.now().mono, status: 0, page: error.to_string() },
            None => Pop { at: self.clock.now().mono, status: 0, page: "the INVITE names no screen-pop in Call-Info".to_owned() },
        };
        self.book.pops.insert(ae.to_owned(), pop);
        self.prompter.tell(self.index, &format!("popped {ae}"));
    }

    /// Tells what the AI knows, and nothing else.
    fn tell_context(&mut self) {
        let Some(call) = self.book.call.clone() else { return };
        let put = self.api.put(&format!("/v1/calls/{call}/context"), &self.context());
        self.expect("PUT context", put, 200);
    }

    fn ask(&mut self, at: Mono) {
        self.book.asked = Some(at);
        let Ask::Rest { wish, to, reason, .. } = self.story.ask.clone() else { return };
        let Some(call) = self.book.call.clone() else { return };
        self.tell_context();
        let mut wish: Value = serde_json::from_str(wish).unwrap_or_else(|_| json!({}));
        (wish["to"], wish["reason"]) = (json!(to), json!(reason));
        self.book.asked = Some(self.clock.now().mono);
        let asked = self.api.post(&format!("/v1/calls/{call}/transfers"), &wish);
        self.book.answered = Some(self.clock.now().mono);
        if let Some(transfer) = self.expect("POST transfers", asked, 202) {
            self.transfer = transfer["id"].as_str().map(str::to_owned);
        }
    }

    fn expect(&mut self, what: &str, answer: Result<Answer, ApiError>, status: u16) -> Option<Value> {
        match answer {
            Ok(answer) if answer.status == status => return Some(answer.json()),
            Ok(answer) => self.trouble(&format!("{what}: {} instead of {status}: {}", answer.status, answer.text())),
            Err(error) => self.trouble(&format!("{what}: {error}")),
        }
        None
    }

    fn trouble(&mut self, what: &str) {
        self.book.troubles.push(what.to_owned());
    }

    fn hear(&mut self, event: &SeenEvent) {
        let Some(call) = &self.book.call else {
            self.early.push(event.clone());
            return;
        };
        if !event.is_of(call) {
            return;
        }
        self.book.events.push(event.clone());
        if let Some(transfer) = event.event["transfer"].as_str() {
            self.transfer.get_or_insert_with(|| transfer.to_owned());
        }
        if event.kind() == "callback.scheduled" {
            self.fetch_calendar(&event.event["data"]);
        }
        self.prompter.tell(self.index, event.kind());
    }

    fn fetch_calendar(&mut self, callback: &Value) {
        let Some(id) = callback["id"].as_str().or_else(|| callback["callback"].as_str()) else {
            return self.trouble("callback.scheduled names no callback");
        };
        match self.api.get(&format!("/v1/callbacks/{id}.ics")) {
            Ok(answer) if answer.status == 200 => self.book.calendar = Some((self.clock.now().mono, answer.text())),
            Ok(answer) => self.trouble(&format!("GET callback.ics: {}", answer.status)),
            Err(error) => self.trouble(&format!("GET callback.ics: {error}")),
        }
    }

    /// Looks at the transfer where it will come to the offer of a callback, or to a recording: no event tells that.
    fn look(&mut self) {
        let (Some(transfer), Some(state)) = (&self.transfer, self.waits_for) else { return };
        let view = self.api.get(&format!("/v1/transfers/{transfer}")).map(|answer| answer.json());
        if view.is_ok_and(|transfer| transfer["state"] == state) {
            self.waits_for = None;
            self.book.recording = (state == "recording").then(|| self.clock.now().mono);
            self.prompter.tell(self.index, state);
        }
    }

    /// Waits until the call has ended at the daemon too, and takes the last look.
    fn close(&mut self, news: &Receiver<News>) {
        let Some(call) = self.book.call.clone() else { return };
        let give_up = self.clock.now().mono + ENDED_WITHIN;
        loop {
            let view =
                self.api.get(&format!("/v1/calls/{call}")).ok().filter(|answer| answer.status == 200).map(|answer| answer.json());
            let ended = view.as_ref().is_some_and(|call| call["state"] == "ended");
            self.book.ended_call = view;
            if ended || self.clock.now().mono >= give_up {
                break;
            }
            if let Ok(News::Event(event)) = news.recv_timeout(Duration::from_millis(50)) {
                self.hear(&event);
            }
        }
        while let Ok(News::Event(event)) = news.recv_timeout(Duration::from_millis(20)) {
            self.hear(&event);
        }
        if let Some(callback) = self.callback.clone() {
            let view = self.api.get(&format!("/v1/callbacks/{callback}"));
            self.book.callback = self.expect("GET callback", view, 200);
        } else if let Some(transfer) = self.transfer.clone() {
            let view = self.api.get(&format!("/v1/transfers/{transfer}"));
            self.book.transfer = self.expect("GET transfer", view, 200);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_placed_on_our_clock() {
        let start = Now { mono: Mono::from_millis(500), wall: Wall::from_seconds(1_767_225_600) };
        let line = r#"{"id":"e","seq":1,"at":"2026-01-01T00:00:01.250000Z","type":"transfer.ringing","call":"c_1","data":{}}"#;
        let seen = SeenEvent::read(line, start).unwrap();
        assert_eq!(
            (seen.at, seen.kind(), seen.is_of("c_1"), seen.is_of("c_2")),
            (Mono::from_millis(1_750), "transfer.ringing", true, false)
        );
        assert_eq!(SeenEvent::read("{}", start), None);
        assert_eq!(SeenEvent::read(": keep-alive", start), None);
    }
}
