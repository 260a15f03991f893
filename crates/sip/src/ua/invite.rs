//! INVITE as callee: a call that comes in, and its CANCEL.

use baton_time::Mono;

use super::door::Request;
use super::prack::Reliable;
use super::print::MAX_FORWARDS;
use super::session::{Called, Session, Stage};
use super::tables::{Reply, Served};
use super::{Accepting, Event, Gone, InviteRequest, Rejected, SessionId, UserAgent, sources};
use crate::random::token;
use crate::transaction::{Server, ServerInvite, ServerKey, ServerMachine};
use crate::wire::{Header, Name, Uri};

impl UserAgent {
    /// A new INVITE outside of all dialogs.
    pub(crate) fn on_invite(&mut self, now: Mono, key: ServerKey, request: Request) {
        let Some(contact) = request.message.contact().map(|contact| contact.uri().owned()) else {
            let reply = Reply { phrase: Some("Bad Request: Contact is missing".to_owned()), ..Reply::new(400) };
            return self.reject(now, key, &request, reply, Rejected::Malformed);
        };
        if !request.has_readable_body() {
            let reply = Reply::new(415).with(Header::new("Accept", "application/sdp"));
            return self.reject(now, key, &request, reply, Rejected::ContentType);
        }
        let replaces = match self.replaced(&request) {
            Ok(session) => session,
            Err(status) => return self.reject(now, key, &request, Reply::new(status), Rejected::UnknownDialog),
        };
        if let Accepting::No { retry_after } = self.accepting {
            return self.reject(now, key, &request, Reply::retry_after(retry_after), Rejected::Draining);
        }
        let has_all = self.shares.of(request.source).sessions >= self.settings.limits.source_sessions;
        if has_all || self.sessions.len() >= self.settings.limits.sessions {
            let reply = Reply::retry_after(self.settings.limits.retry_after);
            let reason = if has_all { Rejected::SourceFull } else { Rejected::Full };
            return self.reject(now, key, &request, reply, reason);
        }
        if let Some(reply) = self.interval_too_small(&request) {
            return self.reject(now, key, &request, reply, Rejected::ShortInterval);
        }
        self.respond(now, key, &request, Reply::new(100));
        let (id, tag) = self.new_session();
        if let Some((_, served)) = self.transactions.server(key) {
            served.session = Some(id);
        }
        let dialog = request.dialog(&token(tag), &contact);
        let invite = request.invite(contact, replaces);
        let (source, transport) = (request.peer(), request.way.transport);
        let mut session = Box::new(Session::new(id, request.call_id().to_owned(), tag, None));
        session.caller = Some(self.shares.open_session(sources::source(request.source)));
        session.far.learn(&request.message);
        let reliable = Box::new(Reliable::new(&request, self.random.draw()));
        session.stage = Stage::Called(Called { key, request, dialog, reliable });
        self.put(now, session);
        self.tell(Event::Invite { session: id, source, transport, invite: Box::new(invite) });
    }

    /// RFC 3261 §9.2: the CANCEL gets its own answer; the INVITE gets 487 unless it was answered already.
    pub(crate) fn on_cancel(&mut self, now: Mono, key: ServerKey, request: &Request) {
        let invite = request.invite_key;
        let Some((_, served)) = self.transactions.server(invite) else {
            return self.reject(now, key, request, Reply::new(481), Rejected::StrayCancel);
        };
        let session = served.session;
        // The tag is that of the answers to the INVITE: to some callers it is the one that counts from here on.
        let tag = session.and_then(|id| self.sessions.get(&id)).map(|session| token(session.tag));
        self.respond(now, key, request, Reply { tag, ..Reply::new(200) });
        let Some(mut session) = session.and_then(|id| self.sessions.remove(&id)) else { return };
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Called(called) if called.key == invite => {
                self.respond(now, called.key, &called.request, Reply::new(487).tag(&token(session.tag)));
                let reason = request.header(Name::Reason);
                self.tell(Event::Gone { session: session.id, why: Gone::Cancelled { reason } });
            }
            // Too late: the 2xx is on its way.
            other @ (Stage::Called(_) | Stage::Dialing(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other
            }
        }
        self.put(now, session);
    }

    /// Opens the transaction of a request that has come for the first time.
    pub(crate) fn serve(&mut self, now: Mono, key: ServerKey, request: &Request, merging: Option<u128>) {
        let timing = self.settings.timing;
        let machine = match request.method() {
            "INVITE" => ServerMachine::Invite(ServerInvite::new(timing)),
            _ => ServerMachine::Other(Server::new(now, timing)),
        };
        let source = Some(self.shares.open_transaction(sources::source(request.source)));
        self.transactions.add_server(key, machine, Served { session: None, merging, source });
        if let Some(name) = merging {
            self.merging.insert(name, key);
        }
    }
}

impl Request {
    fn invite(&self, contact: Uri, replaces: Option<SessionId>) -> InviteRequest {
        InviteRequest {
            request_uri: self.uri().owned(),
            from: self.message.from().owned(),
            to: self.message.to().owned(),
            contact: Some(contact),
            call_id: self.call_id().to_owned(),
            sdp: self.sdp(),
            replaces,
            max_forwards: self.message.max_forwards().unwrap_or(MAX_FORWARDS),
            message: self.message.clone(),
        }
    }
}
