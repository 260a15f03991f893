//! The end of a session, from either side.

use baton_time::Mono;

use super::door::Request;
use super::refer::SUBSCRIPTION_MAX;
use super::session::{Called, Ears, Ending, Exchange, ReferStage, Remnant, Session, Stage, Up};
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, Gone, Reason, SessionId, UserAgent, VerbError};
use crate::dialog::Dialog;
use crate::random::token;
use crate::transaction::ServerKey;
use crate::wire::{Header, Name};

impl UserAgent {
    /// Ends a session whatever its state: CANCEL (held back until a provisional answer has come), BYE (held back until our 2xx has its ACK,
    /// RFC 3261 §15), or, for an INVITE that waits for our answer, the reason's cause as a status (480 without one).
    ///
    /// Nothing more is heard of the session but Released.
    ///
    /// # Errors
    /// When the session is over or being ended already.
    pub fn hang_up(&mut self, now: Mono, session: SessionId, reason: Option<Reason>) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let result = self.end(now, &mut session, reason.as_ref());
        self.put(now, session);
        result
    }

    fn end(&mut self, now: Mono, session: &mut Session, reason: Option<&Reason>) -> Result<(), VerbError> {
        let value = reason.map(|reason| reason.to_string());
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Dialing(dialing) => {
                let cancelled = dialing.is_cancelled();
                session.stage = Stage::Dialing(dialing);
                if cancelled || baton_time::bug!(16) {
                    return Err(VerbError::WrongState);
                }
                self.cancel(now, session, value);
                Ok(())
            }
            Stage::Called(called) => {
                let status = reason
                    .filter(|reason| reason.protocol == "SIP" && (400..=699).contains(&reason.cause))
                    .map_or(480, |reason| reason.cause);
                self.refuse_called(now, session, &called, Reply::new(status));
                Ok(())
            }
            Stage::Up(mut up) => {
                self.settle_requests(now, session, &mut up, Ears::Closed);
                if session.unacked.is_some() && !baton_time::bug!(17) {
                    session.stage = Stage::Ending(Ending { dialog: up.dialog, bye: None, reason: value, tell: true });
                } else {
                    self.send_bye(now, session, up.dialog, value, true);
                }
                Ok(())
            }
            other @ (Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        }
    }

    /// Refuses an INVITE with a final answer from 300 to 699.
    ///
    /// # Errors
    /// When the session is not one that waits for our answer, or the status does not fit.
    pub fn refuse(
        &mut self,
        now: Mono,
        session: SessionId,
        status: u16,
        phrase: Option<&str>,
        headers: Vec<Header>,
    ) -> Result<(), VerbError> {
        if !(300..=699).contains(&status) {
            return Err(VerbError::WrongStatus);
        }
        let mut session = self.take(session)?;
        let result = match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Called(called) => {
                let reply = Reply { status, phrase: phrase.map(str::to_owned), headers, ..Reply::default() };
                self.refuse_called(now, &session, &called, reply);
                Ok(())
            }
            other @ (Stage::Dialing(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        };
        self.put(now, session);
        result
    }

    fn refuse_called(&mut self, now: Mono, session: &Session, called: &Called, reply: Reply) {
        let status = reply.status;
        if !matches!(status, 401 | 403) {
            self.sources.befriend(now, called.request.source);
        }
        self.respond(now, called.key, &called.request, reply.tag(&token(session.tag)));
        self.tell(Event::Released { session: session.id, status: Some(status) });
    }

    /// Sends our BYE; the session is ending from now on.
    pub(crate) fn send_bye(&mut self, now: Mono, session: &mut Session, mut dialog: Dialog, reason: Option<String>, tell: bool) {
        let headers = reason.iter().map(|reason| Header::new("Reason", reason)).collect();
        let ask = AskAgain::new(headers, None);
        if baton_time::bug!(19) {
            dialog.remote.push('x');
        }
        let bye = self.ask(now, session, &mut dialog, Purpose::Bye, ask);
        if let Some(remnant) = &mut session.remnant {
            remnant.dialog.local_seq = dialog.local_seq;
        }
        session.stage = Stage::Ending(Ending { dialog, bye: Some(bye), reason, tell });
    }

    /// Ends a fork that nobody wanted.
    pub(crate) fn send_stray_bye(&mut self, now: Mono, session: SessionId, mut dialog: Dialog) {
        let seq = dialog.next_seq();
        let elsewhere = Reason::sip(200, "Call completed elsewhere").to_string();
        let request = self.request(&dialog, "BYE", seq, &[Header::new("Reason", elsewhere)], None);
        self.begin(now, request, session, Purpose::StrayBye, None);
    }

    /// Our BYE was refused as out of order: something of ours with a higher number has overtaken it (RFC 3261 §12.2.2). For the far side the
    /// session goes on, so it is told once more, with the next number; false where nothing can have overtaken it.
    pub(crate) fn bye_overtaken(&mut self, now: Mono, session: &mut Session, seq: u32) -> bool {
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Ending(ending) if ending.dialog.local_seq > seq => {
                let Ending { dialog, reason, tell, .. } = ending;
                self.send_bye(now, session, dialog, reason, tell);
                true
            }
            other @ (Stage::Ending(_) | Stage::Dialing(_) | Stage::Called(_) | Stage::Up(_) | Stage::Over) => {
                session.stage = other;
                false
            }
        }
    }

    /// Our BYE was answered finally, or never: either way the session is over.
    pub(crate) fn bye_settled(&mut self, session: &mut Session, status: Option<u16>) {
        let Stage::Ending(ending) = std::mem::replace(&mut session.stage, Stage::Over) else { return };
        if ending.tell {
            self.tell(Event::Released { session: session.id, status });
        }
    }

    /// Ends a session because a request inside it has failed for good (RFC 3261 §12.2.1.2); the BYE waits for the ACK of our 2xx (§15).
    pub(crate) fn lose(&mut self, now: Mono, session: &mut Session, why: Gone) {
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Up(mut up) => {
                self.settle_requests(now, session, &mut up, Ears::Closed);
                session.remnant = None;
                if session.unacked.is_some() {
                    session.stage = Stage::Ending(Ending { dialog: up.dialog, bye: None, reason: None, tell: false });
                } else {
                    self.send_bye(now, session, up.dialog, None, false);
                }
                self.tell(Event::Gone { session: session.id, why });
            }
            other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => session.stage = other,
        }
    }

    /// The far side has sent a BYE within its dialog; it gets 200 in any stage.
    pub(crate) fn on_bye(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        if !baton_time::bug!(18) {
            self.respond(now, key, request, Reply::new(200));
        }
        let reason = request.header(Name::Reason);
        match std::mem::replace(&mut session.stage, Stage::Over) {
            // RFC 3261 §15: only the caller may do this to an early dialog; its INVITE is answered with 487.
            Stage::Called(called) => {
                self.respond(now, called.key, &called.request, Reply::new(487).tag(&token(session.tag)));
                self.tell(Event::Gone { session: session.id, why: Gone::Bye { reason } });
            }
            Stage::Up(up) => {
                session.stage = Stage::Up(up);
                self.end_by_far_side(now, session, reason);
            }
            // A callee may not end an early dialog, but its BYE may have overtaken its own 200 (RFC 5407 §3.1.2).
            Stage::Dialing(mut dialing) => {
                let tag = request.remote_tag().to_owned();
                dialing.early.retain(|early| early.dialog.remote_tag != tag);
                if dialing.byed.len() < self.settings.limits.forks {
                    dialing.byed.push(tag);
                }
                session.stage = Stage::Dialing(dialing);
            }
            // The two BYEs have crossed: each gets its answer. A BYE of ours that was still held back is not needed any more.
            Stage::Ending(ending) if ending.bye.is_none() => {
                session.unacked = None;
                if ending.tell {
                    self.tell(Event::Released { session: session.id, status: None });
                }
            }
            other @ (Stage::Ending(_) | Stage::Over) => session.stage = other,
        }
    }

    /// The far side has hung up.
    pub(crate) fn end_by_far_side(&mut self, now: Mono, session: &mut Session, reason: Option<String>) {
        if let Stage::Up(mut up) = std::mem::replace(&mut session.stage, Stage::Over) {
            self.settle_requests(now, session, &mut up, Ears::Open);
            session.unacked = None;
            self.tell(Event::Gone { session: session.id, why: Gone::Bye { reason } });
        }
    }

    /// An offer of the far side that still waits for our answer when the session ends.
    pub(crate) fn settle_exchange(&mut self, now: Mono, session: &mut Session) {
        if let Exchange::Theirs { key, request } = std::mem::replace(&mut session.exchange, Exchange::None) {
            self.respond(now, key, &request, Reply::new(487));
        }
    }

    /// RFC 3261 §15.1.2: requests that still wait for our answer get 487 when the session ends. A 2xx that waits for our answer to its offer gets
    /// its ACK all the same, without the answer.
    pub(crate) fn settle_requests(&mut self, now: Mono, session: &mut Session, up: &mut Up, ears: Ears) {
        if let Exchange::AnswerDue { key } = session.exchange {
            session.exchange = Exchange::None;
            self.acknowledge(session, key, &up.dialog, None);
        }
        self.settle_exchange(now, session);
        for refer in &up.refers {
            if let ReferStage::Asked { key, request } = &refer.stage {
                self.respond(now, *key, request, Reply::new(487));
            }
        }
        let (mut refers, referring) = (std::mem::take(&mut up.refers), std::mem::take(&mut up.referring));
        refers.retain(|refer| matches!(refer.stage, ReferStage::Accepted { .. }));
        if !refers.is_empty() || !referring.is_empty() {
            let until = now + SUBSCRIPTION_MAX;
            session.remnant = Some(Box::new(Remnant { dialog: up.dialog.clone(), refers, referring, until, ears }));
        }
    }
}
