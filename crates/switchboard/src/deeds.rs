//! What a transfer wants done, turned into SIP, media and commits.

use std::sync::Arc;

use baton_contract::{CallId, Driver, EventKind, LegId, LegRole, Record, TransferId};
use baton_media::{Clip, Playlist, Then};
use baton_sip::Reason;
use baton_sip::wire::Header;
use baton_time::Now;
use baton_transfer::briefing::Briefing;
use baton_transfer::{Action, AeSpeech, CallbackEvent, Callee, Cause, Event, Fact, Line, SayId, SceneName};

use crate::call::{Asked, Rests, Speech};
use crate::handback::{MOVED, NOBODY_TO_MOVE, NOT_MOVED};
use crate::inbound::Dialling;
use crate::payload::{call_reason, completeness, display_name};
use crate::switchboard::{Switchboard, Waiting};
use crate::{Output, Spoken};

impl Switchboard {
    /// Tells the call's transfer what has happened, and does what it answers.
    pub(crate) fn tell(&mut self, now: Now, id: CallId, event: Event) {
        let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) else {
            return self.tell_callback(now, id, event);
        };
        if let Some(why) = running.transfer.on(now, event, &self.settings.transfer, &mut self.roster) {
            tracing::debug!(why, "ignored");
        }
        self.perform(now, id);
    }

    /// Does everything that the call's transfer wants done.
    pub(crate) fn perform(&mut self, now: Now, id: CallId) {
        while let Some(action) = self.next_action(id) {
            self.act(now, id, action);
        }
        self.follow_driver(now, id);
        let over = self.calls.get(&id).and_then(|call| call.transfer.as_ref()).is_some_and(|running| running.transfer.is_over());
        if over {
            if let Some(running) = self.calls.get_mut(&id).and_then(crate::call::Call::retire_transfer) {
                let transfer = running.transfer.id();
                // Over before its request was on record: whoever asked hears what became of it.
                let is_caller_there =
                    self.calls.get(&id).and_then(crate::call::Call::caller).is_some_and(crate::leg::Leg::is_live);
                for ticket in running.askers.iter().chain(&running.pickers) {
                    let problem = if is_caller_there {
                        baton_contract::Problem::unavailable("the store did not take the request in time; the call goes on")
                    } else {
                        baton_contract::Problem::conflict("the call ended before the transfer could begin")
                    };
                    self.emit(Output::Answer { ticket: *ticket, result: Err(problem) });
                }
                if matches!(running.asked, Asked::Pending(_)) {
                    running.referrers.iter().for_each(|referrer| self.answer_refer(now, *referrer, 503));
                }
                if self.is_awaited(transfer) {
                    self.lingering.insert(transfer, running.transfer);
                }
            }
            self.settle(now, id);
        }
        self.set_transfer_alarm(now, id);
    }

    fn next_action(&mut self, id: CallId) -> Option<Action> {
        self.calls.get_mut(&id)?.transfer.as_mut()?.transfer.poll()
    }

    fn act(&mut self, now: Now, id: CallId, action: Action) {
        match action {
            Action::Commit { fact, level, records } => {
                let Some(transfer) = self.running_id(id) else { return };
                let callback = records.iter().find_map(|record| match record {
                    Record::Callback(callback) => Some(callback.clone()),
                    Record::Journal { .. }
                    | Record::Call(_)
                    | Record::Transfer(_)
                    | Record::Lease(_)
                    | Record::Release { .. }
                    | Record::Claim { .. }
                    | Record::Audit(_)
                    | Record::Outbox(_)
                    | Record::Placed(_)
                    | Record::Forget(_) => None,
                });
                let ticket = self.next_ticket();
                self.commits.insert(ticket, Waiting::Transfer(id, transfer, fact, callback));
                self.emit(Output::Commit { ticket: Some(ticket), level, records });
            }
            Action::Dial { leg, to, .. } => self.dial_human(now, id, leg, &to),
            Action::HangUp { leg, cause } => self.hang_up_ae(now, id, leg, cause),
            Action::Scene(scene) => self.set_scene(now, id, scene),
            Action::SayToCaller { say, lines } => self.say_to_caller(now, id, say, &lines),
            Action::HushCaller => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.caller_speech = None;
                }
                self.swap_scene(id);
            }
            Action::SayToAe { leg, say, speech } => self.say_to_ae(now, id, leg, say, &speech),
            Action::Render(briefing) => {
                let Some(transfer) = self.running_id(id) else { return };
                let ticket = self.next_ticket();
                // What was asked for in the language of somebody else is of no use any more.
                self.renders.retain(|_, asked| *asked != (id, transfer));
                self.renders.insert(ticket, (id, transfer));
                if let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) {
                    running.text = Some(briefing.clone());
                }
                let Briefing { full, short, language } = briefing;
                self.emit(Output::Render { ticket, full, short, language });
            }
            Action::DropAi => self.drop_ai(now, id),
            Action::ReferCaller { to } => self.refer_caller(now, id, &to),
            Action::Record { max, silence_max } => self.take_message(now, id, max, silence_max),
            Action::StopRecording => self.end_message(id),
            Action::RecallAi { resume, purpose, note } => {
                let headers = self.recall_headers(id, resume, purpose, note.as_deref());
                self.recall_ai(now, id, headers);
            }
            Action::ForgetAi => self.drop_ai(now, id),
            Action::Progress(progress) => self.progress(now, id, progress),
            Action::Report(kind, mut data) => {
                let transfer = self.running_id(id);
                let is_last = || data.get("by").is_some_and(|by| by == "ae") && !data.contains_key("next");
                if kind == EventKind::AttemptFailed && is_last() {
                    self.settle_move(now, id, &NOT_MOVED);
                }
                if let Some(call) = self.calls.get(&id).filter(|_| kind == EventKind::TransferRequested) {
                    data.insert("payload_completeness".to_owned(), completeness(&call.context).into());
                }
                self.publish(now, kind, Some(id), transfer, data);
            }
            Action::EndCall => self.end_call(now, id),
            Action::Finished(outcome) => {
                tracing::info!(%outcome, "transfer finished");
            }
        }
    }

    pub(crate) fn running_id(&self, id: CallId) -> Option<TransferId> {
        self.calls.get(&id)?.transfer.as_ref().map(|running| running.transfer.id())
    }

    pub(crate) fn set_scene(&mut self, now: Now, id: CallId, scene: SceneName) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.scene = scene;
        if matches!(scene, SceneName::Human | SceneName::Introduction) {
            call.caller_speech = None;
            // What a human is told who has the caller again is no rest of a briefing.
            let human = call.ae_leg();
            if std::mem::replace(&mut call.human_leg, human) != human {
                call.ae_speech = None;
            }
        }
        self.swap_scene(id);
        if matches!(scene, SceneName::Human | SceneName::AeHolds) {
            self.settle_move_back(now, id);
            self.settle_move_on(now, id);
        } else if scene == SceneName::Conversation {
            self.settle_move(now, id, &MOVED);
        }
        if scene == SceneName::Human {
            self.consider_release(now, id);
        }
    }

    fn dial_human(&mut self, now: Now, id: CallId, leg: LegId, to: &Callee) {
        let dialling = match to {
            Callee::Ae(ae) => self.running_id(id).and_then(|transfer| self.consult_dialling(now, id, ae, transfer)),
            Callee::Outside(to) => self.outside_dialling(id, to),
        };
        let replaces =
            self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()).and_then(|running| running.replaces.take());
        let dialling = dialling.map(|mut to| {
            to.headers.extend(replaces.map(|value| Header::new("Replaces", value)));
            to
        });
        match dialling.and_then(|to| self.dial_leg(now, id, LegRole::Ae, Some(leg), to)) {
            Some(_) => {
                let language = match to {
                    Callee::Ae(ae) => self.roster.find(ae).and_then(|ae| ae.language),
                    Callee::Outside(_) => None,
                };
                if let Some(call) = self.calls.get_mut(&id) {
                    call.consult = Some(leg);
                    call.leg_mut(leg).iter_mut().for_each(|leg| leg.language = language);
                }
                self.tell(now, id, Event::Dialed { leg });
            }
            None => {
                self.tell(now, id, not_dialled(leg));
            }
        }
    }

    /// The INVITE to an AE: From says who and why; a trusted AE also gets the ids and the link to the screen-pop.
    pub(crate) fn consult_dialling(
        &self,
        now: Now,
        id: CallId,
        ae: &baton_contract::AeId,
        transfer: TransferId,
    ) -> Option<Dialling> {
        let line = self.settings.aes.get(ae)?;
        let call = self.calls.get(&id)?;
        let mut headers = Vec::new();
        if line.trusted {
            let expires = now.wall + self.settings.pop_link_ttl;
            let link = format!("<{}>;purpose=info", self.pop_url(transfer, expires));
            headers.push(Header::new("X-Baton-Call", id.to_string()));
            headers.push(Header::new("X-Baton-Transfer", transfer.to_string()));
            headers.push(Header::new("User-to-User", line.uui.value(transfer)));
            headers.push(Header::new("Call-Info", &link));
            headers.extend(call_reason(&call.context).map(|why| Header::new("Call-Info", why)));
        }
        let display = line.trusted.then(|| display_name(&call.context, call.human()));
        let credentials = line.trunk.and_then(|trunk| self.settings.trunks.get(trunk)?.answers());
        let identity = self.consult_identity(call, ae, display)?;
        let (way, target) = self.way_to_ae(ae)?;
        headers.extend(identity.headers);
        Some(Dialling { target, way, from: identity.from, headers, trunk: line.trunk, credentials })
    }

    /// The signed link to a transfer's screen-pop.
    pub(crate) fn pop_url(&self, transfer: TransferId, expires: baton_time::Wall) -> String {
        format!("{}/pop/{transfer}?sig={}", self.settings.public_url.trim_end_matches('/'), self.links.sign(transfer, expires))
    }

    fn hang_up_ae(&mut self, now: Now, id: CallId, leg: LegId, cause: Cause) {
        if matches!(cause, Cause::HandedBack | Cause::MovedOn) {
            self.settle_move(now, id, &MOVED);
        } else if cause == Cause::CallOver {
            self.settle_move(now, id, &NOBODY_TO_MOVE);
        }
        self.end_leg(now, id, leg, Some(reason_of(cause)));
        if let Some(call) = self.calls.get_mut(&id) {
            call.consult = call.consult.filter(|consult| *consult != leg);
            call.ae_speech.take_if(|(to, _)| *to == leg);
        }
        self.settle(now, id);
    }

    fn say_to_caller(&mut self, now: Now, id: CallId, say: SayId, lines: &[Line]) {
        let Some(clips) = self.calls.get(&id).map(|call| self.settings.clips(self.caller_language(call), lines)) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let then = call.after_caller_speech();
        let playlist = Playlist { id: call.next_play(), clips, then };
        let empty = playlist.clips.is_empty();
        call.caller_speech = (!empty).then_some(Speech { say, playlist });
        self.swap_scene(id);
        if empty {
            self.tell(now, id, Event::SpeechEnded(say));
        }
    }

    fn say_to_ae(&mut self, now: Now, id: CallId, leg: LegId, say: SayId, speech: &AeSpeech) {
        let Some(call) = self.calls.get(&id) else { return };
        let spoken = call.transfer.as_ref().and_then(|running| running.spoken.clone());
        let language = self.leg_language(call, leg);
        let in_words = |lines: &[Line]| self.settings.clips(language, lines);
        let clips: Vec<Arc<Clip>> = match speech {
            AeSpeech::Briefing(lines) => spoken.map(|spoken| spoken.full).into_iter().chain(in_words(lines)).collect(),
            AeSpeech::Short(lines) => spoken.map(|spoken| spoken.short).into_iter().chain(in_words(lines)).collect(),
            AeSpeech::Lines(lines) => in_words(lines),
        };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let playlist = Playlist { id: call.next_play(), clips, then: Then::Silence };
        let empty = playlist.clips.is_empty();
        call.ae_speech = (!empty).then_some((leg, Speech { say, playlist }));
        self.swap_scene(id);
        if empty {
            self.tell(now, id, Event::SpeechEnded(say));
        }
    }

    fn drop_ai(&mut self, now: Now, id: CallId) {
        let Some(leg) = self.calls.get(&id).and_then(|call| call.ai()).map(|leg| leg.id) else { return };
        self.end_leg(now, id, leg, None);
        self.settle(now, id);
    }

    /// Follows the transfer's driver.
    fn follow_driver(&mut self, _now: Now, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(running) = &call.transfer {
            call.driver = running.transfer.driver();
        } else if call.driver == Driver::Paused && call.rests == Rests::No {
            call.driver = Driver::Ai;
        }
    }

    /// The store has answered.
    pub(crate) fn on_committed(&mut self, now: Now, ticket: u64, written: bool) {
        match self.commits.remove(&ticket) {
            Some(Waiting::Transfer(id, transfer, fact, callback)) => {
                let _span = self.span(id, None).entered();
                if let Some(callback) = callback.filter(|_| written) {
                    let promised = callback.id;
                    self.show(*callback);
                    self.take_up(now, promised);
                }
                if self.running_id(id) == Some(transfer) {
                    self.keep_promise(now, id, fact, written);
                    self.tell(now, id, if written { Event::Committed(fact) } else { Event::CommitRefused(fact) });
                    self.answer_pickers(id, fact, written);
                }
            }
            Some(Waiting::Placed { call, to, askers }) => {
                let _span = self.span(call, None).entered();
                self.placed_call_committed(now, call, *to, askers, written);
            }
            Some(Waiting::Run { callback, number }) => {
                let event = if written { CallbackEvent::Committed(number) } else { CallbackEvent::CommitRefused(number) };
                self.tell_run(now, callback, event);
            }
            Some(Waiting::Callback { asker, callback, is_new }) => {
                self.callback_committed(now, asker, *callback, is_new, written)
            }
            None => {}
        }
    }

    /// Whoever asked for the transfer hears of it once it is on disk.
    fn keep_promise(&mut self, now: Now, id: CallId, fact: Fact, written: bool) {
        if !matches!(fact, Fact::Attempt(1) | Fact::Requested) {
            return;
        }
        let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) else { return };
        let Asked::Pending(told) = std::mem::replace(&mut running.asked, Asked::Promised) else { return };
        let askers = std::mem::take(&mut running.askers);
        let (view, referrers) = (running.view(), running.referrers.clone());
        let refused = || baton_contract::Problem::unavailable("the store does not take promises right now; the call goes on");
        for ticket in askers.into_iter().filter(|_| !baton_time::bug!(87)) {
            let result = if written { Ok(baton_contract::Reply::Transfer(Box::new(view.clone()))) } else { Err(refused()) };
            self.emit(Output::Answer { ticket, result });
        }
        for referrer in referrers {
            self.answer_refer(now, referrer, if written { 202 } else { 503 });
            told.iter().filter(|_| written).for_each(|progress| self.notify(now, referrer, progress));
        }
    }

    /// A briefing was rendered, or could not be.
    pub(crate) fn on_rendered(&mut self, now: Now, ticket: u64, spoken: Option<Spoken>) {
        if self.rendered_for_run(now, ticket, spoken.as_ref()) {
            return;
        }
        let Some((id, transfer)) = self.renders.remove(&ticket) else { return };
        if self.running_id(id) != Some(transfer) {
            return;
        }
        let _span = self.span(id, None).entered();
        let event = match &spoken {
            Some(spoken) => Event::BriefingReady { full: spoken.full.duration(), short: spoken.short.duration() },
            None => Event::BriefingFailed,
        };
        if let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) {
            running.spoken = spoken;
        }
        self.tell(now, id, event);
        self.say_unsaid(id);
    }
}

/// Nobody can be dialled for this leg.
fn not_dialled(leg: LegId) -> Event {
    Event::Refused { leg, status: 503, phrase: "No port, no address or no room for another call".to_owned() }
}

/// The Reason header (RFC 3326) of an AE leg's end.
pub(crate) fn reason_of(cause: Cause) -> Reason {
    let status = match cause {
        Cause::NoAnswer | Cause::Unreachable | Cause::NotAccepted | Cause::BudgetExceeded | Cause::Lost => 480,
        Cause::Declined | Cause::Later => 603,
        Cause::CallerGone | Cause::Cancelled => 487,
        Cause::CallOver | Cause::HandedBack | Cause::MovedOn => 200,
    };
    Reason::sip(status, cause.words())
}
