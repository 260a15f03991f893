//! INVITE as caller: placing a call, its answers, and taking it back.

use baton_time::Mono;
use bytes::Bytes;

use super::door::Response;
use super::prack::Reliability;
use super::print::{self, Outgoing};
use super::session::{Cancel, Dialing, Exchange, Fork, LaterPhones, OurInvite, OwnerDecides, Refusal, Session, Stage, Up};
use super::tables::{AskAgain, Purpose};
use super::{Dial, Event, Redirects, SessionId, UserAgent, VerbError};
use crate::dialog::{Dialog, Place, Side};
use crate::random::token;
use crate::transaction::{ClientKey, ClientMachine};
use crate::transport::{Hop, ServerName, Transport, Wanted};
use crate::wire::{Header, Uri, UriRef};

/// The type of a session description.
pub(crate) const SDP: &str = "application/sdp";

impl UserAgent {
    /// Places a call. What follows are Trying, Ringing and Answered or Refused.
    ///
    /// # Errors
    /// When nothing listens on the transport, or a table is full.
    pub fn dial(&mut self, now: Mono, dial: Dial) -> Result<SessionId, VerbError> {
        self.datagrams_only.forget(now);
        self.shunned.forget(now);
        let (route, others) = self.ranked(dial.route, dial.others);
        let hop = hop(&dial.target, route)?;
        let local_addr = self.listen_towards(&hop).ok_or(VerbError::NoTransport)?.addr;
        if self.sessions.len() >= self.settings.limits.sessions || self.transactions.is_full() {
            return Err(VerbError::Full);
        }
        self.sources.befriend(now, hop.addr);
        let (id, tag) = self.new_session();
        let call_id = format!("{}{}", self.random.token(), self.random.token());
        let target = dial.target.to_string();
        let to = dial.to.map_or_else(|| format!("<{target}>"), |to| to.to_string());
        let mut half = Dialog {
            side: Side::Caller,
            call_id: call_id.clone(),
            local_tag: token(tag),
            remote_tag: String::new(),
            local: format!("{};tag={}", dial.from, token(tag)),
            remote: to,
            local_seq: 0,
            remote_seq: None,
            remote_target: target,
            route_set: dial.routes,
            hop,
            connection: dial.flow,
            local_addr,
            place: Place::AsSaid,
            remote_session: None,
        };
        // Who is sent to elsewhere than their URI says is there for as long as the call lasts.
        if half.hop_of(&dial.target).is_some_and(|said| said.addr != half.hop.addr) {
            half.place = Place::AsKnown;
        }
        let mut session = Box::new(Session::new(id, call_id, tag, dial.credentials));
        session.described = dial.sdp.clone();
        session.redirects = self.settings.redirects;
        if let Redirects::Asked(times) = dial.redirects {
            (session.redirects, session.elsewhere.owner_decides) = (times, OwnerDecides::When3xx);
        }
        session.elsewhere.others = if dial.beside.is_empty() { others } else { Vec::new() };
        let (at_once, later): (Vec<_>, Vec<_>) = dial.beside.into_iter().partition(|phone| phone.round == 0);
        let mut headers = dial.headers;
        if let Some(hops) = dial.max_forwards {
            headers.push(Header::new("Max-Forwards", hops.to_string()));
        }
        let mut ask = AskAgain::new(headers, dial.sdp.map(|sdp| (SDP.to_owned(), sdp)));
        ask.timer = self.timer_wish();
        session.elsewhere.later = LaterPhones::of(later, &ask);
        let beside = self.halves_beside(now, &half, at_once);
        let asks = vec![ask.clone(); beside.len()];
        let mut dialing = Dialing::new(self.send_first_invite(now, &mut session, half, ask), false);
        for (half, ask) in beside.into_iter().zip(asks) {
            dialing.beside.push(self.send_first_invite(now, &mut session, half, ask));
        }
        session.stage = Stage::Dialing(dialing);
        self.put(now, session);
        Ok(id)
    }

    pub(crate) fn send_first_invite(&mut self, now: Mono, session: &mut Session, mut half: Dialog, ask: AskAgain) -> ClientKey {
        self.watch_server(now, session, &ask);
        let seq = half.next_seq();
        let request = self.request(&half, "INVITE", seq, &ask.all_headers(), ask.body.as_ref());
        let key = request.key;
        let (offered, authorization) = (ask.body.is_some(), ask.authorization.clone());
        self.begin(now, request, session.id, Purpose::Invite, Some(Box::new(ask)));
        // There is one in nearly every session, and it lives as long: a vector would make room for four.
        session.invites.reserve_exact(1);
        session.invites.push(OurInvite { key, seq, offered, authorization, acks: Vec::new(), dialog: half, ending: Cancel::No });
        key
    }

    /// An answer to the INVITE that began the session.
    pub(crate) fn invite_answered(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ClientKey,
        again: Option<Box<AskAgain>>,
        response: Response,
    ) {
        if self.server_answered(now, session, key, &response) {
            return;
        }
        match response.status {
            100..=199 => self.invite_provisional(now, session, key, response),
            200..=299 => self.invite_accepted(now, session, key, response),
            _ => self.invite_refused(now, session, key, again, response),
        }
    }

    fn invite_provisional(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: Response) {
        let Stage::Dialing(dialing) = &mut session.stage else { return };
        let first = !std::mem::replace(&mut dialing.heard, true);
        if let Cancel::Held(reason) = &dialing.ending {
            let reason = reason.clone();
            dialing.ending = Cancel::Sent;
            session.abandon_at = Some(now + self.settings.timing.patience());
            self.send_cancel(now, session.id, key, reason.as_deref());
            return;
        }
        if dialing.is_cancelled() {
            return;
        }
        if first {
            self.tell(Event::Trying { session: session.id });
        }
        if response.status == 100 {
            return;
        }
        session.far.learn(&response.message);
        if let Some(tag) = response.to_tag() {
            let half = session.invites.iter().find(|invite| invite.key == key).map(|invite| &invite.dialog);
            let known = dialing.early.iter().position(|early| early.dialog.remote_tag == tag);
            match (known, half) {
                // RFC 6228: this branch of a fork rings no longer.
                (Some(at), _) if response.status == 199 => {
                    dialing.early.remove(at);
                }
                (None, Some(half)) if response.status != 199 && dialing.early.len() < self.settings.limits.forks => {
                    dialing.early.push(Fork { dialog: response.dialog(half), rseq: None, agreed: false });
                }
                (Some(_) | None, _) => {}
            }
        }
        if self.acknowledge_provisional(now, session, &response) == Reliability::Again {
            return;
        }
        if response.status != 199 {
            self.tell(Event::Ringing {
                session: session.id,
                status: response.status,
                sdp: response.sdp(),
                message: response.message,
            });
        }
    }

    /// RFC 3261 §13.2.2.4: the first 2xx makes the session; those of other branches get an ACK and a BYE; each repetition gets its ACK again.
    fn invite_accepted(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: Response) {
        let Some(invite) = session.invites.iter().find(|invite| invite.key == key) else { return };
        let tag = response.to_tag().unwrap_or_default().to_owned();
        if let Some((_, ack)) = invite.acks.iter().find(|(known, _)| *known == tag) {
            if let Some(ack) = ack.clone() {
                self.send("ACK", 0, ack);
            }
            return;
        }
        if invite.acks.len() >= self.settings.limits.forks {
            return;
        }
        let mut dialog = response.dialog(&invite.dialog);
        if let Stage::Dialing(dialing) = &session.stage
            && let Some(early) = dialing.early.iter().find(|early| early.dialog.remote_tag == tag)
        {
            // What was asked within the early dialog counts on in the same row.
            (dialog.local_seq, dialog.remote_seq) = (early.dialog.local_seq, early.dialog.remote_seq);
        }
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Dialing(dialing @ Dialing { ending: Cancel::No, .. }) => {
                let byed = self.let_others_go(now, session, key, dialing);
                self.first_accepted(now, session, key, dialog, response);
                if byed.contains(&tag) {
                    self.end_by_far_side(now, session, None);
                }
            }
            // The answer has crossed our CANCEL: acknowledged and ended at once, and never shown.
            Stage::Dialing(Dialing { ending, .. }) => {
                session.abandon_at = None;
                let reason = if let Cancel::Held(reason) = ending { reason } else { None };
                self.acknowledge(session, key, &dialog, None);
                self.send_bye(now, session, dialog, reason, false);
                self.tell(Event::Released { session: session.id, status: Some(response.status) });
            }
            other @ (Stage::Called(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                self.acknowledge(session, key, &dialog, None);
                self.send_stray_bye(now, session.id, dialog);
            }
        }
    }

    fn first_accepted(&mut self, now: Mono, session: &mut Session, key: ClientKey, dialog: Dialog, response: Response) {
        let sdp = response.sdp();
        session.far.learn(&response.message);
        self.timer_agreed(now, session, &response.message);
        let offered = session.invites.iter().any(|invite| invite.key == key && invite.offered);
        let wants_answer = !offered && sdp.is_some();
        if wants_answer {
            Self::acknowledge_later(session, key, &dialog);
            session.exchange = Exchange::AnswerDue { key };
        } else {
            self.acknowledge(session, key, &dialog, None);
        }
        let contact = response.contact().map(UriRef::owned);
        session.stage = Stage::Up(Up::new(dialog));
        self.tell(Event::Answered { session: session.id, sdp, contact, wants_answer, message: response.message });
    }

    fn invite_refused(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ClientKey,
        again: Option<Box<AskAgain>>,
        response: Response,
    ) {
        let Stage::Dialing(dialing) = &session.stage else { return };
        if dialing.is_cancelled() {
            session.stage = Stage::Over;
            session.abandon_at = None;
            self.tell(Event::Released { session: session.id, status: Some(response.status) });
            return;
        }
        let half = session.invites.iter().find(|invite| invite.key == key).map(|invite| invite.dialog.clone());
        if let Some(mut half) = half {
            let next = match response.status {
                300..=399 if self.ask_owner(session, &again, &half, &response) => return,
                503 if self.next_server(now, session) => return,
                300..=399 => self.elsewhere(session, again, &mut half, &response),
                _ => self.once_more(session, again, "INVITE", &response),
            };
            if let Some(ask) = next {
                let next = self.send_first_invite(now, session, half, ask);
                match &mut session.stage {
                    Stage::Dialing(dialing) if !dialing.beside.is_empty() || dialing.refusal.is_some() => {
                        dialing.instead(key, next)
                    }
                    stage @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over) => {
                        *stage = Stage::Dialing(Dialing::new(next, true));
                    }
                }
                return;
            }
        }
        let refusal = Refusal { status: response.status, message: Some(response.message) };
        self.phone_refused(now, session, key, refusal);
    }

    /// The INVITE again, to where a 3xx leads, if it may be followed.
    fn elsewhere(
        &self,
        session: &mut Session,
        again: Option<Box<AskAgain>>,
        half: &mut Dialog,
        response: &Response,
    ) -> Option<AskAgain> {
        let left = session.redirects.checked_sub(1)?;
        let ask = *again?;
        response.message.contacts().iter().any(|contact| self.points_to(half, &contact.uri)).then(|| {
            session.redirects = left;
            ask
        })
    }

    /// Points the next INVITE to where a 3xx leads; false if it leads nowhere that we can reach, or back.
    fn points_to(&self, half: &mut Dialog, contact: &Uri) -> bool {
        let target = contact.without_headers();
        if !contact.is_sip() || target.to_string() == half.remote_target {
            return false;
        }
        let Some(hop) = half.hop_of(&target).filter(|hop| self.listen_towards(hop).is_some()) else { return false };
        half.remote_target = target.to_string();
        half.hop = hop;
        true
    }

    /// Nobody has answered the INVITE that began the session, or it could not be sent.
    pub(crate) fn invite_unanswered(&mut self, now: Mono, session: &mut Session, key: ClientKey, status: u16) {
        let Stage::Dialing(dialing) = &session.stage else { return };
        // Somebody who was given up before, or lost, does not matter any more.
        if !dialing.runs(key) || self.next_server(now, session) {
            return;
        }
        let Stage::Dialing(Dialing { ending: Cancel::No, .. }) = &session.stage else {
            session.stage = Stage::Over;
            session.abandon_at = None;
            self.tell(Event::Released { session: session.id, status: None });
            return;
        };
        self.phone_refused(now, session, key, Refusal { status, message: None });
    }

    /// RFC 3261 §9.1: 32 s after a CANCEL the INVITE is taken for cancelled, whatever the far side says.
    pub(crate) fn never_cancelled(&mut self, session: &mut Session) {
        if let Stage::Dialing(_) = session.stage {
            session.stage = Stage::Over;
            self.tell(Event::Released { session: session.id, status: None });
        }
    }

    /// Takes our INVITE back; the CANCEL waits for a provisional answer if there is none yet (RFC 3261 §9.1).
    pub(crate) fn cancel(&mut self, now: Mono, session: &mut Session, reason: Option<String>) {
        let Stage::Dialing(dialing) = &mut session.stage else { return };
        let (key, beside) = (dialing.key, std::mem::take(&mut dialing.beside));
        for key in beside {
            self.take_back(now, session, key, reason.clone());
        }
        let Stage::Dialing(dialing) = &mut session.stage else { return };
        if self.may_cancel(key) {
            dialing.ending = Cancel::Sent;
            session.abandon_at = Some(now + self.settings.timing.patience());
            self.send_cancel(now, session.id, key, reason.as_deref());
        } else {
            dialing.ending = Cancel::Held(reason);
        }
    }

    /// RFC 3261 §9.1: only what was answered provisionally, and not finally, may be cancelled.
    pub(crate) fn may_cancel(&mut self, key: ClientKey) -> bool {
        match self.transactions.client(key) {
            Some((ClientMachine::Invite(machine), _)) => machine.is_proceeding(),
            Some((ClientMachine::Other(_), _)) | None => false,
        }
    }

    pub(crate) fn send_cancel(&mut self, now: Mono, session: SessionId, key: ClientKey, reason: Option<&str>) {
        let Some((ClientMachine::Invite(machine), _)) = self.transactions.client(key) else { return };
        let Some(transmit) = machine.request().and_then(|invite| print::cancel(invite, reason)) else { return };
        let key = ClientKey { is_cancel: true, ..key };
        self.begin(now, Outgoing { key, transmit, plain: None }, session, Purpose::Cancel, None);
    }

    /// Sends the ACK of a 2xx and keeps it for the repetitions of that 2xx.
    pub(crate) fn acknowledge(&mut self, session: &mut Session, key: ClientKey, dialog: &Dialog, sdp: Option<Bytes>) {
        let Some(invite) = session.invites.iter_mut().find(|invite| invite.key == key) else { return };
        let body = sdp.map(|sdp| (SDP.to_owned(), sdp));
        let ack = self.request(dialog, "ACK", invite.seq, &invite.authorization, body.as_ref()).transmit;
        invite.acks.retain(|(tag, _)| *tag != dialog.remote_tag);
        invite.acks.reserve_exact(1);
        invite.acks.push((dialog.remote_tag.clone(), Some(ack.clone())));
        self.send("ACK", 0, ack);
    }

    /// Keeps quiet about a 2xx that has brought an offer, until there is an answer for its ACK.
    pub(crate) fn acknowledge_later(session: &mut Session, key: ClientKey, dialog: &Dialog) {
        if let Some(invite) = session.invites.iter_mut().find(|invite| invite.key == key) {
            invite.acks.push((dialog.remote_tag.clone(), None));
        }
    }
}

/// Where a call goes first. RFC 3263 §4.1: a transport that the URI names is the one that is taken; RFC 5922 §4: who is called under TLS must
/// be who the URI names.
pub(crate) fn hop(target: &Uri, route: Hop) -> Result<Hop, VerbError> {
    let transport = match Transport::of_uri(target) {
        Wanted::Any => route.transport,
        Wanted::Only(Transport::Ws) if route.transport == Transport::Wss => Transport::Wss,
        Wanted::Only(transport) => transport,
        Wanted::Unknown => return Err(VerbError::NoTransport),
    };
    let host = || target.host().map(|host| ServerName::new(&host.to_string()));
    let server = route.server.or_else(host).filter(|_| transport.is_secure());
    Ok(Hop { transport, addr: route.addr, server })
}
