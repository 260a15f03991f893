//! A call comes in: the caller's INVITE, the AI that takes it, and the answer.

use std::collections::VecDeque;
use std::net::SocketAddr;

use baton_contract::{CallId, LegId, LegRole};
use baton_media::{Command, Role, Sources, sdp};
use baton_sip::digest::Verdict;
use baton_sip::wire::{Header, NameAddr, Uri};
use baton_sip::{Dial, InviteRequest, OptionsAnswer, QuestionId, SessionId};
use baton_time::Now;
use bytes::Bytes;

use crate::attested::{attested, caller_of};
use crate::beginning::Beginning;
use crate::call::Phase;
use crate::capacity::{Claim, Full};
use crate::invited::session_named;
use crate::leg::{Agreement, Leg};
use crate::outbound::Opening;
use crate::payload::printable;
use crate::peer::Peer;
use crate::reach::Way;
use crate::settings::{AnswerCaller, Strangers};
use crate::switchboard::{RETRY_AFTER, Switchboard, UNKNOWN_PEER};

/// The reason in the log and in the metric where a password is wrong.
const WRONG_PASSWORD: &str = "wrong_password";

impl Switchboard {
    /// An INVITE outside of any dialog.
    pub(crate) fn on_invite(&mut self, now: Now, session: SessionId, source: SocketAddr, invite: InviteRequest) {
        let Some(peer) = self.proved_peer(now, session, source, &invite) else { return };
        if matches!(peer, Peer::Trunk(_) | Peer::Ae(_)) && self.is_our_own_consult(&invite) {
            return self.refuse(now, session, 482, Vec::new());
        }
        if let (Some(old), Peer::Ae(_) | Peer::Trunk(_)) = (invite.replaces, &peer) {
            return self.replace_ae(now, session, old, &invite);
        }
        let trunk = match peer {
            Peer::Trunk(trunk) => trunk,
            Peer::Ai(ai) => return self.on_ai_invite(now, session, ai, &invite),
            Peer::Ae(_) => return self.refuse(now, session, 404, Vec::new()),
            Peer::Stranger => {
                self.unknown_peers += 1;
                self.reject_line(now, source, UNKNOWN_PEER);
                return self.refuse(now, session, 403, Vec::new());
            }
        };
        let user = self.dialled_over(trunk, &invite);
        let trunk_name = self.settings.trunks[trunk].name.clone();
        let ais: VecDeque<usize> = self.settings.ai_places_for(&user, &trunk_name).into();
        if ais.is_empty() {
            return self.refuse(now, session, 404, Vec::new());
        }
        if let Err(full) = self.claim(now, trunk, Claim::Ordinary) {
            tracing::warn!(trunk = trunk_name, reason = full.name(), "trunk is full");
            return self.refuse_for_now(now, session);
        }
        if let Some(id) = self.take_call(now, session, &invite, trunk, user, ais) {
            self.greet(now, id);
        } else {
            self.loads[trunk].release();
        }
    }

    /// Who calls. A trunk whose calls must be proved is asked for the password, and so is everybody where a trunk is known by that alone; none: the
    /// call has been refused.
    fn proved_peer(&mut self, now: Now, session: SessionId, source: SocketAddr, invite: &InviteRequest) -> Option<Peer> {
        let peer = self.peer(source);
        let wanted: Vec<(usize, String)> = match &peer {
            Peer::Trunk(place) => {
                let account = self.settings.trunks.get(*place)?.caller_account.clone();
                account.map(|account| (*place, account)).into_iter().collect()
            }
            Peer::Stranger => {
                let anywhere = self.settings.trunks.iter().enumerate().filter(|(_, trunk)| trunk.sources.is_empty());
                anywhere.filter_map(|(place, trunk)| Some((place, trunk.caller_account.clone()?))).collect()
            }
            Peer::Ai(_) | Peer::Ae(_) => Vec::new(),
        };
        if wanted.is_empty() {
            return Some(peer);
        }
        let verdict = self.agent.verify(now.mono, invite);
        let proved = match &verdict {
            Verdict::Proved(user) => wanted.iter().find(|(_, account)| account == user).map(|(place, _)| Peer::Trunk(*place)),
            Verdict::Missing | Verdict::Stale => {
                let accounts = wanted.iter().map(|(_, account)| account.as_str());
                if let Err(fault) = self.agent.challenge(now.mono, session, accounts, &verdict) {
                    tracing::debug!(%fault, "cannot ask for a password");
                }
                return None;
            }
            Verdict::Wrong => None,
        };
        if proved.is_none() {
            self.unknown_peers += 1;
            self.reject_line(now, source, WRONG_PASSWORD);
            self.refuse(now, session, 403, Vec::new());
        }
        proved
    }

    /// The number that was dialled, in full. A trunk that we register with calls the user of our Contact; whom it means stands in To then.
    fn dialled_over(&self, trunk: usize, invite: &InviteRequest) -> String {
        let trunk = &self.settings.trunks[trunk];
        let own = trunk.registration.as_ref().map(|registering| registering.user.as_str());
        let user = dialled_user(invite);
        let user = match invite.to.uri.user_plain() {
            Some(to) if own == Some(user.as_str()) => printable(&to, 128),
            Some(_) | None => user,
        };
        trunk.numbers.full(&user)
    }

    /// Somebody asks whether we are there.
    pub(crate) fn on_options(&mut self, now: Now, question: QuestionId, source: SocketAddr) {
        let answer = match (self.peer(source), self.settings.strangers) {
            (Peer::Ai(_) | Peer::Ae(_) | Peer::Trunk(_), _) | (Peer::Stranger, Strangers::Answered) => OptionsAnswer::Abilities,
            // Whoever is on this machine may watch over us.
            (Peer::Stranger, _) if source.ip().is_loopback() => OptionsAnswer::Abilities,
            (Peer::Stranger, Strangers::Refused) => OptionsAnswer::Forbidden,
            (Peer::Stranger, Strangers::Silence) => OptionsAnswer::Silence,
        };
        self.agent.answer_options(now.mono, question, answer);
    }

    /// Whether an AE's phone was forwarded to a number of ours, so that our consult comes back to us.
    fn is_our_own_consult(&self, invite: &InviteRequest) -> bool {
        let call = invite.message.header("X-Baton-Call").and_then(|id| id.parse::<CallId>().ok());
        call.is_some_and(|id| self.calls.contains_key(&id))
    }

    /// The caller's leg and their call; none where the INVITE had to be refused.
    fn take_call(
        &mut self,
        now: Now,
        session: SessionId,
        invite: &InviteRequest,
        trunk: usize,
        user: String,
        ais: VecDeque<usize>,
    ) -> Option<CallId> {
        let Some(local) = self.take_port() else {
            self.refuse_for_now(now, session);
            return None;
        };
        let media = match &invite.sdp {
            None => Agreement::None,
            Some(offer) => match sdp::answer(offer, &local, &sdp::Capabilities::default()) {
                Ok((answer, negotiated)) => Agreement::Answering(answer, negotiated),
                Err(fault) => {
                    self.ports.give_back(local.port);
                    self.refuse(now, session, fault.status(), Vec::new());
                    return None;
                }
            },
        };
        let opening = Opening {
            id: None,
            from: self.settings.trunks[trunk].numbers.full(&printable(&caller_of(invite), 128)),
            to: user,
            trunk: self.settings.trunks[trunk].name.clone(),
            beginning: Beginning::Inbound,
            phase: Phase::Connecting(ais),
        };
        let id = self.open_call(now, opening);
        let mut caller = Leg::new(LegId::new(&mut self.ids, now.wall), LegRole::Caller, session, invite.call_id.clone(), local);
        caller.media = media;
        caller.trunk = Some(trunk);
        self.sessions.insert(session, (id, caller.id));
        if let Some(call) = self.calls.get_mut(&id) {
            call.session_id = invite.message.header("Session-ID").and_then(session_named);
            call.context.merge(attested(invite));
            call.add_leg(caller);
        }
        self.open_media(id, LegRole::Caller, local.port, Some(trunk));
        Some(id)
    }

    /// The caller is answered at once where their route says so; an AI is looked for.
    fn greet(&mut self, now: Now, id: CallId) {
        let _span = self.span(id, None).entered();
        let Some(call) = self.calls.get(&id) else { return };
        let at_once = self.settings.route_for(&call.to, &call.trunk).is_some_and(|route| route.answer == AnswerCaller::Immediate);
        let caller = call.caller().map(|leg| leg.id).filter(|_| at_once);
        if let Some(caller) = caller
            && self.answer_leg(now, id, caller, Vec::new())
        {
            self.let_it_ring(id);
        }
        self.dial_next_ai(now, id);
    }

    /// Takes a channel of a trunk.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn claim(&mut self, now: Now, trunk: usize, claim: Claim) -> Result<(), Full> {
        let (Some(load), Some(trunk)) = (self.loads.get_mut(trunk), self.settings.trunks.get(trunk)) else { return Ok(()) };
        load.claim(now.mono, &trunk.capacity, claim)
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
        self.open_media_from(call, role, port, trunk, None);
    }

    /// The same for a stream that is made from `seed`, where there is one already.
    pub(crate) fn open_media_from(&mut self, call: CallId, role: LegRole, port: u16, trunk: Option<usize>, seed: Option<u64>) {
        let seed = seed.unwrap_or_else(|| self.ids.bits());
        let Some(call) = self.calls.get_mut(&call) else { return };
        call.seeds.insert(port, seed);
        let room = call.room;
        let trunk = trunk.and_then(|place| self.settings.trunks.get(place));
        let sources = trunk.map_or(Sources::Symmetric, |trunk| trunk.rtp);
        let role = match role {
            LegRole::Caller => Role::Caller,
            LegRole::Ai => Role::Ai,
            LegRole::Ae => Role::Ae,
        };
        self.media(Command::Open { room, port: baton_media::Port(port), role, sources, seed });
    }

    /// Takes a port, makes the offer and sends the INVITE of a new leg.
    pub(crate) fn dial_leg(&mut self, now: Now, id: CallId, role: LegRole, leg: Option<LegId>, to: Dialling) -> Option<LegId> {
        let trunk = to.trunk;
        if let Some(trunk) = trunk
            && let Err(full) = self.claim(now, trunk, self.claim_of(id, role))
        {
            tracing::warn!(?role, reason = full.name(), "trunk is full");
            return None;
        }
        let dialled = self.invite_leg(now, id, role, leg, to);
        if let Some(load) = trunk.filter(|_| dialled.is_none()).and_then(|trunk| self.loads.get_mut(trunk)) {
            load.release();
        }
        dialled
    }

    /// The reserve is for whoever brings a human: everybody but the callee of a call that we place for an AI.
    fn claim_of(&self, id: CallId, role: LegRole) -> Claim {
        let is_outbound = self.calls.get(&id).is_some_and(|call| matches!(call.beginning, Beginning::Outbound(_)));
        match role {
            LegRole::Caller if is_outbound => Claim::Ordinary,
            LegRole::Caller | LegRole::Ai | LegRole::Ae => Claim::Reserved,
        }
    }

    fn invite_leg(&mut self, now: Now, id: CallId, role: LegRole, leg: Option<LegId>, to: Dialling) -> Option<LegId> {
        let local = self.take_port()?;
        let offer = sdp::offer(&local, &self.capabilities(id));
        let dial = Dial {
            target: to.target,
            route: to.way.route,
            flow: to.way.flow,
            others: to.way.others,
            beside: to.way.beside,
            routes: to.way.routes,
            redirects: to.way.redirects,
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

    /// The codec of whoever was here first, the caller's where there is one, so that nothing is transcoded without need.
    fn capabilities(&self, id: CallId) -> sdp::Capabilities {
        let mut can = sdp::Capabilities::default();
        let first = self.calls.get(&id).and_then(|call| call.caller().or(call.ai()));
        let codec = first.and_then(|leg| match &leg.media {
            Agreement::Answering(_, agreed) | Agreement::Agreed(agreed) | Agreement::Reoffered(agreed, _) => Some(agreed.codec),
            Agreement::None | Agreement::Offered(_) | Agreement::Early(..) => None,
        });
        if let Some(codec) = codec {
            can.codecs.sort_by_key(|one| *one != codec);
        }
        can
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

    /// The line that fail2ban reads; its form never changes. Never about anybody who is configured: it bans.
    pub(crate) fn reject_line(&mut self, now: Now, source: SocketAddr, reason: &str) {
        if self.complaints.may_name(now.mono, source.ip()) {
            tracing::warn!("sip-reject src={} reason={reason}", source.ip());
        }
    }
}

/// What is needed to send the INVITE of a new leg.
pub(crate) struct Dialling {
    pub(crate) target: Uri,
    pub(crate) way: Way,
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
