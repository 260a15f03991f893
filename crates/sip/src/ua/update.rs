//! UPDATE both ways (RFC 3311): an offer, or only a sign of life, without an INVITE.

use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use super::dial::SDP;
use super::door::{Request, Response};
use super::event::whole_seconds;
use super::prack::Media;
use super::session::{Change, Exchange, Later, Session, Stage, Up};
use super::tables::{AskAgain, Reply};
use super::{Event, Rejected, SessionId, UserAgent, VerbError};
use crate::dialog::Dialog;
use crate::transaction::{ClientKey, ServerKey};
use crate::wire::Header;

/// Why an offer cannot be looked at now (RFC 3311 §5.2).
enum Conflict {
    /// It meets one of ours: 491.
    Meets,
    /// One of theirs has not been answered yet: 500, and when to try again.
    Follows,
}

impl UserAgent {
    /// Sends an offer by UPDATE, or by re-INVITE where the far side takes no UPDATE. OfferAnswered or OfferRefused follow.
    ///
    /// # Errors
    /// When the session is not up, or another offer waits for its answer.
    pub fn update(&mut self, now: Mono, session: SessionId, sdp: Bytes) -> Result<(), VerbError> {
        self.change(now, session, Some(sdp), Change::Update)
    }

    /// Queues an offer of ours and sends it if nothing is in its way.
    pub(crate) fn change(&mut self, now: Mono, session: SessionId, sdp: Option<Bytes>, by: Change) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let is_free = matches!(session.exchange, Exchange::None);
        let result = match &mut session.stage {
            Stage::Up(Up { later: later @ None, .. }) if is_free => {
                *later = Some(Later { at: None, sdp, by });
                self.offer_if_free(now, &mut session);
                Ok(())
            }
            Stage::Up(_) => Err(VerbError::OfferPending),
            Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over => Err(VerbError::WrongState),
        };
        self.put(now, session);
        result
    }

    pub(crate) fn on_update(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        session.far.learn(&request.message);
        if !request.has_readable_body() {
            self.counts.reject(Rejected::ContentType);
            self.respond(now, key, request, Reply::new(415).with(Header::new("Accept", SDP)));
            return;
        }
        if let Some(reply) = self.interval_too_small(request) {
            self.respond(now, key, request, reply);
            return;
        }
        let Some(sdp) = request.sdp() else {
            if let Some(dialog) = dialog_of(session, request) {
                request.refresh(dialog);
            }
            let headers = self.timer_granted(now, session, &request.message);
            self.respond(now, key, request, Reply { makes_dialog: true, headers, ..Reply::new(200) });
            return;
        };
        match conflict(session, request) {
            Some(Conflict::Meets) => {
                self.respond(now, key, request, Reply::new(491));
            }
            Some(Conflict::Follows) => {
                let reply = self.not_yet();
                self.respond(now, key, request, reply);
            }
            None => {
                if let Some(dialog) = dialog_of(session, request) {
                    request.refresh(dialog);
                }
                session.exchange = Exchange::Theirs { key, request: Box::new(request.clone()) };
                self.tell(Event::Offered { session: session.id, sdp: Some(sdp) });
            }
        }
    }

    /// 500, to be tried again some seconds later.
    pub(crate) fn not_yet(&mut self) -> Reply {
        let pause = Duration::from_secs(self.random.below(11));
        Reply::new(500).with(Header::new("Retry-After", whole_seconds(pause).to_string()))
    }

    /// Answers the offer of an UPDATE or a PRACK.
    pub(crate) fn answer_without_ack(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request, sdp: Bytes) {
        session.described = Some(sdp.clone());
        let is_update = request.method() == "UPDATE";
        let headers = if is_update { self.timer_granted(now, session, &request.message) } else { Vec::new() };
        let body = Some((SDP.to_owned(), sdp));
        self.respond(now, key, request, Reply { makes_dialog: is_update, headers, body, ..Reply::new(200) });
    }

    /// An answer to an UPDATE of ours.
    pub(crate) fn update_answered(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ClientKey,
        again: Option<Box<AskAgain>>,
        response: &Response,
    ) {
        match response.status {
            100..=199 => {}
            200..=299 => self.update_accepted(now, session, key, response),
            _ => self.change_refused(now, session, key, again, response),
        }
        self.offer_if_free(now, session);
    }

    fn update_accepted(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: &Response) {
        let Exchange::Ours { key: ours, sdp, by } = &session.exchange else { return };
        if *ours != key {
            return;
        }
        let (offered, by) = (sdp.clone(), *by);
        session.exchange = Exchange::None;
        if let Stage::Up(up) = &mut session.stage {
            response.refresh(&mut up.dialog);
        }
        session.far.learn(&response.message);
        self.timer_agreed(now, session, &response.message);
        if by != Change::Refresh {
            session.described = offered.or(session.described.take());
            self.tell(Event::OfferAnswered { session: session.id, sdp: response.sdp(), wants_answer: false });
        }
    }
}

/// The dialog that a request belongs to.
fn dialog_of<'s>(session: &'s mut Session, request: &Request) -> Option<&'s mut Dialog> {
    let tag = request.remote_tag();
    match &mut session.stage {
        Stage::Dialing(dialing) => dialing.early.iter_mut().map(|fork| &mut fork.dialog).find(|dialog| dialog.remote_tag == tag),
        Stage::Called(called) => Some(&mut called.dialog),
        Stage::Up(up) => Some(&mut up.dialog),
        Stage::Ending(_) | Stage::Over => None,
    }
}

fn conflict(session: &Session, request: &Request) -> Option<Conflict> {
    match &session.exchange {
        Exchange::Ours { .. } => return Some(Conflict::Meets),
        Exchange::AnswerDue { .. } | Exchange::Theirs { .. } => return Some(Conflict::Follows),
        Exchange::None => {}
    }
    match &session.stage {
        Stage::Called(called) => match called.reliable.media() {
            Media::Offered => Some(Conflict::Meets),
            Media::Open => Some(Conflict::Follows),
            Media::TheyAnswered | Media::WeAnswered => None,
        },
        Stage::Dialing(dialing) => {
            let fork = dialing.early.iter().find(|fork| fork.dialog.remote_tag == request.remote_tag());
            fork.is_none_or(|fork| !fork.agreed).then_some(Conflict::Meets)
        }
        // An offer in our 2xx waits for its answer in the ACK.
        Stage::Up(_) => session.unacked.as_ref().is_some_and(|unacked| unacked.offers).then_some(Conflict::Meets),
        Stage::Ending(_) | Stage::Over => None,
    }
}
