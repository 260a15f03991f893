//! One media thread: its rooms, its sockets, its clock.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use baton_media::{BindError, Channel, Command, Event, Outbox, Outgoing, Port, Room, RoomId, RoomSettings};
use baton_time::{Mono, Timers};

use crate::adopt::Marking;
use crate::precedence;
use crate::sockets::Sockets;
use crate::stock::{Pair, Stock};
use crate::wakeup::{Alarm, Bell};
use crate::{Counters, Sink, TapSink, port_of};

/// A command, with the sockets that it needs.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) pair: Option<Pair>,
}

/// A media thread.
pub(crate) struct Desk {
    settings: Arc<RoomSettings>,
    epoch: Instant,
    orders: Receiver<Order>,
    bell: Arc<Bell>,
    stock: Arc<Stock>,
    counters: Arc<Counters>,
    sink: Sink,
    taps: TapSink,
    sockets: Sockets,
    alarm: Alarm,
    alarm_at: Option<Mono>,
    rooms: BTreeMap<RoomId, Room>,
    room_of: BTreeMap<Port, RoomId>,
    timers: Timers<RoomId>,
    outbox: Outbox,
    untold: VecDeque<Event>,
    pub(crate) marks: Option<Marking>,
}

impl Desk {
    pub(crate) fn new(
        settings: Arc<RoomSettings>,
        epoch: Instant,
        orders: Receiver<Order>,
        bell: Arc<Bell>,
        (stock, counters, sink, taps): (Arc<Stock>, Arc<Counters>, Sink, TapSink),
    ) -> io::Result<Desk> {
        let (sockets, alarm) = (Sockets::new()?, Alarm::new()?);
        sockets.watch(bell.as_fd(), BELL)?;
        sockets.watch(alarm.as_fd(), ALARM)?;
        Ok(Desk {
            settings,
            epoch,
            orders,
            bell,
            stock,
            counters,
            sink,
            taps,
            sockets,
            alarm,
            alarm_at: None,
            rooms: BTreeMap::new(),
            room_of: BTreeMap::new(),
            timers: Timers::default(),
            outbox: Outbox::new(),
            untold: VecDeque::new(),
            marks: None,
        })
    }

    /// Works until the relay is dropped.
    pub(crate) fn run(&mut self) {
        let precedence = precedence::take();
        tracing::debug!(?precedence, "a media thread begins");
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            if let Err(error) = self.sockets.wait() {
                tracing::error!(%error, "a media thread cannot wait for packets any more");
                return;
            }
            self.throw_stale_away();
            let mut index = 0;
            while let Some(token) = self.sockets.ready(index) {
                index += 1;
                match token {
                    BELL => self.bell.silence(),
                    ALARM => self.alarm.silence(),
                    local => self.receive(local as u16, &mut buffer),
                }
                self.tick();
            }
            // Whatever has woken the thread: some orders wait until it is awake.
            if self.take_orders().is_err() {
                return;
            }
            self.tick();
            self.tell_untold();
            self.mark();
            self.set_alarm();
            self.counters.add(&self.outbox.take_tally());
        }
    }

    fn now(&self) -> Mono {
        #[allow(clippy::disallowed_methods, reason = "the media threads own their clock; it has the engine's beginning")]
        let since = Instant::now().saturating_duration_since(self.epoch);
        Mono::from_micros(since.as_micros() as u64)
    }

    /// After the machine was away (stopped, suspended, starved) nobody wants to hear what waited meanwhile.
    fn throw_stale_away(&mut self) {
        let late = self.alarm_at.map(|at| self.now().since(at)).unwrap_or_default();
        if late > STALL_MIN {
            let packets = self.sockets.discard_all();
            self.outbox.count_flood(packets);
            tracing::warn!(late_ms = late.as_millis() as u64, packets, "a media thread was away; stale packets thrown away");
        }
    }

    fn take_orders(&mut self) -> Result<(), TryRecvError> {
        self.bell.look();
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(TryRecvError::Disconnected),
            }
        }
    }

    fn obey(&mut self, Order { command, pair }: Order) {
        let (now, id) = (self.now(), command.room());
        if let Command::Open { room, port, .. } = &command {
            let opened = pair.ok_or((BindError::NotInStock, None));
            let opened =
                opened.and_then(|pair| self.sockets.open(*port, pair).map_err(|pair| (BindError::NotWatchable, Some(pair))));
            if let Err((error, pair)) = opened {
                if let Some(pair) = pair {
                    self.stock.put(port.0, pair);
                }
                return self.tell(Event::BindFailed { room: *room, port: *port, error });
            }
            self.room_of.insert(*port, *room);
            self.rooms.entry(id).or_insert_with(|| Room::new(id, Arc::clone(&self.settings)));
        }
        let is_end = matches!(command, Command::CloseRoom { .. });
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.command(now, command, &mut self.outbox);
        self.carry_out(id);
        if is_end {
            self.rooms.remove(&id);
            self.timers.clear(&id);
        }
    }

    /// Takes one packet from a socket: a second one would seldom be there yet, and is told again if it is.
    fn receive(&mut self, local: u16, buffer: &mut [u8]) {
        let port = port_of(local);
        let Some(id) = self.room_of.get(&port).copied() else { return };
        let channel = if local == port.0 { Channel::Rtp } else { Channel::Rtcp };
        let Some((length, from)) = self.sockets.receive(local, buffer) else { return };
        let now = self.now();
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.on_packet(now, port, channel, from, &buffer[..length], &mut self.outbox);
        self.carry_out(id);
    }

    fn tick(&mut self) {
        let now = self.now();
        while let Some((_, id)) = self.timers.pop_due(now) {
            if let Some(room) = self.rooms.get_mut(&id) {
                room.tick(now, &mut self.outbox);
                self.carry_out(id);
            }
        }
    }

    /// Does what a room has put out, and sees to it that it is woken in time.
    fn carry_out(&mut self, id: RoomId) {
        for index in 0..self.outbox.len() {
            match self.outbox.get(index) {
                Some(Outgoing::Packet { port, channel, to, bytes }) => {
                    if !self.sockets.send(port, channel, to, bytes)
                        && let Some(room) = self.rooms.get_mut(&id)
                    {
                        room.send_failed(port, &mut self.outbox);
                    }
                }
                Some(Outgoing::Latch { port, to }) => self.sockets.latch(port, to),
                Some(Outgoing::Unlatch { port }) => self.sockets.unlatch(port),
                None => {}
            }
        }
        self.outbox.clear_outgoing();
        for tapped in self.outbox.take_tapped() {
            if !(self.taps)(tapped) {
                tracing::trace!(tap = tapped.tap.0, "a packet is missing in a recording");
            }
        }
        while let Some(event) = self.outbox.pop_event() {
            if let Event::Closed { port, .. } = &event {
                self.room_of.remove(port);
                if let Some(pair) = self.sockets.close(*port) {
                    self.stock.put(port.0, pair);
                }
            }
            self.tell(event);
        }
        self.wake_in_time(id);
    }

    /// A room is woken at the time that it said last, or before: packets only put it off, and that need not be written down.
    fn wake_in_time(&mut self, id: RoomId) {
        let Some(at) = self.rooms.get(&id).and_then(Room::poll_timeout) else { return };
        if self.timers.get(&id).is_none_or(|set| at < set) {
            self.timers.set(id, at);
        }
    }

    fn tell(&mut self, event: Event) {
        if !self.untold.is_empty() || !(self.sink)(event.clone()) {
            if self.untold.len() == UNTOLD_MAX {
                tracing::error!("an event of a media thread is lost: nobody takes them");
                self.untold.pop_front();
            }
            self.untold.push_back(event);
        }
    }

    fn tell_untold(&mut self) {
        while let Some(event) = self.untold.front() {
            if !(self.sink)(event.clone()) {
                return;
            }
            self.untold.pop_front();
        }
    }

    fn mark(&mut self) {
        let now = self.now();
        if let Some(marks) = &mut self.marks {
            marks.tell(now, &self.rooms);
        }
    }

    /// Sets the alarm to the next thing that is due; an idle thread has none.
    fn set_alarm(&mut self) {
        let now = self.now();
        let again = (!self.untold.is_empty()).then(|| now + TELL_AGAIN);
        let mark = self.marks.as_ref().filter(|_| !self.rooms.is_empty()).map(Marking::at);
        let next = [self.timers.next().map(|(at, _)| at), again, mark].into_iter().flatten().min();
        if next == self.alarm_at && next.is_none_or(|at| at > now) {
            return;
        }
        if let Err(error) = self.alarm.set(next.map(|at| at.since(now))) {
            tracing::error!(%error, "the alarm of a media thread cannot be set");
        }
        self.alarm_at = next;
    }
}

/// Tokens that are no port.
const BELL: u64 = u64::MAX;
const ALARM: u64 = u64::MAX - 1;
/// The largest datagram that is read whole, in octets: RTP never fills an Ethernet frame.
const DATAGRAM_MAX: usize = 2_048;
/// An alarm that is heard this late was not just a busy moment.
const STALL_MIN: Duration = Duration::from_millis(250);
/// Events that wait for somebody to take them.
const UNTOLD_MAX: usize = 4_096;
/// When those are told again.
const TELL_AGAIN: Duration = Duration::from_millis(5);
