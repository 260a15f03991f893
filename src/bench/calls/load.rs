//! Both phones of all calls on one thread: calls begin by the clock whatever becomes of the others, as in a network.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::desk::{Desk, T1};
use super::message::Places;
use super::phone::Phone;
use crate::clock::Clock;
use crate::demo::port::Port;

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
}

/// The phones.
pub(super) struct Load {
    clock: Clock,
    caller: Phone,
    callee: Phone,
    _rtp: Port,
    at: Places,
    desk: Desk,
}

impl Load {
    /// Opens the phones.
    pub(super) fn open(clock: Clock, daemon: SocketAddr) -> io::Result<Load> {
        Load::open_at(clock, daemon, None)
    }

    /// Opens the phones; the callee's at this address, where it is given.
    pub(super) fn open_at(clock: Clock, daemon: SocketAddr, callee: Option<SocketAddr>) -> io::Result<Load> {
        let callee = Phone::at(callee.map_or_else(Port::any, Port::at)?)?;
        let (caller, rtp) = (Phone::at(Port::any()?)?, Port::pair()?);
        let at = Places { daemon, caller: caller.address()?, callee: callee.address()?, rtp: rtp.address()? };
        Ok(Load { clock, caller, callee, _rtp: rtp, at, desk: Desk::of(&at) })
    }

    /// Where the daemon is to call.
    pub(super) fn callee(&self) -> SocketAddr {
        self.at.callee
    }

    /// Makes the calls of a plan, and waits until they are over.
    pub(super) fn run(&mut self, plan: Plan) -> Outcome {
        self.play(plan, self.clock.now().mono, plan.hold);
        self.desk.close()
    }

    /// Brings calls up and leaves them there.
    pub(super) fn hold(&mut self, plan: Plan) {
        let begun = self.clock.now().mono;
        let end = begun + Duration::from_secs_f64(plan.calls as f64 / f64::from(plan.rate)) + T1;
        let (first, mut next) = (self.desk.known(), 0);
        loop {
            let now = self.clock.now().mono;
            self.begin_due(plan, first, &mut next, begun, now);
            self.desk.resend(now);
            self.send();
            if now > end {
                return;
            }
            self.read(now + Duration::from_millis(5));
        }
    }

    /// Ends every call that is held, so many a second.
    pub(super) fn hang_up(&mut self, rate: u32) -> Outcome {
        let begun = self.clock.now().mono;
        let plan = Plan { rate, calls: 0, hold: Duration::ZERO };
        self.desk.end_at(|place| begin_at(plan, place, begun));
        self.play(plan, begun, Duration::ZERO);
        self.desk.close()
    }

    fn play(&mut self, plan: Plan, begun: Mono, hold: Duration) {
        let (first, mut next) = (self.desk.known(), 0);
        let mut give_up = None;
        loop {
            let now = self.clock.now().mono;
            self.begin_due(plan, first, &mut next, begun, now);
            self.desk.end_due(now, hold);
            self.desk.resend(now);
            self.send();
            if next == plan.calls {
                let until = *give_up.get_or_insert(now + T1 * 20);
                if self.desk.is_over() || (!self.desk.is_any_up() && now > until) {
                    return;
                }
            }
            let start = (next < plan.calls).then(|| begin_at(plan, next, begun));
            self.read([start, self.desk.due(hold)].into_iter().flatten().min().unwrap_or(now + T1));
        }
    }

    /// Begins the calls whose time has come. Each INVITE leaves by itself, right after the clock was read for it: it is not to wait for others, nor is their
    /// sending to count as the daemon's time.
    fn begin_due(&mut self, plan: Plan, first: usize, next: &mut usize, begun: Mono, now: Mono) {
        while *next < plan.calls && begin_at(plan, *next, begun) <= now {
            self.desk.invite(first + *next);
            *next += 1;
            let invited_at = self.clock.now().mono;
            self.send();
            self.desk.outcome.offered = invited_at.since(begun);
            self.desk.invited(invited_at);
        }
    }

    /// Waits until something has come, or something is due, and hears what has come.
    fn read(&mut self, until: Mono) {
        let span = until.since(self.clock.now().mono);
        let timeout = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.callee, PollFlags::IN), PollFd::new(&self.caller, PollFlags::IN)];
        if let Err(error) = poll(&mut fds, Some(&timeout)) {
            tracing::debug!(%error, "interrupted");
            return;
        }
        let [callee, caller] = fds.map(|fd| !fd.revents().is_empty());
        if callee {
            self.callee.read(self.clock);
            for (message, at) in self.callee.came() {
                self.desk.callee_hears(message, at);
            }
            self.send();
        }
        if caller {
            self.caller.read(self.clock);
            for (message, at) in self.caller.came() {
                self.desk.caller_hears(message, at);
            }
            self.send();
        }
    }

    /// Sends what has been written.
    fn send(&mut self) {
        let left = self.desk.caller.leave(&self.caller, self.at.daemon) + self.desk.callee.leave(&self.callee, self.at.daemon);
        self.desk.outcome.datagrams += left;
    }
}

fn begin_at(plan: Plan, place: usize, begun: Mono) -> Mono {
    begun + Duration::from_secs_f64(place as f64 / f64::from(plan.rate))
}
