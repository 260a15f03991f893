//! What must hold of what is published.

use std::time::Duration;

use baton_contract::{CallbackId, Event, EventKind, Mode, TransferId};
use baton_time::Mono;
use serde_json::Value;

use super::{Attempt, By, CallTold, Check, EXPIRED_AFTER, LET_GO_MAX, NEXT_MAX, Origin, TRANSFER_MAX, Told, Tried};
use crate::chance::leg::{Leg, Phase};
use crate::chance::plan::{CALLER, FIRST_AE};
use crate::chance::run::{Post, Run};
use crate::chance::tally::Fault;
use crate::chance::ways::Timer;

impl Run<'_> {
    /// Something is published.
    pub(in crate::chance) fn watch_event(&mut self, event: &Event) {
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
                // Who has not been heard of cannot be cancelled yet (RFC 3261 §9.1), and is given up.
                let is_unheard = |leg: &&mut Leg| leg.call == event.call && leg.is_dialled() && leg.facts.provisional.is_none();
                self.legs.iter_mut().filter(is_unheard).for_each(|leg| leg.facts.given_up = true);
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
            EventKind::Texted => self.text_told(event),
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
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some(id) = event.transfer else {
            return self.callback_told(event.kind, text("ae"), text("leg"));
        };
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
                let told = &mut self.watch.transfers[at];
                told.attempts.push(Attempt { by, ae, leg_id, leg: None, failed: None, rang: None });
                if told.mode == Mode::Warm {
                    let place = told.attempts.len() - 1;
                    self.post(NEXT_MAX, Post::Check(Check::Dialled(at, place)));
                }
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

    /// A callback tries somebody, or gives them up.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other kinds say nothing about an attempt")]
    fn callback_told(&mut self, kind: EventKind, ae: &str, leg_id: &str) {
        match kind {
            EventKind::AttemptStarted => {
                let Some(ae) = ae.strip_prefix("ae").and_then(|number| number.parse().ok()) else { return };
                self.watch.tried.push(Tried { ae, leg_id: leg_id.to_owned(), leg: None });
            }
            EventKind::AttemptFailed => {
                let tried = self.watch.tried.iter().find(|tried| tried.leg_id == leg_id);
                if let Some(leg) = tried.and_then(|tried| tried.leg) {
                    self.facts(leg).given_up = true;
                }
            }
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
                        || waited >= Duration::from_millis(2_999) && facts.provisional.is_none()
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
    pub(super) fn caller_has_gone(&self, at: usize) -> bool {
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
