//! What must hold when Baton dials somebody.

use std::time::Duration;

use baton_contract::{CallId, CallbackState, CallbackView, TransferId};
use bytes::Bytes;

use super::{By, CallTold, Check, Origin, Told};
use crate::chance::leg::Leg;
use crate::chance::plan::{AI, FIRST_AE};
use crate::chance::run::{Post, Run};
use crate::chance::tally::Fault;
use crate::chance::wire::Seen;

/// A trunk rings somebody whom Baton calls for so long.
pub(in crate::chance) const TRUNK_RING_MAX: Duration = Duration::from_secs(45);

impl Run<'_> {
    /// Baton dials somebody.
    pub(super) fn dials(&mut self, phone: usize, seen: &Seen<'_>, bytes: &Bytes) {
        let now = self.now.mono;
        let call = seen.call.parse::<CallId>().ok().or_else(|| self.call_behind(phone));
        let gone = self.call(call).is_none_or(|call| call.gone.is_some_and(|gone| gone < now));
        self.watch.must(!gone, || format!("phone {phone} is dialled for a caller who has gone, or for none"));
        let busy = self.legs.iter().any(|leg| {
            leg.who.phone == phone
                && phone >= FIRST_AE
                && phone != self.plan.rules.outsider()
                && leg.facts.invited.is_some()
                && !leg.facts.is_closed()
                && !self.dead[phone]
                && !leg.facts.given_up
        });
        self.watch.must(!busy, || format!("phone {phone} is dialled while it has a call (I9)"));
        let at = self.new_leg(phone, seen, bytes);
        self.legs[at].call = call;
        let facts = self.facts(at);
        (facts.invited, facts.invites) = (Some(now), 1);
        self.post(Duration::from_millis(1_600), Post::Check(Check::SentAgain(at)));
        let origin = self.call(call).map_or(Origin::Caller, |call| call.origin);
        if self.is_caller(phone) {
            self.post(TRUNK_RING_MAX + Duration::from_secs(1), Post::Check(Check::Rung(at)));
        }
        match (origin, call) {
            // The AI is dialled by whoever looks after the call once caller and AE were connected.
            (Origin::Callback, Some(call)) if phone != AI && !self.is_of_transfer(phone, call, seen) => {
                self.dials_for_callback(at, call, seen)
            }
            (_, _) if phone >= FIRST_AE && !self.is_caller(phone) => self.dials_for_transfer(at, seen),
            (_, _) => {}
        }
    }

    /// Whether an INVITE names a transfer that was told, or is for somebody outside, who is told no ids, and whom a transfer of this call
    /// wants.
    fn is_of_transfer(&self, phone: usize, call: CallId, seen: &Seen<'_>) -> bool {
        let id = seen.transfer.parse::<TransferId>().ok();
        let outside = phone == self.plan.rules.outsider();
        let wants = |told: &Told| told.attempts.last().is_some_and(|last| last.ae + FIRST_AE == phone && last.leg.is_none());
        self.watch.transfers.iter().any(|told| Some(told.id) == id || outside && told.call == call && wants(told))
    }

    /// The call for which somebody is dialled who is told no ids: a caller, or somebody outside.
    fn call_behind(&self, phone: usize) -> Option<CallId> {
        let calls = self.watch.calls.iter().rev();
        if self.is_caller(phone) {
            let dialled = || calls.clone().filter(|call| call.phone == phone && call.origin != Origin::Caller && !call.ended);
            // Of two callbacks at the same time it is the one whose AE has accepted and waits.
            let is_of = |leg: &&Leg, call: &CallTold| leg.call == Some(call.id) && !leg.facts.is_closed();
            let waits = |call: &&CallTold| {
                let mut legs = self.legs.iter().filter(|leg| is_of(leg, call));
                legs.clone().all(|leg| leg.who.phone != phone) && legs.any(|leg| leg.facts.accepts.is_some())
            };
            return dialled().find(waits).or_else(|| dialled().next()).map(|call| call.id);
        }
        let ae = phone.checked_sub(FIRST_AE)?;
        let wants = |told: &&Told| told.attempts.last().is_some_and(|last| last.ae == ae && last.leg.is_none());
        self.watch.transfers.iter().find(wants).map(|told| told.call)
    }

    fn dials_for_transfer(&mut self, at: usize, seen: &Seen<'_>) {
        let ae = self.legs[at].who.phone - FIRST_AE;
        let outside = self.legs[at].who.phone == self.plan.rules.outsider();
        let call = self.legs[at].call;
        let named = seen.transfer.parse::<TransferId>().ok();
        let told = self.watch.transfers.iter_mut().find(|told| match named {
            Some(id) => told.id == id,
            None => outside && Some(told.call) == call && told.attempts.last().is_some_and(|last| last.leg.is_none()),
        });
        let Some(told) = told else {
            return self.watch.blame("a consult INVITE names no transfer that was told".to_owned());
        };
        let count = told.attempts.iter().filter(|attempt| attempt.by == By::Plan).count();
        let (id, fits) = (told.id, told.attempts.last_mut().filter(|attempt| attempt.ae == ae && attempt.leg.is_none()));
        // Whoever takes over from an AE is dialled at once, since two people are on the line already.
        let mut at_once = false;
        match fits {
            Some(attempt) => {
                attempt.leg = Some(at);
                at_once = attempt.by == By::Ae;
            }
            None => self.watch.blame(format!("ae{ae} is dialled and no attempt was told")),
        }
        let leased = self.watch.leases.iter().any(|held| held.transfer == id && held.ae.as_str() == format!("ae{ae}"));
        self.watch.must(leased || at_once || outside, || format!("ae{ae} is dialled without a lease on record (I7, I9)"));
        let attempts = self.watch.rules.attempts;
        self.watch.must(count <= usize::from(attempts), || format!("attempt {count} of {attempts} (I7)"));
        if !outside {
            self.post(self.watch.rules.ring_max + Duration::from_millis(100), Post::Check(Check::Rung(at)));
        }
    }

    /// Somebody is dialled for a callback: it is claimed, on record, and due.
    fn dials_for_callback(&mut self, at: usize, call: CallId, seen: &Seen<'_>) {
        self.tally.reach(Fault::CallbackRun);
        let phone = self.legs[at].who.phone;
        let is_of_call = |row: &&CallbackView| row.progress.attempts.last().is_some_and(|last| last.call == call);
        let Some(row) = self.disk.callbacks().find(is_of_call) else {
            return self.watch.blame("a callback is carried out that is not on record (I7, I8)".to_owned());
        };
        let (id, state, tries, now) = (row.id, row.state, row.progress.tries, self.now.wall);
        let ours = row.progress.claim.as_ref().is_some_and(|claim| claim.node == "baton-1");
        let due = row.at.0 <= now + Duration::from_secs(1);
        self.watch.must(state == CallbackState::Running && ours, || "a callback is carried out without a claim (I8)".to_owned());
        self.watch.must(due || self.watch_is_set(), || "a callback is carried out before its time (I8)".to_owned());
        self.watch.must(tries <= 3, || format!("try {tries} of a callback"));
        let kept = self.watch.kept.contains(&id);
        self.watch.must(!kept, || "a callback is carried out twice (I8)".to_owned());
        if self.is_caller(phone) {
            let accepted =
                self.legs.iter().any(|leg| leg.call == Some(call) && leg.who.phone != phone && leg.facts.accepts.is_some());
            return self.watch.must(accepted, || "a caller is called back before an AE has accepted (I8)".to_owned());
        }
        let ae = phone - FIRST_AE;
        if let Some(tried) = self.watch.tried.iter_mut().rev().find(|tried| tried.ae == ae && tried.leg.is_none()) {
            tried.leg = Some(at);
        }
        let transfer = seen.transfer.parse::<TransferId>().ok();
        let leased =
            self.watch.leases.iter().any(|held| Some(held.transfer) == transfer && held.ae.as_str() == format!("ae{ae}"));
        self.watch.must(leased, || format!("ae{ae} is dialled for a callback without a lease on record (I9)"));
    }

    fn watch_is_set(&self) -> bool {
        self.watch.out_of_time
    }
}
