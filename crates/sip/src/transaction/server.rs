//! The non-INVITE server transaction: RFC 3261 §17.2.2, with the silences of RFC 4320.

use std::time::Duration;

use baton_time::Mono;

use super::Wake;
use crate::timing::{Timing, Why};
use crate::transport::Transmit;
use serde::{Deserialize, Serialize};

/// A request of the far side other than INVITE and ACK.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Server {
    state: State,
    timing: Timing,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// Not answered finally. The far side gives up after 64*T1, and so do we: RFC 4320 §4.2 forbids an answer that comes later.
    Trying { last: Option<Transmit>, give_up_at: Mono },
    /// Answered; a repeated request gets the response again until timer J.
    Completed { response: Transmit, forget_at: Mono },
    /// Nothing more comes.
    Terminated,
}

impl Server {
    /// The transaction of a request that has just come.
    pub(crate) fn new(now: Mono, timing: Timing) -> Server {
        Server { state: State::Trying { last: None, give_up_at: now + timing.patience() }, timing }
    }

    /// Whether a final response has yet to be sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying { .. })
    }

    /// The request has come again: what to send, if anything.
    pub(crate) fn on_repetition(&self) -> Option<&Transmit> {
        match &self.state {
            State::Trying { last, .. } => last.as_ref(),
            State::Completed { response, .. } => (!baton_time::bug!(9)).then_some(response),
            State::Terminated => None,
        }
    }

    /// A response is being sent now.
    pub(crate) fn respond(&mut self, now: Mono, status: u16, response: Transmit) {
        match &mut self.state {
            State::Trying { last, .. } if status < 200 => *last = Some(response),
            State::Trying { .. } => {
                let linger = if response.transport.is_reliable() { Duration::ZERO } else { self.timing.patience() };
                self.state =
                    State::Completed { response, forget_at: now + if baton_time::bug!(10) { Duration::ZERO } else { linger } };
            }
            State::Completed { .. } | State::Terminated => {}
        }
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        match &self.state {
            State::Trying { give_up_at, .. } => Some((*give_up_at, Why::GiveUp)),
            State::Completed { forget_at, .. } => Some((*forget_at, Why::Forget)),
            State::Terminated => None,
        }
    }

    /// Time has gone by.
    pub(crate) fn on_timeout(&mut self, now: Mono) -> Wake {
        match &self.state {
            State::Trying { give_up_at, .. } if *give_up_at <= now => {
                self.state = State::Terminated;
                Wake::GaveUp
            }
            State::Completed { forget_at, .. } if *forget_at <= now => {
                self.state = State::Terminated;
                Wake::Over
            }
            State::Trying { .. } | State::Completed { .. } => Wake::Nothing,
            State::Terminated => Wake::Over,
        }
    }
}
