//! What happens on legs that are there: the events of the user agent, answers and refusals.

use baton_contract::{CallId, LegId, LegRole, LegState};
use baton_media::Command;
use baton_sip::{Event, SessionId};
use baton_time::Now;
use baton_transfer::Event as Told;
use bytes::Bytes;

use crate::call::Phase;
use crate::leg::Agreement;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Something that the SIP user agent tells.
    pub(crate) fn on_sip(&mut self, now: Now, event: Event) {
        let span = self.call_of(session_of(&event)).map(|(call, leg)| self.span(call, Some(leg)));
        let _inside = span.as_ref().map(tracing::Span::enter);
        match event {
            Event::Invite { session, source, invite, .. } => self.on_invite(now, session, source, *invite),
            Event::Trying { session } => self.tell_consult(now, session, |leg| Told::Trying { leg }),
            Event::Ringing { session, status, sdp, .. } => self.on_ringing(now, session, status, sdp.as_ref()),
            Event::Answered { session, sdp, .. } => self.on_answered(now, session, sdp),
            Event::Refused { session, status, phrase, .. } => self.on_refused(now, session, status, &phrase),
            Event::Confirmed { session, sdp } => self.on_sdp_answer(now, session, sdp),
            Event::Offered { session, sdp } => self.on_offer(now, session, sdp),
            Event::OfferAnswered { session, sdp, wants_answer: false } => self.on_sdp_answer(now, session, sdp),
            Event::OfferAnswered { session, sdp, wants_answer: true } => self.on_offer(now, session, sdp),
            Event::OfferRefused { session, .. } => self.forget_offer(session),
            Event::Info { session, content_type, body } => self.on_info(now, session, &content_type, &body),
            Event::Text { session, question, text } => self.on_text(now, session, question, text),
            Event::Refer { session, refer, refer_to, message, .. } => self.on_refer(now, session, refer, &refer_to, &message),
            Event::Gone { session, why } => self.on_gone(now, session, &why),
            Event::Released { session, status } => self.on_released(now, session, status),
            Event::Stranger { source, reason, .. } => self.on_stranger(now, source, reason),
            Event::ReferAnswered { refer, status, .. } => {
                if !self.on_release(now, refer, status, false) {
                    self.on_refer_answered(now, refer, status);
                }
            }
            Event::Notified { refer, status, .. } => {
                if !self.on_release(now, refer, status, true) {
                    self.on_notified(now, refer, status);
                }
            }
            Event::Redirected { session, contacts } => self.on_redirected(now, session, &contacts),
            Event::Registration { registration, state } => self.on_registration(registration, &state),
            Event::Bound { account, bindings } => self.on_bound(now, &account, bindings),
            Event::Pong { ping, hop, status, took, message } => self.on_pong(now, ping, &hop, status, took, message.is_some()),
            Event::Notification { subscription, body } => self.on_notification(now, subscription, &body),
            Event::SubscriptionLost { subscription } => self.on_subscription_lost(now, subscription),
            Event::Options { question, source } => self.on_options(now, question, source),
        }
    }

    fn on_ringing(&mut self, now: Now, session: SessionId, status: u16, sdp: Option<&Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.leg_mut(leg_id) else { return };
        let first = std::mem::replace(&mut leg.state, LegState::Ringing) == LegState::Trying;
        let role = leg.role;
        match role {
            LegRole::Ae => {
                self.tell(now, id, Told::Ringing { leg: leg_id, status });
                if let Some(sdp) = sdp {
                    self.early_media(id, leg_id, sdp);
                }
            }
            LegRole::Ai if first && matches!(call.phase, Phase::Connecting(_)) => {
                let Some(caller) = call.caller().filter(|leg| !leg.is_up()).map(|leg| leg.session) else { return };
                if let Err(fault) = self.agent.ring(now.mono, caller, 180, None, Vec::new()) {
                    tracing::debug!(%fault, "cannot ring");
                }
            }
            LegRole::Caller => {
                self.callback_caller_rings(now, id, leg_id, status);
                self.caller_rings(now, id);
            }
            LegRole::Ai => {}
        }
    }

    fn on_answered(&mut self, now: Now, session: SessionId, sdp: Option<Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.legs.iter_mut().find(|leg| leg.id == leg_id) else { return };
        let role = leg.role;
        let agreed = match (&leg.media, &sdp) {
            (Agreement::Offered(offer) | Agreement::Early(offer, _), Some(answer)) => baton_media::sdp::accept(offer, answer),
            (Agreement::Early(_, agreed) | Agreement::Agreed(agreed), None) => Ok(agreed.clone()),
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
                    LegRole::Caller => self.caller_answered(now, id, leg_id),
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
            LegRole::Ai => self.recall_next(now, id),
            LegRole::Ae => self.tell(now, id, Told::Refused { leg, status, phrase: phrase.to_owned() }),
            LegRole::Caller => self.caller_refused(now, id, leg, status, phrase),
        }
        self.settle(now, id);
    }

    /// The AI that was dialled again has answered.
    fn ai_is_back(&mut self, now: Now, id: CallId, _leg: LegId) {
        self.swap_scene(id);
        self.tell(now, id, Told::AiBack);
    }

    fn on_stranger(&mut self, now: Now, source: std::net::SocketAddr, reason: baton_sip::Rejected) {
        if self.settings.peer(source) == crate::peer::Peer::Stranger {
            self.reject_line(now, source, reason.name());
        }
    }

    fn tell_consult(&mut self, now: Now, session: SessionId, event: impl FnOnce(LegId) -> Told) {
        let Some((id, leg)) = self.call_of(session) else { return };
        self.callback_caller_is_there(now, id, leg);
        if self.calls.get(&id).and_then(|call| call.leg(leg)).is_some_and(|leg| leg.role == LegRole::Ae) {
            self.tell(now, id, event(leg));
        }
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
        | Event::Text { session, .. }
        | Event::Refer { session, .. }
        | Event::ReferAnswered { session, .. }
        | Event::Notified { session, .. }
        | Event::Gone { session, .. }
        | Event::Redirected { session, .. }
        | Event::Released { session, .. } => *session,
        Event::Stranger { .. }
        | Event::Registration { .. }
        | Event::Bound { .. }
        | Event::Pong { .. }
        | Event::Notification { .. }
        | Event::SubscriptionLost { .. }
        | Event::Options { .. } => SessionId(u64::MAX),
    }
}
