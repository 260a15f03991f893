//! What must hold in every world, looked at after every event: a small model of what Baton knows, and what it may do then.

use std::time::Duration;

use baton_contract::{AeId, CallId, CallbackId, Event, EventKind, Record, TransferId};
use baton_media::{Command, Port, Role, Source};
use baton_time::Mono;
use baton_transfer::AcceptBy;
use bytes::Bytes;
use serde_json::Value;

use super::leg::{Leg, Phase};
use super::plan::{AI, Api, CALLER, FIRST_AE, Rules};
use super::run::{Post, Run};
use super::tally::Fault;
use super::wire::Seen;

/// Within this a caller's hang-up reaches everybody.
const HANG_UP_MAX: Duration = Duration::from_millis(50);

/// An AE who is listening hears one sentence of at most two seconds first.
const PARTING_MAX: Duration = Duration::from_millis(2_200);

/// From the acceptance to the bridge, a store that is silent for half a second and a late packet included.
const BRIDGE_MAX: Duration = Duration::from_millis(1_700);

/// A transfer that never ends is stuck: its budget, an offer told five times and a recall are over by then.
const TRANSFER_MAX: Duration = Duration::from_secs(420);

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
}

#[derive(Debug)]
struct Attempt {
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
        }
    }

    /// Something does not hold; the first thing counts.
    pub(super) fn blame(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.blame(what());
        }
    }

    pub(super) fn call_of(&self, phone: usize) -> Option<CallId> {
        self.calls.iter().find(|call| call.phone == phone).map(|call| call.id)
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
            Record::Claim { .. } | Record::Outbox(_) | Record::Placed(_) | Record::Forget(_) => {}
        }
    }

    /// What must have come of everything at the end.
    pub(super) fn last_look(&mut self, legs: &[Leg], dead: &[bool], lossy: bool) {
        for leg in legs.iter().filter(|leg| !dead[leg.who.phone]) {
            let who = format!("leg {} of phone {}", leg.who.nth, leg.who.phone);
            let over = matches!(leg.phase, Phase::Over | Phase::Coming);
            self.must(lossy || !leg.is_overdue, || format!("{who} waits for an ACK that nothing keeps away (I5)"));
            if let Some(what) = leg.unheeded {
                self.blame(format!("{who}: {what} (I5)"));
            }
            self.must(over, || format!("{who} outlives its call: {:?} (I5, I6)", leg.phase));
            self.must(lossy || leg.refer.accepted.is_none() || leg.refer.last.is_some() || leg.facts.bye_in.is_some(), || {
                format!("{who}: its REFER was accepted and never came to an end")
            });
        }
        if let ([told], Some(leg), false) = (&self.transfers[..], legs.iter().find(|leg| leg.refer.last.is_some()), lossy) {
            let fits: &[u16] = match told.ended.as_deref() {
                Some("bridged") => &[200],
                Some("caller_abandoned" | "cancelled") => &[487],
                Some("callback_scheduled") => &[480],
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

    /// A key has reached Baton.
    pub(super) fn key(&mut self, at: usize, digit: char) {
        let now = self.now.mono;
        let facts = self.facts(at);
        if facts.is_closed() {
            return;
        }
        match digit {
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
            Api::Decline { .. } | Api::Transfer { .. } | Api::HangUp | Api::Presence(..) | Api::Pick | Api::Callback(_) => {}
        }
    }

    /// A datagram of a phone reaches Baton.
    pub(super) fn watch_arrival(&mut self, at: usize, bytes: &Bytes) {
        let Ok(seen) = Seen::read(bytes) else { return };
        let now = self.now.mono;
        let phone = self.legs[at].who.phone;
        if seen.is_request() {
            let known = seen.tag_of_from() == Some(self.legs[at].tag.as_str());
            match seen.method {
                "BYE" if known => self.leaves(at),
                // A CANCEL behind our 200 changes nothing (RFC 3261 §9.2).
                "CANCEL" if known && self.legs[at].facts.answered.is_none() => self.leaves(at),
                "ACK" => {
                    let now = self.now.mono;
                    self.facts(at).acked.get_or_insert(now);
                }
                "INFO" => {
                    if let Some(digit) = seen.body.strip_prefix("Signal=").and_then(|rest| rest.chars().next())
                        && self.legs[at].facts.answered.is_some()
                    {
                        self.key(at, digit);
                    }
                }
                _ => {}
            }
            return;
        }
        let is_first = seen.cseq_method() == "INVITE" && self.legs[at].is_first_invite(&seen);
        if !is_first || self.is_caller(phone) || seen.tag_of_to() == Some("fork") {
            return;
        }
        let facts = self.facts(at);
        facts.provisional.get_or_insert(now);
        match seen.status {
            100 => {}
            101..=199 => {
                facts.rang.get_or_insert(now);
            }
            200..=299 if facts.answered.is_none() && facts.refused.is_none() => {
                facts.answered = Some(now);
                let crossed = facts.cancel_out.is_some();
                if crossed {
                    self.tally.reach(Fault::Crossing);
                } else if phone >= FIRST_AE {
                    if self.watch.rules.accept == AcceptBy::Answer {
                        self.facts(at).accepts = Some(now);
                    }
                    self.post(self.watch.accept_worst + Duration::from_secs(2), Post::Check(Check::Accept(at)));
                }
            }
            300.. if facts.refused.is_none() && facts.answered.is_none() => {
                facts.refused = Some((seen.status, now));
                let cancelled = facts.cancel_out.is_some();
                if phone >= FIRST_AE && !cancelled {
                    self.post(Duration::from_millis(100), Post::Check(Check::Refused(at)));
                } else if phone == AI {
                    self.tally.reach(Fault::AiGone);
                }
            }
            _ => {}
        }
    }

    /// A phone has left, and Baton knows it.
    fn leaves(&mut self, at: usize) {
        let now = self.now.mono;
        let phone = self.legs[at].who.phone;
        if self.facts(at).bye_in.replace(now).is_some() {
            return;
        }
        if phone == AI {
            self.tally.reach(Fault::AiGone);
        }
        if self.is_caller(phone)
            && let Some(call) = self.watch.calls.iter_mut().find(|call| call.phone == phone)
        {
            call.gone.get_or_insert(now);
            let id = call.id;
            self.post(HANG_UP_MAX, Post::Check(Check::CallerGone(id)));
            self.post(PARTING_MAX, Post::Check(Check::Parted(id)));
        }
    }

    /// A datagram leaves Baton.
    pub(super) fn watch_departure(&mut self, phone: usize, bytes: &Bytes) {
        let seen = match Seen::read(bytes) {
            Ok(seen) => seen,
            Err(fault) => return self.watch.blame(fault),
        };
        let now = self.now.mono;
        let known = self.legs.iter().position(|leg| leg.who.phone == phone && leg.call_id == seen.call_id);
        match (seen.method, known) {
            ("INVITE", None) => self.dials(phone, &seen, bytes),
            ("INVITE", Some(at)) if seen.tag_of_to().is_none() => {
                self.facts(at).invites += 1;
                let over = self.legs[at].facts.refused.is_some();
                self.watch.must(!over, || "an INVITE is sent again that has its final answer".to_owned());
            }
            ("CANCEL", Some(at)) => {
                let early = self.legs[at].facts.provisional.is_none();
                self.watch.must(!early, || "a CANCEL leaves before any response (RFC 3261 §9.1)".to_owned());
                self.facts(at).cancel_out.get_or_insert(now);
            }
            ("BYE", Some(at)) if seen.tag_of_to() != Some("fork") => {
                let facts = &self.legs[at].facts;
                let early = self.is_caller(phone) && facts.acked.is_none() && facts.bye_in.is_none();
                let waited = facts.answered.is_none_or(|at| now.since(at) > Duration::from_secs(31));
                self.watch.must(!early || waited, || "a BYE leaves before the ACK has come (RFC 3261 §15)".to_owned());
                self.facts(at).bye_out.get_or_insert(now);
            }
            (method, None) if !method.is_empty() => {
                self.watch.blame(format!("{method} for phone {phone} in no dialog of theirs"))
            }
            (_, _) => {}
        }
        if let (200..=299, "INVITE", Some(at)) = (seen.status, seen.cseq_method(), known) {
            self.facts(at).answered.get_or_insert(now);
        }
    }

    /// Baton dials somebody.
    fn dials(&mut self, phone: usize, seen: &Seen<'_>, bytes: &Bytes) {
        let now = self.now.mono;
        let call = seen.call.parse::<CallId>().ok();
        let gone = self.call(call).is_none_or(|call| call.gone.is_some_and(|gone| gone < now));
        self.watch.must(!gone, || format!("phone {phone} is dialled for a caller who has gone, or for none"));
        let busy = self.legs.iter().any(|leg| {
            leg.who.phone == phone
                && phone >= FIRST_AE
                && leg.facts.invited.is_some()
                && !leg.facts.is_closed()
                && !self.dead[phone]
                && !leg.facts.given_up
        });
        self.watch.must(!busy, || format!("phone {phone} is dialled while it has a call (I9)"));
        let at = self.new_leg(phone, seen, bytes);
        let facts = self.facts(at);
        (facts.invited, facts.invites) = (Some(now), 1);
        self.post(Duration::from_millis(1_600), Post::Check(Check::SentAgain(at)));
        if phone < FIRST_AE {
            return;
        }
        let ae = phone - FIRST_AE;
        let Some(id) = seen.transfer.parse::<TransferId>().ok() else {
            return self.watch.blame("a consult INVITE names no transfer".to_owned());
        };
        let leased = self.watch.leases.iter().any(|held| held.transfer == id && held.ae.as_str() == format!("ae{ae}"));
        self.watch.must(leased, || format!("ae{ae} is dialled without a lease on record (I7, I9)"));
        let attempts = self.watch.rules.attempts;
        let Some(told) = self.watch.transfer(id) else {
            return self.watch.blame("a consult INVITE names a transfer that was never told".to_owned());
        };
        let count = told.attempts.len();
        let fits = told.attempts.last_mut().filter(|attempt| attempt.ae == ae && attempt.leg.is_none());
        match fits {
            Some(attempt) => attempt.leg = Some(at),
            None => self.watch.blame(format!("ae{ae} is dialled and no attempt was told")),
        }
        self.watch.must(count <= usize::from(attempts), || format!("attempt {count} of {attempts} (I7)"));
        self.post(self.watch.rules.ring_max + Duration::from_millis(100), Post::Check(Check::Rung(at)));
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
            EventKind::CallStarted => {
                let phone = if text("from") == "+15550123" { CALLER } else { self.watch.rules.second_caller() };
                let Some(id) = event.call else { return };
                self.watch.calls.push(CallTold { id, phone, driver: String::new(), ended: false, gone: None, hung_up: false });
                if self.watch.calls.len() == 2 {
                    self.tally.reach(Fault::TwoCallers);
                }
            }
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
            EventKind::TransferRequested
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
            | EventKind::CallbackKept
            | EventKind::CallbackMissed
            | EventKind::CallbackTried
            | EventKind::CallbackMoved
            | EventKind::CallbackCancelled
            | EventKind::PresenceChanged
            | EventKind::FeedbackReceived => self.transfer_told(event, now),
        }
    }

    fn driver_changed(&mut self, event: &Event, driver: &str) {
        let accepted = self.watch.transfers.iter().any(|told| Some(told.call) == event.call && told.accepted.is_some());
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
            let known = self.watch.transfer(id).is_some();
            self.watch.must(!known, || "a transfer is requested twice".to_owned());
            let Some(call) = event.call else { return };
            let running = self.watch.transfers.iter().any(|told| told.call == call && told.ended.is_none());
            self.watch.must(!running, || "a second transfer runs in one call".to_owned());
            let place = self.watch.transfers.len();
            self.post(TRANSFER_MAX, Post::Check(Check::Ended(place)));
            self.post(Duration::from_millis(1_500), Post::Check(Check::Next(place, 0)));
            self.watch.transfers.push(Told {
                id,
                call,
                requested: now,
                attempts: Vec::new(),
                bridged: None,
                accepted: None,
                ended: None,
                cancel_asked: false,
                has_callback: false,
            });
            return;
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
                let ae = text("ae").strip_prefix("ae").and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
                let ended = self.watch.transfers[at].ended.is_some();
                let running = !ended && self.watch.transfers[at].attempts.iter().any(|attempt| attempt.failed.is_none());
                self.watch.must(!running, || "an attempt begins before the last one has failed".to_owned());
                let leg_id = text("leg").to_owned();
                self.watch.transfers[at].attempts.push(Attempt { ae, leg_id, leg: None, failed: None, rang: None });
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
            EventKind::AttemptFailed => self.failed_told(at, text("leg"), text("outcome"), event.data.get("sip_status")),
            EventKind::TransferEnded => self.ended_told(at, event),
            _ => {}
        }
    }

    fn attempt_leg(&self, at: usize) -> Option<usize> {
        self.watch.transfers[at].attempts.last().and_then(|attempt| attempt.leg)
    }

    fn bridged_told(&mut self, at: usize, event: &Event) {
        let now = self.now.mono;
        let told = &mut self.watch.transfers[at];
        told.bridged = Some(now);
        let accepted = told.accepted.is_some();
        let took_ms = u64::try_from(now.since(told.requested).as_millis()).unwrap_or(u64::MAX);
        let total = event.data.get("stages_ms").and_then(|stages| stages.get("total")).and_then(Value::as_u64);
        self.watch.must(accepted, || "a bridge without an acceptance (I2)".to_owned());
        self.watch.must(total.is_some_and(|total| total.abs_diff(took_ms) <= 2), || {
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
                "unreachable" => facts.refused.is_some() || facts.answered.is_some() || waited >= Duration::from_millis(2_999),
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
        call.gone.is_some()
            || call.hung_up
            || lost
            || self.legs.iter().any(|leg| leg.who.phone == call.phone && leg.phase == Phase::Over)
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

    /// Who hears whom from now on.
    pub(super) fn watch_scene(&mut self, command: &Command) {
        let Command::Scene { room, scene } = command else { return };
        for (port, source) in &scene.hears {
            let Some(role) = self.role_of(*port) else { continue };
            let heard: &[Port] = match source {
                Source::Leg(one) => std::slice::from_ref(one),
                Source::Mix(several) => several,
                Source::Play(list) => {
                    self.told(role, list.clips.iter().map(|clip| clip.name().to_owned()).collect());
                    &[]
                }
                Source::Silence | Source::Music => &[],
            };
            for other in heard {
                let Some(line) = self.rooms.line(*other) else { continue };
                let wrong_room = line.room != *room;
                let other_role = line.role;
                self.watch.must(!wrong_room, || "somebody of another call is heard".to_owned());
                self.may_hear(role, *port, other_role, *other);
            }
            self.watch.must(role != Role::Caller || *source != Source::Silence, || "the caller hears silence (I1)".to_owned());
        }
        let hears = |role: Role, of: Role| {
            scene.hears.iter().any(|(port, source)| {
                self.role_of(*port) == Some(role) && matches!(source, Source::Leg(other) if self.role_of(*other) == Some(of))
            })
        };
        let two = hears(Role::Caller, Role::Ae) && (hears(Role::Ai, Role::Caller) || hears(Role::Ai, Role::Ae));
        self.watch.must(!two, || "the AI hears what a human drives (I3)".to_owned());
    }

    fn may_hear(&mut self, role: Role, port: Port, other: Role, other_port: Port) {
        let ae = match (role, other) {
            (Role::Caller, Role::Ae) => other_port,
            (Role::Ae, Role::Caller) => port,
            (Role::Ai, Role::Ae) | (Role::Ae, Role::Ai) => return self.watch.blame("AI and AE hear each other (I4)".to_owned()),
            (_, _) => {
                self.watch.must(role != other, || "somebody hears another one of their kind".to_owned());
                return;
            }
        };
        let now = self.now.mono;
        let accepts = self.legs.iter().any(|leg| {
            leg.port == ae.0 && leg.who.phone >= FIRST_AE && leg.facts.accepts.is_some() && !leg.facts.was_closed(now)
        });
        self.watch.must(accepts, || "caller and AE hear each other before the AE has accepted (I2, I4)".to_owned());
    }

    /// What is said to whom.
    fn told(&mut self, role: Role, clips: Vec<String>) {
        let has = |name: &str| clips.iter().any(|clip| clip == name);
        let wrong = match role {
            Role::Caller => has("briefing") || has("ToAcceptPress") || has("CallerWaiting"),
            Role::Ae => has("NobodyFree") || has("OneMoment") || has("WeWillCallYou"),
            Role::Ai => true,
        };
        self.watch.must(!wrong, || format!("{role:?} is told {clips:?} (I4)"));
        if has("WeWillCallYou") || has("CallbackNoted") {
            let written = !self.watch.callbacks.is_empty();
            self.watch.must(written, || "a callback is promised that is not on disk (I8)".to_owned());
        }
    }

    /// Looks at something that was to have come by now.
    pub(super) fn check(&mut self, check: Check) {
        match check {
            Check::CallerGone(call) => self.let_go(call, false),
            Check::Parted(call) => self.let_go(call, true),
            Check::Rung(at) => {
                let facts = &self.legs[at].facts;
                let waits = facts.answered.is_none() && !facts.is_closed() && facts.provisional.is_some();
                self.watch.must(!waits, || "a phone rings on after ring_max".to_owned());
            }
            Check::Accept(at) => {
                let facts = &self.legs[at].facts;
                let waits = facts.accepts.is_none() && !facts.is_closed();
                self.watch.must(!waits, || "an AE who does not accept is not let go".to_owned());
            }
            Check::Bridge(at) => self.must_be_bridged(at),
            Check::WithAi(at) => self.must_be_with_the_ai(at),
            Check::Refused(at) => {
                let refused = self.legs[at].facts.refused;
                let status = refused.map(|(status, _)| status);
                let attempt = self.watch.transfers.iter().flat_map(|told| &told.attempts).find(|attempt| attempt.leg == Some(at));
                let failed = attempt.and_then(|attempt| attempt.failed.as_ref()).map(|(outcome, _)| outcome.clone());
                let before = attempt
                    .and_then(|attempt| attempt.failed.as_ref())
                    .is_some_and(|(_, at)| refused.is_some_and(|(_, refused)| *at < refused));
                if before {
                    return; // It was given up before anything was heard.
                }
                let rang = self.legs[at].facts.rang.is_some();
                let expected = match status {
                    Some(300..=399) => "forwarded",
                    Some(486 | 600) => "busy",
                    Some(603) => "declined",
                    Some(607 | 608) => "screened",
                    Some(480 | 487) => "no_answer",
                    Some(408) if rang => "no_answer",
                    _ => "unreachable",
                };
                let holds = failed.as_deref().is_some_and(|got| {
                    got == expected
                        || got == "caller_gone"
                        || got == "budget_exceeded"
                        || got == "not_accepted" && expected == "no_answer"
                });
                self.watch.must(holds, || format!("{status:?} makes an attempt {failed:?} and not {expected}"));
            }
            Check::Reply(ticket) => {
                let answered = self.is_answered(ticket) || self.watch.store_troubled;
                self.watch.must(answered, || "somebody who asked is not answered".to_owned());
            }
            Check::SentAgain(at) => {
                let facts = &self.legs[at].facts;
                let heard = facts.provisional.is_some() || facts.is_closed();
                let copies = facts.invites;
                self.watch
                    .must(heard || copies >= 3, || format!("an INVITE that nobody answers was sent {copies} times in 1.6 s"));
            }
            Check::Ended(at) => {
                let ended = self.watch.transfers[at].ended.is_some();
                self.watch.must(ended, || "a transfer comes to no end (I14)".to_owned());
            }
            Check::Next(at, place) => self.must_go_on(at, place),
        }
    }

    /// The caller has gone: who must have been let go?
    fn let_go(&mut self, call: CallId, parted: bool) {
        for at in 0..self.legs.len() {
            let leg = &self.legs[at];
            let facts = &leg.facts;
            if leg.call != Some(call) || facts.is_closed() || (facts.provisional.is_none() && facts.answered.is_none()) {
                continue;
            }
            let listens = facts.answered.is_some() && leg.who.phone >= FIRST_AE;
            if listens == parted {
                let what = format!(
                    "phone {} is not let go within {} when the caller leaves",
                    leg.who.phone,
                    if parted { "2.2 s" } else { "50 ms" }
                );
                self.watch.blame(what);
            }
        }
    }

    /// The caller of a transfer that came back to the AI hears it.
    fn must_be_with_the_ai(&mut self, at: usize) {
        let call = self.watch.transfers[at].call;
        if self.caller_has_gone(at) || self.watch.transfers.len() > at + 1 {
            return;
        }
        let Some(phone) = self.call(Some(call)).filter(|call| !call.ended).map(|call| call.phone) else { return };
        let Some(port) = self.legs.iter().find(|leg| leg.who.phone == phone).map(|leg| Port(leg.port)) else { return };
        let heard = self.rooms.line(port).is_none_or(|line| match &line.hears {
            Source::Leg(other) => self.role_of(*other) == Some(Role::Ai),
            Source::Play(_) => true,
            Source::Silence | Source::Music | Source::Mix(_) => !self.legs.iter().any(|leg| {
                leg.who.phone == AI && leg.call == Some(call) && leg.facts.answered.is_some() && !leg.facts.is_closed()
            }),
        });
        self.watch.must(heard, || "the caller is with the AI again and does not hear it".to_owned());
    }

    fn must_be_bridged(&mut self, at: usize) {
        let facts = &self.legs[at].facts;
        let told = self.watch.transfers.iter().position(|told| told.attempts.iter().any(|attempt| attempt.leg == Some(at)));
        let Some(told) = told else { return };
        let over = facts.is_closed() || self.caller_has_gone(told) || self.watch.transfers[told].cancel_asked;
        let bridged = self.watch.transfers[told].bridged.is_some() || facts.given_up;
        self.watch.must(over || bridged, || "an AE has accepted and is not bridged".to_owned());
    }

    /// After a failed attempt there is the next one, or an end, or an offer; the first where there is somebody.
    fn must_go_on(&mut self, at: usize, place: usize) {
        let told = &self.watch.transfers[at];
        if told.ended.is_some() || told.attempts.len() > place || self.caller_has_gone(at) || told.cancel_asked {
            return;
        }
        let next = told.attempts.last().map_or(0, |last| last.ae + 1);
        let quiet = self.watch.calls.len() == 1
            && self.watch.transfers.len() == 1
            && !self.watch.presence_changed
            && !self.watch.store_troubled;
        let early = self.now.mono.since(told.requested) < Duration::from_secs(40);
        let another =
            place < usize::from(self.watch.rules.attempts) && next < self.watch.rules.aes && self.watch.rules.ports >= 8;
        self.watch.must(!(quiet && early && another), || "there is a backup, and it is not dialled".to_owned());
    }
}
