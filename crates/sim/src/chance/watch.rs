//! What must hold in every world, looked at after every event: a small model of what Baton knows, and what it may do then.

mod datagrams;
mod dials;
mod later;
mod scenes;

use std::time::Duration;

use baton_contract::{AeId, CallId, CallbackId, Event, EventKind, Mode, Record, TransferId};
use baton_media::{Port, Source};
use baton_switchboard::Recorded;
use baton_time::Mono;
use serde_json::Value;

use super::leg::{Leg, Phase};
use super::plan::{AI, Api, CALLER, FIRST_AE, Rules};
use super::run::{Post, Run};
use super::tally::Fault;
use super::ways::Timer;

pub(super) use dials::TRUNK_RING_MAX;

/// Within this a caller's hang-up reaches everybody.
const HANG_UP_MAX: Duration = Duration::from_millis(50);

/// An AE who is listening hears one sentence of at most two seconds first.
const PARTING_MAX: Duration = Duration::from_millis(2_200);

/// From the acceptance to the bridge, a store that is silent for half a second and a late packet included.
const BRIDGE_MAX: Duration = Duration::from_millis(1_700);

/// An AI that says nothing for ten seconds has died; the next one has four to answer.
const ALONE_MAX: Duration = Duration::from_secs(25);

/// A session of 90 seconds that nobody refreshes is given up this long after its beginning (RFC 4028 §10).
const EXPIRED_AFTER: Duration = Duration::from_secs(58);

/// A transfer that never ends is stuck: its budget, an offer told five times and a recall are over by then.
const TRANSFER_MAX: Duration = Duration::from_secs(420);

/// An AI has four seconds to answer; after that the caller has an answer, whatever it is.
const CONNECTED_MAX: Duration = Duration::from_millis(4_500);

/// Whatever follows at once has happened by then, a store that answers included.
const NEXT_MAX: Duration = Duration::from_millis(60);

/// The AI is let go this soon after the bridge.
const LET_GO_MAX: Duration = Duration::from_millis(500);

/// Something to be looked at later.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Everybody else of this call has been let go.
    CallerGone(CallId),
    /// So has the AE who was listening.
    Parted(CallId),
    /// The phone has rung for as long as it may.
    Rung(usize),
    /// The AE has had as long as they may to accept.
    Accept(usize),
    /// The AE who has accepted hears the caller.
    Bridge(usize),
    /// The caller hears the AI again.
    WithAi(usize),
    /// The attempt that was refused has failed.
    Refused(usize),
    /// Somebody who asked was answered.
    Reply(u64),
    /// An INVITE that nobody answers was sent again.
    SentAgain(usize),
    /// The transfer is over.
    Ended(usize),
    /// After this attempt, the next.
    Next(usize, usize),
    /// Somebody is with the caller, or is looked for.
    Alone(usize),
    /// The transfer that was called off, as the answer said, is over.
    Cancelled(usize),
    /// The caller who has picked a slot has it, or was told why not.
    Picked(usize),
    /// The session was refreshed, or given up.
    Refreshed(usize, Timer),
    /// The callback that is due has been begun.
    Due(CallbackId),
    /// The caller has their final answer.
    Connected(usize),
    /// Somebody who asked while the store refuses was told so.
    Refusal(u64),
    /// The trunk has the caller of this transfer.
    PassedOn(usize),
    /// The AI that has refused is not waited for.
    AiRefused(usize),
    /// The AIs of this call that were there before then have been let go.
    AiLetGo(CallId, Mono),
}

/// A transfer, as its events tell of it.
#[derive(Debug)]
pub(super) struct Told {
    id: TransferId,
    call: CallId,
    requested: Mono,
    attempts: Vec<Attempt>,
    bridged: Option<Mono>,
    accepted: Option<Mono>,
    ended: Option<String>,
    cancel_asked: bool,
    has_callback: bool,
    mode: Mode,
}

/// Who wants an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Plan,
    /// The AE who passes the caller on.
    Ae,
}

#[derive(Debug)]
struct Attempt {
    by: By,
    ae: usize,
    leg_id: String,
    leg: Option<usize>,
    failed: Option<(String, Mono)>,
    rang: Option<Mono>,
}

#[derive(Debug)]
struct CallTold {
    id: CallId,
    phone: usize,
    driver: String,
    ended: bool,
    gone: Option<Mono>,
    hung_up: bool,
    origin: Origin,
}

/// Who began a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Caller,
    /// Baton, for an AI that wants to speak to somebody.
    Placed,
    /// Baton, for a callback.
    Callback,
}

#[derive(Debug)]
struct Held {
    ae: AeId,
    transfer: TransferId,
    epoch: u64,
}

/// The model.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) fault: Option<String>,
    rules: Rules,
    accept_worst: Duration,
    calls: Vec<CallTold>,
    transfers: Vec<Told>,
    leases: Vec<Held>,
    epochs: Vec<(AeId, u64)>,
    callbacks: Vec<CallbackId>,
    seq: u64,
    pub(super) store_troubled: bool,
    pub(super) presence_changed: bool,
    pub(super) other_node: bool,
    /// The wall clock was set, or no new calls are taken: what is due may be late.
    pub(super) out_of_time: bool,
    /// A message of at least a second is there.
    message: bool,
    /// Callbacks in which caller and AE were connected.
    kept: Vec<CallbackId>,
    /// Phones to which something could not be sent: whatever it was is not sent again (RFC 3261 §17.1.4).
    pub(super) unsent: Vec<usize>,
}

impl Watch {
    pub(super) fn new(rules: &Rules, accept_worst: Duration) -> Watch {
        Watch {
            fault: None,
            rules: rules.clone(),
            accept_worst,
            calls: Vec::new(),
            transfers: Vec::new(),
            leases: Vec::new(),
            epochs: Vec::new(),
            callbacks: Vec::new(),
            seq: 0,
            store_troubled: false,
            presence_changed: false,
            other_node: false,
            out_of_time: false,
            message: false,
            kept: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// So many events were published before.
    pub(super) fn begins_at(&mut self, events: u64) {
        self.seq = events;
    }

    /// How many events were published.
    pub(super) fn events(&self) -> u64 {
        self.seq
    }

    /// Something does not hold; the first thing counts.
    pub(super) fn blame(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    pub(super) fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.blame(what());
        }
    }

    pub(super) fn call_of(&self, phone: usize) -> Option<CallId> {
        let of_phone = || self.calls.iter().filter(|call| call.phone == phone);
        of_phone().find(|call| !call.ended).or_else(|| of_phone().next()).map(|call| call.id)
    }

    /// The call that a leg of a caller belongs to: the one that they began, unless Baton has dialled them.
    fn call_of_leg(&mut self, leg: &Leg) -> Option<&mut CallTold> {
        let (phone, id) = (leg.who.phone, leg.call);
        self.calls.iter_mut().find(|call| match id {
            Some(id) => call.id == id,
            None => call.phone == phone && call.origin == Origin::Caller,
        })
    }

    /// Whether this call is a callback's.
    pub(super) fn is_called_back(&self, id: Option<CallId>) -> bool {
        self.calls.iter().any(|call| Some(call.id) == id && call.origin == Origin::Callback)
    }

    /// A message is at its end.
    pub(super) fn message_closed(&mut self, recorded: &Recorded) {
        self.message |= recorded.speech_ms >= 1_000;
    }

    pub(super) fn last_transfer(&self) -> Option<TransferId> {
        self.transfers.last().map(|told| told.id)
    }

    /// Calls whose caller's phone is dead: nobody would end them.
    pub(super) fn calls_of_the_dead(&self, dead: &[bool]) -> Vec<CallId> {
        self.calls.iter().filter(|call| !call.ended && dead[call.phone]).map(|call| call.id).collect()
    }

    pub(super) fn api_hangs_up(&mut self, id: CallId) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
            call.hung_up = true;
        }
    }

    fn transfer(&mut self, id: TransferId) -> Option<&mut Told> {
        self.transfers.iter_mut().find(|told| told.id == id)
    }

    /// A row that the store has taken.
    pub(super) fn record(&mut self, record: &Record) {
        match record {
            Record::Lease(row) => {
                let other = self.leases.iter().any(|held| held.ae == row.ae && held.transfer != row.transfer);
                let troubled = self.store_troubled; // A release that the store refused is followed by a lease with a higher epoch.
                self.must(!other || troubled, || format!("{} is leased twice (I9)", row.ae));
                let last = self.epochs.iter().rev().find(|(ae, _)| *ae == row.ae).map(|(_, epoch)| *epoch);
                self.must(last.is_none_or(|last| row.epoch > last), || format!("the epoch of {} does not rise (I9)", row.ae));
                self.epochs.push((row.ae.clone(), row.epoch));
                self.leases.retain(|held| held.ae != row.ae);
                self.leases.push(Held { ae: row.ae.clone(), transfer: row.transfer, epoch: row.epoch });
            }
            Record::Release { ae, epoch } => self.leases.retain(|held| held.ae != *ae || held.epoch != *epoch),
            Record::Callback(view) => self.callbacks.push(view.id),
            Record::Journal { .. } | Record::Call(_) | Record::Transfer(_) | Record::Audit(_) => {}
            Record::Claim { from, callback } => {
                let (from, to) = (*from, callback.progress.epoch);
                self.must(to > from, || format!("the epoch of a callback goes from {from} to {to} (I9)"));
            }
            Record::Outbox(_) | Record::Placed(_) | Record::Forget(_) => {}
        }
    }

    /// What must have come of everything at the end.
    pub(super) fn last_look(&mut self, legs: &[Leg], dead: &[bool], lossy: bool) {
        let unsent = std::mem::take(&mut self.unsent);
        for leg in legs.iter().filter(|leg| !dead[leg.who.phone] && !unsent.contains(&leg.who.phone)) {
            let who = format!("leg {} of phone {}", leg.who.nth, leg.who.phone);
            let over = matches!(leg.phase, Phase::Over | Phase::Coming);
            self.must(lossy || !leg.is_overdue, || format!("{who} waits for an ACK that nothing keeps away (I5)"));
            if let Some(what) = leg.unheeded {
                self.blame(format!("{who}: {what} (I5)"));
            }
            self.must(over, || format!("{who} outlives its call: {:?} (I5, I6)", leg.phase));
            self.must(
                lossy || leg.refer.accepted.is_none() || leg.refer.last.is_some() || leg.facts.bye_in.is_some() || leg.muted,
                || format!("{who}: its REFER was accepted and never came to an end"),
            );
        }
        if let ([told], Some(leg), false) =
            (&self.transfers[..], legs.iter().find(|leg| leg.who.phone == AI && leg.refer.last.is_some()), lossy)
        {
            let fits: &[u16] = match told.ended.as_deref() {
                Some("bridged" | "referred") => &[200],
                Some("caller_abandoned" | "cancelled") => &[487],
                Some("callback_scheduled" | "voicemail") => &[480],
                _ => &[480, 486, 487, 503, 603],
            };
            let (last, outcome) = (leg.refer.last.unwrap_or(0), told.ended.clone());
            self.must(fits.contains(&last), || format!("the last NOTIFY says {last} where the outcome is {outcome:?}"));
        }
        for at in 0..self.transfers.len() {
            let ended = self.transfers[at].ended.is_some();
            self.must(ended, || "a transfer has no outcome at the end (I14)".to_owned());
        }
        let open = self.calls.iter().any(|call| !call.ended);
        self.must(!open, || "a call has not ended at the end (I6)".to_owned());
        let held = self.leases.first().map(|held| held.ae.clone());
        if let (Some(ae), false) = (held, self.store_troubled) {
            self.blame(format!("{ae} is still leased at the end (I9)"));
        }
    }
}

impl Run<'_> {
    fn call(&self, id: Option<CallId>) -> Option<&CallTold> {
        self.watch.calls.iter().find(|call| Some(call.id) == id)
    }

    /// Whether this caller is being told which keys mean which slot.
    fn is_offered(&self, at: usize) -> bool {
        let names = |source: &Source| match source {
            Source::Play(list) => list.clips.iter().any(|clip| clip.name() == "PressOneFor"),
            Source::Silence | Source::Music | Source::Leg(_) | Source::Mix(_) => false,
        };
        self.rooms.line(Port(self.legs[at].port)).is_some_and(|line| names(&line.hears))
    }

    /// A transfer was called off, and the answer says so.
    pub(super) fn watch_cancelled(&mut self, id: TransferId) {
        if let Some(at) = self.watch.transfers.iter().position(|told| told.id == id) {
            self.post(Duration::from_secs(5), Post::Check(Check::Cancelled(at)));
        }
    }

    /// A key has reached Baton.
    pub(super) fn key(&mut self, at: usize, digit: char) {
        let now = self.now.mono;
        let is_caller = self.is_caller(self.legs[at].who.phone);
        if is_caller && digit == '1' && self.is_offered(at) && !self.legs[at].facts.is_closed() && self.watch.transfers.len() == 1
        {
            self.post(Duration::from_secs(8), Post::Check(Check::Picked(0)));
        }
        let facts = self.facts(at);
        if facts.is_closed() {
            return;
        }
        match digit {
            // A caller confirms what they were called for; the others are asked by other words.
            '1' if is_caller => {
                facts.accepts.get_or_insert(now);
            }
            _ if is_caller => {}
            '1' if facts.declines.is_none() && facts.accepts.is_none() => {
                facts.accepts = Some(now);
                self.post(BRIDGE_MAX, Post::Check(Check::Bridge(at)));
            }
            '2' | '3' if facts.accepts.is_none() => facts.declines = Some(now),
            _ => {}
        }
    }

    /// An order through the API that says what a key would.
    pub(super) fn watch_order(&mut self, api: Api, id: TransferId) {
        let now = self.now.mono;
        let Some(told) = self.watch.transfer(id) else { return };
        match api {
            Api::Accept => {
                let leg = told.attempts.last().and_then(|attempt| attempt.leg);
                if let Some(at) = leg.filter(|at| self.legs[*at].facts.answered.is_some()) {
                    self.facts(at).accepts.get_or_insert(now);
                }
            }
            Api::Cancel => told.cancel_asked = true,
            Api::Decline { .. }
            | Api::Transfer { .. }
            | Api::HangUp
            | Api::Presence(..)
            | Api::Pick
            | Api::Promise { .. }
            | Api::Move { .. }
            | Api::Uncallback
            | Api::HandBack
            | Api::Drive(_)
            | Api::Proceed
            | Api::Place => {}
        }
    }

    /// Something is published.
    pub(super) fn watch_event(&mut self, event: &Event) {
        let now = self.now.mono;
        let seq = self.watch.seq + 1;
        self.watch.must(event.seq == seq, || format!("event {} follows event {}", event.seq, seq - 1));
        self.watch.must(event.at.0 == self.now.wall, || "an event is told with another time than now".to_owned());
        self.watch.seq = event.seq;
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        match event.kind {
            EventKind::CallStarted => self.call_started(event, text("from"), text("to")),
            EventKind::CallEnded => {
                let call = self.watch.calls.iter_mut().find(|call| Some(call.id) == event.call);
                let twice = call.is_none_or(|call| std::mem::replace(&mut call.ended, true));
                self.watch.must(!twice, || "a call ends twice, or never began".to_owned());
            }
            EventKind::DriverChanged => self.driver_changed(event, text("driver")),
            EventKind::CallbackScheduled => {
                self.tally.reach(Fault::Callback);
                let id = text("id").parse().ok();
                let written = self.watch.callbacks.iter().any(|known| Some(*known) == id);
                self.watch.must(written, || "a callback is told before it is on disk (I8)".to_owned());
                if let Some(told) = event.transfer.and_then(|id| self.watch.transfer(id)) {
                    told.has_callback = true;
                }
                self.look_when_due(id);
            }
            EventKind::CallbackKept => {
                let id: Option<CallbackId> = text("id").parse().ok();
                let twice = id.is_none_or(|id| self.watch.kept.contains(&id));
                self.watch.must(!twice, || "a callback is kept twice (I8)".to_owned());
                self.watch.kept.extend(id);
            }
            EventKind::BudgetMissed => {
                let limit = (text("stage"), text("limit"));
                let after_ms = event.data.get("after_ms").and_then(Value::as_u64).unwrap_or(0);
                let least = match limit {
                    ("start", "target") => 500,
                    ("start", _) => 1_000,
                    ("ringing", "target") => 2_000,
                    ("ringing", _) => 5_000,
                    ("accept", "target") => 20_000,
                    ("accept", _) => 60_000,
                    ("total", "target") => 30_000,
                    (_, _) => 90_000,
                };
                self.watch.must(after_ms >= least, || format!("{limit:?} is told as missed after {after_ms} ms"));
            }
            EventKind::Texted
            | EventKind::TransferRequested
            | EventKind::AttemptStarted
            | EventKind::Ringing
            | EventKind::Answered
            | EventKind::BriefingStarted
            | EventKind::Accepted
            | EventKind::Bridged
            | EventKind::AttemptFailed
            | EventKind::TransferEnded
            | EventKind::Transcribed
            | EventKind::CallbackReminded
            | EventKind::CallbackMissed
            | EventKind::CallbackTried
            | EventKind::CallbackMoved
            | EventKind::CallbackCancelled
            | EventKind::PresenceChanged
            | EventKind::FeedbackReceived => self.transfer_told(event, now),
        }
    }

    fn call_started(&mut self, event: &Event, from: &str, to: &str) {
        let (phone, origin) = match (from, to) {
            ("+15550123", _) => (CALLER, Origin::Caller),
            // Numbers are dialled over the first caller's trunk, whosever they are.
            ("callback", _) => (CALLER, Origin::Callback),
            (_, "+15550123") => (CALLER, Origin::Placed),
            (_, _) => (self.watch.rules.second_caller(), Origin::Caller),
        };
        let Some(id) = event.call else { return };
        let driver = String::new();
        self.watch.calls.push(CallTold { id, phone, driver, ended: false, gone: None, hung_up: false, origin });
        if self.watch.calls.iter().filter(|call| call.origin == Origin::Caller).count() == 2 {
            self.tally.reach(Fault::TwoCallers);
        }
    }

    /// A callback that is promised for the time of this world is looked at when it is due.
    fn look_when_due(&mut self, id: Option<CallbackId>) {
        let due = id.and_then(|id| self.disk.callback(id)).map(|row| (row.id, row.due_at().0));
        if let Some((id, due)) = due.filter(|(_, due)| *due > self.now.wall) {
            self.post(due.since(self.now.wall) + Duration::from_secs(5), Post::Check(Check::Due(id)));
        }
    }

    fn driver_changed(&mut self, event: &Event, driver: &str) {
        let asked = self.call(event.call).is_some_and(|call| call.origin == Origin::Callback);
        let legs = || self.legs.iter().filter(|leg| leg.call == event.call && leg.facts.accepts.is_some());
        let confirmed = asked && legs().any(|leg| self.is_caller(leg.who.phone)) && legs().count() >= 2;
        let accepted =
            confirmed || self.watch.transfers.iter().any(|told| Some(told.call) == event.call && told.accepted.is_some());
        let Some(call) = self.watch.calls.iter_mut().find(|call| Some(call.id) == event.call) else {
            return self.watch.blame("a driver of no call".to_owned());
        };
        let same = std::mem::replace(&mut call.driver, driver.to_owned()) == driver;
        self.watch.must(!same, || format!("the driver changes from {driver} to {driver} (I3)"));
        self.watch.must(driver != "human" || accepted, || "a human drives whom nobody has accepted (I2)".to_owned());
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other kinds say nothing about an attempt")]
    fn transfer_told(&mut self, event: &Event, now: Mono) {
        let Some(id) = event.transfer else { return };
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        if event.kind == EventKind::TransferRequested {
            return self.requested_told(id, event, now);
        }
        let Some(at) = self.watch.transfers.iter().position(|told| told.id == id) else {
            return self.watch.blame(format!("{} of a transfer that was never requested", event.kind.name()));
        };
        // A bridged transfer looks after its call: an AE who is lost is followed by the next.
        let over = self.watch.transfers[at].ended.as_deref().is_some_and(|outcome| outcome != "bridged");
        self.watch
            .must(!over || event.kind == EventKind::BudgetMissed, || format!("{} after the outcome (I14)", event.kind.name()));
        match event.kind {
            EventKind::AttemptStarted => {
                let named = text("ae").strip_prefix("ae").and_then(|number| number.parse().ok());
                let ae = named.unwrap_or(self.plan.rules.outsider() - FIRST_AE);
                let by = if text("by") == "ae" { By::Ae } else { By::Plan };
                let ended = self.watch.transfers[at].ended.is_some();
                let running = !ended && self.watch.transfers[at].attempts.iter().any(|attempt| attempt.failed.is_none());
                self.watch.must(!running, || "an attempt begins before the last one has failed".to_owned());
                let leg_id = text("leg").to_owned();
                self.watch.transfers[at].attempts.push(Attempt { by, ae, leg_id, leg: None, failed: None, rang: None });
            }
            EventKind::Ringing => {
                let leg = self.attempt_leg(at);
                let rang = leg.is_some_and(|leg| self.legs[leg].facts.rang.is_some());
                self.watch.must(rang, || "ringing is told of a phone that does not ring".to_owned());
                if let Some(attempt) = self.watch.transfers[at].attempts.last_mut() {
                    attempt.rang = Some(now);
                }
            }
            EventKind::Answered => {
                let leg = self.attempt_leg(at);
                let answered = leg.is_some_and(|leg| self.legs[leg].facts.answered.is_some());
                self.watch.must(answered, || "an answer is told that nobody has given".to_owned());
            }
            EventKind::Accepted => {
                let leg = self.attempt_leg(at);
                let accepts = leg.is_some_and(|leg| self.legs[leg].facts.accepts.is_some());
                self.watch.must(accepts, || "an acceptance is told that nobody has given (I2)".to_owned());
                self.watch.transfers[at].accepted = Some(now);
            }
            EventKind::Bridged => self.bridged_told(at, event),
            // An AE who is not free when another one passes a caller on to them is not dialled.
            EventKind::AttemptFailed if text("leg").is_empty() => {}
            EventKind::AttemptFailed => self.failed_told(at, text("leg"), text("outcome"), event.data.get("sip_status")),
            EventKind::TransferEnded => self.ended_told(at, event),
            _ => {}
        }
    }

    /// A transfer begins: it was asked for, or it takes over from a callback that was kept.
    fn requested_told(&mut self, id: TransferId, event: &Event, now: Mono) {
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        let known = self.watch.transfer(id).is_some();
        self.watch.must(!known, || "a transfer is requested twice".to_owned());
        let Some(call) = event.call else { return };
        let mode = serde_json::from_value(Value::String(text("mode").to_owned())).unwrap_or_default();
        let running = self.watch.transfers.iter().any(|told| told.call == call && told.ended.is_none());
        self.watch.must(!running, || "a second transfer runs in one call".to_owned());
        // A callback's call is looked after by a transfer once caller and AE are connected: nobody is left to be found.
        let is_taken_over = text("reason") == "callback";
        if is_taken_over {
            let kept = text("callback").parse().is_ok_and(|id| self.watch.kept.contains(&id));
            self.watch.must(kept, || "a transfer takes over from a callback that was not kept".to_owned());
        }
        let connected = is_taken_over.then_some(now);
        let place = self.watch.transfers.len();
        self.post(TRANSFER_MAX, Post::Check(Check::Ended(place)));
        if !is_taken_over {
            self.post(Duration::from_millis(1_500), Post::Check(Check::Next(place, 0)));
        }
        self.watch.transfers.push(Told {
            id,
            call,
            requested: now,
            attempts: Vec::new(),
            bridged: connected,
            accepted: connected,
            ended: None,
            cancel_asked: false,
            has_callback: false,
            mode,
        });
    }

    fn attempt_leg(&self, at: usize) -> Option<usize> {
        self.watch.transfers[at].attempts.last().and_then(|attempt| attempt.leg)
    }

    fn bridged_told(&mut self, at: usize, event: &Event) {
        let now = self.now.mono;
        let told = &mut self.watch.transfers[at];
        // An AE who is lost is followed by the next one, with a budget of their own.
        let again = told.bridged.replace(now).is_some();
        let accepted = told.accepted.is_some();
        let took_ms = u64::try_from(now.since(told.requested).as_millis()).unwrap_or(u64::MAX);
        let total = event.data.get("stages_ms").and_then(|stages| stages.get("total")).and_then(Value::as_u64);
        self.watch.must(accepted, || "a bridge without an acceptance (I2)".to_owned());
        // An introduction begins with the human on the line, and ends with the bridge.
        let early = self.watch.rules.ways.introduce;
        let call = self.watch.transfers[at].call;
        self.post(LET_GO_MAX, Post::Check(Check::AiLetGo(call, now)));
        self.watch.must(total.is_some_and(|total| total.abs_diff(took_ms) <= 2 || (early || again) && total < took_ms), || {
            format!("a total of {total:?} ms after {took_ms} ms")
        });
    }

    fn failed_told(&mut self, at: usize, leg_id: &str, outcome: &str, status: Option<&Value>) {
        let now = self.now.mono;
        let place = self.watch.transfers[at].attempts.len();
        let Some(attempt) = self.watch.transfers[at].attempts.last_mut() else {
            return self.watch.blame("an attempt fails that never began".to_owned());
        };
        let wrong = attempt.failed.is_some() || attempt.leg_id != leg_id;
        attempt.failed = Some((outcome.to_owned(), now));
        let leg = attempt.leg;
        self.watch.must(!wrong, || "an attempt fails twice, or another one".to_owned());
        if let Some(leg) = leg {
            self.facts(leg).given_up = true;
            let facts = &self.legs[leg].facts;
            let (ring, invited) = (facts.rang.is_some(), facts.invited.unwrap_or(now));
            let waited = now.since(invited);
            let holds = match outcome {
                "no_answer" => {
                    facts.answered.is_none()
                        && (facts.refused.is_some() || waited + Duration::from_millis(1) >= self.watch.rules.ring_max)
                }
                "unreachable" => {
                    facts.refused.is_some()
                        || facts.answered.is_some()
                        || waited >= Duration::from_millis(2_999)
                        || self.cannot_send()
                }
                "busy" => matches!(facts.refused, Some((486 | 600, _))),
                "forwarded" => matches!(facts.refused, Some((300..=399, _))),
                "screened" => matches!(facts.refused, Some((607 | 608, _))),
                "not_accepted" => facts.answered.is_some() || self.watch.transfers[at].cancel_asked || self.was_hung_up(at),
                "caller_gone" => self.caller_has_gone(at),
                _ => true,
            };
            let what = format!("an attempt ends as {outcome} after {} ms (rang: {ring})", waited.as_millis());
            self.watch.must(holds, || what);
            let refused = self.legs[leg].facts.refused.map(|(status, _)| u64::from(status));
            let told = status.and_then(Value::as_u64);
            let answered = self.legs[leg].facts.answered.is_some() && told == Some(200);
            self.watch.must(told.is_none() || refused == told || answered || matches!(told, Some(408 | 488 | 503)), || {
                format!("an attempt fails with {told:?} where the phone said {refused:?}")
            });
        }
        if !matches!(outcome, "caller_gone") {
            self.post(Duration::from_millis(1_500), Post::Check(Check::Next(at, place)));
        }
    }

    fn was_hung_up(&self, at: usize) -> bool {
        self.call(Some(self.watch.transfers[at].call)).is_some_and(|call| call.hung_up)
    }

    /// Whether Baton may take the caller of a transfer for gone.
    fn caller_has_gone(&self, at: usize) -> bool {
        let Some(call) = self.call(Some(self.watch.transfers[at].call)) else { return true };
        let lost = self.dead.get(call.phone.min(self.dead.len() - 1)).copied().unwrap_or(false);
        let own = |leg: &Leg| match leg.call {
            Some(id) => leg.who.phone == call.phone && id == call.id,
            None => leg.who.phone == call.phone && call.origin == Origin::Caller,
        };
        // Nobody keeps the session of this caller alive.
        let expires = self.watch.rules.ways.timer == Timer::Nobody && call.phone == CALLER;
        let expired = expires
            && self
                .legs
                .iter()
                .any(|leg| own(leg) && leg.facts.answered.is_some_and(|at| self.now.mono.since(at) >= EXPIRED_AFTER));
        call.gone.is_some() || call.hung_up || lost || expired || self.legs.iter().any(|leg| own(leg) && leg.phase == Phase::Over)
    }

    fn ended_told(&mut self, at: usize, event: &Event) {
        let outcome = event.data.get("outcome").and_then(Value::as_str).unwrap_or_default().to_owned();
        let told = &self.watch.transfers[at];
        let last = told.attempts.last().and_then(|attempt| attempt.failed.as_ref()).map(|(outcome, _)| outcome.as_str());
        let gone = self.call(Some(told.call)).and_then(|call| call.gone).is_some_and(|gone| gone < self.now.mono);
        let holds = match outcome.as_str() {
            "bridged" => told.bridged.is_some(),
            "caller_abandoned" => self.caller_has_gone(at),
            "cancelled" => told.cancel_asked || self.was_hung_up(at),
            "callback_scheduled" => told.has_callback,
            "returned_to_ai" => told.bridged.is_none() && !gone && last != Some("caller_gone"),
            "failed" => told.bridged.is_none() && !gone,
            "voicemail" => self.watch.message,
            "referred" => self.legs.iter().any(|leg| leg.facts.referred),
            _ => false,
        };
        let what =
            format!("a transfer ends as {outcome} (last attempt {last:?}, bridged {:?}, caller gone {gone})", told.bridged);
        let twice = told.ended.is_some();
        self.watch.must(holds, || what);
        self.watch.must(!twice, || "a transfer has two outcomes (I14)".to_owned());
        if matches!(outcome.as_str(), "returned_to_ai" | "cancelled") {
            self.post(Duration::from_millis(60), Post::Check(Check::WithAi(at)));
        }
        self.watch.transfers[at].ended = Some(outcome);
    }
}
