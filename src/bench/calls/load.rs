//! Both phones of all calls on one thread: calls begin by the clock whatever becomes of the others, as in a network.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::message::{self, Answered, Heard, Places};
use crate::clock::Clock;
use crate::demo::port::Port;

/// When what has not been answered is sent again (RFC 3261 §17.1.1.1), and how often until the call has failed.
const T1: Duration = Duration::from_millis(500);
const TRIES_MAX: u32 = 6;
/// How many datagrams are read before calls that are due begin.
const BATCH: usize = 32;
/// Bytes that may wait at each phone: this tool is not to be what loses a datagram.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What a run is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Calls a second.
    pub(super) rate: u32,
    /// How many calls.
    pub(super) calls: usize,
    /// How long a call is up.
    pub(super) hold: Duration,
}

/// What became of a run.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Calls that came up and were ended.
    pub(super) done: usize,
    /// Calls that did not.
    pub(super) failed: usize,
    /// The status of the first refusal, if any.
    pub(super) refused: Option<u16>,
    /// Messages that came or went once more.
    pub(super) repeated: usize,
    /// Calls whose 180 came after the 200, or never.
    pub(super) ringing_lost: usize,
    /// From the caller's INVITE to the daemon's own, in milliseconds.
    pub(super) through: Vec<f64>,
    /// Datagrams from and to the daemon.
    pub(super) datagrams: usize,
    /// When an INVITE left and when a 503 came that says when to come again.
    pub(super) turned_away: Vec<(Mono, Mono)>,
    /// For how long calls began.
    pub(super) offered: Duration,
    /// How long it took.
    pub(super) span: Duration,
}

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
    /// The answer, until it is acknowledged.
    Answered(String),
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

/// The phones.
pub(super) struct Load {
    clock: Clock,
    caller: Port,
    callee: Port,
    _rtp: Port,
    at: Places,
    calls: Vec<Call>,
    up: VecDeque<(Mono, usize)>,
    again: VecDeque<(Mono, usize, Again, u32)>,
    outcome: Outcome,
    /// Calls that are not over.
    open: usize,
}

impl Load {
    /// Opens the phones.
    pub(super) fn open(clock: Clock, daemon: SocketAddr) -> io::Result<Load> {
        Load::open_at(clock, daemon, None)
    }

    /// Opens the phones; the callee's at this address, where it is given.
    pub(super) fn open_at(clock: Clock, daemon: SocketAddr, callee: Option<SocketAddr>) -> io::Result<Load> {
        let callee = callee.map_or_else(Port::any, Port::at)?;
        let (caller, rtp) = (Port::any()?, Port::pair()?);
        for port in [&caller, &callee] {
            set_socket_recv_buffer_size(port, RECEIVE_BUFFER)?;
        }
        let at = Places { daemon, caller: caller.address()?, callee: callee.address()?, rtp: rtp.address()? };
        let (calls, up, again) = (Vec::new(), VecDeque::new(), VecDeque::new());
        Ok(Load { clock, caller, callee, _rtp: rtp, at, calls, up, again, outcome: Outcome::default(), open: 0 })
    }

    /// Where the daemon is to call.
    pub(super) fn callee(&self) -> SocketAddr {
        self.at.callee
    }

    /// Makes the calls of a plan, and waits until they are over.
    pub(super) fn run(&mut self, plan: Plan) -> Outcome {
        let begun = self.clock.now().mono;
        self.play(plan, begun, plan.hold);
        self.finished(begun)
    }

    /// Brings calls up and leaves them there.
    pub(super) fn hold(&mut self, plan: Plan) {
        let begun = self.clock.now().mono;
        let end = begun + Duration::from_secs_f64(plan.calls as f64 / f64::from(plan.rate)) + T1;
        let (first, mut next) = (self.calls.len(), 0);
        loop {
            let now = self.clock.now().mono;
            self.begin_due(plan, first, &mut next, begun, now);
            self.resend(now);
            let is_quiet = !self.read();
            if now > end {
                return;
            }
            if is_quiet {
                self.sleep(now + Duration::from_millis(5));
            }
        }
    }

    /// Ends every call that is held, so many a second.
    pub(super) fn hang_up(&mut self, rate: u32) -> Outcome {
        let begun = self.clock.now().mono;
        let plan = Plan { rate, calls: 0, hold: Duration::ZERO };
        for (place, (_, number)) in std::mem::take(&mut self.up).into_iter().enumerate() {
            self.up.push_back((begin_at(plan, place, begun), number));
        }
        self.play(plan, begun, Duration::ZERO);
        self.finished(begun)
    }

    fn finished(&mut self, begun: Mono) -> Outcome {
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.failed += self.open;
        outcome.span = self.clock.now().mono.since(begun);
        self.open = 0;
        self.up.clear();
        self.again.clear();
        outcome
    }

    fn play(&mut self, plan: Plan, begun: Mono, hold: Duration) {
        let (first, mut next) = (self.calls.len(), 0);
        let mut give_up = None;
        loop {
            let now = self.clock.now().mono;
            self.begin_due(plan, first, &mut next, begun, now);
            self.end_due(now, hold);
            self.resend(now);
            let is_quiet = !self.read();
            if next == plan.calls {
                let until = *give_up.get_or_insert(now + T1 * 20);
                if self.open == 0 || (self.up.is_empty() && now > until) {
                    return;
                }
            }
            if is_quiet {
                let start = (next < plan.calls).then(|| begin_at(plan, next, begun));
                let up = self.up.front().map(|(at, _)| *at + hold);
                let again = self.again.front().map(|(at, ..)| *at);
                let due = [start, up, again].into_iter().flatten().min().unwrap_or(now + T1);
                self.sleep(due);
            }
        }
    }

    fn begin_due(&mut self, plan: Plan, first: usize, next: &mut usize, begun: Mono, now: Mono) {
        while *next < plan.calls && begin_at(plan, *next, begun) <= now {
            let number = first + *next;
            *next += 1;
            self.open += 1;
            let text = message::invite(number, &self.at);
            let invited_at = self.clock.now().mono;
            self.outcome.offered = invited_at.since(begun);
            let phase = Phase::Inviting { rang: false };
            self.calls.push(Call { invited_at, phase, is_answering: false, callee: Callee::Idle });
            self.caller_sends(&text);
            self.again.push_back((invited_at + T1, number, Again::Invite, 1));
        }
    }

    fn end_due(&mut self, now: Mono, hold: Duration) {
        while self.up.front().is_some_and(|(at, _)| *at + hold <= now) {
            let Some((_, number)) = self.up.pop_front() else { return };
            let call = &mut self.calls[number];
            let Phase::Up(answered) = std::mem::replace(&mut call.phase, Phase::Over) else { continue };
            let text = message::bye(number, &self.at, &answered);
            call.phase = Phase::Leaving(answered);
            self.caller_sends(&text);
            self.again.push_back((now + T1, number, Again::Bye, 1));
        }
    }

    fn caller_sends(&mut self, text: &str) {
        self.outcome.datagrams += 1;
        self.caller.send(self.at.daemon, text.as_bytes());
    }

    fn callee_sends(&mut self, text: &str) {
        self.outcome.datagrams += 1;
        self.callee.send(self.at.daemon, text.as_bytes());
    }

    /// Sends again what was not answered in its time.
    fn resend(&mut self, now: Mono) {
        while self.again.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, number, what, tries)) = self.again.pop_front() else { return };
            let call = &self.calls[number];
            let text = match (what, &call.phase, &call.callee) {
                (Again::Invite, Phase::Inviting { .. }, _) if !call.is_answering => message::invite(number, &self.at),
                (Again::Bye, Phase::Leaving(answered), _) => message::bye(number, &self.at, answered),
                (Again::Answer, _, Callee::Answered(answer)) => answer.clone(),
                (Again::Invite | Again::Bye | Again::Answer, _, _) => continue,
            };
            if tries == TRIES_MAX {
                self.over(number, false);
                continue;
            }
            self.outcome.repeated += 1;
            match what {
                Again::Invite | Again::Bye => self.caller_sends(&text),
                Again::Answer => self.callee_sends(&text),
            }
            self.again.push_back((now + T1, number, what, tries + 1));
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

    /// Reads what has come; says whether there was anything.
    fn read(&mut self) -> bool {
        let mut is_any = false;
        for _ in 0..BATCH {
            let Some(datagram) = self.callee.receive(self.clock) else { break };
            is_any = true;
            self.outcome.datagrams += 1;
            let text = String::from_utf8_lossy(&datagram.bytes);
            if let Some(Heard::Request(method, number)) = message::read(&text).filter(|heard| self.is_known(heard)) {
                self.callee_hears(number, method, &text, datagram.at);
            }
        }
        for _ in 0..BATCH {
            let Some(datagram) = self.caller.receive(self.clock) else { break };
            is_any = true;
            self.outcome.datagrams += 1;
            let text = String::from_utf8_lossy(&datagram.bytes);
            if let Some(Heard::Response(status, method, number)) = message::read(&text).filter(|heard| self.is_known(heard)) {
                self.caller_hears(number, status, method, &text, datagram.at);
            }
        }
        is_any
    }

    fn is_known(&self, heard: &Heard<'_>) -> bool {
        let (Heard::Request(_, number) | Heard::Response(_, _, number)) = heard;
        *number < self.calls.len()
    }

    fn callee_hears(&mut self, number: usize, method: &str, text: &str, at: Mono) {
        match (method, &self.calls[number].callee) {
            ("INVITE", Callee::Idle) => {
                let invited_at = self.calls[number].invited_at;
                self.outcome.through.push(at.since(invited_at).as_secs_f64() * 1e3);
                let (ringing, answer) =
                    (message::answer(text, 180, number, &self.at), message::answer(text, 200, number, &self.at));
                self.callee_sends(&ringing);
                self.callee_sends(&answer);
                self.calls[number].callee = Callee::Answered(answer);
                self.again.push_back((at + T1, number, Again::Answer, 1));
            }
            ("ACK", Callee::Answered(_)) => self.calls[number].callee = Callee::Up,
            ("BYE", callee) => {
                self.outcome.repeated += usize::from(matches!(callee, Callee::Over));
                let answer = message::answer(text, 200, number, &self.at);
                self.calls[number].callee = Callee::Over;
                self.callee_sends(&answer);
                self.end_if_both_have(number);
            }
            ("INVITE" | "ACK", _) => self.outcome.repeated += 1,
            _ => {}
        }
    }

    fn caller_hears(&mut self, number: usize, status: u16, method: &str, text: &str, at: Mono) {
        let call = &mut self.calls[number];
        call.is_answering |= method == "INVITE";
        match (method, status, &call.phase) {
            ("INVITE", 180, Phase::Inviting { .. }) => call.phase = Phase::Inviting { rang: true },
            ("INVITE", 101..=199, Phase::Inviting { .. }) | ("INVITE", 100, _) => {}
            ("INVITE", 101..=199, _) => self.outcome.ringing_lost += 1,
            ("INVITE", 200, Phase::Inviting { rang }) => {
                self.outcome.ringing_lost += usize::from(!rang);
                let answered = Answered::read(text);
                let ack = message::ack(number, &self.at, &answered);
                self.calls[number].phase = Phase::Up(answered);
                self.caller_sends(&ack);
                self.up.push_back((at, number));
            }
            ("INVITE", 200, Phase::Up(answered) | Phase::Leaving(answered)) => {
                let ack = message::ack(number, &self.at, answered);
                self.outcome.repeated += 1;
                self.caller_sends(&ack);
            }
            ("INVITE", 300.., _) => {
                self.outcome.refused.get_or_insert(status);
                let is_first = self.calls[number].phase != Phase::Over;
                if is_first && status == 503 && text.contains("\r\nRetry-After: ") {
                    let invited_at = self.calls[number].invited_at;
                    self.outcome.turned_away.push((invited_at, at));
                }
                let ack = message::ack_refusal(number, &self.at, text);
                self.caller_sends(&ack);
                self.over(number, false);
            }
            ("BYE", 200, Phase::Leaving(_)) => {
                self.calls[number].phase = Phase::Left;
                self.end_if_both_have(number);
            }
            ("BYE", _, _) => self.outcome.repeated += 1,
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

    fn sleep(&self, until: Mono) {
        let span = until.since(self.clock.now().mono);
        let timeout = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.caller, PollFlags::IN), PollFd::new(&self.callee, PollFlags::IN)];
        if let Err(error) = poll(&mut fds, Some(&timeout)) {
            tracing::debug!(%error, "interrupted");
        }
    }
}

fn begin_at(plan: Plan, place: usize, begun: Mono) -> Mono {
    begun + Duration::from_secs_f64(place as f64 / f64::from(plan.rate))
}
