//! What must have come by a time, because of what was done before it.

use std::time::Duration;

use baton_contract::{CallId, CallbackId, CallbackState, Mode};
use baton_media::{Port, Role, Source};
use baton_time::Mono;

use super::{ALONE_MAX, By, CallTold, Check};
use crate::chance::leg::{Leg, Phase};
use crate::chance::plan::{AI, FIRST_AE};
use crate::chance::run::{Post, Run};
use crate::chance::wire::Talk;

impl Run<'_> {
    /// Looks at something that was to have come by now.
    pub(in crate::chance) fn check(&mut self, check: Check) {
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
            Check::Refused(at) => self.must_have_failed(at),
            Check::Reply(ticket) => {
                let answered = self.is_answered(ticket) || self.watch.store_troubled;
                self.watch.must(answered, || "somebody who asked is not answered".to_owned());
            }
            Check::SentAgain(at) => {
                let facts = &self.legs[at].facts;
                let heard = facts.provisional.is_some() || facts.is_closed() || self.cannot_send();
                let copies = facts.invites;
                self.watch
                    .must(heard || copies >= 3, || format!("an INVITE that nobody answers was sent {copies} times in 1.6 s"));
            }
            Check::Ended(at) => {
                let ended = self.watch.transfers[at].ended.is_some();
                self.watch.must(ended, || "a transfer comes to no end (I14)".to_owned());
            }
            Check::Next(at, place) => self.must_go_on(at, place),
            Check::Alone(at) => self.must_not_be_alone(at),
            Check::Cancelled(at) => self.must_be_called_off(at),
            Check::Picked(at) => {
                let told = &self.watch.transfers[at];
                let settled = told.has_callback || told.ended.is_some() || self.caller_has_gone(at);
                let excused = self.watch.store_troubled;
                self.watch.must(settled || excused, || "a caller picks a slot, and nothing comes of it".to_owned());
            }
            Check::Refreshed(at, timer) => {
                let leg = &self.legs[at];
                let up = leg.phase == Phase::Up && !self.dead[leg.who.phone];
                let holds = !up || leg.facts.refreshed || self.is_lossy();
                self.watch.must(holds, || format!("a session outlives its timer ({timer:?}, RFC 4028)"));
            }
            Check::Due(id) => self.must_be_begun(id),
            Check::Connected(at) => {
                let facts = &self.legs[at].facts;
                let answered = facts.said.is_some_and(|(status, _)| status >= 200) || facts.bye_in.is_some();
                self.watch.must(answered, || "a caller is neither answered nor refused, and no AI is waited for".to_owned());
            }
            Check::Refusal(ticket) => {
                let answered = self.is_answered(ticket);
                self.watch.must(answered, || "the store refuses, and whoever asked is left waiting".to_owned());
            }
            Check::PassedOn(at) => {
                let told = &self.watch.transfers[at];
                let failed = told.attempts.last().is_some_and(|last| last.failed.is_some());
                let over = failed || told.ended.is_some();
                self.watch.must(over, || "a trunk has the caller, and they are still looked after".to_owned());
            }
            Check::Dialled(at, place) => self.must_have_dialled(at, place),
            Check::AiRefused(at) => self.must_do_without_the_ai(at),
            Check::AiLetGo(call, bridged) => self.must_be_without_the_ai(call, bridged),
        }
    }

    /// Whoever an attempt is for is dialled at once.
    fn must_have_dialled(&mut self, at: usize, place: usize) {
        let told = &self.watch.transfers[at];
        let attempt = &told.attempts[place];
        let settled = attempt.leg.is_some() || attempt.failed.is_some() || told.ended.is_some();
        let excused = self.caller_has_gone(at);
        self.watch.must(settled || excused, || "an attempt is told, and nobody is dialled".to_owned());
    }

    /// The AIs that were there before the bridge are gone.
    fn must_be_without_the_ai(&mut self, call: CallId, bridged: Mono) {
        let stays = self.legs.iter().any(|leg| {
            let facts = &leg.facts;
            let was_there = facts.answered.is_some() && facts.invited.is_some_and(|invited| invited < bridged);
            leg.who.phone == AI && leg.call == Some(call) && was_there && !facts.is_closed()
        });
        // One that does not answer gets its BYE when it is given up that it does (RFC 3261 §15).
        let excused = self.dead[AI] || self.is_lossy();
        self.watch.must(!stays || excused, || "the AI stays behind the bridge (I3)".to_owned());
    }

    /// Nobody is looked for in a transfer that was called off. Its caller may be waiting for an AI, or be offered a callback where none
    /// could be had.
    fn must_be_called_off(&mut self, at: usize) {
        let told = &self.watch.transfers[at];
        let (ended, call) = (told.ended.is_some(), told.call);
        let of_call = |leg: &Leg| leg.call == Some(call);
        let waits = |leg: &Leg| leg.who.phone == AI && leg.is_recalled && leg.facts.answered.is_none() && !leg.facts.is_closed();
        let recalls = self.legs.iter().any(|leg| of_call(leg) && waits(leg));
        let without_ai = self.legs.iter().any(|leg| of_call(leg) && leg.is_recalled && leg.facts.is_closed());
        let rung = self.legs.iter().any(|leg| of_call(leg) && leg.who.phone >= FIRST_AE && !leg.facts.is_closed());
        let excused = recalls || (without_ai || self.plan.rules.ports < 8) && !rung;
        self.watch.must(ended || excused || self.caller_has_gone(at), || "a transfer was called off, and goes on".to_owned());
    }

    /// The AI that was called once more has refused: the caller is not left with music for it.
    fn must_do_without_the_ai(&mut self, at: usize) {
        let (call, refused) = (self.legs[at].call, self.legs[at].facts.refused);
        let running = self.watch.transfers.iter().position(|told| Some(told.call) == call && told.ended.is_none());
        let Some(running) = running.filter(|running| !self.caller_has_gone(*running)) else { return };
        let Some(phone) = self.call(call).filter(|call| !call.ended).map(|call| call.phone) else { return };
        let own = |leg: &&Leg| leg.who.phone == phone && leg.call.is_none_or(|id| Some(id) == call);
        let Some(port) = self.legs.iter().find(own).map(|leg| Port(leg.port)) else { return };
        let waits = self.rooms.line(port).is_some_and(|line| line.hears == Source::Music);
        let since = refused.map_or(self.now.mono, |(_, at)| at);
        let dialled = self.legs.iter().any(|leg| leg.facts.invited.is_some_and(|at| at >= since));
        let stays = self.watch.transfers[running].bridged.is_some();
        let excused = self.watch.store_troubled || stays;
        self.watch.must(!waits || dialled || excused, || "an AI has refused, and the caller waits for it".to_owned());
    }

    /// The attempt of a phone that has refused has failed, and in the right words.
    fn must_have_failed(&mut self, at: usize) {
        let refused = self.legs[at].facts.refused;
        let status = refused.map(|(status, _)| status);
        let attempt = self.watch.transfers.iter().flat_map(|told| &told.attempts).find(|attempt| attempt.leg == Some(at));
        if attempt.is_none_or(|attempt| attempt.by == By::Ae) {
            return; // A callback's, or whoever an AE has named: other words are told of them.
        }
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

    /// A callback that is due is carried out.
    fn must_be_begun(&mut self, id: CallbackId) {
        let late = self.disk.callback(id).is_some_and(|row| {
            let due = row.due_at().0 + Duration::from_secs(4) <= self.now.wall;
            row.state == CallbackState::Scheduled && due && row.progress.tries == 0
        });
        let excused = self.watch.store_troubled || self.watch.out_of_time || self.watch.other_node;
        self.watch.must(!late || excused, || "a callback is due, and nobody is dialled (I8)".to_owned());
    }

    /// The caller has gone: who must have been let go?
    fn let_go(&mut self, call: CallId, parted: bool) {
        for at in 0..self.legs.len() {
            let leg = &self.legs[at];
            let facts = &leg.facts;
            // Whoever dies with the ACK of their offer owing, or has not got our answer yet, gets no BYE before that is settled (RFC 3261 §15).
            let owes = (self.dead[leg.who.phone] || self.is_lossy()) && leg.has_offered_anew();
            if leg.call != Some(call) || owes || facts.is_closed() || (facts.provisional.is_none() && facts.answered.is_none()) {
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
        let is_so = |call: &&CallTold| !call.ended && call.driver == "ai";
        let Some(phone) = self.call(Some(call)).filter(is_so).map(|call| call.phone) else { return };
        let own = |leg: &&Leg| leg.who.phone == phone && leg.call.is_none_or(|id| id == call);
        let Some(port) = self.legs.iter().find(own).map(|leg| Port(leg.port)) else { return };
        let heard = self.rooms.line(port).is_none_or(|line| match &line.hears {
            Source::Leg(other) => self.role_of(*other) == Some(Role::Ai),
            Source::Play(_) => true,
            Source::Silence | Source::Music | Source::Mix(_) => !self.legs.iter().any(|leg| {
                leg.who.phone == AI
                    && leg.call == Some(call)
                    && leg.facts.answered.is_some()
                    && !leg.facts.is_closed()
                    && leg.sends_sound()
                    && leg.talk == Talk::Both
                    && !self.dead[AI]
            }),
        });
        self.watch.must(heard, || "the caller is with the AI again and does not hear it".to_owned());
        self.post(ALONE_MAX, Post::Check(Check::Alone(at)));
    }

    /// Nobody hears music for whom nobody is looked for: an AI that is silent for ten seconds has died.
    fn must_not_be_alone(&mut self, at: usize) {
        let call = self.watch.transfers[at].call;
        let runs = self.watch.transfers.iter().any(|told| told.call == call && told.ended.is_none());
        if runs
            || self.caller_has_gone(at)
            || self.watch.transfers.last().is_some_and(|last| last.ended.as_deref() == Some("bridged"))
        {
            return;
        }
        let Some(call) = self.call(Some(call)).filter(|call| !call.ended && call.driver == "ai") else { return };
        let own = |leg: &&Leg| leg.who.phone == call.phone && leg.call.is_none_or(|id| id == call.id);
        let Some(port) = self.legs.iter().find(own).map(|leg| Port(leg.port)) else { return };
        let alone = self.rooms.line(port).is_some_and(|line| line.hears == Source::Music);
        let speaks = |leg: &Leg| leg.who.phone == AI && leg.sends_sound() && !self.dead[AI];
        // An AI that has put its caller on hold owes no packets: that it has died is seen by what it leaves unanswered.
        let holds =
            |leg: &Leg| leg.who.phone == AI && leg.call == Some(call.id) && leg.talk != Talk::Both && !leg.facts.is_closed();
        let alone = alone && !self.legs.iter().any(speaks) && !self.legs.iter().any(holds) && !self.is_lossy();
        self.watch.must(!alone, || "the caller hears music, and nobody is looked for (I1)".to_owned());
    }

    fn must_be_bridged(&mut self, at: usize) {
        let facts = &self.legs[at].facts;
        let told = self.watch.transfers.iter().position(|told| told.attempts.iter().any(|attempt| attempt.leg == Some(at)));
        let Some(told) = told else { return };
        let over = facts.is_closed() || self.caller_has_gone(told) || self.watch.transfers[told].cancel_asked;
        let introduced = self.watch.rules.ways.introduce && self.watch.transfers[told].accepted.is_some();
        let bridged = self.watch.transfers[told].bridged.is_some() || facts.given_up || introduced;
        self.watch.must(over || bridged, || "an AE has accepted and is not bridged".to_owned());
    }

    /// After a failed attempt there is the next one, or an end, or an offer; the first where there is somebody.
    fn must_go_on(&mut self, at: usize, place: usize) {
        let told = &self.watch.transfers[at];
        if told.ended.is_some() || told.attempts.len() > place || self.caller_has_gone(at) || told.cancel_asked {
            return;
        }
        let next = told.attempts.last().map_or(0, |last| last.ae + 1);
        let quiet = matches!(told.mode, Mode::Warm | Mode::Cold)
            && told.attempts.iter().all(|attempt| attempt.ae < self.watch.rules.aes)
            && self.watch.calls.len() == 1
            && self.watch.transfers.len() == 1
            && !self.watch.presence_changed
            && !self.watch.store_troubled;
        let early = self.now.mono.since(told.requested) < Duration::from_secs(40);
        let another =
            place < usize::from(self.watch.rules.attempts) && next < self.watch.rules.aes && self.watch.rules.ports >= 8;
        self.watch.must(!(quiet && early && another), || "there is a backup, and it is not dialled".to_owned());
    }
}
