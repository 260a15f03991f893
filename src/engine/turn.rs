//! The loop: wait, take in, answer.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use baton_contract::Problem;
use baton_sip::{Incoming, Transmit, Transport};
use baton_switchboard::{DRAIN_RETRY_AFTER, Input, Output, Queue, Switchboard};
use baton_time::Now;
use mio::{Events, Poll, Token, Waker};

use super::outlets::Outlets;
use super::sockets::{Datagram, Envelopes, Sockets};
use super::streams::End;
use super::{Door, QUEUE_MAX, Request, Snapshot};
use crate::clock::Clock;
use crate::journal::Journal;
use crate::precedence;
use crate::watchdog::Pulse;

/// The token of the waker.
const WAKER: Token = Token(usize::MAX);

/// The longest sleep: the watchdog is told that the engine lives.
const NAP_MAX: Duration = Duration::from_secs(1);

/// How long the store may take at the end until the last events are told, and how often that is looked at.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);
const LAST_LOOK: Duration = Duration::from_millis(20);

/// How many datagrams are heard before requests get their turn.
const HEARD_MAX: usize = 16;

/// How many requests are taken before the sockets get their turn again.
const REQUESTS_MAX: usize = 256;

/// How the engine has ended.
pub(crate) enum Ending {
    /// It was told to stop: no call is left.
    Stopped,
    /// The calls are left to the process that comes next; as long as these live people hear each other.
    Left(Box<Outlets>),
}

/// The engine before its thread has begun.
pub(crate) struct EngineParts {
    poll: Poll,
    door: Door,
    queue: Receiver<Request>,
}

impl EngineParts {
    /// Makes the queue, so that others can be given the door to it.
    pub(crate) fn new() -> io::Result<EngineParts> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (sender, queue) = sync_channel(QUEUE_MAX);
        Ok(EngineParts { poll, door: Door::new(sender, waker), queue })
    }

    /// The way in.
    pub(crate) fn door(&self) -> Door {
        self.door.clone()
    }
}

/// The engine.
pub(crate) struct Engine {
    pub(crate) clock: Clock,
    pub(crate) board: Switchboard,
    pub(crate) sockets: Sockets,
    pub(crate) outlets: Outlets,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) journal: Journal,
}

impl Engine {
    /// Runs until it is told to stop.
    pub(crate) fn run(mut self, parts: EngineParts) -> io::Result<Ending> {
        precedence::set(precedence::LIVE);
        let EngineParts { mut poll, queue, door } = parts;
        self.sockets.register(poll.registry())?;
        let (mut events, mut envelopes) = (Events::with_capacity(64), Envelopes::of(&self.sockets));
        self.drain_outputs(self.clock.now());
        self.outlets.relay.ring();
        let (mut more, mut requests_wait) = (false, false);
        loop {
            let nap = if more { Duration::ZERO } else { self.nap() };
            match poll.poll(&mut events, Some(nap)) {
                Ok(()) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            }
            more = self.read_sockets(&events, &mut envelopes, more);
            self.hear_some(requests_wait);
            self.write_down();
            door.is_looked_at();
            requests_wait = false;
            match self.take_requests(&queue) {
                Taken::All => {}
                Taken::MoreWait => requests_wait = true,
                Taken::Stop => {
                    self.end(&queue);
                    return Ok(Ending::Stopped);
                }
                Taken::Leave => return Ok(Ending::Left(Box::new(self.leave()))),
            }
            more |= requests_wait || self.sockets.waiting().0 > 0;
            self.wake();
            self.outlets.relay.ring();
            self.write_down();
            let now = self.clock.now().mono;
            self.outlets.settle(now);
            self.pulse.beat(now);
        }
    }

    /// How long to sleep: to the next deadline, rounded up to what the kernel can do.
    fn nap(&mut self) -> Duration {
        let now = self.clock.now();
        let due = self.board.poll_timeout().map(|(deadline, _)| deadline.mono(now));
        let soonest = [due, self.outlets.poll_timeout(), self.journal.poll_timeout()].into_iter().flatten().min();
        soonest.map_or(NAP_MAX, |due| due.since(now.mono).min(NAP_MAX))
    }

    /// Reads where something has come; says whether there may be more.
    fn read_sockets(&mut self, events: &Events, envelopes: &mut Envelopes, all: bool) -> bool {
        let told = || events.iter().filter(|event| event.token() != WAKER).map(|event| event.token().0).collect();
        self.sockets.read(envelopes, (!all).then(told))
    }

    /// Hears what has waited longest. Each is answered before the next one is looked at: whoever spoke first does not wait for the others.
    fn hear_some(&mut self, requests_wait: bool) {
        let (waiting, came) = self.sockets.waiting();
        let taken = waiting.min(HEARD_MAX);
        // Requests of which more wait than were taken are neither more nor fewer than before, as far as can be seen.
        let requests = if requests_wait { REQUESTS_MAX } else { 0 };
        let queue = match requests_wait || waiting > taken {
            true => Queue::Standing { came: came + requests, taken: taken + requests },
            false => Queue::Empty,
        };
        self.board.see_queue(self.clock.now().mono, queue);
        for _ in 0..taken {
            let Some(Datagram { local, remote, bytes }) = self.sockets.take_oldest() else { return };
            let message = Incoming { transport: Transport::Udp, connection: None, local, remote, bytes };
            self.hear(self.clock.now(), message);
        }
    }

    fn take_requests(&mut self, queue: &Receiver<Request>) -> Taken {
        for _ in 0..REQUESTS_MAX {
            let Ok(request) = queue.try_recv() else { return Taken::All };
            if matches!(request, Request::Stop) {
                return Taken::Stop;
            }
            if matches!(request, Request::Leave) {
                return Taken::Leave;
            }
            self.take(request);
        }
        Taken::MoreWait
    }

    fn take(&mut self, request: Request) {
        let now = self.clock.now();
        match request {
            Request::Ask(command, asker) => {
                let ticket = self.outlets.expect(asker);
                self.handle(now, Input::Ask { ticket, command });
            }
            Request::Stream(incoming) => self.hear(now, *incoming),
            Request::StreamOpened(opened) => self.outlets.streams.opened(opened),
            Request::StreamClosed(id, heard) => {
                let end = self.outlets.streams.closed(id, heard);
                let spoke = if let Some(End::Heard(remote)) = end { Some(remote) } else { None };
                self.handle(now, Input::ConnectionClosed { connection: id, remote: spoke });
                if let Some(End::CalledInVain(transport, remote)) = end {
                    self.handle(now, Input::SendFailed { transport, remote });
                }
            }
            Request::Stored(ack) => self.stored(now, ack),
            Request::Media(event) => {
                self.outlets.count_media(&event);
                self.handle(now, Input::Media(*event));
            }
            Request::Rendered { ticket, spoken } => self.handle(now, Input::Rendered { ticket, spoken }),
            Request::Recorded { tap, result } => {
                let hands = (&self.outlets.runtime, &self.outlets.door, &self.outlets.metrics);
                self.outlets.recordings.ended(hands, tap, &result);
                self.handle(now, Input::Recorded { tap, result });
            }
            Request::Transcribed { transfer, text } => self.handle(now, Input::Transcribed { transfer, text }),
            Request::WrittenDown { ticket, text } => self.handle(now, Input::WrittenDown { ticket, text }),
            Request::Prompts { language, clips } => self.handle(now, Input::Prompts { language, clips }),
            Request::Resolved(whom, hops) => self.handle(now, Input::Resolved { whom, hops }),
            Request::Callbacks(rows) => self.handle(now, Input::Callbacks(rows)),
            Request::Gauges(asker) => {
                self.outlets.recordings.hand_on();
                if asker.send(self.snapshot(now)).is_err() {
                    tracing::debug!("whoever asked for gauges has gone");
                }
            }
            Request::Drain => self.handle(now, Input::Drain { retry_after: DRAIN_RETRY_AFTER }),
            Request::HangUpAll => self.handle(now, Input::HangUpAll),
            Request::Reload(reload, asker) => {
                if asker.send(self.board.reload(*reload)).is_err() {
                    tracing::debug!("whoever asked for a reload has gone");
                }
            }
            Request::Leave | Request::Stop => {}
        }
    }

    fn stored(&mut self, now: Now, ack: baton_store::Ack) {
        if let Err(refusal) = ack.result {
            tracing::error!(refusal = refusal.name(), "a commit was refused");
        }
        self.outlets.let_go(ack.ticket, ack.result);
        if !Outlets::is_unwatched(ack.ticket) {
            let input = if ack.result.is_ok() { Input::Committed(ack.ticket) } else { Input::CommitRefused(ack.ticket) };
            self.handle(now, input);
        }
    }

    fn wake(&mut self) {
        let now = self.clock.now();
        if let Some((deadline, why)) = self.board.poll_timeout().filter(|(deadline, _)| deadline.is_due(now)) {
            let late = now.mono.since(deadline.mono(now));
            tracing::trace!(?why, ?late, "woken");
            self.outlets.metrics.lock().observe("baton_engine_lag_seconds", &[], late.as_secs_f64());
            self.handle(now, Input::Wake);
        } else if self.board.is_clock_set(now) {
            self.handle(now, Input::Wake);
        }
    }

    fn hear(&mut self, now: Now, message: Incoming) {
        self.outlets.tap.received(now, &message);
        self.handle(now, Input::Sip(message));
    }

    fn handle(&mut self, now: Now, input: Input) {
        self.board.handle(now, input);
        self.drain_outputs(now);
    }

    /// Has written down what has changed. Nobody waits for that, so it comes behind what was to be sent, and once for all that a call was told.
    fn write_down(&mut self) {
        self.journal.follow(self.clock.now().mono, &mut self.board);
    }

    /// Hands over what waits, and tells what is on record, for a moment at most.
    fn end(&mut self, queue: &Receiver<Request>) {
        self.outlets.submit_lingering();
        let until = self.clock.now().mono + LAST_WORDS_MAX;
        while self.outlets.has_untold() && self.clock.now().mono < until {
            if let Ok(request) = queue.recv_timeout(LAST_LOOK) {
                self.take(request);
            }
        }
        self.journal.leave(&mut self.board);
    }

    /// Leaves all calls to the process that comes after this one: they are on record, and nothing more is said in SIP.
    fn leave(mut self) -> Outlets {
        self.outlets.relay.ring();
        self.journal.leave(&mut self.board);
        self.outlets.leave();
        self.outlets
    }

    /// Does everything that the switchboard wants done. What comes back at once is handed in again.
    fn drain_outputs(&mut self, now: Now) {
        while let Some(output) = self.board.poll() {
            match output {
                Output::Transmit(transmit) => self.transmit(now, &transmit),
                Output::Media(command) => self.outlets.tell_media(now.mono, command),
                Output::Commit { ticket, level, records } => {
                    let taken = self.outlets.commit(now.mono, ticket, level, records);
                    if let Some(ticket) = ticket.filter(|_| !taken) {
                        self.board.handle(now, Input::CommitRefused(ticket));
                    }
                }
                Output::Publish(event) => self.outlets.publish(*event),
                Output::Render { ticket, full, short, language } => self.outlets.render(ticket, language, full, short),
                Output::Record(order) => {
                    if let Some((tap, fault)) = self.outlets.recordings.order(order, now) {
                        self.board.handle(now, Input::Recorded { tap, result: Err(fault) });
                    }
                }
                Output::WriteDown { ticket, file, language } => {
                    let hands = (&self.outlets.runtime, &self.outlets.door, &self.outlets.metrics);
                    self.outlets.recordings.write_down(hands, (ticket, &file), language);
                }
                Output::Forget { file } => self.outlets.recordings.forget(&self.outlets.runtime, &file),
                Output::Answer { ticket, result } => self.outlets.answer(ticket, result),
                Output::WantCallbacks { before } => self.outlets.page_callbacks(before),
                Output::WantCallback(id) => self.outlets.read_callback(id),
                Output::WantPorts => {
                    let ports = self.outlets.more_ports();
                    self.board.handle(now, Input::Ports(ports));
                }
            }
        }
    }

    fn transmit(&mut self, now: Now, transmit: &Transmit) {
        self.outlets.tap.sent(now, transmit);
        if !self.outlets.transmit(&self.sockets, transmit) {
            self.board.handle(now, Input::SendFailed { transport: transmit.transport, remote: transmit.remote });
        }
    }

    fn snapshot(&self, now: Now) -> Snapshot {
        let counts = self.board.agent().counts();
        Snapshot {
            gauges: self.board.gauges(now),
            sip: counts.messages(),
            rejected: self.board.rejected(),
            streams: self.outlets.streams.counts(),
            certificates: self.outlets.streams.certificate_ends(),
            rtp: self.outlets.rtp_counts(),
            ports: (self.outlets.relay.ports_bound(), self.outlets.relay.ports_free()),
            recordings: self.outlets.recordings.counts(),
            captured: self.outlets.tap.results(),
            idle: self.board.is_idle(),
            transfers_in_flight: self.board.has_transfers_in_flight(),
        }
    }
}

/// How far the queue was emptied.
enum Taken {
    All,
    MoreWait,
    Stop,
    Leave,
}

/// What a command gets that found the queue full.
pub(crate) fn overloaded() -> Problem {
    Problem::unavailable("too many requests are waiting; try again in a moment")
}
