//! re-INVITE both ways: hold, resume, new media.

use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use super::dial::SDP;
use super::door::{Request, Response};
use super::session::{Brings, Cancel, Change, Exchange, Later, OurInvite, Session, Stage, Up};
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
        self.change(now, session, sdp, Change::Reinvite)
    }

    /// Answers the far side's offer, or makes the offer that it asked for: in the 200 to its re-INVITE, or in the ACK of its 2xx.
    ///
    /// # Errors
    /// When the session is not up, or no offer waits for our answer.
    pub fn answer_offer(&mut self, now: Mono, session: SessionId, sdp: Bytes) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let result = match std::mem::replace(&mut session.exchange, Exchange::None) {
            Exchange::Theirs { key, request } if request.method() == "INVITE" => {
                let brings = if request.sdp().is_some() { Brings::Nothing } else { Brings::Answer };
                self.accept(now, &mut session, key, &request, sdp, Vec::new(), brings);
                Ok(())
            }
            Exchange::Theirs { key, request } => {
                self.answer_without_ack(now, &mut session, key, &request, sdp);
                Ok(())
            }
            Exchange::AnswerDue { key } => {
                session.described = Some(sdp.clone());
                if let Stage::Up(up) = &session.stage {
                    let dialog = up.dialog.clone();
                    self.acknowledge(&mut session, key, &dialog, Some(sdp));
                }
                Ok(())
            }
            other @ (Exchange::None | Exchange::Ours { .. }) => {
                session.exchange = other;
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
        let result = match std::mem::replace(&mut session.exchange, Exchange::None) {
            Exchange::Theirs { key, request } => {
                self.respond(now, key, &request, Reply::new(status));
                self.offer_if_free(now, &mut session);
                Ok(false)
            }
            due @ Exchange::AnswerDue { .. } => {
                session.exchange = due;
                Ok(true)
            }
            other @ (Exchange::None | Exchange::Ours { .. }) => {
                session.exchange = other;
                Err(VerbError::WrongState)
            }
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
        if session.unacked.is_some() || !matches!(session.exchange, Exchange::None) {
            return;
        }
        let Stage::Up(up) = &mut session.stage else { return };
        if !matches!(up.later, Some(Later { at: None, .. })) {
            return;
        }
        let Some(Later { sdp, by, .. }) = up.later.take() else { return };
        let by_update = session.far.update && by != Change::Reinvite;
        let sdp = if by == Change::Refresh && !by_update { session.described.clone() } else { sdp };
        let mut ask = AskAgain::new(Vec::new(), sdp.map(|sdp| (SDP.to_owned(), sdp)));
        ask.timer = Self::timer_goes_on(session);
        self.send_change(now, session, ask, by);
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

    /// Sends an offer, or a refresh, by UPDATE where that is wanted and the far side takes it, else by re-INVITE.
    fn send_change(&mut self, now: Mono, session: &mut Session, ask: AskAgain, by: Change) {
        let by_update = session.far.update && by != Change::Reinvite;
        let Stage::Up(up) = &mut session.stage else { return };
        let seq = up.dialog.next_seq();
        let method = if by_update { "UPDATE" } else { "INVITE" };
        let request = self.request(&up.dialog, method, seq, &ask.all_headers(), ask.body.as_ref());
        let key = request.key;
        let sdp = ask.body.as_ref().map(|(_, sdp)| sdp.clone());
        let (offered, authorization) = (sdp.is_some(), ask.authorization.clone());
        session.exchange = Exchange::Ours { key, sdp, by };
        if by_update {
            return self.begin(now, request, session.id, Purpose::Update, Some(Box::new(ask)));
        }
        session.invites.push(OurInvite {
            key,
            seq,
            offered,
            authorization,
            acks: Vec::new(),
            dialog: up.dialog.clone(),
            ending: Cancel::No,
        });
        self.begin(now, request, session.id, Purpose::Reinvite, Some(Box::new(ask)));
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
            200..=299 => self.reinvite_accepted(now, session, key, response),
            _ => self.change_refused(now, session, key, again, response),
        }
        self.offer_if_free(now, session);
    }

    fn reinvite_accepted(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: &Response) {
        let Some(invite) = session.invites.iter().find(|invite| invite.key == key) else { return };
        if let Some((_, ack)) = invite.acks.first() {
            if let Some(ack) = ack.clone() {
                self.send("ACK", 0, ack);
            }
            return;
        }
        let (offered, mut dialog) = (invite.offered, invite.dialog.clone());
        let ours = match &session.exchange {
            Exchange::Ours { key: ours, sdp, by } if *ours == key => Some((sdp.clone(), *by)),
            Exchange::Ours { .. } | Exchange::None | Exchange::AnswerDue { .. } | Exchange::Theirs { .. } => None,
        };
        let (Stage::Up(up), Some((sdp, by))) = (&mut session.stage, ours) else {
            // The session has ended meanwhile; the far side still waits for its ACK.
            response.refresh(&mut dialog);
            return self.acknowledge(session, key, &dialog, None);
        };
        response.refresh(&mut up.dialog);
        let dialog = up.dialog.clone();
        session.exchange = Exchange::None;
        session.described = sdp.or(session.described.take());
        session.far.learn(&response.message);
        self.timer_agreed(now, session, &response.message);
        let sdp = response.sdp();
        let wants_answer = !offered && sdp.is_some();
        if wants_answer {
            session.exchange = Exchange::AnswerDue { key };
            Self::acknowledge_later(session, key, &dialog);
        } else {
            self.acknowledge(session, key, &dialog, None);
        }
        if by != Change::Refresh || wants_answer {
            self.tell(Event::OfferAnswered { session: session.id, sdp, wants_answer });
        }
    }

    /// Our re-INVITE or UPDATE was refused.
    pub(crate) fn change_refused(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ClientKey,
        again: Option<Box<AskAgain>>,
        response: &Response,
    ) {
        let (sdp, by) = match std::mem::replace(&mut session.exchange, Exchange::None) {
            Exchange::Ours { key: ours, sdp, by } if ours == key => (sdp, by),
            other @ (Exchange::None | Exchange::Ours { .. } | Exchange::AnswerDue { .. } | Exchange::Theirs { .. }) => {
                session.exchange = other;
                return;
            }
        };
        let by_update = response.message.method() == "UPDATE";
        let Stage::Up(up) = &mut session.stage else { return };
        match response.status {
            491 => {
                let pause = glare_pause(up.dialog.side, self.random.draw());
                up.later = Some(Later { at: Some(now + pause), sdp, by });
            }
            408 | 481 => self.lose(now, session, Gone::TimedOut),
            // It takes no UPDATE, whatever its Allow has said.
            405 | 501 if by_update => {
                session.far.update = false;
                up.later = Some(Later { at: None, sdp, by });
            }
            status => match self.once_more(session, again, if by_update { "UPDATE" } else { "INVITE" }, response) {
                Some(ask) => self.send_change(now, session, ask, by),
                None if by == Change::Refresh => {}
                None => self.tell(Event::OfferRefused { session: session.id, status }),
            },
        }
    }

    /// The far side's re-INVITE.
    pub(crate) fn on_reinvite(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        session.far.learn(&request.message);
        // Whoever makes the next offer has our answer to the last one, though its ACK is lost. An offer of ours is another matter, and so is the first 2xx.
        let unacked = session.unacked.as_ref().is_some_and(|unacked| unacked.offers || unacked.brings != Brings::Nothing);
        let short = self.interval_too_small(request);
        let reply = match (&mut session.stage, &session.exchange) {
            (Stage::Up(up), Exchange::None) => {
                if unacked {
                    // RFC 3261 §14.2, and RFC 5407 §3.1.4 for an offer of ours whose ACK is still missing: two offers at a time are one too many.
                    Reply::new(491)
                } else if !request.has_readable_body() {
                    Reply::new(415).with(Header::new("Accept", SDP))
                } else if let Some(short) = short {
                    short
                } else {
                    request.refresh(&mut up.dialog);
                    session.unacked = None;
                    self.respond(now, key, request, Reply::new(100));
                    session.exchange = Exchange::Theirs { key, request: Box::new(request.clone()) };
                    return self.tell(Event::Offered { session: session.id, sdp: request.sdp() });
                }
            }
            (Stage::Up(_), Exchange::Ours { .. } | Exchange::AnswerDue { .. }) | (Stage::Dialing(_), _) => Reply::new(491),
            (Stage::Up(_), Exchange::Theirs { .. }) | (Stage::Called(_), _) => self.not_yet(),
            (Stage::Ending(_) | Stage::Over, _) => Reply::new(481),
        };
        if reply.status == 415 {
            self.counts.reject(Rejected::ContentType);
        }
        self.respond(now, key, request, reply);
    }

    /// Nobody has answered a re-INVITE or UPDATE of ours, or there is no stream by which it could be sent.
    pub(crate) fn reinvite_unanswered(&mut self, now: Mono, session: &mut Session, key: ClientKey, status: u16) {
        // One that could not be sent before has been dealt with.
        if matches!(&session.exchange, Exchange::Ours { key: ours, .. } if *ours == key) {
            self.lose(now, session, if status == 408 { Gone::TimedOut } else { Gone::TransportFailed });
        }
    }

    /// A re-INVITE or UPDATE of ours did not leave: the session goes on as it was (RFC 3261 §14.1), and a refresh is tried again for as long as
    /// the session lasts (RFC 4028 §10).
    pub(crate) fn change_not_sent(&mut self, now: Mono, session: &mut Session, key: ClientKey) {
        let by = match &session.exchange {
            Exchange::Ours { key: ours, by, .. } if *ours == key => *by,
            Exchange::Ours { .. } | Exchange::None | Exchange::AnswerDue { .. } | Exchange::Theirs { .. } => return,
        };
        session.exchange = Exchange::None;
        if by != Change::Refresh {
            self.tell(Event::OfferRefused { session: session.id, status: 503 });
        }
        self.offer_if_free(now, session);
    }
}

/// RFC 3261 §14.1: who owns the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in units of 10 ms.
fn glare_pause(side: Side, draw: u64) -> Duration {
    Duration::from_millis(match side {
        Side::Caller => 2_100 + draw % 191 * 10,
        Side::Callee => draw % 201 * 10,
    })
}
