//! What happens on legs that are there: answers, holds, keys, farewells.

use baton_contract::{CallId, LegId, LegRole, LegState};
use baton_media::Command;
use baton_sip::{Event, Gone, SessionId};
use baton_time::{Mono, Now};
use baton_transfer::{Event as Told, Key, LegEnd, SceneName};
use bytes::Bytes;

use crate::call::Phase;
use crate::ended::EndedCall;
use crate::inbound::answer_again;
use crate::leg::Agreement;
use crate::settings::Sabotage;
use crate::switchboard::{Leaving, Switchboard};

/// A silence of this length after the bridge means that the AE's phone is gone, in milliseconds.
const AE_LOST_MS: u64 = 10_000;

/// A silence of this length makes the caller hear music where the AI should speak, in milliseconds.
const AI_SILENT_MS: u64 = 1_000;

impl Switchboard {
    /// Something that the SIP user agent tells.
    pub(crate) fn on_sip(&mut self, now: Now, event: Event) {
        let span = self.call_of(session_of(&event)).map(|(call, leg)| self.span(call, Some(leg)));
        let _inside = span.as_ref().map(tracing::Span::enter);
        match event {
            Event::Invite { session, source, invite, .. } => self.on_invite(now, session, source, *invite),
            Event::Trying { session } => self.tell_consult(now, session, |leg| Told::Trying { leg }),
            Event::Ringing { session, status, .. } => self.on_ringing(now, session, status),
            Event::Answered { session, sdp, .. } => self.on_answered(now, session, sdp),
            Event::Refused { session, status, phrase, .. } => self.on_refused(now, session, status, &phrase),
            Event::Confirmed { session, sdp } => self.on_sdp_answer(now, session, sdp),
            Event::Offered { session, sdp } => self.on_offer(now, session, sdp),
            Event::OfferAnswered { session, sdp, wants_answer: false } => self.on_sdp_answer(now, session, sdp),
            Event::OfferAnswered { session, sdp, wants_answer: true } => self.on_offer(now, session, sdp),
            Event::OfferRefused { session, .. } => self.forget_offer(session),
            Event::Info { session, content_type, body } => self.on_info(now, session, &content_type, &body),
            Event::Refer { session, refer, refer_to, message, .. } => self.on_refer(now, session, refer, &refer_to, &message),
            Event::Gone { session, why } => self.on_gone(now, session, &why),
            Event::Released { session, status } => self.on_released(now, session, status),
            Event::Stranger { source, reason, .. } => self.on_stranger(source, reason),
            Event::ReferAnswered { .. } | Event::Notified { .. } => {}
        }
    }

    fn on_ringing(&mut self, now: Now, session: SessionId, status: u16) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.leg_mut(leg_id) else { return };
        let first = std::mem::replace(&mut leg.state, LegState::Ringing) == LegState::Trying;
        let role = leg.role;
        match role {
            LegRole::Ae => self.tell(now, id, Told::Ringing { leg: leg_id, status }),
            LegRole::Ai if first && matches!(call.phase, Phase::Connecting(_)) => {
                let Some(caller) = call.caller().map(|leg| leg.session) else { return };
                if let Err(fault) = self.agent.ring(now.mono, caller, 180, None, Vec::new()) {
                    tracing::debug!(%fault, "cannot ring");
                }
            }
            LegRole::Ai | LegRole::Caller => {}
        }
    }

    fn on_answered(&mut self, now: Now, session: SessionId, sdp: Option<Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.legs.iter_mut().find(|leg| leg.id == leg_id) else { return };
        let role = leg.role;
        let agreed = match (&leg.media, &sdp) {
            (Agreement::Offered(offer), Some(answer)) => baton_media::sdp::accept(offer, answer),
            (_, _) => Err(baton_media::sdp::SdpError::NotAnAnswer),
        };
        match agreed {
            Ok(negotiated) => {
                leg.state = LegState::Up;
                leg.media = Agreement::Agreed(negotiated.clone());
                let (room, port) = (call.room, leg.port());
                let connecting = matches!(call.phase, Phase::Connecting(_));
                self.media(Command::Connect { room, port, negotiated });
                match role {
                    LegRole::Ai if connecting => self.ai_answered(now, id),
                    LegRole::Ai => self.ai_is_back(now, id, leg_id),
                    LegRole::Ae => {
                        self.swap_scene(id);
                        self.tell(now, id, Told::Answered { leg: leg_id });
                    }
                    LegRole::Caller => self.swap_scene(id),
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, "the answer cannot be used");
                self.end_leg(now, id, leg_id, Some(baton_sip::Reason::sip(488, "Not acceptable here")));
                self.leg_failed(now, id, leg_id, role, 488, "Not acceptable here");
            }
        }
    }

    fn on_refused(&mut self, now: Now, session: SessionId, status: u16, phrase: &str) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(role) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).map(|leg| leg.role) else { return };
        self.sessions.remove(&session);
        self.leg_ended(id, leg_id);
        self.leg_failed(now, id, leg_id, role, status, phrase);
    }

    /// A leg that was being dialled came to nothing.
    fn leg_failed(&mut self, now: Now, id: CallId, leg: LegId, role: LegRole, status: u16, phrase: &str) {
        let Some(call) = self.calls.get(&id) else { return };
        match role {
            LegRole::Ai if matches!(call.phase, Phase::Connecting(_)) => self.dial_next_ai(now, id),
            LegRole::Ai => self.tell(now, id, Told::AiFailed),
            LegRole::Ae => self.tell(now, id, Told::Refused { leg, status, phrase: phrase.to_owned() }),
            LegRole::Caller => {}
        }
        self.settle(now, id);
    }

    /// The AI that was dialled again has answered.
    fn ai_is_back(&mut self, now: Now, id: CallId, _leg: LegId) {
        self.swap_scene(id);
        self.tell(now, id, Told::AiBack);
    }

    /// The far end has answered an offer of ours.
    fn on_sdp_answer(&mut self, now: Now, session: SessionId, sdp: Option<Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.legs.iter_mut().find(|leg| leg.id == leg_id) else { return };
        let held_before = leg.holds();
        let (Some(answer), Agreement::Offered(offer) | Agreement::Reoffered(_, offer)) = (sdp, &leg.media) else { return };
        match baton_media::sdp::accept(offer, &answer) {
            Ok(negotiated) => {
                leg.media = Agreement::Agreed(negotiated.clone());
                let (role, room, port, holds) = (leg.role, call.room, leg.port(), leg.holds());
                self.media(Command::Connect { room, port, negotiated });
                self.swap_scene(id);
                self.tell_hold(now, id, role, held_before, holds);
            }
            Err(fault) => tracing::warn!(%fault, "the answer cannot be used"),
        }
    }

    /// The AE's hold is music for the caller.
    fn tell_hold(&mut self, now: Now, id: CallId, role: LegRole, before: bool, holds: bool) {
        if role == LegRole::Ae && holds != before {
            self.tell(now, id, if holds { Told::AeHeld } else { Told::AeResumed });
        }
    }

    fn forget_offer(&mut self, session: SessionId) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(leg_id)) else { return };
        if let Agreement::Reoffered(agreed, _) = &leg.media {
            leg.media = Agreement::Agreed(agreed.clone());
        }
    }

    /// A re-INVITE: codec, address or hold may have changed.
    fn on_offer(&mut self, now: Now, session: SessionId, sdp: Option<Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.legs.iter_mut().find(|leg| leg.id == leg_id) else { return };
        let held_before = leg.holds();
        let (answer, connect) = match sdp {
            None => {
                leg.local.version += 1;
                let (media, offer) = match leg.agreed().cloned() {
                    Some(agreed) => {
                        let offer = baton_media::sdp::offer_again(&leg.local, &agreed);
                        (Agreement::Reoffered(agreed, offer.clone()), offer)
                    }
                    None => {
                        let offer = baton_media::sdp::offer(&leg.local, &baton_media::sdp::Capabilities::default());
                        (Agreement::Offered(offer.clone()), offer)
                    }
                };
                leg.media = media;
                (Ok(offer), None)
            }
            Some(offer) => match answer_again(leg, &offer) {
                Ok((answer, negotiated)) => {
                    leg.media = Agreement::Agreed(negotiated.clone());
                    (Ok(answer), Some(negotiated))
                }
                Err(fault) => (Err(fault.status()), None),
            },
        };
        let (role, port, holds, room) = (leg.role, leg.port(), leg.holds(), call.room);
        let sent = match answer {
            Ok(answer) => self.agent.answer_offer(now.mono, session, answer),
            Err(status) => self.agent.refuse_offer(now.mono, session, status),
        };
        if let Err(fault) = sent {
            tracing::debug!(%fault, "cannot answer the offer");
        }
        if let Some(negotiated) = connect {
            self.media(Command::Connect { room, port, negotiated });
            self.swap_scene(id);
        }
        self.tell_hold(now, id, role, held_before, holds);
    }

    fn on_info(&mut self, now: Now, session: SessionId, content_type: &str, body: &[u8]) {
        let Some((id, leg)) = self.call_of(session) else { return };
        if let Some(digit) = info_digit(content_type, body) {
            self.on_digit(now, id, leg, digit, now.mono, KeyBy::Info);
        }
    }

    /// A key was pressed on a leg, told by RFC 4733 or by INFO.
    fn on_digit(&mut self, now: Now, id: CallId, leg_id: LegId, digit: char, at: Mono, by: KeyBy) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.leg_mut(leg_id) else { return };
        if !leg.is_new_press(digit, at) {
            return;
        }
        let role = leg.role;
        if by == KeyBy::Info {
            self.pass_digit(id, role, digit);
        }
        let Ok(key) = Key::try_from(digit) else { return };
        match role {
            LegRole::Caller => self.tell(now, id, Told::CallerKey(key)),
            LegRole::Ae => self.tell(now, id, Told::Key { leg: leg_id, key }),
            LegRole::Ai => {}
        }
    }

    /// A key that came by INFO goes on to whoever hears its leg; RFC 4733 keys pass with the media.
    fn pass_digit(&mut self, id: CallId, from: LegRole, digit: char) {
        let Some(call) = self.calls.get(&id) else { return };
        let to = match (call.scene, from) {
            (SceneName::Conversation | SceneName::ConsultAi, LegRole::Caller) => call.ai(),
            (SceneName::Conversation | SceneName::ConsultAi, LegRole::Ai) | (SceneName::Human, LegRole::Ae) => call.caller(),
            (SceneName::Human, LegRole::Caller) => call.ae(),
            (_, LegRole::Caller | LegRole::Ai | LegRole::Ae) => None,
        };
        if let Some(port) = to.filter(|leg| leg.is_up()).map(crate::leg::Leg::port) {
            let room = call.room;
            self.media(Command::SendDigit { room, port, digit });
        }
    }

    /// The far end has ended a leg, or it was lost.
    fn on_gone(&mut self, now: Now, session: SessionId, why: &Gone) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        self.sessions.remove(&session);
        let Some(role) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).map(|leg| leg.role) else { return };
        tracing::info!(?role, ?why, "leg gone");
        self.leg_ended(id, leg_id);
        match role {
            LegRole::Caller => self.tell(now, id, Told::CallerGone),
            LegRole::Ai => self.ai_gone(now, id),
            LegRole::Ae => {
                let why = match why {
                    Gone::Bye { .. } | Gone::Cancelled { .. } => LegEnd::HungUp,
                    Gone::AckNeverCame | Gone::TimedOut | Gone::TransportFailed => LegEnd::Lost,
                };
                self.tell(now, id, Told::LegGone { leg: leg_id, why });
            }
        }
        self.settle(now, id);
    }

    fn ai_gone(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        if matches!(call.phase, Phase::Connecting(_)) {
            self.dial_next_ai(now, id);
        } else if call.transfer.is_some() {
            self.swap_scene(id);
            self.tell(now, id, Told::AiGone);
        } else {
            self.end_call(now, id);
        }
    }

    /// The far end has agreed to the end of a leg.
    fn on_released(&mut self, now: Now, session: SessionId, status: Option<u16>) {
        let Some(leaving) = self.leaving.remove(&session) else { return };
        match (leaving.role, status) {
            (LegRole::Ai, _) => self.tell(now, leaving.call, Told::AiGone),
            (LegRole::Ae, Some(status)) if status >= 300 => self.evidence(now, leaving, status),
            (LegRole::Ae | LegRole::Caller, _) => {}
        }
        if let Some(transfer) = leaving.transfer.filter(|id| !self.is_awaited(*id)) {
            self.lingering.remove(&transfer);
        }
    }

    /// What the far end finally said to an INVITE that we took back: evidence, even after the transfer is over.
    fn evidence(&mut self, now: Now, leaving: Leaving, status: u16) {
        let event = Told::Refused { leg: leaving.leg, status, phrase: String::new() };
        if leaving.transfer.is_some() && self.running_id(leaving.call) == leaving.transfer {
            return self.tell(now, leaving.call, event);
        }
        let Some(mut transfer) = leaving.transfer.and_then(|id| self.lingering.remove(&id)) else { return };
        transfer.on(now, event, &self.settings.transfer, &mut self.roster);
        while let Some(action) = transfer.poll() {
            if let baton_transfer::Action::Commit { level, records, .. } = action {
                self.emit(crate::Output::Commit { ticket: None, level, records });
            }
        }
        let view = transfer.view();
        match self.calls.get_mut(&leaving.call) {
            Some(call) => call.past.iter_mut().filter(|past| past.id == view.id).for_each(|past| *past = view.clone()),
            None => self.ended.refresh(&view),
        }
        self.lingering.insert(view.id, transfer);
    }

    /// Whether a leg of this transfer is still being ended.
    pub(crate) fn is_awaited(&self, id: baton_contract::TransferId) -> bool {
        self.leaving.values().any(|leaving| leaving.transfer == Some(id))
    }

    fn on_stranger(&mut self, source: std::net::SocketAddr, reason: baton_sip::Rejected) {
        if self.settings.peer(source) == crate::peer::Peer::Stranger {
            self.reject_line(source, reason.name());
        }
    }

    fn tell_consult(&mut self, now: Now, session: SessionId, event: impl FnOnce(LegId) -> Told) {
        let Some((id, leg)) = self.call_of(session) else { return };
        if self.calls.get(&id).and_then(|call| call.leg(leg)).is_some_and(|leg| leg.role == LegRole::Ae) {
            self.tell(now, id, event(leg));
        }
    }

    /// Something that the media threads tell.
    pub(crate) fn on_media(&mut self, now: Now, event: baton_media::Event) {
        use baton_media::Event as Media;
        let span = self.rooms.get(&event.room()).map(|call| self.span(*call, None));
        let _inside = span.as_ref().map(tracing::Span::enter);
        match event {
            Media::Digit { room, port, digit, at } => {
                if let Some((id, leg)) = self.leg_at(room, port) {
                    self.on_digit(now, id, leg, digit, at, KeyBy::Rtp);
                }
            }
            Media::PlayStarted { room, port, play, .. } => self.on_play(now, room, port, play, Played::Started),
            Media::PlayEnded { room, port, play, .. } => self.on_play(now, room, port, play, Played::Ended),
            Media::Switched { room, port, serial, live: true, .. } => self.on_switched(now, room, port, serial),
            Media::Lost { room, port, silent_ms } => self.on_rtp_lost(now, room, port, silent_ms),
            Media::BindFailed { room, port, error } => {
                tracing::error!(room = room.0, port = port.0, %error, "no media port");
            }
            Media::Closed { port, .. } => self.ports.give_back(port.0),
            Media::Switched { live: false, .. } | Media::FirstPacket { .. } | Media::Back { .. } => {}
        }
    }

    fn leg_at(&self, room: baton_media::RoomId, port: baton_media::Port) -> Option<(CallId, LegId)> {
        let call = self.calls.get(self.rooms.get(&room)?)?;
        let leg = call.legs.iter().find(|leg| leg.is_live() && leg.port() == port)?;
        Some((call.id, leg.id))
    }

    fn on_play(&mut self, now: Now, room: baton_media::RoomId, port: baton_media::Port, play: baton_media::PlayId, how: Played) {
        let Some((id, leg)) = self.leg_at(room, port) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let is_this = |speech: &crate::call::Speech| speech.playlist.id == play;
        let say = if call.caller_speech.as_ref().is_some_and(is_this) {
            let say = call.caller_speech.as_ref().map(|speech| speech.say);
            if how == Played::Ended {
                call.caller_speech = None;
            }
            say
        } else if call.ae_speech.as_ref().is_some_and(|(to, speech)| *to == leg && is_this(speech)) {
            let say = call.ae_speech.as_ref().map(|(_, speech)| speech.say);
            if how == Played::Ended {
                call.ae_speech = None;
            }
            say
        } else {
            None
        };
        if let Some(say) = say {
            self.tell(now, id, if how == Played::Ended { Told::SpeechEnded(say) } else { Told::SpeechStarted(say) });
        }
    }

    /// The caller hears a leg: the bridge has taken hold where that is the AE.
    fn on_switched(&mut self, now: Now, room: baton_media::RoomId, port: baton_media::Port, serial: u64) {
        let Some((id, leg)) = self.leg_at(room, port) else { return };
        let Some(call) = self.calls.get(&id) else { return };
        let to_caller = call.caller().is_some_and(|caller| caller.id == leg);
        if to_caller && call.scene == SceneName::Human && serial == call.scene_serial {
            self.tell(now, id, Told::Switched);
        }
    }

    fn on_rtp_lost(&mut self, now: Now, room: baton_media::RoomId, port: baton_media::Port, silent_ms: u64) {
        let Some((id, leg_id)) = self.leg_at(room, port) else { return };
        let Some(leg) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).filter(|leg| leg.is_up() && !leg.holds()) else {
            return;
        };
        match leg.role {
            LegRole::Ae if silent_ms >= AE_LOST_MS => {
                tracing::warn!(leg = %leg_id, silent_ms, "the AE's media is lost");
                self.tell(now, id, Told::LegGone { leg: leg_id, why: LegEnd::Lost });
            }
            LegRole::Ai if silent_ms >= AI_SILENT_MS => self.tell(now, id, Told::AiSilent),
            LegRole::Ae | LegRole::Ai | LegRole::Caller => {}
        }
    }

    /// Ends a leg of ours, in whatever state it is.
    pub(crate) fn end_leg(&mut self, now: Now, id: CallId, leg_id: LegId, reason: Option<baton_sip::Reason>) {
        let Some(leg) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).filter(|leg| leg.is_live()) else { return };
        let (session, role) = (leg.session, leg.role);
        let rings_on = self.settings.sabotage == Some(Sabotage::NoCancel) && role == LegRole::Ae && leg.state != LegState::Up;
        let transfer = self.running_id(id).filter(|_| role == LegRole::Ae);
        self.leaving.insert(session, Leaving { call: id, leg: leg_id, role, transfer });
        let hung_up = if rings_on { Ok(()) } else { self.agent.hang_up(now.mono, session, reason) };
        if let Err(fault) = hung_up {
            tracing::debug!(leg = %leg_id, %fault, "cannot hang up");
            self.leaving.remove(&session);
        }
        self.sessions.remove(&session);
        self.leg_ended(id, leg_id);
    }

    /// A leg is over: its port goes back, and nobody hears it any more.
    pub(crate) fn leg_ended(&mut self, id: CallId, leg_id: LegId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let room = call.room;
        let Some(leg) = call.leg_mut(leg_id).filter(|leg| leg.is_live()) else { return };
        leg.state = LegState::Ended;
        let port = leg.port();
        self.media(Command::Close { room, port });
    }

    /// Ends every leg that is left.
    pub(crate) fn end_call(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.phase = Phase::Ending;
        let live: Vec<LegId> = call.legs.iter().filter(|leg| leg.is_live()).map(|leg| leg.id).collect();
        for leg in live {
            self.end_leg(now, id, leg, None);
        }
        self.settle(now, id);
    }

    pub(crate) fn hang_up_all(&mut self, now: Now) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            self.tell(now, id, Told::Cancel);
            self.end_call(now, id);
        }
    }

    /// Lets go of a call whose last leg has ended, and ends what is left without its caller.
    pub(crate) fn settle(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let caller_up = call.caller().is_some_and(crate::leg::Leg::is_live);
        if call.transfer.is_none() && !caller_up && call.has_live_legs() {
            return self.end_call(now, id);
        }
        if !call.has_live_legs() && call.transfer.is_none() {
            self.bury(now, id);
        }
    }

    fn bury(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.clear_ai_alarm(id);
        self.set_transfer_alarm(now, id);
        self.rooms.remove(&call.room);
        self.media(Command::CloseRoom { room: call.room });
        for view in &call.past {
            self.transfers.remove(&view.id);
        }
        let view = call.view(Some(now.wall));
        tracing::info!("call ended");
        self.record_call(view.clone());
        let mut data = serde_json::Map::new();
        data.insert(
            "duration_ms".into(),
            serde_json::json!(u64::try_from(now.wall.since(call.started).as_millis()).unwrap_or(u64::MAX)),
        );
        self.publish(now, baton_contract::EventKind::CallEnded, Some(id), None, data);
        self.ended.keep(EndedCall { view, transfers: call.past, context: call.context });
    }

    /// Swaps the scene at the media threads for what the call's state says now.
    pub(crate) fn swap_scene(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.scene_serial += 1;
        let (room, scene) = (call.room, call.media_scene());
        self.media(Command::Scene { room, scene });
    }
}

/// The session that an event is about; one that there never is where it is about none.
fn session_of(event: &Event) -> SessionId {
    match event {
        Event::Invite { session, .. }
        | Event::Trying { session }
        | Event::Ringing { session, .. }
        | Event::Answered { session, .. }
        | Event::Refused { session, .. }
        | Event::Confirmed { session, .. }
        | Event::Offered { session, .. }
        | Event::OfferAnswered { session, .. }
        | Event::OfferRefused { session, .. }
        | Event::Info { session, .. }
        | Event::Refer { session, .. }
        | Event::ReferAnswered { session, .. }
        | Event::Notified { session, .. }
        | Event::Gone { session, .. }
        | Event::Released { session, .. } => *session,
        Event::Stranger { .. } => SessionId(u64::MAX),
    }
}

/// How a key was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyBy {
    Rtp,
    Info,
}

/// What became of a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Played {
    Started,
    Ended,
}

/// The key in the body of an INFO: `application/dtmf-relay` (`Signal=1`) or `application/dtmf` (`1`).
fn info_digit(content_type: &str, body: &[u8]) -> Option<char> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = std::str::from_utf8(body).ok()?;
    let signal = match kind.as_str() {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => {
            let mut signs = signal.chars();
            let sign = signs.next()?.to_ascii_uppercase();
            (signs.next().is_none() && matches!(sign, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(sign)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_an_info_are_read_in_both_of_their_forms() {
        for (kind, body, digit) in [
            ("application/dtmf-relay", "Signal=1\r\nDuration=160\r\n", Some('1')),
            ("application/DTMF-Relay; charset=x", "signal = *\nduration=9", Some('*')),
            ("application/dtmf-relay", "Signal=11\r\n", Some('#')),
            ("application/dtmf", "5\r\n", Some('5')),
            ("application/dtmf", "55", None),
            ("application/dtmf-relay", "Duration=1", None),
            ("application/dtmf-relay", "Signal=", None),
            ("text/plain", "1", None),
            ("", "", None),
        ] {
            assert_eq!(info_digit(kind, body.as_bytes()), digit, "{kind} {body:?}");
        }
        assert_eq!(info_digit("application/dtmf", &[0xff]), None);
    }
}
