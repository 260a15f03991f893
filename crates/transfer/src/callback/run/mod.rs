//! How a promised callback is carried out: told what happens, it answers with what is to be done.
//!
//! A run lives as long as its callback is open. It holds the row, waits for its time on the wall clock, claims it in the store before
//! anybody is dialled, brings the AE and then the caller onto the line, and connects them when the caller has confirmed.

mod ae;
mod caller;
mod ending;
mod event;
mod idle;
mod state;
mod wake;

#[cfg(test)]
mod desk;
#[cfg(test)]
mod plays;
#[cfg(test)]
mod table;

use std::collections::VecDeque;
use std::time::Duration;

use baton_contract::{
    AeId, AttemptView, CallId, CallbackAttempt, CallbackState, CallbackView, CommitLevel, EventKind, IdSource, LegId, Record,
};
use baton_time::{Deadline, Mono, Now};
use serde_json::{Map, Value, json};

pub use self::event::{CallbackAction, CallbackEvent, CallbackWhy, Change, NoBriefing, Said, Unchanged};
use self::state::State;
use crate::{CallbackSettings, Key, Language, Line, Roster, SayId, Settings, Zone};
use serde::{Deserialize, Serialize};

/// One callback on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallbackRun {
    row: CallbackView,
    /// The epoch that the store has, as far as is known.
    recorded: u64,
    zone: Zone,
    state: State,
    case: Case,
}

/// What is true in several states.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Case {
    ids: IdSource,
    /// Handed out before a step has ended.
    #[serde(skip)]
    actions: VecDeque<CallbackAction>,
    /// How many commits there were.
    commits: u32,
    /// The commit that is waited for.
    awaited: Option<u32>,
    said: u32,
    briefing: Rendering,
    /// The language in which the briefing is spoken, or will be.
    spoken_in: Option<Language>,
    /// Who is tried next, in order.
    aes: VecDeque<AeId>,
    /// Those who could not be dialled, and why.
    passed_over: Vec<String>,
    /// A change that waits for the claim's answer.
    wanted: Option<Change>,
    evidence: Evidence,
    /// When the try must have ended.
    must_end: Option<Mono>,
    last_press: Option<(LegId, Key, Mono)>,
    words_per_second: f64,
    /// How long the AE may take to accept.
    accept_max: Duration,
    /// The INVITE to the AE to their answer.
    ring_max: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Rendering {
    Pending,
    Ready,
    Failed,
}

/// Whether everything that legs have answered is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Evidence {
    Written,
    /// It came while something else was being written.
    Waits,
}

/// One step: the time, and what it may touch.
struct Turn<'a> {
    now: Now,
    settings: &'a Settings,
    roster: &'a mut Roster,
}

impl Turn<'_> {
    fn rules(&self) -> &CallbackSettings {
        &self.settings.callback
    }
}

/// Why an event changed nothing, in words.
type Ignored = Option<&'static str>;

const NOT_AWAITED: Ignored = Some("the store is not being waited for, or for something else");
const ANOTHER_LEG: Ignored = Some("that leg was given up, or it cannot have happened yet");
const ANOTHER_KEY: Ignored = Some("this key means nothing here");
const OLD_SPEECH: Ignored = Some("that speech has ended or was replaced");
const NOT_ASKED: Ignored = Some("nobody is being asked that");
const NOT_DUE: Ignored = Some("the time has not come");
const OLD_ROW: Ignored = Some("what is known here is newer, or in use");
const TWICE: Ignored = Some("it has happened before");

/// The same key within this time is one press.
const SAME_PRESS: Duration = Duration::from_millis(200);

/// How many tries a row remembers.
const ATTEMPTS_KEPT_MAX: usize = 10;

impl CallbackRun {
    /// The run of an open callback, as the store has it: promised just now, or found when Baton started.
    pub fn new(
        now: Now,
        row: CallbackView,
        words_per_second: f64,
        settings: &Settings,
        roster: &mut Roster,
        seed: u64,
    ) -> CallbackRun {
        let case = Case {
            ids: IdSource::seeded(seed),
            actions: VecDeque::new(),
            commits: 0,
            awaited: None,
            said: 0,
            briefing: Rendering::Pending,
            spoken_in: None,
            aes: VecDeque::new(),
            passed_over: Vec::new(),
            wanted: None,
            evidence: Evidence::Written,
            must_end: None,
            last_press: None,
            words_per_second,
            accept_max: settings.budget.accept.worst,
            ring_max: settings.ring_max,
        };
        let mut run = CallbackRun { recorded: row.progress.epoch, zone: Zone::UTC, state: State::Over, row: row.clone(), case };
        run.adopt(&mut Turn { now, settings, roster }, row);
        run
    }

    /// Takes in what has happened. What does not fit changes nothing; then the answer says why, for a log.
    pub fn on(&mut self, now: Now, event: CallbackEvent, settings: &Settings, roster: &mut Roster) -> Option<&'static str> {
        let turn = &mut Turn { now, settings, roster };
        match event {
            CallbackEvent::Wake => self.wake(turn),
            CallbackEvent::Committed(number) => self.committed(turn, number, true),
            CallbackEvent::CommitRefused(number) => self.committed(turn, number, false),
            CallbackEvent::Trying { leg } => self.responded(leg, None),
            CallbackEvent::Ringing { leg, status } => self.responded(leg, Some((turn.now, status))),
            CallbackEvent::Answered { leg } => self.answered(turn, leg),
            CallbackEvent::Refused { leg, status, phrase } => self.refused(turn, leg, status, &phrase),
            CallbackEvent::Gone { leg, why } => self.gone(turn, leg, why),
            CallbackEvent::Key { leg, key } => self.key(turn, leg, key),
            CallbackEvent::Accept => self.accept(turn, "api"),
            CallbackEvent::Decline { reason } => self.decline(turn, reason.as_deref().unwrap_or("declined")),
            CallbackEvent::Rendered(result) => self.rendered(result.is_ok()),
            CallbackEvent::SpeechEnded(say) => self.said(turn, say),
            CallbackEvent::Heard(text) => self.spoken(turn, text.as_deref()),
            CallbackEvent::Switched => self.switched(turn),
            CallbackEvent::CallOver => self.call_is_over(turn),
            CallbackEvent::Change(change) => self.change(turn, change),
            CallbackEvent::Row(row) => self.reread(turn, *row),
        }
    }

    /// The next thing to be done; call until there is none.
    pub fn poll(&mut self) -> Option<CallbackAction> {
        self.case.actions.pop_front()
    }

    /// When it must be given [`CallbackEvent::Wake`], and why.
    pub fn poll_timeout(&self, settings: &CallbackSettings) -> Option<(Deadline, CallbackWhy)> {
        self.deadline(settings)
    }

    /// The callback as the API shows it.
    pub fn view(&self) -> &CallbackView {
        &self.row
    }

    /// Whether it is kept, missed or cancelled, and nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether the legs of its call are its own: a call that is handed over is a transfer's.
    pub fn has_call(&self) -> bool {
        !matches!(self.state, State::Kept { .. } | State::Over)
    }

    /// Whether it only waits for its time: then it may be let go and read again later.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Waiting | State::Reminded | State::Over)
    }

    /// The name of the state, for the log.
    pub fn state(&self) -> &'static str {
        self.state.name()
    }

    /// Whether [`CallbackEvent::Accept`] would do anything.
    pub fn can_be_accepted(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    /// The AE's leg.
    pub fn ae_leg(&self) -> Option<LegId> {
        self.state.ae().map(|ae| ae.leg)
    }

    /// The caller's leg.
    pub fn caller_leg(&self) -> Option<LegId> {
        self.state.caller()
    }

    /// The call of the try that runs, or ran last.
    pub fn call(&self) -> Option<CallId> {
        self.row.progress.attempts.last().map(|attempt| attempt.call)
    }

    fn act(&mut self, action: CallbackAction) {
        self.case.actions.push_back(action);
    }

    /// Hands the row out to be written, over the one that is on record; who waits for it looks at `awaited`.
    fn write(&mut self, level: CommitLevel) {
        self.row.progress.epoch = self.recorded + 1;
        let records = vec![Record::Claim { from: self.recorded, callback: Box::new(self.row.clone()) }];
        self.commit(level, records);
    }

    /// What is handed out next follows a row that the store has not answered yet.
    fn after_what_is_under_way(&mut self) {
        if self.case.awaited.take().is_some() {
            self.recorded = self.row.progress.epoch;
        }
    }

    fn commit(&mut self, level: CommitLevel, records: Vec<Record>) {
        self.case.commits += 1;
        self.case.awaited = Some(self.case.commits);
        self.act(CallbackAction::Commit { number: self.case.commits, level, records });
    }

    fn ticket(&mut self) -> SayId {
        self.case.said += 1;
        SayId(self.case.said)
    }

    fn say_to_ae(&mut self, leg: LegId, speech: Vec<Said>) -> SayId {
        let say = self.ticket();
        self.act(CallbackAction::SayToAe { leg, say, speech });
        say
    }

    fn say_to_caller(&mut self, speech: Vec<Said>) -> SayId {
        let say = self.ticket();
        self.act(CallbackAction::SayToCaller { say, speech });
        say
    }

    /// The try that runs, or ran last.
    fn attempt(&mut self) -> Option<&mut CallbackAttempt> {
        self.row.progress.attempts.last_mut()
    }

    /// What is known about the AE who is being dialled.
    fn ae_view(&mut self) -> Option<&mut AttemptView> {
        self.attempt()?.aes.last_mut()
    }

    fn report(&mut self, kind: EventKind, data: Value) {
        if let Value::Object(data) = data {
            self.act(CallbackAction::Report(kind, data));
        }
    }

    /// Publishes the callback as it stands.
    fn report_row(&mut self, kind: EventKind) {
        let data = serde_json::to_value(&self.row).unwrap_or_else(|_| Value::Object(Map::new()));
        self.report(kind, data);
    }

    fn report_attempt(&mut self, kind: EventKind, mut data: Value) {
        data["callback"] = json!(self.row.id);
        self.report(kind, data);
    }

    fn is_same_press(&mut self, leg: LegId, key: Key, now: Mono) -> bool {
        let again = self.case.last_press.is_some_and(|(at, last, when)| (at, last) == (leg, key) && now.since(when) < SAME_PRESS);
        if !again {
            self.case.last_press = Some((leg, key, now));
        }
        again
    }

    fn is_open(&self) -> bool {
        matches!(self.row.state, CallbackState::Scheduled | CallbackState::Running)
    }
}

/// Milliseconds, as JSON has them.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Lines as pieces of a speech.
fn lines<const N: usize>(lines: [Line; N]) -> Vec<Said> {
    lines.into_iter().map(Said::Line).collect()
}
