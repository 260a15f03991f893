//! Reliable provisional answers both ways (RFC 3262).

use std::collections::VecDeque;
use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use super::door::{Request, Response};
use super::session::{Called, Exchange, Session, Stage};
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, Gone, UserAgent, VerbError};
use crate::random::token;
use crate::timing::{Timing, Why};
use crate::transaction::ServerKey;
use crate::transport::Transmit;
use crate::wire::{Header, Message, Name};
use serde::{Deserialize, Serialize};

/// How many provisional answers may wait for the PRACK of the one before them.
const WAITING_MAX: usize = 8;

/// Our provisional answers to one INVITE.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reliable {
    wanted: Wanted,
    media: Media,
    next_rseq: u32,
    waits: Option<Unacknowledged>,
    queue: VecDeque<Reply>,
    /// The final answer, which must not overtake them.
    answer: Option<(Bytes, Vec<Header>)>,
}

/// Which of them are sent reliably.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wanted {
    /// The far side cannot.
    None,
    /// It can: those with early media.
    WithMedia,
    /// It requires it.
    All,
}

/// How far the descriptions have come before the final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Media {
    /// None of ours has gone out reliably.
    Open,
    /// We have made the offer, its answer is due in the PRACK.
    Offered,
    /// Their PRACK has brought the answer.
    TheyAnswered,
    /// We have answered their offer.
    WeAnswered,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unacknowledged {
    rseq: u32,
    response: Transmit,
    again_at: Mono,
    interval: Duration,
    give_up_at: Mono,
}

/// What a provisional answer of the far side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// Not reliable, or of a fork that we do not follow.
    Plain,
    /// The next in its row; its PRACK has been sent.
    Next,
    /// One that we have had, or one too early (RFC 3262 §4: not to be processed).
    Again,
}

impl Reliable {
    pub(crate) fn new(invite: &Request, draw: u64) -> Reliable {
        let wanted = match &invite.message {
            message if message.has_token(Name::Require, "100rel") => Wanted::All,
            message if message.has_token(Name::Supported, "100rel") => Wanted::WithMedia,
            _ => Wanted::None,
        };
        // RFC 3262 §3: anywhere from 1 to 2^31-1, so that it never wraps.
        let next_rseq = u32::try_from(draw % 0x3fff_ffff).map_or(1, |draw| draw + 1);
        Reliable { wanted, media: Media::Open, next_rseq, waits: None, queue: VecDeque::new(), answer: None }
    }

    fn wants(&self, reply: &Reply) -> bool {
        match self.wanted {
            Wanted::None => false,
            Wanted::WithMedia => reply.body.is_some(),
            Wanted::All => true,
        }
    }

    /// Whether an answer waits for its PRACK.
    pub(crate) fn is_busy(&self) -> bool {
        self.waits.is_some() || !self.queue.is_empty()
    }

    pub(crate) fn media(&self) -> Media {
        self.media
    }

    pub(crate) fn answer_later(&mut self, sdp: Bytes, headers: Vec<Header>) -> Result<(), VerbError> {
        if self.answer.is_some() {
            return Err(VerbError::WrongState);
        }
        self.answer = Some((sdp, headers));
        Ok(())
    }

    fn sent(&mut self, now: Mono, response: Transmit, timing: Timing) {
        let (rseq, give_up_at) = (self.next_rseq, now + timing.patience());
        self.waits = Some(Unacknowledged { rseq, response, again_at: now + timing.t1, interval: timing.t1, give_up_at });
        self.next_rseq += 1;
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        let waits = self.waits.as_ref()?;
        Some(match waits.again_at < waits.give_up_at {
            true => (waits.again_at, Why::ProvisionalAgain),
            false => (waits.give_up_at, Why::PrackNeverCame),
        })
    }
}

impl UserAgent {
    /// Sends a provisional answer, or keeps it until the one before it has got its PRACK.
    pub(crate) fn ring_called(&mut self, now: Mono, called: &mut Called, reply: Reply) -> Result<(), VerbError> {
        self.sources.befriend(now, called.request.source);
        if called.reliable.answer.is_some() {
            return Err(VerbError::WrongState);
        }
        if !called.reliable.wants(&reply) {
            self.respond(now, called.key, &called.request, reply);
        } else if !called.reliable.is_busy() {
            self.ring_reliably(now, called, reply);
        } else if called.reliable.queue.len() < WAITING_MAX {
            called.reliable.queue.push_back(reply);
        } else {
            return Err(VerbError::Full);
        }
        Ok(())
    }

    fn ring_reliably(&mut self, now: Mono, called: &mut Called, reply: Reply) {
        let describes = reply.body.is_some();
        let rseq = called.reliable.next_rseq.to_string();
        let reply = reply.with(Header::new("Require", "100rel")).with(Header::new("RSeq", rseq));
        let Some(response) = self.respond(now, called.key, &called.request, reply) else { return };
        called.reliable.sent(now, response, self.settings.timing);
        if describes && called.reliable.media == Media::Open {
            called.reliable.media = if called.request.sdp().is_some() { Media::WeAnswered } else { Media::Offered };
        }
    }

    /// RFC 3262 §3: repeated at doubling intervals; after 64*T1 without a PRACK the INVITE is refused.
    pub(crate) fn repeat_provisional(&mut self, now: Mono, session: &mut Session) {
        let Stage::Called(called) = &mut session.stage else { return };
        let Some(waits) = &mut called.reliable.waits else { return };
        if waits.give_up_at <= now {
            if let Stage::Called(called) = std::mem::replace(&mut session.stage, Stage::Over) {
                self.respond(now, called.key, &called.request, Reply::new(504).tag(&token(session.tag)));
                self.tell(Event::Gone { session: session.id, why: Gone::TimedOut });
            }
        } else if waits.again_at <= now {
            waits.interval *= 2;
            waits.again_at = now + waits.interval;
            self.counts.repeated += 1;
            self.transmits.push_back(waits.response.clone());
        }
    }

    pub(crate) fn on_prack(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        let Stage::Called(called) = &mut session.stage else { return self.unknown_prack(now, key, request) };
        let expected = called.reliable.waits.as_ref().map(|waits| (waits.rseq, called.request.seq()));
        if expected.is_none() || rack(&request.message) != expected {
            return self.unknown_prack(now, key, request);
        }
        called.reliable.waits = None;
        match (called.reliable.media, request.sdp()) {
            (Media::Offered, sdp) => {
                called.reliable.media = Media::TheyAnswered;
                self.respond(now, key, request, Reply::new(200));
                self.tell(Event::OfferAnswered { session: session.id, sdp, wants_answer: false });
            }
            (Media::WeAnswered | Media::TheyAnswered, Some(sdp)) if matches!(session.exchange, Exchange::None) => {
                session.exchange = Exchange::Theirs { key, request: Box::new(request.clone()) };
                self.tell(Event::Offered { session: session.id, sdp: Some(sdp) });
            }
            // An offer before the first one has its answer: the PRACK counts, what it wants does not.
            (Media::Open | Media::WeAnswered | Media::TheyAnswered, Some(_)) => {
                self.respond(now, key, request, Reply::new(488));
            }
            (Media::Open | Media::WeAnswered | Media::TheyAnswered, None) => {
                self.respond(now, key, request, Reply::new(200));
            }
        }
        self.provisional_acknowledged(now, session);
    }

    fn unknown_prack(&mut self, now: Mono, key: ServerKey, request: &Request) {
        self.respond(now, key, request, Reply::new(481));
    }

    /// What waited for the PRACK.
    fn provisional_acknowledged(&mut self, now: Mono, session: &mut Session) {
        let Stage::Called(called) = &mut session.stage else { return };
        if let Some(next) = called.reliable.queue.pop_front() {
            return self.ring_reliably(now, called, next);
        }
        if let Some((sdp, headers)) = called.reliable.answer.take() {
            // It cannot be refused: the session waits for an answer, and nothing is in its way any more.
            self.answer_called(now, session, sdp, headers).unwrap_or_default();
        }
    }

    /// A provisional answer of the far side: if it is reliable it gets its PRACK.
    pub(crate) fn acknowledge_provisional(&mut self, now: Mono, session: &mut Session, response: &Response) -> Reliability {
        let Some(rseq) = rseq(&response.message) else { return Reliability::Plain };
        let tag = response.to_tag().unwrap_or_default();
        let Stage::Dialing(dialing) = &mut session.stage else { return Reliability::Plain };
        let Some(at) = dialing.early.iter().position(|fork| fork.dialog.remote_tag == tag) else { return Reliability::Plain };
        let fork = &mut dialing.early[at];
        if fork.rseq.is_some_and(|last| last.checked_add(1) != Some(rseq)) {
            return Reliability::Again;
        }
        fork.rseq = Some(rseq);
        fork.agreed |= response.sdp().is_some();
        let mut dialog = fork.dialog.clone();
        let rack = format!("{rseq} {} INVITE", response.message.cseq().number);
        let ask = AskAgain::new(vec![Header::new("RAck", rack)], None);
        self.ask(now, session, &mut dialog, Purpose::Prack, ask);
        if let Stage::Dialing(dialing) = &mut session.stage {
            dialing.early[at].dialog = dialog;
        }
        Reliability::Next
    }
}

/// The RSeq of a reliable provisional answer.
fn rseq(message: &Message) -> Option<u32> {
    message.header(Name::RSeq).filter(|_| message.has_token(Name::Require, "100rel"))?.parse().ok()
}

/// Which answer to which INVITE a PRACK is about: RSeq and CSeq.
fn rack(message: &Message) -> Option<(u32, u32)> {
    let mut words = message.header(Name::RAck)?.split_ascii_whitespace();
    let numbers = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next() == Some("INVITE") && words.next().is_none()).then_some(numbers)
}
