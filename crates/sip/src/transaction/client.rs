//! The non-INVITE client transaction: RFC 3261 §17.1.2.

use std::time::Duration;

use baton_time::Mono;

use super::Wake;
use crate::timing::{Timing, Why};
use crate::transport::Transmit;
use serde::{Deserialize, Serialize};

/// A request of ours other than INVITE and ACK.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    state: State,
    timing: Timing,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// Not answered finally: repeated with timer E until timer F. `provisional` only makes timer E slower.
    Trying { request: Transmit, again: Option<Again>, give_up_at: Mono, provisional: bool },
    /// Answered; repetitions of the response are swallowed until timer K.
    Completed { forget_at: Mono },
    /// Nothing more comes.
    Terminated,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Again {
    at: Mono,
    interval: Duration,
}

impl Client {
    /// The transaction of a request that is being sent now.
    pub(crate) fn new(now: Mono, request: Transmit, timing: Timing) -> Client {
        let again = (!request.transport.is_reliable() && !baton_time::bug!(1))
            .then(|| Again { at: now + timing.t1, interval: timing.t1 });
        Client {
            state: State::Trying {
                request,
                again,
                give_up_at: now + if baton_time::bug!(2) { timing.patience() * 9 } else { timing.patience() },
                provisional: false,
            },
            timing,
        }
    }

    /// The request, while it is not answered.
    pub(crate) fn request(&self) -> Option<&Transmit> {
        match &self.state {
            State::Trying { request, .. } => Some(request),
            State::Completed { .. } | State::Terminated => None,
        }
    }

    /// The request, while nothing at all was said to it.
    pub(crate) fn unheard_mut(&mut self) -> Option<&mut Transmit> {
        match &mut self.state {
            State::Trying { request, provisional: false, .. } => Some(request),
            State::Trying { .. } | State::Completed { .. } | State::Terminated => None,
        }
    }

    /// A response has come: whether it is new.
    pub(crate) fn on_response(&mut self, now: Mono, status: u16) -> bool {
        match &mut self.state {
            State::Trying { provisional, .. } if status < 200 => {
                *provisional = true;
                true
            }
            State::Trying { request, .. } => {
                let linger = if request.transport.is_reliable() { Duration::ZERO } else { self.timing.t4 };
                self.state = State::Completed { forget_at: now + linger };
                true
            }
            State::Completed { .. } | State::Terminated => false,
        }
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        match &self.state {
            State::Trying { again: Some(again), give_up_at, .. } if again.at < *give_up_at => Some((again.at, Why::SendAgain)),
            State::Trying { give_up_at, .. } => Some((*give_up_at, Why::GiveUp)),
            State::Completed { forget_at } => Some((*forget_at, Why::Forget)),
            State::Terminated => None,
        }
    }

    /// Time has gone by.
    pub(crate) fn on_timeout(&mut self, now: Mono) -> Wake {
        match &mut self.state {
            State::Trying { give_up_at, .. } if *give_up_at <= now => {
                self.state = State::Terminated;
                Wake::GaveUp
            }
            State::Trying { request, again: Some(again), provisional, .. } if again.at <= now => {
                // RFC 3261 §17.1.2.2: timer E doubles up to T2, and is T2 at once when there was a provisional response.
                again.interval = if *provisional { self.timing.t2 } else { (again.interval * 2).min(self.timing.t2) };
                again.at = now + again.interval;
                Wake::Send(request.clone())
            }
            State::Completed { forget_at } if *forget_at <= now => {
                self.state = State::Terminated;
                Wake::Over
            }
            State::Trying { .. } | State::Completed { .. } => Wake::Nothing,
            State::Terminated => Wake::Over,
        }
    }
}
