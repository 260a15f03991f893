//! An AI sends an INVITE: it places a call through us, or asks for a human in the only way that it knows.

use baton_contract::{CallId, CallOutcome, CommitLevel, Context, LegId, LegRole, Mode, Record};
use baton_media::sdp;
use baton_sip::wire::Header;
use baton_sip::{InviteRequest, SessionId};
use baton_time::Now;
use baton_transfer::{Event, Progress, Target};
use bytes::Bytes;

use crate::Output;
use crate::ask::{Wanted, Wishes};
use crate::beginning::{Outbound, PlacedBy};
use crate::call::{Call, Phase, Referrer};
use crate::capacity::Claim;
use crate::destinations::{Denied, Over, normalised};
use crate::leg::{Agreement, Leg};
use crate::payload::context_from;
use crate::settings::glob;
use crate::switchboard::{Switchboard, Waiting};
use serde::{Deserialize, Serialize};

/// An INVITE that asks for a human: it is answered when there is one, and ended at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Invited {
    /// Whose caller.
    pub(crate) call: CallId,
    offer: Option<Bytes>,
}

impl Switchboard {
    /// An INVITE of an AI outside of any dialog.
    pub(crate) fn on_ai_invite(&mut self, now: Now, session: SessionId, ai: usize, invite: &InviteRequest) {
        if let Some(target) = self.roster.target(&invite.request_uri.to_string()) {
            return match self.correlated(ai, invite) {
                Some(call) => self.transfer_by_invite(now, session, ai, call, target, invite),
                None => self.refuse(now, session, 404, Vec::new()),
            };
        }
        let user = invite.request_uri.user_plain().unwrap_or_default();
        let number = normalised(&invite.request_uri.to_string()).unwrap_or_else(|| user.to_string());
        let name = &self.settings.ais[ai].name;
        let route = self.settings.ai_routes.iter().find(|route| route.ai == *name && glob(&route.to, &number));
        let Some(trunk) = route.and_then(|route| self.settings.trunk_named(&route.trunk)) else {
            return self.refuse(now, session, 404, Vec::new());
        };
        match self.settings.destination(&invite.request_uri.to_string(), Over::Trunk(trunk)) {
            Ok(to) => self.place_for_ai(now, session, ai, to, invite),
            Err(denied) => {
                self.dial_reject("ai", denied);
                let status = if denied == Denied::NotANumber { 404 } else { 403 };
                self.refuse(now, session, status, Vec::new());
            }
        }
    }

    /// The call whose AI this is: by our own header, by the Session-ID that we gave it, or by the caller's number where only one call has it.
    fn correlated(&self, ai: usize, invite: &InviteRequest) -> Option<CallId> {
        let is_its = |call: &&Call| matches!(call.phase, Phase::Active) && call.legs.iter().any(|leg| leg.ai == Some(ai));
        if let Some(id) = invite.message.header("X-Baton-Call") {
            let id = id.trim().parse::<CallId>().ok()?;
            return self.calls.get(&id).filter(is_its).map(|call| call.id);
        }
        if let Some(session) = invite.message.header("Session-ID") {
            let known = |call: &&Call| call.session_id.as_deref().is_some_and(|own| names_session(session, own));
            if let Some(call) = self.calls.values().filter(is_its).find(known) {
                return Some(call.id);
            }
        }
        let from = invite.from.uri.user_plain()?;
        let mut fitting = self.calls.values().filter(is_its).filter(|call| call.human() == from);
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only.id)
    }

    /// The AI asks for a human: as a REFER would.
    fn transfer_by_invite(
        &mut self,
        now: Now,
        session: SessionId,
        ai: usize,
        id: CallId,
        target: Target,
        invite: &InviteRequest,
    ) {
        let running = self.calls.get(&id).and_then(|call| call.transfer.as_ref());
        if running.is_some_and(|running| running.transfer.outcome().is_some()) {
            return self.refuse(now, session, 403, Vec::new());
        }
        let context = match self.settings.ais[ai].trust_context {
            true => context_from(invite.message.all_headers()),
            false => Context::default(),
        };
        self.invited.insert(session, Invited { call: id, offer: invite.sdp.clone() });
        let (reason, wishes) = (context.reason.clone(), Wishes::default());
        let wanted = Wanted { target, mode: Mode::Warm, reason, context: Some(context), briefing: None, wishes };
        self.begin_transfer(now, id, wanted, None, Some(Referrer::Invite { session }));
    }

    /// Tells the AI how its INVITE goes on: it rings while somebody is tried, is answered at the bridge and ended with it.
    pub(crate) fn answer_invited(&mut self, now: Now, session: SessionId, progress: &Progress) {
        match (progress.last, progress.status) {
            (false, status @ 101..=199) => {
                if let Err(fault) = self.agent.ring(now.mono, session, status, None, Vec::new()) {
                    tracing::debug!(%fault, "cannot ring");
                }
            }
            (false, _) => {}
            (true, 200..=299) => self.answer_and_leave(now, session),
            (true, status) => {
                self.invited.remove(&session);
                let outcome = progress.outcome.map(|outcome| Header::new("X-Baton-Outcome", outcome.name()));
                self.refuse(now, session, status, outcome.into_iter().collect());
            }
        }
    }

    fn answer_and_leave(&mut self, now: Now, session: SessionId) {
        let Some(invited) = self.invited.remove(&session) else { return };
        let Some(mut local) = self.take_port() else { return self.refuse_for_now(now, session) };
        local.direction = sdp::Direction::Inactive;
        let can = sdp::Capabilities::default();
        let answer = match &invited.offer {
            Some(offer) => sdp::answer(offer, &local, &can).map(|(answer, _)| answer),
            None => Ok(sdp::offer(&local, &can)),
        };
        self.ports.give_back(local.port);
        let answered = match answer {
            Ok(answer) => self.agent.answer(now.mono, session, answer, Vec::new()),
            Err(fault) => return self.refuse(now, session, fault.status(), Vec::new()),
        };
        let left = answered.and_then(|()| self.agent.hang_up(now.mono, session, None));
        if let Err(fault) = left {
            tracing::debug!(%fault, "cannot answer and leave");
        }
    }

    /// The AI has taken its INVITE back: the transfer is called off. Says whether the session was such an INVITE.
    pub(crate) fn invite_withdrawn(&mut self, now: Now, session: SessionId) -> bool {
        let Some(invited) = self.invited.remove(&session) else { return false };
        if let Some(running) = self.calls.get_mut(&invited.call).and_then(|call| call.transfer.as_mut()) {
            running.referrers.retain(|referrer| !matches!(referrer, Referrer::Invite { session: held } if *held == session));
            if running.transfer.can_be_cancelled() {
                self.tell(now, invited.call, Event::Cancel);
            }
        }
        true
    }

    /// INVITEs that have waited for this call's transfer wait no longer.
    pub(crate) fn forget_invited(&mut self, now: Now, id: CallId) {
        let left: Vec<SessionId> = self.invited.iter().filter(|(_, one)| one.call == id).map(|(session, _)| *session).collect();
        for session in left {
            self.invited.remove(&session);
            self.refuse(now, session, 487, Vec::new());
        }
    }

    /// The AI places a call: its INVITE is the call's AI leg, answered when the callee has answered.
    fn place_for_ai(
        &mut self,
        now: Now,
        session: SessionId,
        ai: usize,
        to: crate::destinations::Destination,
        invite: &InviteRequest,
    ) {
        let trunk = &self.settings.trunks[to.trunk];
        if self.loads[to.trunk].check(now.mono, &trunk.capacity, Claim::Ordinary).is_err() {
            return self.refuse_for_now(now, session);
        }
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
        let from = invite.from.uri.user_plain().and_then(|user| normalised(&user));
        let shown = from.filter(|from| from.chars().any(|sign| sign.is_ascii_digit()));
        let id = self.open_outbound(now, Outbound { by: PlacedBy::Ai, ai, shown }, &to);
        let mut leg = Leg::new(LegId::new(&mut self.ids, now.wall), LegRole::Ai, session, invite.call_id.clone(), local);
        leg.media = media;
        leg.ai = Some(ai);
        self.sessions.insert(session, (id, leg.id));
        let trusts = self.settings.ais[ai].trust_context;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.add_leg(leg);
        if trusts {
            call.context = context_from(invite.message.all_headers());
        }
        let view = call.view(None);
        self.open_media(id, LegRole::Ai, local.port, None);
        let ticket = self.next_ticket();
        self.commits.insert(ticket, Waiting::Placed { call: id, to: Box::new(to), askers: Vec::new() });
        let records = vec![Record::Call(Box::new(view))];
        self.emit(Output::Commit { ticket: Some(ticket), level: CommitLevel::Process, records });
    }

    /// The AI that has placed this call hears that the callee's phone rings.
    pub(crate) fn ring_placing_ai(&mut self, now: Now, id: CallId) {
        let Some(session) = self.placing_ai(id).map(|leg| leg.session) else { return };
        let header = Header::new("X-Baton-Call", id.to_string());
        if let Err(fault) = self.agent.ring(now.mono, session, 180, None, vec![header]) {
            tracing::debug!(%fault, "cannot ring");
        }
    }

    /// The AI that has placed this call is told why it came to nothing.
    pub(crate) fn refuse_placing_ai(&mut self, now: Now, id: CallId, status: u16) {
        let Some((leg, session)) = self.placing_ai(id).map(|leg| (leg.id, leg.session)) else { return };
        self.refuse(now, session, status, Vec::new());
        self.sessions.remove(&session);
        self.leg_ended(id, leg);
    }

    /// The callee has answered the AI that has placed this call.
    pub(crate) fn answer_placing_ai(&mut self, now: Now, id: CallId) {
        let Some(leg) = self.placing_ai(id).map(|leg| leg.id) else { return self.end_call(now, id) };
        let header = Header::new("X-Baton-Call", id.to_string());
        if self.answer_leg(now, id, leg, vec![header]) {
            self.converse(now, id);
        } else {
            self.conclude(id, CallOutcome::Failed, None, "the AI could not be answered");
            self.end_call(now, id);
        }
    }

    fn placing_ai(&self, id: CallId) -> Option<&Leg> {
        let call = self.calls.get(&id).filter(|call| matches!(call.phase, Phase::Placing))?;
        call.ai().filter(|leg| !leg.is_up())
    }
}

/// Whether a Session-ID (RFC 7989), `local;remote=…`, names the session `own`.
fn names_session(header: &str, own: &str) -> bool {
    header.split([';', '=']).map(str::trim).any(|part| !part.is_empty() && part.eq_ignore_ascii_case(own))
}

/// The session that a Session-ID header names, where it has the form of one: 32 hexadecimal digits, not all of them zero.
pub(crate) fn session_named(header: &str) -> Option<String> {
    let own = header.split(';').next()?.trim().to_ascii_lowercase();
    let is_one = own.len() == 32 && own.bytes().all(|byte| byte.is_ascii_hexdigit()) && own.bytes().any(|byte| byte != b'0');
    is_one.then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_in_either_half_of_a_session_id() {
        let own = session_named("AB30317F1A784DC48FF824D0D3715D86;remote=00000000000000000000000000000000");
        let own = own.expect("a session");
        assert_eq!(own, "ab30317f1a784dc48ff824d0d3715d86");
        assert!(names_session("47755a9de7794ba387653f2099600ef2;remote=ab30317f1a784dc48ff824d0d3715d86", &own));
        assert!(names_session("ab30317f1a784dc48ff824d0d3715d86", &own));
        assert!(!names_session("47755a9de7794ba387653f2099600ef2", &own));
        for wrong in ["", "00000000000000000000000000000000", "ab30", "zz30317f1a784dc48ff824d0d3715d86"] {
            assert_eq!(session_named(wrong), None, "{wrong}");
        }
    }
}
