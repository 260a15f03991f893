//! The final 2xx of an INVITE, repeated until its ACK comes.

use baton_time::Mono;
use bytes::Bytes;

use super::dial::SDP;
use super::door::Request;
use super::prack::Media;
use super::session::{Brings, Ears, Session, Stage, Unacked, Up};
use super::tables::Reply;
use super::{Event, Gone, Rejected, SessionId, UserAgent, VerbError};
use crate::random::token;
use crate::transaction::ServerKey;
use crate::wire::Header;

impl UserAgent {
    /// Answers an INVITE with 200. Confirmed follows, or Gone.
    ///
    /// # Errors
    /// When the session is not one that waits for our answer.
    pub fn answer(&mut self, now: Mono, session: SessionId, sdp: Bytes, headers: Vec<Header>) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let result = match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Called(called) => {
                session.stage = Stage::Called(called);
                self.answer_called(now, &mut session, sdp, headers)
            }
            other @ (Stage::Dialing(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        };
        self.put(now, session);
        result
    }

    /// Answers now, or once everything before the answer has been acknowledged (RFC 3262 §3).
    pub(crate) fn answer_called(
        &mut self,
        now: Mono,
        session: &mut Session,
        sdp: Bytes,
        headers: Vec<Header>,
    ) -> Result<(), VerbError> {
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Called(mut called) if called.reliable.is_busy() => {
                let result = called.reliable.answer_later(sdp, headers);
                session.stage = Stage::Called(called);
                result
            }
            Stage::Called(called) => {
                self.sources.befriend(now, called.request.source);
                // RFC 3262 §5: what was offered and answered already is not said again, or it would be another offer.
                let is_settled = called.reliable.media() == Media::TheyAnswered;
                let brings = if is_settled { Brings::Agreement } else { Brings::Confirmation };
                session.stage = Stage::Up(Up::new(called.dialog));
                self.accept(now, session, called.key, &called.request, sdp, headers, brings);
                Ok(())
            }
            other @ (Stage::Dialing(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        }
    }

    /// Sends a 200 to an INVITE or re-INVITE and begins to wait for its ACK.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call site for each kind of INVITE; a struct would only be taken apart again"
    )]
    pub(crate) fn accept(
        &mut self,
        now: Mono,
        session: &mut Session,
        key: ServerKey,
        request: &Request,
        sdp: Bytes,
        mut headers: Vec<Header>,
        brings: Brings,
    ) {
        session.described = Some(sdp.clone());
        headers.extend(self.timer_granted(now, session, &request.message));
        let is_described = brings != Brings::Agreement;
        let body = is_described.then(|| (SDP.to_owned(), sdp));
        let reply = Reply { status: 200, tag: Some(token(session.tag)), makes_dialog: true, headers, body, ..Reply::default() };
        let Some(response) = self.respond(now, key, request, reply) else { return };
        let timing = self.settings.timing;
        session.unacked = Some(Unacked {
            key,
            seq: request.seq(),
            response,
            again_at: now + if baton_time::bug!(14) { timing.patience() } else { timing.t1 },
            interval: timing.t1,
            give_up_at: now + timing.patience(),
            brings,
            offers: request.sdp().is_none() && is_described,
        });
    }

    /// RFC 3261 §13.3.1.4: the 2xx is repeated over every transport, at doubling intervals up to T2, for 64*T1; then the session is ended.
    pub(crate) fn repeat_answer(&mut self, now: Mono, session: &mut Session) {
        let Some(unacked) = &mut session.unacked else { return };
        if unacked.give_up_at <= now {
            session.unacked = None;
            match std::mem::replace(&mut session.stage, Stage::Over) {
                Stage::Up(mut up) => {
                    self.settle_requests(now, session, &mut up, Ears::Closed);
                    session.remnant = None;
                    self.send_bye(now, session, up.dialog, None, false);
                    self.tell(Event::Gone { session: session.id, why: Gone::AckNeverCame });
                }
                // The BYE has waited for this ACK long enough (RFC 3261 §15).
                Stage::Ending(ending) if ending.bye.is_none() => {
                    self.send_bye(now, session, ending.dialog, ending.reason, ending.tell)
                }
                other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => session.stage = other,
            }
        } else if unacked.again_at <= now {
            unacked.interval = (unacked.interval * 2).min(self.settings.timing.t2);
            unacked.again_at = now + unacked.interval;
            self.counts.repeated += 1;
            self.transmits.push_back(unacked.response.clone());
        }
    }

    /// An ACK that belongs to no refused INVITE: the one of a 2xx, or of nothing, which is dropped without a word.
    pub(crate) fn on_ack(&mut self, now: Mono, request: &Request) {
        let session = request.to_tag().and_then(|tag| self.by_tag(tag));
        let Some(mut session) = session.and_then(|id| self.sessions.remove(&id)) else {
            self.counts.reject(Rejected::StrayAck);
            return;
        };
        // One that comes again is no stray: it answers a repetition of our 2xx.
        if session.call_id == request.call_id()
            && session.unacked.as_ref().is_some_and(|unacked| unacked.seq == request.seq() && !baton_time::bug!(15))
        {
            self.acknowledged(now, &mut session, request);
        }
        self.put(now, session);
    }

    fn acknowledged(&mut self, now: Mono, session: &mut Session, request: &Request) {
        let Some(unacked) = session.unacked.take() else { return };
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Ending(ending) if ending.bye.is_none() => {
                self.send_bye(now, session, ending.dialog, ending.reason, ending.tell)
            }
            other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => session.stage = other,
            Stage::Up(up) => {
                session.stage = Stage::Up(up);
                let (id, sdp) = (session.id, request.sdp());
                match unacked.brings {
                    Brings::Confirmation | Brings::Agreement => self.tell(Event::Confirmed { session: id, sdp }),
                    Brings::Answer => self.tell(Event::OfferAnswered { session: id, sdp, wants_answer: false }),
                    Brings::Nothing => {}
                }
                self.offer_if_free(now, session);
            }
        }
    }
}
