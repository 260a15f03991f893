//! The INVITE client transaction: RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §8.4.

use std::time::Duration;

use baton_time::Mono;

use super::Wake;
use crate::timing::{Timing, Why};
use crate::transport::Transmit;
use serde::{Deserialize, Serialize};

/// An INVITE of ours, from its first sending until no answer to it can come any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientInvite {
    state: State,
    timing: Timing,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// Sent, not answered at all. In: creation. Out: any response, timer B, a transport that fails.
    Calling { request: Transmit, again: Option<Again>, give_up_at: Mono },
    /// Answered provisionally: nothing is repeated, nothing ends it but a final response. In: 1xx.
    Proceeding { request: Transmit },
    /// Refused; each repetition of the response gets the same ACK. In: 300 to 699. Out: timer D.
    Completed { ack: Transmit, forget_at: Mono },
    /// Answered, or given up: each 2xx, of this branch or of others, goes to the session, which ends what it does not want.
    /// In: 2xx, timer B, `forsake`. Out: timer M.
    Accepted { forget_at: Mono },
    /// Nothing more comes.
    Terminated,
}

/// The next repetition (timer A) and the interval before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Again {
    at: Mono,
    interval: Duration,
}

/// What to do with a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// New to the session.
    Deliver,
    /// The final response, other than 2xx: new to the session; it gets this ACK, which is the transaction's own business.
    DeliverAndAcknowledge,
    /// A repetition of the final response: send the same ACK again.
    AcknowledgeAgain(Transmit),
    /// Of no consequence.
    Ignore,
}

impl ClientInvite {
    /// The transaction of a request that is being sent now.
    pub(crate) fn new(now: Mono, request: Transmit, timing: Timing) -> ClientInvite {
        let again = (!request.transport.is_reliable() && !baton_time::bug!(3))
            .then(|| Again { at: now + timing.t1, interval: timing.t1 });
        ClientInvite { state: State::Calling { request, again, give_up_at: now + timing.patience() }, timing }
    }

    /// The INVITE as sent, while it may still be cancelled.
    pub(crate) fn request(&self) -> Option<&Transmit> {
        match &self.state {
            State::Calling { request, .. } | State::Proceeding { request } => Some(request),
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// The INVITE as a datagram, while it has had a provisional answer and no final one.
    pub(crate) fn rung_as(&self) -> Option<&Transmit> {
        match &self.state {
            State::Proceeding { request } if !request.transport.is_reliable() => Some(request),
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => None,
        }
    }

    /// The INVITE, while nothing at all was said to it.
    pub(crate) fn unheard_mut(&mut self) -> Option<&mut Transmit> {
        match &mut self.state {
            State::Calling { request, .. } => Some(request),
            State::Proceeding { .. } | State::Completed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// Whether a provisional response has come and no final one: the only state in which a CANCEL may be sent (RFC 3261 §9.1).
    pub(crate) fn is_proceeding(&self) -> bool {
        baton_time::bug!(7) || matches!(self.state, State::Proceeding { .. })
    }

    /// A response to this request has come. `ack` builds the ACK of a response other than 2xx.
    pub(crate) fn on_response(&mut self, now: Mono, status: u16, ack: impl FnOnce(&Transmit) -> Transmit) -> Answer {
        let state = std::mem::replace(&mut self.state, State::Terminated);
        let (next, answer) = match (state, status) {
            (State::Calling { request, .. } | State::Proceeding { request }, 100..=199) => {
                (State::Proceeding { request }, Answer::Deliver)
            }
            (State::Calling { .. } | State::Proceeding { .. }, 200..=299) => {
                (State::Accepted { forget_at: now + self.timing.patience() }, Answer::Deliver)
            }
            (State::Calling { request, .. } | State::Proceeding { request }, _) => {
                let linger = if request.transport.is_reliable() { Duration::ZERO } else { self.timing.timer_d() };
                (
                    State::Completed { ack: ack(&request), forget_at: now + linger },
                    if baton_time::bug!(4) { Answer::Deliver } else { Answer::DeliverAndAcknowledge },
                )
            }
            // RFC 6026 §8.4: another 2xx is the session's to acknowledge; a late provisional or a late refusal changes nothing.
            (state @ State::Accepted { .. }, 200..=299) => {
                (state, if baton_time::bug!(6) { Answer::Ignore } else { Answer::Deliver })
            }
            (state @ State::Accepted { .. }, _) => (state, Answer::Ignore),
            (State::Completed { ack, forget_at }, 300..=699) => (
                State::Completed { ack: ack.clone(), forget_at },
                if baton_time::bug!(5) { Answer::Ignore } else { Answer::AcknowledgeAgain(ack) },
            ),
            // A 2xx after a refusal would be another branch's; the proxy that forked has already chosen.
            (state @ State::Completed { .. }, _) => (state, Answer::Ignore),
            (State::Terminated, _) => (State::Terminated, Answer::Ignore),
        };
        self.state = next;
        answer
    }

    /// Somebody else is asked instead: nothing is repeated any more, but whatever is said to it is still heard.
    pub(crate) fn hush(&mut self) {
        if let State::Calling { request, .. } = &self.state {
            self.state = State::Proceeding { request: request.clone() };
        }
    }

    /// It cannot be sent: nothing is repeated any more. Copies may have arrived before, so that whatever is said to it until timer B is heard.
    pub(crate) fn silence(&mut self) {
        if let State::Calling { again, .. } = &mut self.state {
            *again = None;
        }
    }

    /// Nobody waits for the answer any more. A 2xx that comes late would ring on at the far side: it is still let through, to be ended.
    pub(crate) fn forsake(&mut self, now: Mono) {
        if let State::Calling { .. } | State::Proceeding { .. } = self.state {
            self.state = State::Accepted { forget_at: now + self.timing.patience() };
        }
    }

    /// The ACK of the refusal, while the transaction remembers it.
    pub(crate) fn ack(&self) -> Option<&Transmit> {
        match &self.state {
            State::Completed { ack, .. } => Some(ack),
            State::Calling { .. } | State::Proceeding { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        match &self.state {
            State::Calling { again: Some(again), give_up_at, .. } if again.at < *give_up_at => Some((again.at, Why::SendAgain)),
            State::Calling { give_up_at, .. } => Some((*give_up_at, Why::GiveUp)),
            State::Proceeding { .. } => None,
            State::Completed { forget_at, .. } | State::Accepted { forget_at } => Some((*forget_at, Why::Forget)),
            State::Terminated => None,
        }
    }

    /// Time has gone by.
    pub(crate) fn on_timeout(&mut self, now: Mono) -> Wake {
        match &mut self.state {
            State::Calling { give_up_at, .. } if *give_up_at <= now => {
                self.forsake(now);
                Wake::GaveUp
            }
            State::Calling { request, again: Some(again), .. } if again.at <= now => {
                // Timer A doubles without end; timer B cuts it off.
                again.interval *= if baton_time::bug!(8) { 16 } else { 2 };
                again.at = now + again.interval;
                Wake::Send(request.clone())
            }
            State::Completed { forget_at, .. } | State::Accepted { forget_at } if *forget_at <= now => {
                self.state = State::Terminated;
                Wake::Over
            }
            State::Calling { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Accepted { .. } => Wake::Nothing,
            State::Terminated => Wake::Over,
        }
    }
}
