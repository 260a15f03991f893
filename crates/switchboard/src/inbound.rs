//! A call comes in: the caller's INVITE, the AI that takes it, and the answer.

use std::collections::VecDeque;
use std::net::SocketAddr;

use baton_contract::{CallId, Driver, EventKind, LegId, LegRole, LegState};
use baton_media::{Command, Role, Sources, sdp};
use baton_sip::wire::{Header, NameAddr, Uri};
use baton_sip::{Dial, Hop, InviteRequest, SessionId, Transport};
use baton_time::Now;
use baton_transfer::SceneName;
use bytes::Bytes;
use serde_json::{Map, json};

use crate::beginning::Beginning;
use crate::call::{Call, Phase};
use crate::identity::escaped_user;
use crate::leg::{Agreement, Leg};
use crate::outbound::Opening;
use crate::payload::printable;
use crate::peer::Peer;
use crate::switchboard::{RETRY_AFTER, Switchboard, UNKNOWN_PEER};

impl Switchboard {
    /// An INVITE outside of any dialog.
    pub(crate) fn on_invite(&mut self, now: Now, session: SessionId, source: SocketAddr, invite: InviteRequest) {
        let peer = self.settings.peer(source);
        if peer != Peer::Stranger && self.is_our_own_consult(&invite) {
            return self.refuse(now, session, 482, Vec::new());
        }
        let trunk = match peer {
            Peer::Trunk(trunk) => trunk,
            Peer::Ai(_) | Peer::Ae(_) => return self.refuse(now, session, 404, Vec::new()),
            Peer::Stranger => {
                self.unknown_peers += 1;
                self.reject_line(source, UNKNOWN_PEER);
                return self.refuse(now, session, 403, Vec::new());
            }
        };
        let user = dialled_user(&invite);
        let trunk_name = self.settings.trunks[trunk].name.clone();
        let ais: VecDeque<usize> = self.settings.ai_places_for(&user, &trunk_name).into();
        if ais.is_empty() {
            return self.refuse(now, session, 404, Vec::new());
        }
        self.take_call(now, session, &invite, trunk_name, user, ais);
    }

    /// Whether an AE's phone was forwarded to a number of ours, so that our consult comes back to us.
    fn is_our_own_consult(&self, invite: &InviteRequest) -> bool {
        let call = invite.message.header("X-Baton-Call").and_then(|id| id.parse::<CallId>().ok());
        call.is_some_and(|id| self.calls.contains_key(&id))
    }

    fn take_call(
        &mut self,
        now: Now,
        session: SessionId,
        invite: &InviteRequest,
        trunk: String,
        user: String,
        ais: VecDeque<usize>,
    ) {
        let Some(local) = self.take_port() else { return self.refuse_for_now(now, session) };
        let media = match &invite.sdp {
            None => Agreement::None,
            Some(offer) => match sdp::answer(offer, &local, &sdp::Capabilities::default()) {
                Ok((answer, negotiated)) => Agreement::Answering(answer, negotiated),
                Err(fault) => {
                    self.ports.give_back(local.port);
                    return self.refuse(now, session, fault.status(), Vec::new());
                }
            },
        };
        let from = printable(&invite.from.uri.user_plain().unwrap_or("anonymous".into()), 128);
        let place = self.settings.trunk_named(&trunk);
        let opening = Opening { from, to: user, trunk, beginning: Beginning::Inbound, phase: Phase::Connecting(ais) };
        let id = self.open_call(now, opening);
        let mut caller = Leg::new(LegId::new(&mut self.ids, now.wall), LegRole::Caller, session, invite.call_id.clone(), local);
        caller.media = media;
        caller.trunk = place;
        self.sessions.insert(session, (id, caller.id));
        if let Some(call) = self.calls.get_mut(&id) {
            call.add_leg(caller);
        }
        self.open_media(id, LegRole::Caller, local.port, place);
        self.dial_next_ai(now, id);
    }

    /// Takes a free port for a leg.
    pub(crate) fn take_port(&mut self) -> Option<sdp::Local> {
        let port = self.ports.take()?;
        Some(sdp::Local {
            address: self.settings.media_address,
            port,
            session_id: self.ids.bits() >> 2,
            version: 1,
            direction: sdp::Direction::SendRecv,
        })
    }

    /// Tells the media threads of a leg, over which trunk it goes; it sends nothing before it is connected.
    pub(crate) fn open_media(&mut self, call: CallId, role: LegRole, port: u16, trunk: Option<usize>) {
        let Some(room) = self.calls.get(&call).map(|call| call.room) else { return };
        let trunk = trunk.and_then(|place| self.settings.trunks.get(place));
        let sources = trunk.map_or(Sources::Symmetric, |trunk| trunk.rtp);
        let role = match role {
            LegRole::Caller => Role::Caller,
            LegRole::Ai => Role::Ai,
            LegRole::Ae => Role::Ae,
        };
        let seed = self.ids.bits();
        self.media(Command::Open { room, port: baton_media::Port(port), role, sources, seed });
    }

    /// Dials the next AI that the route names; the caller is refused where none is left.
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
    pub(crate) fn dial_ai(&mut self, now: Now, id: CallId, ai: usize, mut headers: Vec<Header>) -> Option<LegId> {
        let call = self.calls.get(&id)?;
        let ai = self.settings.ais.get(ai)?;
        let target: Uri = ai.uri.replace("{to}", &escaped_user(&call.to)).parse().ok()?;
        let route = Hop { transport: Transport::Udp, addr: ai.address };
        let from = self.caller_address(call, None)?;
        headers.insert(0, Header::new("X-Baton-Call", id.to_string()));
        self.dial_leg(now, id, LegRole::Ai, None, Dialling { target, route, from, headers, credentials: None, trunk: None })
    }

    /// Takes a port, makes the offer and sends the INVITE of a new leg.
    pub(crate) fn dial_leg(&mut self, now: Now, id: CallId, role: LegRole, leg: Option<LegId>, to: Dialling) -> Option<LegId> {
        let local = self.take_port()?;
        let offer = sdp::offer(&local, &self.capabilities(id));
        let dial = Dial {
            target: to.target,
            route: to.route,
            from: to.from,
            to: None,
            headers: to.headers,
            sdp: Some(offer.clone()),
            credentials: to.credentials,
            max_forwards: None,
        };
        let session = match self.agent.dial(now.mono, dial) {
            Ok(session) => session,
            Err(fault) => {
                tracing::warn!(%fault, "cannot dial");
                self.ports.give_back(local.port);
                return None;
            }
        };
        let leg_id = leg.unwrap_or_else(|| LegId::new(&mut self.ids, now.wall));
        let sip_call_id = self.agent.call_id(session).unwrap_or_default().to_owned();
        let mut leg = Leg::new(leg_id, role, session, sip_call_id, local);
        leg.media = Agreement::Offered(offer);
        leg.trunk = to.trunk;
        self.sessions.insert(session, (id, leg_id));
        self.calls.get_mut(&id)?.add_leg(leg);
        self.open_media(id, role, local.port, to.trunk);
        Some(leg_id)
    }

    /// The caller's codec first, so that nothing is transcoded without need.
    fn capabilities(&self, id: CallId) -> sdp::Capabilities {
        let mut can = sdp::Capabilities::default();
        let caller = self.calls.get(&id).and_then(Call::caller);
        let codec = caller.and_then(|leg| match &leg.media {
            Agreement::Answering(_, agreed) | Agreement::Agreed(agreed) | Agreement::Reoffered(agreed, _) => Some(agreed.codec),
            Agreement::None | Agreement::Offered(_) => None,
        });
        if let Some(codec) = codec {
            can.codecs.sort_by_key(|one| *one != codec);
        }
        can
    }

    /// Who calls, as the next leg is told.
    pub(crate) fn caller_address(&self, call: &Call, display: Option<String>) -> Option<NameAddr> {
        let uri: Uri = format!("sip:{}@{}", escaped_user(&call.from), self.settings.domain).parse().ok()?;
        Some(NameAddr::new(display.as_deref(), uri))
    }

    /// The AI has answered the caller's call.
    pub(crate) fn ai_answered(&mut self, now: Now, id: CallId) {
        self.clear_ai_alarm(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(caller) = call.legs.iter_mut().find(|leg| leg.role == LegRole::Caller) else { return };
        let (session, room) = (caller.session, call.room);
        let (answer, agreed) = match std::mem::replace(&mut caller.media, Agreement::None) {
            Agreement::Answering(answer, agreed) => {
                caller.media = Agreement::Agreed(agreed.clone());
                (answer, Some(agreed))
            }
            Agreement::None | Agreement::Offered(_) | Agreement::Agreed(_) | Agreement::Reoffered(..) => {
                let offer = sdp::offer(&caller.local, &sdp::Capabilities::default());
                caller.media = Agreement::Offered(offer.clone());
                (offer, None)
            }
        };
        caller.state = LegState::Up;
        let port = caller.port();
        call.phase = Phase::Active;
        call.driver = Driver::Ai;
        call.scene = SceneName::Conversation;
        if let Some(negotiated) = agreed {
            self.media(Command::Connect { room, port, negotiated });
        }
        self.swap_scene(id);
        if let Err(fault) = self.agent.answer(now.mono, session, answer, Vec::new()) {
            tracing::warn!(%fault, "cannot answer the caller");
        }
        if let Some(view) = self.calls.get(&id).map(|call| call.view(None)) {
            self.record_call(view);
        }
        let mut data = Map::new();
        data.insert("driver".into(), json!("ai"));
        self.publish(now, EventKind::DriverChanged, Some(id), None, data);
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

    fn no_ai_answers(&mut self, now: Now, id: CallId) {
        let Some(session) = self.calls.get(&id).and_then(Call::caller).map(|leg| leg.session) else { return };
        tracing::warn!("no AI answers");
        self.refuse_for_now(now, session);
        if let Some((call, leg)) = self.call_of(session) {
            self.leg_ended(call, leg);
        }
        self.settle(now, id);
    }

    /// 503 with Retry-After.
    pub(crate) fn refuse_for_now(&mut self, now: Now, session: SessionId) {
        let seconds = RETRY_AFTER.as_secs().to_string();
        self.refuse(now, session, 503, vec![Header::new("Retry-After", &seconds)]);
    }

    pub(crate) fn refuse(&mut self, now: Now, session: SessionId, status: u16, headers: Vec<Header>) {
        if let Err(fault) = self.agent.refuse(now.mono, session, status, None, headers) {
            tracing::debug!(%fault, status, "cannot refuse");
        }
    }

    /// The line that fail2ban reads; its form never changes.
    pub(crate) fn reject_line(&self, source: SocketAddr, reason: &str) {
        tracing::warn!("sip-reject src={} reason={reason}", source.ip());
    }
}

/// What is needed to send the INVITE of a new leg.
pub(crate) struct Dialling {
    pub(crate) target: Uri,
    pub(crate) route: Hop,
    pub(crate) from: NameAddr,
    pub(crate) headers: Vec<Header>,
    pub(crate) credentials: Option<baton_sip::digest::Credentials>,
    /// The trunk that carries the leg, by its place in the settings.
    pub(crate) trunk: Option<usize>,
}

/// Whom the caller dialled: the user of the Request-URI, or of To where it has none.
fn dialled_user(invite: &InviteRequest) -> String {
    let user = invite.request_uri.user_plain().or_else(|| invite.to.uri.user_plain());
    printable(&user.unwrap_or_default(), 128)
}

/// The answer to an offer in the middle of a call, with what was agreed.
pub(crate) fn answer_again(leg: &mut Leg, offer: &Bytes) -> Result<(Bytes, baton_media::Negotiated), sdp::SdpError> {
    leg.local.version += 1;
    sdp::answer(offer, &leg.local, &sdp::Capabilities::default())
}
