//! The INVITE server transaction: RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §8.5.

use std::time::Duration;

use baton_time::Mono;

use super::{Leaves, Wake};
use crate::timing::{Timing, Why};
use crate::transport::Transmit;
use serde::{Deserialize, Serialize};

/// An INVITE of the far side, from its coming until it cannot be repeated any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerInvite {
    state: State,
    timing: Timing,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// Not answered finally; a repeated INVITE gets the last provisional response again. A 100 that has not left yet does so when it is due.
    Proceeding {
        last: Option<Transmit>,
        #[serde(default)]
        due: Option<Mono>,
    },
    /// Refused: the response is repeated (timer G) until its ACK comes or timer H ends it.
    Completed { response: Transmit, again: Option<Again>, give_up_at: Mono },
    /// The ACK of the refusal has come; its repetitions are swallowed until timer I.
    Confirmed { forget_at: Mono },
    /// Answered with 2xx, which the session itself repeats; a repeated INVITE is swallowed until timer L.
    Accepted { forget_at: Mono },
    /// Nothing more comes.
    Terminated,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Again {
    at: Mono,
    interval: Duration,
}

impl ServerInvite {
    /// The transaction of an INVITE that has just come.
    pub(crate) fn new(timing: Timing) -> ServerInvite {
        ServerInvite { state: State::Proceeding { last: None, due: None }, timing }
    }

    /// Whether a final response has yet to be sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether the far side has been told anything, so that it does not repeat the INVITE any more.
    pub(crate) fn has_spoken(&self) -> bool {
        !matches!(self.state, State::Proceeding { last: None, .. } | State::Proceeding { due: Some(_), .. })
    }

    /// The INVITE has come again: what to send, if anything.
    pub(crate) fn on_repetition(&self) -> Option<&Transmit> {
        match &self.state {
            State::Proceeding { last, .. } => last.as_ref().filter(|_| !baton_time::bug!(13)),
            State::Completed { response, .. } => Some(response),
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// This is the response. A 100 to a datagram waits: whoever has more to say within a moment need not say that (RFC 3261 §17.2.1).
    pub(crate) fn respond(&mut self, now: Mono, status: u16, response: Transmit) -> Leaves {
        if !self.is_open() {
            return Leaves::Later;
        }
        let due = (status == 100 && !response.transport.is_reliable() && !self.timing.trying.is_zero() && !self.has_spoken())
            .then(|| now + self.timing.trying);
        self.state = match status {
            100..=199 => State::Proceeding { last: Some(response), due },
            200..=299 => State::Accepted { forget_at: now + self.timing.patience() * if baton_time::bug!(12) { 9 } else { 1 } },
            _ => {
                let again = (!response.transport.is_reliable() && !baton_time::bug!(11))
                    .then(|| Again { at: now + self.timing.t1, interval: self.timing.t1 });
                State::Completed { response, again, give_up_at: now + self.timing.patience() }
            }
        };
        if due.is_some() { Leaves::Later } else { Leaves::Now }
    }

    /// An ACK with this transaction's branch has come: whether it is the transaction's own business.
    pub(crate) fn on_ack(&mut self, now: Mono) -> bool {
        match &self.state {
            State::Completed { response, .. } => {
                let linger = if response.transport.is_reliable() { Duration::ZERO } else { self.timing.t4 };
                self.state = State::Confirmed { forget_at: now + linger };
                true
            }
            // Before a final response it is nonsense, after one a repetition.
            State::Proceeding { .. } | State::Confirmed { .. } => true,
            // That of a 2xx is the session's, also where an old peer gives it the INVITE's branch.
            State::Accepted { .. } | State::Terminated => false,
        }
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        match &self.state {
            State::Proceeding { due, .. } => due.map(|at| (at, Why::Trying)),
            State::Completed { again: Some(again), give_up_at, .. } if again.at < *give_up_at => Some((again.at, Why::SendAgain)),
            State::Completed { give_up_at, .. } => Some((*give_up_at, Why::GiveUp)),
            State::Confirmed { forget_at } | State::Accepted { forget_at } => Some((*forget_at, Why::Forget)),
            State::Terminated => None,
        }
    }

    /// Time has gone by.
    pub(crate) fn on_timeout(&mut self, now: Mono) -> Wake {
        match &mut self.state {
            State::Proceeding { last: Some(trying), due } if due.is_some_and(|at| at <= now) => {
                *due = None;
                Wake::Speak(trying.clone())
            }
            State::Completed { give_up_at, .. } if *give_up_at <= now => {
                self.state = State::Terminated;
                Wake::GaveUp
            }
            State::Completed { response, again: Some(again), .. } if again.at <= now => {
                again.interval = (again.interval * 2).min(self.timing.t2);
                again.at = now + again.interval;
                Wake::Send(response.clone())
            }
            State::Confirmed { forget_at } | State::Accepted { forget_at } if *forget_at <= now => {
                self.state = State::Terminated;
                Wake::Over
            }
            State::Proceeding { .. } | State::Completed { .. } | State::Confirmed { .. } | State::Accepted { .. } => {
                Wake::Nothing
            }
            State::Terminated => Wake::Over,
        }
    }
}
