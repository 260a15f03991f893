//! A call looks for its AI: one after another until one answers, at the beginning and when an AI is wanted back.

use std::time::Duration;

use baton_contract::{CallId, CallOutcome, Driver, EventKind, LegId, LegRole, LegState};
use baton_media::{Command, sdp};
use baton_sip::wire::{Header, Uri};
use baton_time::Now;
use baton_transfer::{Event, SceneName};
use serde_json::{Map, json};

use crate::beginning::Beginning;
use crate::call::{Call, Phase};
use crate::identity::escaped_user;
use crate::inbound::Dialling;
use crate::leg::Agreement;
use crate::switchboard::Switchboard;
use serde::{Deserialize, Serialize};

/// Who has answered a call of ours hears nothing for so long while the AI is fetched, and then music: most AIs are there before,
/// and a snatch of music would be odd.
const QUIET: Duration = Duration::from_millis(700);

/// An AI that is wanted back: who else could be asked, and what their INVITE says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Recall {
    left: std::collections::VecDeque<usize>,
    headers: Vec<Header>,
}

impl Switchboard {
    /// Dials the next AI that the route names; where none is left the plan runs.
    pub(crate) fn dial_next_ai(&mut self, now: Now, id: CallId) {
        loop {
            let Some(call) = self.calls.get_mut(&id) else { return };
            let Phase::Connecting(waiting) = &mut call.phase else { return };
            let Some(ai) = waiting.pop_front() else { return self.no_ai_answers(now, id) };
            if self.dial_ai(now, id, ai, Vec::new()).is_some() {
                self.set_ai_alarm(id, now.mono + self.settings.ai_answer_max);
                return;
            }
        }
    }

    /// Dials an AI; none where it cannot be dialled at all.
    pub(crate) fn dial_ai(&mut self, now: Now, id: CallId, place: usize, mut headers: Vec<Header>) -> Option<LegId> {
        let call = self.calls.get(&id)?;
        let ai = self.settings.ais.get(place)?;
        let (way, phone) = self.way_to_ai(place)?;
        let target: Uri = match phone {
            Some(phone) => phone,
            None => ai.uri.replace("{to}", &escaped_user(call.ours())).parse().ok()?,
        };
        let from = self.caller_address(call, None)?;
        headers.insert(0, Header::new("X-Baton-Call", id.to_string()));
        if matches!(call.beginning, Beginning::Outbound(_)) {
            headers.push(Header::new("X-Baton-Direction", "outbound"));
        }
        if let Some(session) = &call.session_id {
            headers.push(Header::new("Session-ID", session.as_str()));
        }
        let dialling = Dialling { target, way, from, headers, credentials: None, trunk: None };
        let leg = self.dial_leg(now, id, LegRole::Ai, None, dialling)?;
        if let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(leg)) {
            leg.ai = Some(place);
        }
        Some(leg)
    }

    /// The AIs that may talk in this call, by their places, in the order in which they are tried.
    pub(crate) fn ais_of(&self, call: &Call) -> Vec<usize> {
        match &call.beginning {
            Beginning::Inbound => self.settings.ai_places_for(&call.to, &call.trunk),
            Beginning::Outbound(outbound) => vec![outbound.ai],
            Beginning::Callback(_) => self.settings.ai_places_for(&call.from, &call.trunk),
        }
    }

    /// An AI has answered: it and the caller talk.
    pub(crate) fn ai_answered(&mut self, now: Now, id: CallId) {
        self.clear_ai_alarm(id);
        let caller = self.calls.get(&id).and_then(Call::caller).map(|leg| (leg.id, leg.is_up()));
        let Some((caller, is_up)) = caller else { return };
        if !is_up {
            self.answer_leg(now, id, caller, Vec::new());
        }
        self.converse(now, id);
    }

    /// Caller and AI are up: they talk.
    pub(crate) fn converse(&mut self, now: Now, id: CallId) {
        self.clear_quiet_alarm(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.phase = Phase::Active;
        call.driver = Driver::Ai;
        call.scene = SceneName::Conversation;
        self.conclude(id, CallOutcome::Completed, None, "answered");
        self.swap_scene(id);
        if let Some(view) = self.calls.get(&id).map(|call| call.view(None)) {
            self.record_call(view);
        }
        let mut data = Map::new();
        data.insert("driver".into(), json!("ai"));
        self.publish(now, EventKind::DriverChanged, Some(id), None, data);
    }

    /// Answers a leg that has called us; says whether that could be done.
    pub(crate) fn answer_leg(&mut self, now: Now, id: CallId, leg: LegId, headers: Vec<Header>) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return false };
        let room = call.room;
        let Some(leg) = call.leg_mut(leg).filter(|leg| leg.is_live()) else { return false };
        let (answer, agreed) = match std::mem::replace(&mut leg.media, Agreement::None) {
            Agreement::Answering(answer, agreed) => {
                leg.media = Agreement::Agreed(agreed.clone());
                (answer, Some(agreed))
            }
            Agreement::None | Agreement::Offered(_) | Agreement::Early(..) | Agreement::Agreed(_) | Agreement::Reoffered(..) => {
                let offer = sdp::offer(&leg.local, &sdp::Capabilities::default());
                leg.media = Agreement::Offered(offer.clone());
                (offer, None)
            }
        };
        leg.state = LegState::Up;
        let (port, session) = (leg.port(), leg.session);
        if let Some(negotiated) = agreed {
            self.media(Command::Connect { room, port, negotiated });
        }
        let answered = self.agent.answer(now.mono, session, answer, headers);
        if let Err(fault) = &answered {
            tracing::warn!(%fault, "cannot answer");
        }
        answered.is_ok()
    }

    /// A caller who was answered before the AI hears ringing.
    pub(crate) fn let_it_ring(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.scene = SceneName::ConsultRingback;
        self.swap_scene(id);
    }

    /// Somebody has answered a call of ours: the AI is fetched.
    pub(crate) fn fetch_ai(&mut self, now: Now, id: CallId) {
        let Some(ais) = self.calls.get(&id).map(|call| self.ais_of(call)) else { return };
        if let Some(call) = self.calls.get_mut(&id) {
            call.phase = Phase::Connecting(ais.into());
        }
        self.set_quiet_alarm(id, now.mono + QUIET);
        self.dial_next_ai(now, id);
    }

    /// The AI is still not there: music.
    pub(crate) fn quiet_for_long(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| matches!(call.phase, Phase::Connecting(_))) else { return };
        call.scene = SceneName::Rescue;
        self.swap_scene(id);
    }

    /// The AI did not answer in time: the next one.
    pub(crate) fn ai_took_too_long(&mut self, now: Now, id: CallId) {
        let leg =
            self.calls.get(&id).filter(|call| matches!(call.phase, Phase::Connecting(_))).and_then(Call::ai).map(|leg| leg.id);
        if let Some(leg) = leg {
            tracing::warn!("the AI does not answer");
            self.end_leg(now, id, leg, None);
            self.dial_next_ai(now, id);
        }
    }

    /// A transfer wants an AI back: a fresh one, which is told what it resumes; the next one where the first refuses.
    pub(crate) fn recall_ai(&mut self, now: Now, id: CallId, headers: Vec<Header>) {
        let Some(ais) = self.calls.get(&id).map(|call| self.ais_of(call)) else { return };
        self.recall_among(now, id, ais, headers);
    }

    /// Looks for an AI among `ais`; the transfer hears [`Event::AiFailed`] where none of them can be had.
    pub(crate) fn recall_among(&mut self, now: Now, id: CallId, ais: Vec<usize>, headers: Vec<Header>) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.recall = Recall { left: ais.into(), headers };
        }
        self.recall_next(now, id);
    }

    /// The AI that was wanted back cannot be had: the next one.
    pub(crate) fn recall_next(&mut self, now: Now, id: CallId) {
        loop {
            let Some(call) = self.calls.get_mut(&id) else { return };
            let Some(ai) = call.recall.left.pop_front() else { return self.tell(now, id, Event::AiFailed) };
            let headers = call.recall.headers.clone();
            if self.dial_ai(now, id, ai, headers).is_some() {
                return;
            }
        }
    }
}
