//! What must hold of the datagrams that come to Baton, and of those that leave it.

use std::time::Duration;

use baton_contract::Mode;
use baton_transfer::{AcceptBy, BriefingBy};
use bytes::Bytes;

use super::{Attempt, By, CONNECTED_MAX, Check, HANG_UP_MAX, NEXT_MAX, PARTING_MAX};
use crate::chance::plan::{AI, FIRST_AE};
use crate::chance::run::{Post, Run};
use crate::chance::tally::Fault;
use crate::chance::wire::Seen;

impl Run<'_> {
    /// A datagram of a phone reaches Baton.
    pub(in crate::chance) fn watch_arrival(&mut self, at: usize, bytes: &Bytes) {
        let Ok(seen) = Seen::read(bytes) else { return };
        let now = self.now.mono;
        let phone = self.legs[at].who.phone;
        if seen.is_request() {
            let known = seen.tag_of_from() == Some(self.legs[at].tag.as_str());
            let counts = known && !matches!(seen.method, "ACK" | "CANCEL");
            let in_turn = counts && self.legs[at].is_heard_in_turn(&seen);
            match seen.method {
                "BYE" if known => self.leaves(at),
                "INVITE" if self.legs[at].is_own_invite(&seen) && self.legs[at].facts.came.is_none() => {
                    self.facts(at).came = Some(now);
                    self.post(CONNECTED_MAX, Post::Check(Check::Connected(at)));
                }
                "REFER" if known && phone == AI => self.speaks_for_the_ae(at),
                "NOTIFY" if seen.body.starts_with("SIP/2.0 2") => self.is_passed_on_now(at),
                // A CANCEL behind our 200 changes nothing (RFC 3261 §9.2).
                "CANCEL" if known && self.legs[at].facts.answered.is_none() => self.leaves(at),
                "ACK" => {
                    let now = self.now.mono;
                    self.facts(at).acked.get_or_insert(now);
                }
                "INFO" if in_turn => {
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
        if !is_first || !self.legs[at].is_dialled() || seen.tag_of_to() == Some("fork") {
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
                } else if phone >= FIRST_AE && !self.is_caller(phone) {
                    if self.watch.rules.accept == AcceptBy::Answer || self.answer_accepts(at) {
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
                    if self.legs[at].is_recalled && !cancelled {
                        self.post(NEXT_MAX, Post::Check(Check::AiRefused(at)));
                    }
                }
            }
            _ => {}
        }
    }

    /// An AI that briefs the AE itself says with another REFER that they take the caller.
    fn speaks_for_the_ae(&mut self, at: usize) {
        if self.watch.rules.ways.briefing != BriefingBy::Ai {
            return;
        }
        let call = self.legs[at].call;
        let told = self.watch.transfers.iter().rev().find(|told| Some(told.call) == call && told.ended.is_none());
        let leg = told.and_then(|told| told.attempts.last()).and_then(|attempt| attempt.leg);
        let now = self.now.mono;
        if let Some(leg) = leg.filter(|leg| self.legs[*leg].facts.answered.is_some()) {
            self.facts(leg).accepts.get_or_insert(now);
        }
    }

    /// The trunk tells that it has the caller.
    fn is_passed_on_now(&mut self, at: usize) {
        self.facts(at).passed_on = true;
        let Some(call) = self.watch.call_of_leg(&self.legs[at]).map(|call| call.id) else { return };
        let waits = |attempt: &Attempt| attempt.leg.is_none() && attempt.failed.is_none() && attempt.by == By::Plan;
        let referred = self.watch.transfers.iter().position(|told| {
            told.call == call && told.mode == Mode::Cold && told.ended.is_none() && told.attempts.last().is_some_and(waits)
        });
        if let Some(place) = referred.filter(|_| !self.is_lossy() && self.legs[at].facts.referred) {
            self.post(NEXT_MAX, Post::Check(Check::PassedOn(place)));
        }
    }

    /// Whether whoever answers here has accepted: nobody is briefed where a caller is passed on.
    fn answer_accepts(&self, at: usize) -> bool {
        let of_leg = |attempt: &Attempt| attempt.leg == Some(at);
        self.watch
            .transfers
            .iter()
            .any(|told| told.attempts.iter().any(|attempt| of_leg(attempt) && (told.mode == Mode::Cold || attempt.by == By::Ae)))
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
        // A BYE that comes before the answer to which it belongs ends nothing yet (RFC 3261 §15: it should not have been sent).
        let is_early = self.legs[at].is_dialled() && self.legs[at].facts.answered.is_none();
        if self.is_caller(phone)
            && !is_early
            && let Some(call) = self.watch.call_of_leg(&self.legs[at])
        {
            call.gone.get_or_insert(now);
            let id = call.id;
            if self.legs[at].facts.referred {
                return; // Their trunk may be done with us, and its last word on its way.
            }
            self.post(HANG_UP_MAX, Post::Check(Check::CallerGone(id)));
            self.post(PARTING_MAX, Post::Check(Check::Parted(id)));
        }
    }

    /// A datagram leaves Baton.
    pub(in crate::chance) fn watch_departure(&mut self, phone: usize, bytes: &Bytes) {
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
                let early =
                    self.is_caller(phone) && !self.legs[at].is_dialled() && facts.acked.is_none() && facts.bye_in.is_none();
                let waited = facts.answered.is_none_or(|at| now.since(at) > Duration::from_secs(31));
                self.watch.must(!early || waited, || "a BYE leaves before the ACK has come (RFC 3261 §15)".to_owned());
                self.facts(at).bye_out.get_or_insert(now);
            }
            ("MESSAGE", Some(at)) => self.text_leaves(at, &seen),
            ("", Some(at)) if seen.cseq_method() == "MESSAGE" => self.text_answered(at, &seen),
            (method, None) if !method.is_empty() => {
                self.watch.blame(format!("{method} for phone {phone} in no dialog of theirs"))
            }
            (_, _) => {}
        }
        if let (100.., "INVITE", Some(at)) = (seen.status, seen.cseq_method(), known) {
            self.facts(at).said = Some((seen.status, now));
        }
        if seen.status == 503 && self.plan.rules.ports < 8 {
            self.tally.reach(Fault::NoPorts);
        }
        if let (200..=299, "INVITE", Some(at)) = (seen.status, seen.cseq_method(), known) {
            self.facts(at).answered.get_or_insert(now);
        }
    }
}
