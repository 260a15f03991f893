//! The calls of a run at both of their ends: what each message means to its call, what is said next, and what is to be counted.

use std::collections::VecDeque;
use std::time::Duration;

use baton_time::Mono;

use super::load::Outcome;
use super::message::{Answered, Places, Request, Response, Script};
use super::phone::Outbox;

/// When what has not been answered is sent again (RFC 3261 §17.1.1.1), and how often until the call has failed.
pub(super) const T1: Duration = Duration::from_millis(500);
const TRIES_MAX: u32 = 6;

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Inviting {
        rang: bool,
    },
    Up(Answered),
    Leaving(Answered),
    /// The BYE is answered; the callee has yet to get one.
    Left,
    Over,
}

#[derive(Debug)]
struct Call {
    invited_at: Mono,
    phase: Phase,
    is_answering: bool,
    callee: Callee,
}

/// The callee's side.
#[derive(Debug)]
enum Callee {
    Idle,
    /// What each answer repeats of the INVITE, until one is acknowledged.
    Answered(Box<[u8]>),
    Up,
    Over,
}

/// What is sent again where nothing is heard.
#[derive(Debug, Clone, Copy)]
enum Again {
    Invite,
    Answer,
    Bye,
}

/// The calls, and what both phones are to say.
pub(super) struct Desk {
    script: Script,
    calls: Vec<Call>,
    /// Since when a call is up.
    up: VecDeque<(Mono, usize)>,
    again: VecDeque<(Mono, usize, Again, u32)>,
    /// What has become of them so far.
    pub(super) outcome: Outcome,
    /// Calls that are not over.
    open: usize,
    /// What the caller's phone is to send.
    pub(super) caller: Outbox,
    /// What the callee's is to send.
    pub(super) callee: Outbox,
    /// What an answer repeats; written anew for each.
    echo: Vec<u8>,
}

impl Desk {
    /// No calls yet.
    pub(super) fn of(at: &Places) -> Desk {
        Desk {
            script: Script::of(at),
            calls: Vec::new(),
            up: VecDeque::new(),
            again: VecDeque::new(),
            outcome: Outcome::default(),
            open: 0,
            caller: Outbox::default(),
            callee: Outbox::default(),
            echo: Vec::new(),
        }
    }

    /// How many calls have ever begun: the number of the next one.
    pub(super) fn known(&self) -> usize {
        self.calls.len()
    }

    /// Whether all calls are over.
    pub(super) fn is_over(&self) -> bool {
        self.open == 0
    }

    /// Whether a call is up.
    pub(super) fn is_any_up(&self) -> bool {
        !self.up.is_empty()
    }

    /// When something is to be done though nothing comes.
    pub(super) fn due(&self, hold: Duration) -> Option<Mono> {
        let up = self.up.front().map(|(at, _)| *at + hold);
        let again = self.again.front().map(|(at, ..)| *at);
        [up, again].into_iter().flatten().min()
    }

    /// Has the calls that are up end when they are told, each by its place.
    pub(super) fn end_at(&mut self, when: impl Fn(usize) -> Mono) {
        for (place, (at, _)) in self.up.iter_mut().enumerate() {
            *at = when(place);
        }
    }

    /// Gives all calls up that are not over.
    pub(super) fn close(&mut self) -> Outcome {
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.failed += std::mem::take(&mut self.open);
        self.up.clear();
        self.again.clear();
        outcome
    }

    /// Writes the INVITE of a call.
    pub(super) fn invite(&mut self, number: usize) {
        self.caller.add(|text| self.script.invite(number, text));
    }

    /// Told when the INVITE of the next call has left.
    pub(super) fn invited(&mut self, invited_at: Mono) {
        self.again.push_back((invited_at + T1, self.calls.len(), Again::Invite, 1));
        let phase = Phase::Inviting { rang: false };
        self.calls.push(Call { invited_at, phase, is_answering: false, callee: Callee::Idle });
        self.open += 1;
    }

    /// Writes the BYE of each call that has been up for long enough.
    pub(super) fn end_due(&mut self, now: Mono, hold: Duration) {
        while self.up.front().is_some_and(|(at, _)| *at + hold <= now) {
            let Some((_, number)) = self.up.pop_front() else { return };
            let call = &mut self.calls[number];
            let Phase::Up(answered) = std::mem::replace(&mut call.phase, Phase::Over) else { continue };
            self.caller.add(|text| self.script.bye(number, &answered, text));
            call.phase = Phase::Leaving(answered);
            self.again.push_back((now + T1, number, Again::Bye, 1));
        }
    }

    /// Sends again what was not answered in its time, and forgets what was.
    pub(super) fn resend(&mut self, now: Mono) {
        while let Some((at, number, what, tries)) = self.again.front().copied() {
            let call = &self.calls[number];
            let is_open = match what {
                Again::Invite => matches!(call.phase, Phase::Inviting { .. }) && !call.is_answering,
                Again::Bye => matches!(call.phase, Phase::Leaving(_)),
                Again::Answer => matches!(call.callee, Callee::Answered(_)),
            };
            if is_open && now < at {
                return;
            }
            self.again.pop_front();
            if is_open && tries == TRIES_MAX {
                self.over(number, false);
            } else if is_open {
                self.outcome.repeated += 1;
                self.say_again(number, what);
                self.again.push_back((now + T1, number, what, tries + 1));
            }
        }
    }

    fn say_again(&mut self, number: usize, what: Again) {
        let Desk { script, calls, caller, callee, .. } = self;
        let call = &calls[number];
        match (what, &call.phase, &call.callee) {
            (Again::Invite, _, _) => caller.add(|text| script.invite(number, text)),
            (Again::Bye, Phase::Leaving(answered), _) => caller.add(|text| script.bye(number, answered, text)),
            (Again::Answer, _, Callee::Answered(echo)) => callee.add(|text| script.accepting(number, echo, text)),
            (Again::Bye | Again::Answer, _, _) => {}
        }
    }

    fn over(&mut self, number: usize, well: bool) {
        let call = &mut self.calls[number];
        if call.phase == Phase::Over {
            return;
        }
        call.phase = Phase::Over;
        self.open -= 1;
        if well {
            self.outcome.done += 1;
        } else {
            self.outcome.failed += 1;
        }
    }

    /// The callee's phone has got a datagram.
    pub(super) fn callee_hears(&mut self, message: &[u8], at: Mono) {
        self.outcome.datagrams += 1;
        let Some(request) = Request::read(message).filter(|request| request.number < self.calls.len()) else { return };
        let number = request.number;
        match (request.method, &self.calls[number].callee) {
            (b"INVITE", Callee::Idle) => {
                let invited_at = self.calls[number].invited_at;
                self.outcome.through.push(at.since(invited_at).as_secs_f64() * 1e3);
                let Desk { script, callee, echo, .. } = self;
                echo.clear();
                script.echo(&request, echo);
                callee.add(|text| script.ringing(number, echo, text));
                callee.add(|text| script.accepting(number, echo, text));
                self.calls[number].callee = Callee::Answered(echo.as_slice().into());
                self.again.push_back((at + T1, number, Again::Answer, 1));
            }
            (b"ACK", Callee::Answered(_)) => self.calls[number].callee = Callee::Up,
            (b"BYE", callee) => {
                self.outcome.repeated += usize::from(matches!(callee, Callee::Over));
                self.calls[number].callee = Callee::Over;
                self.callee.add(|text| self.script.well(&request, text));
                self.end_if_both_have(number);
            }
            (b"INVITE" | b"ACK", _) => self.outcome.repeated += 1,
            _ => {}
        }
    }

    /// The caller's phone has got a datagram.
    pub(super) fn caller_hears(&mut self, message: &[u8], at: Mono) {
        self.outcome.datagrams += 1;
        let Some(response) = Response::read(message).filter(|response| response.number < self.calls.len()) else { return };
        let Response { number, status, method, .. } = response;
        let call = &mut self.calls[number];
        call.is_answering |= method == b"INVITE";
        match (method, status, &call.phase) {
            (b"INVITE", 180, Phase::Inviting { .. }) => call.phase = Phase::Inviting { rang: true },
            (b"INVITE", 101..=199, Phase::Inviting { .. }) | (b"INVITE", 100, _) => {}
            (b"INVITE", 101..=199, _) => self.outcome.ringing_lost += 1,
            (b"INVITE", 200, Phase::Inviting { rang }) => {
                self.outcome.ringing_lost += usize::from(!rang);
                let answered = response.answered();
                self.caller.add(|text| self.script.ack(number, &answered, text));
                call.phase = Phase::Up(answered);
                self.up.push_back((at, number));
            }
            (b"INVITE", 200, Phase::Up(answered) | Phase::Leaving(answered)) => {
                self.outcome.repeated += 1;
                self.caller.add(|text| self.script.ack(number, answered, text));
            }
            (b"INVITE", 300.., phase) => {
                self.outcome.refused.get_or_insert(status);
                if *phase != Phase::Over && status == 503 && response.is_for_later {
                    self.outcome.turned_away.push((call.invited_at, at));
                }
                self.caller.add(|text| self.script.ack_refusal(&response, text));
                self.over(number, false);
            }
            (b"BYE", 200, Phase::Leaving(_)) => {
                call.phase = Phase::Left;
                self.end_if_both_have(number);
            }
            (b"BYE", _, _) => self.outcome.repeated += 1,
            _ => {}
        }
    }

    /// A call is over when the caller's BYE is answered and the callee has got one.
    fn end_if_both_have(&mut self, number: usize) {
        let call = &self.calls[number];
        if matches!(call.callee, Callee::Over) && call.phase == Phase::Left {
            self.over(number, true);
        }
    }
}
