//! A world in which time goes by when it is told to.

pub(crate) mod carrier;
#[cfg(test)]
mod crash;
mod recorder;
mod setup;
pub(crate) mod stage;
mod still;
mod wiring;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use baton_contract::{AeState, CallId, CallView, CallbackId, CallbackView, Command, Event, Problem, Record, Reply, TransferView};
use baton_media::{Channel, Outbox, Outgoing, Port, Room, RoomId, RoomSettings};
use baton_party::{Input as Cue, Message, Output as Act, Party, Step, Taken};
use baton_sip::{Incoming, Transport};
use baton_switchboard::{CallSnapshot, Input, Output, Spoken, Switchboard};
use baton_time::{Mono, Now, Wall};
use bytes::Bytes;

use still::Still;

pub use carrier::{Arrival, Carrier};
pub use setup::{Ae, Fate, Setup, Store};
pub use still::Listening;
pub use wiring::{AesAt, Wiring};

/// How long a datagram travels.
pub(crate) const TRAVEL: Duration = Duration::from_micros(300);

/// How long the store takes for a commit.
pub(crate) const COMMIT: Duration = Duration::from_micros(400);

/// How long a voice takes.
pub(crate) const RENDER: Duration = Duration::from_millis(150);

/// How long it takes to write down what was said.
const WRITE_DOWN: Duration = Duration::from_millis(600);

/// Where Baton speaks SIP, in a world.
pub const BATON: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5060);

/// The monotonic clock when the world begins.
pub(crate) const BEGINNING: Mono = Mono::from_millis(1);

/// The wall clock when the world begins: a Monday, 15:00 UTC.
pub(crate) const MORNING: Wall = Wall::from_seconds(1_772_463_600);

/// Takes a call as it stands; none: it is over.
type Writer = dyn FnMut(CallId, Option<CallSnapshot<'_>>);

/// The world.
pub struct World {
    now: Now,
    board: Switchboard,
    rooms: BTreeMap<RoomId, Room>,
    ports: BTreeMap<u16, RoomId>,
    room_settings: Arc<RoomSettings>,
    parties: Vec<Party>,
    posts: BTreeMap<(Mono, u64), Post>,
    posted: u64,
    fate: Box<dyn FnMut(&Rung) -> Fate>,
    carrier: Option<Box<dyn Carrier>>,
    writer: Option<Box<Writer>>,
    port_count: u16,
    dead: BTreeSet<usize>,
    /// From when to when messages were taken.
    pub messages: Vec<(Mono, Mono)>,
    /// Whether AI and AE may hear each other: the one briefs or introduces the other.
    pub ai_meets_ae: bool,
    /// What the next thing that the caller says is in words, for whoever writes it down.
    pub says: Option<String>,
    /// What the store does with commits.
    pub store: Store,
    /// Every SIP datagram, in the order in which they left.
    pub ladder: Vec<Rung>,
    /// Everything that was published.
    pub events: Vec<Event>,
    /// Everything that was written, in order.
    pub records: Vec<(Mono, Record)>,
    recorder: recorder::Recorder,
    /// Scripts that failed: whose, and how.
    pub failures: Vec<String>,
    answers: BTreeMap<u64, Result<Reply, Problem>>,
    asked: u64,
    /// From which a process that comes back begins again.
    #[cfg(test)]
    setup: Setup,
    /// What came by SIP while Baton was dead; none while it lives.
    missed: Option<Vec<Input>>,
    still: Still,
    /// Taken and given back by each step of a room.
    outbox: Option<Outbox>,
}

/// A SIP datagram on its way.
#[derive(Debug, Clone)]
pub struct Rung {
    /// Its number, from 1 on.
    pub number: usize,
    /// When it left.
    pub at: Mono,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
    /// What became of it.
    pub fate: Fate,
}

/// Something on its way.
enum Post {
    Board(Box<Input>),
    Room {
        port: u16,
        channel: Channel,
        from: SocketAddr,
        bytes: Bytes,
    },
    Party(usize, Cue),
    /// To be handed to the real sockets.
    Wire {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
}

impl World {
    /// The world before anybody has done anything. Party 0 is the caller, 1 the AI, the AEs follow in their order, and last
    /// comes the AI as it is called once more.
    pub fn new(setup: Setup) -> World {
        let parties = stage::cast(&setup);
        let count = parties.len();
        let board = Switchboard::new(stage::settings(&setup), stage::begin(&setup));
        World {
            now: Now { mono: BEGINNING, wall: MORNING },
            board,
            rooms: BTreeMap::new(),
            ports: BTreeMap::new(),
            room_settings: Arc::new(RoomSettings::new(stage::music())),
            parties,
            posts: BTreeMap::new(),
            posted: 0,
            fate: Box::new(|_| Fate::Arrives),
            carrier: None,
            writer: None,
            port_count: setup.ports,
            dead: BTreeSet::new(),
            messages: Vec::new(),
            says: None,
            ai_meets_ae: setup.transfer.introduce || setup.transfer.briefing == baton_transfer::BriefingBy::Ai,
            store: Store::Well,
            ladder: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            recorder: recorder::Recorder::default(),
            failures: Vec::new(),
            answers: BTreeMap::new(),
            asked: 0,
            #[cfg(test)]
            setup,
            missed: None,
            still: Still::new(count),
            outbox: None,
        }
    }

    /// Lets `fate` decide about every SIP datagram.
    pub fn set_fate(&mut self, fate: impl FnMut(&Rung) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    /// Hands every call over as it stands after each of its steps, as to the journal of calls; none: it is over.
    pub fn set_writer(&mut self, writer: impl FnMut(CallId, Option<CallSnapshot<'_>>) + 'static) {
        self.writer = Some(Box::new(writer));
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        self.now
    }

    /// A party: 0 is the caller, 1 the AI, the AEs follow.
    pub fn party(&self, index: usize) -> &Party {
        &self.parties[index]
    }

    /// Where a party speaks SIP.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.parties[index].identity().sip
    }

    /// Sends Baton a datagram, as if somebody at `from` had.
    pub fn inject(&mut self, from: SocketAddr, bytes: Bytes) {
        self.sip_to_board(from, bytes);
    }

    /// Lets a party take a step beside its script.
    pub fn let_party(&mut self, index: usize, step: &Step) -> Taken {
        self.still.stirs(self.now.mono);
        let taken = self.parties[index].take_step(self.now.mono, step);
        self.tell_party(index, Cue::Tick);
        taken
    }

    /// How many parties there are.
    pub fn party_count(&self) -> usize {
        self.parties.len()
    }

    /// Asks the switchboard; the answer is at [`World::answer`] when it has come.
    pub fn ask_later(&mut self, command: Command) -> u64 {
        self.asked += 1;
        let ticket = self.asked;
        self.tell_board(Input::Ask { ticket, command: Box::new(command) });
        ticket
    }

    /// The answer to a question, once.
    pub fn answer(&mut self, ticket: u64) -> Option<Result<Reply, Problem>> {
        self.answers.remove(&ticket)
    }

    /// The instant of an event.
    pub fn instant_of(&self, event: &Event) -> Mono {
        BEGINNING + event.at.0.since(MORNING)
    }

    /// A party is cut off from one instant to the next: nothing comes from it any more, and nothing reaches it.
    pub fn cut_off(&mut self, index: usize) {
        self.still.stirs(self.now.mono);
        self.dead.insert(index);
    }

    /// Takes no new calls from now on.
    pub fn drain(&mut self) {
        self.tell_board(Input::Drain { retry_after: Duration::from_secs(60) });
    }

    /// What is left of calls, in words; nothing where all is well.
    pub fn leftovers(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let gauges = self.board.gauges(self.now);
        let counts = [
            ("calls", gauges.calls),
            ("legs", gauges.legs.values().sum()),
            ("media rooms", self.rooms.len()),
            ("media ports", self.ports.len()),
            ("SIP sessions", self.board.agent().sessions()),
            ("SIP transactions", self.board.agent().transactions()),
        ];
        left.extend(counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")));
        if let Some(Ok(Reply::Aes(aes))) = self.ask(Command::Aes) {
            let busy = aes.iter().filter(|ae| matches!(ae.state, AeState::Offered | AeState::OnCall));
            left.extend(busy.map(|ae| format!("{} is held ({:?})", ae.id, ae.state)));
        }
        left
    }

    /// Begins: everybody looks at their script.
    pub fn begin(&mut self) {
        self.tell_board(Input::Ports((0..self.port_count).map(|pair| 20_000 + 2 * pair).collect()));
        for index in 0..self.parties.len() {
            self.tell_party(index, Cue::Tick);
        }
    }

    /// Lets time go by until `done`, at most for `span`; says whether it came to that.
    pub fn run_until(&mut self, span: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now.mono + span;
        while !done(self) {
            self.stand_still(end);
            let next = self.next_at().filter(|at| *at <= end);
            if self.wait_really(next.unwrap_or(end)) {
                if self.now.mono >= end {
                    return done(self);
                }
                continue;
            }
            let Some(at) = next else {
                self.go_to(end);
                return done(self);
            };
            self.go_to(at.max(self.now.mono));
            self.step();
        }
        true
    }

    /// Lets time go by.
    pub fn run(&mut self, span: Duration) {
        self.run_until(span, |_| false);
    }

    /// Asks the switchboard, and lets time go by until it answers, at most a second.
    pub fn ask(&mut self, command: Command) -> Option<Result<Reply, Problem>> {
        let ticket = self.ask_later(command);
        self.run_until(Duration::from_secs(1), |world| world.answers.contains_key(&ticket));
        self.answers.remove(&ticket)
    }

    /// The only call, as the API shows it.
    pub fn call(&mut self) -> Option<CallView> {
        match self.ask(Command::Calls) {
            Some(Ok(Reply::Calls(calls))) => calls.into_iter().next(),
            Some(_) | None => None,
        }
    }

    /// The call's transfer, as the API shows it.
    pub fn transfer(&mut self) -> Option<TransferView> {
        let id = self.call()?.transfer?;
        match self.ask(Command::Transfer(id)) {
            Some(Ok(Reply::Transfer(view))) => Some(*view),
            Some(_) | None => None,
        }
    }

    /// The id of the only call.
    pub fn call_id(&mut self) -> Option<CallId> {
        self.call().map(|call| call.id)
    }

    /// Types of all events so far.
    pub fn event_names(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.kind.name()).collect()
    }

    /// Whether nothing is left: no call, no room.
    pub fn is_empty(&self) -> bool {
        self.board.is_idle() && self.rooms.is_empty()
    }

    /// Tells every party a note, as if another party had said it.
    pub fn tell(&mut self, note: &str) {
        for index in 0..self.parties.len() {
            self.tell_party(index, Cue::Told(note.to_owned()));
        }
    }

    fn go_to(&mut self, at: Mono) {
        self.now = self.now.after(at.since(self.now.mono));
    }

    fn next_at(&self) -> Option<Mono> {
        let post = self.posts.first_key_value().map(|((at, _), _)| *at);
        let board = self.board.poll_timeout().filter(|_| self.missed.is_none()).map(|(deadline, _)| deadline.mono(self.now));
        let rooms = self.rooms.values().filter_map(Room::poll_timeout).map(|at| self.still.instant(at));
        let parties = self.parties.iter().enumerate();
        let parties = parties.filter_map(|(index, party)| Some(self.still.goes_on(index, party.poll_timeout()?)));
        post.into_iter().chain(board).chain(rooms).chain(parties).min()
    }

    /// Everything that is due now.
    fn step(&mut self) {
        while let Some(entry) = self.posts.first_entry().filter(|entry| entry.key().0 <= self.now.mono) {
            let post = entry.remove();
            self.deliver(post);
        }
        if self.missed.is_none() && self.board.poll_timeout().is_some_and(|(deadline, _)| deadline.is_due(self.now)) {
            self.tell_board(Input::Wake);
        }
        let now = self.now.mono;
        let due: Vec<RoomId> =
            self.rooms.iter().filter(|(_, room)| is_due(room.poll_timeout(), self.still.time(now))).map(|(id, _)| *id).collect();
        for id in due {
            self.in_room(id, |room, now, out| room.tick(now, out));
        }
        for index in 0..self.parties.len() {
            let wants = self.parties[index].poll_timeout().map(|at| self.still.goes_on(index, at));
            if is_due(wants, now) {
                self.tell_party(index, Cue::Tick);
            }
        }
    }

    fn deliver(&mut self, post: Post) {
        match post {
            Post::Board(input) => self.tell_board(*input),
            Post::Party(index, cue) => {
                match &cue {
                    Cue::Rtp { .. } => self.still.lands(self.now.mono, None),
                    Cue::Sip { .. } | Cue::Told(_) | Cue::Tick => self.still.stirs(self.now.mono),
                }
                self.tell_party(index, cue);
            }
            Post::Wire { from, to, bytes } => {
                self.send_really(from, to, &bytes);
            }
            Post::Room { port, channel, from, bytes } => {
                self.still.lands(self.now.mono, Some(port));
                if let Some(id) = self.ports.get(&port).copied() {
                    self.in_room(id, |room, now, out| room.on_packet(now, Port(port), channel, from, &bytes, out));
                }
            }
        }
    }

    fn post(&mut self, after: Duration, post: Post) {
        self.posted += 1;
        self.posts.insert((self.now.mono + after, self.posted), post);
    }

    fn tell_board(&mut self, input: Input) {
        self.still.stirs(self.now.mono);
        if let Some(missed) = &mut self.missed {
            return missed.extend(matches!(input, Input::Sip(_)).then_some(input));
        }
        let mut waiting = VecDeque::from([input]);
        while let Some(input) = waiting.pop_front() {
            self.board.handle(self.now, input);
            while let Some(output) = self.board.poll() {
                self.carry_out(output, &mut waiting);
            }
        }
        if let Some(write) = &mut self.writer {
            self.board.take_touched().into_iter().for_each(|id| write(id, self.board.snapshot(id)));
        }
    }

    fn carry_out(&mut self, output: Output, waiting: &mut VecDeque<Input>) {
        match output {
            Output::Transmit(transmit) => self.sip_to_party(transmit.remote, transmit.bytes),
            Output::Media(command) => {
                let id = command.room();
                self.still.commanded(self.now.mono, &command);
                if let baton_media::Command::Open { port, .. } = &command {
                    self.ports.insert(port.0, id);
                    self.rooms.entry(id).or_insert_with(|| Room::new(id, self.room_settings.clone()));
                }
                self.in_room(id, |room, now, out| room.command(now, command, out));
                if self.rooms.get(&id).is_some_and(Room::is_empty) {
                    self.rooms.remove(&id);
                }
            }
            Output::Commit { ticket, records, .. } => {
                if self.store == Store::Well {
                    let at = self.now.mono;
                    self.records.extend(records.into_iter().map(|record| (at, record)));
                }
                let answer = match (ticket, self.store) {
                    (Some(ticket), Store::Well) => Some(Input::Committed(ticket)),
                    (Some(ticket), Store::Refuses) => Some(Input::CommitRefused(ticket)),
                    (Some(_), Store::Silent) | (None, _) => None,
                };
                if let Some(answer) = answer {
                    self.post(COMMIT, Post::Board(Box::new(answer)));
                }
            }
            Output::Publish(event) => self.events.push(*event),
            Output::Render { ticket, full, short, language } => {
                let spoken = Some(Spoken { full: stage::speech(&full, language), short: stage::speech(&short, language) });
                self.post(RENDER, Post::Board(Box::new(Input::Rendered { ticket, spoken })));
            }
            Output::Record(order) => {
                self.note_message(&order);
                for told in self.recorder.obey(order) {
                    self.post(COMMIT, Post::Board(Box::new(told)));
                }
            }
            Output::Answer { ticket, result } => {
                self.answers.insert(ticket, result);
            }
            Output::WantCallback(id) => {
                let rows = self.callback_rows().into_values().filter(|row| row.id == id).collect();
                self.post(COMMIT, Post::Board(Box::new(Input::Callbacks(rows))));
            }
            Output::WantCallbacks { before } => {
                let rows = self.callback_rows().into_values().filter(|row| row.at < before).collect();
                self.post(COMMIT, Post::Board(Box::new(Input::Callbacks(rows))));
            }
            Output::WriteDown { ticket, .. } => {
                let text = self.says.take();
                self.post(WRITE_DOWN, Post::Board(Box::new(Input::WrittenDown { ticket, text })));
            }
            Output::Forget { .. } => {}
            Output::WantPorts => waiting.push_back(Input::Ports(Vec::new())),
        }
    }

    /// Callbacks as they were written last.
    fn callback_rows(&self) -> BTreeMap<CallbackId, CallbackView> {
        let row = |record: &Record| match record {
            Record::Callback(row) | Record::Claim { callback: row, .. } => Some((row.id, (**row).clone())),
            Record::Journal { .. }
            | Record::Call(_)
            | Record::Transfer(_)
            | Record::Lease(_)
            | Record::Release { .. }
            | Record::Outbox(_)
            | Record::Placed(_)
            | Record::Forget(_)
            | Record::Audit(_) => None,
        };
        self.records.iter().filter_map(|(_, record)| row(record)).collect()
    }

    /// The tracks of recordings that were closed, in their order.
    pub fn recordings(&self) -> &[(baton_switchboard::Track, baton_switchboard::Recorded)] {
        &self.recorder.closed
    }

    /// The boundaries that were written beside the tracks, in their order.
    pub fn marks(&self) -> &[(baton_contract::CallId, &'static str)] {
        &self.recorder.marks
    }

    fn note_message(&mut self, order: &baton_switchboard::RecordOrder) {
        use baton_switchboard::{RecordKind, RecordOrder};
        let now = self.now.mono;
        match order {
            RecordOrder::Open(track) if track.kind == RecordKind::Voicemail => {
                self.messages.push((now, Mono::from_micros(u64::MAX)));
            }
            RecordOrder::Close(_) => self.messages.iter_mut().for_each(|(_, until)| *until = now.min(*until)),
            RecordOrder::Open(_) | RecordOrder::Mark { .. } | RecordOrder::CloseCall(_) => {}
        }
    }

    fn sip_to_party(&mut self, to: SocketAddr, bytes: Bytes) {
        let travel = self.travel(BATON, to, &bytes);
        if self.carrier.is_some() {
            return self.post_really(travel, BATON, to, &bytes);
        }
        let Some(index) = self.recipient(to, &bytes) else { return };
        for span in travel {
            self.post(span, Post::Party(index, Cue::Sip { from: BATON, bytes: bytes.clone() }));
        }
    }

    /// Who at this address a datagram is for: whoever has the dialog, or can take a new call.
    fn recipient(&self, to: SocketAddr, bytes: &Bytes) -> Option<usize> {
        let mut there = (0..self.parties.len()).filter(|index| self.parties[*index].identity().sip == to);
        let message = Message::read(bytes).ok()?;
        let wanted = there.clone().find(|index| self.parties[*index].wants(&message));
        wanted.or_else(|| there.next())
    }

    fn sip_to_board(&mut self, from: SocketAddr, bytes: Bytes) {
        self.still.stirs(self.now.mono);
        let travel = self.travel(from, BATON, &bytes);
        if self.carrier.is_some() {
            return self.post_really(travel, from, BATON, &bytes);
        }
        for span in travel {
            let (transport, local, remote) = (Transport::Udp, BATON, from);
            let incoming = Incoming { transport, connection: None, local, remote, bytes: bytes.clone() };
            self.post(span, Post::Board(Box::new(Input::Sip(incoming))));
        }
    }

    fn travel(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) -> Vec<Duration> {
        let ends = [from, to];
        let dead = self.dead.iter().any(|index| ends.contains(&self.parties[*index].identity().sip));
        let number = self.ladder.len() + 1;
        let mut rung = Rung { number, at: self.now.mono, from, to, bytes: bytes.clone(), fate: Fate::Lost };
        if !dead {
            rung.fate = (self.fate)(&rung);
        }
        let fate = rung.fate;
        self.ladder.push(rung);
        match fate {
            Fate::Arrives => vec![TRAVEL],
            Fate::Lost => Vec::new(),
            Fate::Twice => vec![TRAVEL, TRAVEL * 2],
            Fate::Late(span) => vec![TRAVEL + span],
        }
    }

    /// The real network takes its own time; what is left of `travel` is what fate adds to it.
    fn post_really(&mut self, travel: Vec<Duration>, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        for span in travel {
            self.post(span.saturating_sub(TRAVEL), Post::Wire { from, to, bytes: bytes.clone() });
        }
    }

    fn in_room(&mut self, id: RoomId, act: impl FnOnce(&mut Room, Mono, &mut Outbox)) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let mut out = self.outbox.take().unwrap_or_default();
        act(room, self.still.time(self.now.mono), &mut out);
        let mut packets = Vec::new();
        for outgoing in out.outgoing() {
            match outgoing {
                Outgoing::Packet { port, channel: Channel::Rtp, to, bytes } => {
                    packets.push((port, to, Bytes::copy_from_slice(bytes)))
                }
                Outgoing::Packet { channel: Channel::Rtcp, .. } | Outgoing::Latch { .. } | Outgoing::Unlatch { .. } => {}
            }
        }
        out.take_tapped().for_each(|tapped| self.recorder.hear(&tapped));
        let events: Vec<baton_media::Event> = out.take_events().collect();
        out.clear();
        self.outbox = Some(out);
        for (port, to, bytes) in packets {
            let from = SocketAddr::new(BATON.ip(), port.0);
            if self.send_really(from, to, &bytes) {
                continue;
            }
            if let Some(index) = self.parties.iter().position(|party| party.identity().rtp == to) {
                self.still.flies();
                self.post(TRAVEL, Post::Party(index, Cue::Rtp { from, bytes }));
            }
        }
        for mut event in events {
            self.still.tells(self.now.mono, &mut event);
            if let baton_media::Event::Closed { port, .. } = &event {
                self.ports.remove(&port.0);
            }
            self.post(Duration::ZERO, Post::Board(Box::new(Input::Media(event))));
        }
    }

    fn tell_party(&mut self, index: usize, cue: Cue) {
        self.parties[index].handle(self.now.mono, cue);
        while let Some(act) = self.parties[index].poll() {
            let (sip, rtp) = (self.parties[index].identity().sip, self.parties[index].identity().rtp);
            match act {
                Act::Sip { bytes, .. } => self.sip_to_board(sip, bytes),
                Act::Rtp { .. } if self.dead.contains(&index) => {}
                Act::Rtp { to, bytes } if self.carrier.is_some() => {
                    self.send_really(rtp, to, &bytes);
                }
                Act::Rtp { to, bytes } => {
                    self.still.flies();
                    self.post(TRAVEL, Post::Room { port: to.port(), channel: Channel::Rtp, from: rtp, bytes });
                }
                Act::Note(note) => {
                    let others = (0..self.parties.len()).filter(|other| *other != index);
                    others.collect::<Vec<_>>().into_iter().for_each(|other| self.tell_party(other, Cue::Told(note.clone())));
                }
                Act::Finished(Ok(())) => {}
                Act::Finished(Err(fault)) => {
                    let user = &self.parties[index].identity().user;
                    self.failures.push(format!("{user}: {fault}"));
                }
            }
        }
    }
}

fn is_due(at: Option<Mono>, now: Mono) -> bool {
    at.is_some_and(|at| at <= now)
}
