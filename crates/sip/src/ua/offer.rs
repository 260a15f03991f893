//! re-INVITE both ways: hold, resume, new media.

use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use super::dial::SDP;
use super::door::{Request, Response};
use super::event::whole_seconds;
use super::session::{Brings, Exchange, Later, OurInvite, Session, Stage, Up};
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, Gone, Rejected, SessionId, UserAgent, VerbError};
use crate::dialog::Side;
use crate::transaction::{ClientKey, ServerKey};
use crate::wire::Header;

impl UserAgent {
    /// Sends a re-INVITE with this offer, or without one: then the far side makes it. OfferAnswered or OfferRefused follow.
    ///
    /// It waits by itself for the ACK of our own 2xx, and is tried again by itself when it meets a re-INVITE of the far side (RFC 3261 §14.1).
    ///
    /// # Errors
    /// When the session is not up, or another offer waits for its answer.
    pub fn offer(&mut self, now: Mono, session: SessionId, sdp: Option<Bytes>) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let result = match &mut session.stage {
            Stage::Up(Up { exchange: Exchange::None, later: later @ None, .. }) => {
                *later = Some(Later { at: None, sdp });
                self.offer_if_free(now, &mut session);
                Ok(())
            }
            Stage::Up(_) => Err(VerbError::OfferPending),
            Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over => Err(VerbError::WrongState),
        };
        self.put(now, session);
        result
    }

    /// Answers the far side's offer, or makes the offer that it asked for: in the 200 to its re-INVITE, or in the ACK of its 2xx.
    ///
    /// # Errors
    /// When the session is not up, or no offer waits for our answer.
    pub fn answer_offer(&mut self, now: Mono, session: SessionId, sdp: Bytes) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let result = match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Up(mut up) => {
                let result = match std::mem::replace(&mut up.exchange, Exchange::None) {
                    Exchange::Theirs { key, request } => {
                        let brings = if request.sdp().is_some() { Brings::Nothing } else { Brings::Answer };
                        self.accept(now, &mut session, key, &request, sdp, Vec::new(), brings);
                        Ok(())
                    }
                    Exchange::AnswerDue { key } => {
                        self.acknowledge(&mut session, key, &up.dialog, Some(sdp));
                        Ok(())
                    }
                    other @ (Exchange::None | Exchange::Ours { .. }) => {
                        up.exchange = other;
                        Err(VerbError::WrongState)
                    }
                };
                session.stage = Stage::Up(up);
                result
            }
            other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        };
        self.offer_if_free(now, &mut session);
        self.put(now, session);
        result
    }

    /// Does not accept the far side's re-INVITE, usually with 488: the session goes on as it was.
    /// An offer that came in a 2xx cannot be refused; there the session is ended (RFC 3261 §13.2.2.4).
    ///
    /// # Errors
    /// When the session is not up, no offer waits for our answer, or the status is not in 300 to 699.
    pub fn refuse_offer(&mut self, now: Mono, session: SessionId, status: u16) -> Result<(), VerbError> {
        if !(300..=699).contains(&status) {
            return Err(VerbError::WrongStatus);
        }
        let id = session;
        let mut session = self.take(id)?;
        let result = match &mut session.stage {
            Stage::Up(Up { exchange: exchange @ Exchange::Theirs { .. }, .. }) => {
                if let Exchange::Theirs { key, request } = std::mem::replace(exchange, Exchange::None) {
                    self.respond(now, key, &request, Reply::new(status));
                }
                self.offer_if_free(now, &mut session);
                Ok(false)
            }
            Stage::Up(Up { exchange: Exchange::AnswerDue { .. }, .. }) => Ok(true),
            Stage::Up(_) | Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over => Err(VerbError::WrongState),
        };
        self.put(now, session);
        match result {
            Ok(true) => self.hang_up(now, id, Some(super::Reason::sip(status, ""))),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends the offer that waits, once nothing stands in its way.
    pub(crate) fn offer_if_free(&mut self, now: Mono, session: &mut Session) {
        if session.unacked.is_some() {
            return;
        }
        let Stage::Up(up) = &mut session.stage else { return };
        if !matches!(up.exchange, Exchange::None) || !matches!(up.later, Some(Later { at: None, .. })) {
            return;
        }
        let Some(Later { sdp, .. }) = up.later.take() else { return };
        let ask = AskAgain::new(Vec::new(), sdp.map(|sdp| (SDP.to_owned(), sdp)));
        self.send_reinvite(now, session, ask);
    }

    /// The pause after a meeting of two re-INVITEs is over.
    pub(crate) fn offer_again(&mut self, now: Mono, session: &mut Session) {
        if let Stage::Up(Up { later: Some(Later { at, .. }), .. }) = &mut session.stage
            && at.is_some_and(|at| at <= now)
        {
            *at = None;
            self.offer_if_free(now, session);
        }
    }

    fn send_reinvite(&mut self, now: Mono, session: &mut Session, ask: AskAgain) {
        let Stage::Up(up) = &mut session.stage else { return };
        let seq = up.dialog.next_seq();
        let request = self.request(&up.dialog, "INVITE", seq, &ask.all_headers(), ask.body.as_ref());
        let key = request.key;
        let sdp = ask.body.as_ref().map(|(_, sdp)| sdp.clone());
        let (offered, authorization) = (sdp.is_some(), ask.authorization.clone());
        let again = session.credentials.is_some().then(|| Box::new(ask));
        session.invites.push(OurInvite { key, seq, offered, authorization, acks: Vec::new(), dialog: up.dialog.clone() });
        up.exchange = Exchange::Ours { key, sdp };
        self.begin(now, request, session.id, Purpose::Reinvite, again);
    }

    /// An answer to a re-INVITE of ours.
    pub(crate) fn reinvite_answered(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ClientKey,
        again: Option<Box<AskAgain>>,
        response: &Response,
    ) {
        match response.status {
            100..=199 => {}
            200..=299 => self.reinvite_accepted(session, key, response),
            _ => self.reinvite_refused(now, session, key, again, response),
        }
        self.offer_if_free(now, session);
    }

    fn reinvite_accepted(&mut self, session: &mut Session, key: ClientKey, response: &Response) {
        let Some(invite) = session.invites.iter().find(|invite| invite.key == key) else { return };
        if let Some((_, ack)) = invite.acks.first() {
            if let Some(ack) = ack.clone() {
                self.send("ACK", 0, ack);
            }
            return;
        }
        let (offered, mut dialog) = (invite.offered, invite.dialog.clone());
        let id = session.id;
        match &mut session.stage {
            Stage::Up(up) if matches!(up.exchange, Exchange::Ours { key: ours, .. } if ours == key) => {
                response.refresh(&mut up.dialog);
                let (dialog, sdp) = (up.dialog.clone(), response.sdp());
                let wants_answer = !offered && sdp.is_some();
                if wants_answer {
                    up.exchange = Exchange::AnswerDue { key };
                    Self::acknowledge_later(session, key, &dialog);
                } else {
                    up.exchange = Exchange::None;
                    self.acknowledge(session, key, &dialog, None);
                }
                self.tell(Event::OfferAnswered { session: id, sdp, wants_answer });
            }
            // The session has ended meanwhile; the far side still waits for its ACK.
            Stage::Up(_) | Stage::Ending(_) | Stage::Over | Stage::Dialing(_) | Stage::Called(_) => {
                response.refresh(&mut dialog);
                self.acknowledge(session, key, &dialog, None);
            }
        }
    }

    fn reinvite_refused(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ClientKey,
        again: Option<Box<AskAgain>>,
        response: &Response,
    ) {
        let Stage::Up(up) = &mut session.stage else { return };
        let sdp = match std::mem::replace(&mut up.exchange, Exchange::None) {
            Exchange::Ours { key: ours, sdp } if ours == key => sdp,
            other @ (Exchange::None | Exchange::Ours { .. } | Exchange::AnswerDue { .. } | Exchange::Theirs { .. }) => {
                up.exchange = other;
                return;
            }
        };
        match response.status {
            491 => {
                let pause = glare_pause(up.dialog.side, self.random.draw());
                up.later = Some(Later { at: Some(now + pause), sdp });
            }
            408 | 481 => self.lose(now, session, Gone::TimedOut),
            status => match self.authorize(session, again, "INVITE", response) {
                Some(ask) => self.send_reinvite(now, session, ask),
                None => self.tell(Event::OfferRefused { session: session.id, status }),
            },
        }
    }

    /// The far side's re-INVITE.
    pub(crate) fn on_reinvite(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        let unacked = session.unacked.is_some();
        let reply = match &mut session.stage {
            Stage::Up(up) => match &up.exchange {
                // RFC 3261 §14.2, and RFC 5407 §3.1.4 for an offer of ours whose ACK is still missing: two offers at a time are one too many.
                Exchange::None if unacked => Reply::new(491),
                Exchange::None if !request.has_readable_body() => Reply::new(415).with(Header::new("Accept", SDP)),
                Exchange::None => {
                    request.refresh(&mut up.dialog);
                    self.respond(now, key, request, Reply::new(100));
                    up.exchange = Exchange::Theirs { key, request: Box::new(request.clone()) };
                    self.tell(Event::Offered { session: session.id, sdp: request.sdp() });
                    return;
                }
                Exchange::Ours { .. } | Exchange::AnswerDue { .. } => Reply::new(491),
                Exchange::Theirs { .. } => self.second_invite(),
            },
            Stage::Called(_) => self.second_invite(),
            Stage::Dialing(_) => Reply::new(491),
            Stage::Ending(_) | Stage::Over => Reply::new(481),
        };
        if reply.status == 415 {
            self.counts.reject(Rejected::ContentType);
        }
        self.respond(now, key, request, reply);
    }

    /// RFC 3261 §14.2: an INVITE before the answer to the one before it.
    fn second_invite(&mut self) -> Reply {
        let pause = Duration::from_secs(self.random.below(11));
        Reply::new(500).with(Header::new("Retry-After", whole_seconds(pause).to_string()))
    }

    /// Nobody has answered a re-INVITE of ours, or it could not be sent.
    pub(crate) fn reinvite_unanswered(&mut self, now: Mono, session: &mut Session, status: u16) {
        self.lose(now, session, if status == 408 { Gone::TimedOut } else { Gone::TransportFailed });
    }
}

/// RFC 3261 §14.1: who owns the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in units of 10 ms.
fn glare_pause(side: Side, draw: u64) -> Duration {
    Duration::from_millis(match side {
        Side::Caller => 2_100 + draw % 191 * 10,
        Side::Callee => draw % 201 * 10,
    })
}
