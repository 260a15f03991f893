//! A world in which time goes by when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use baton_contract::{AeId, CallId, CallView, Command, Event, IdSource, PopLink, Problem, Record, Reply, TransferView};
use baton_media::{Channel, Clip, Outbox, Outgoing, Port, Room, RoomId, RoomSettings};
use baton_party::{Identity, Input as Cue, Lines, Output as Act, Party, Pilot, Script, Step};
use baton_sip::{Incoming, Listen, Transport, UserAgent};
use baton_switchboard::{AeLine, Ai, Begin, Input, Output, Route, Settings, Spoken, Switchboard, Trunk};
use baton_time::{Mono, Now, Wall};
use baton_transfer::{AeSettings, Line, Roster};
use bytes::Bytes;

/// How long a datagram travels.
const TRAVEL: Duration = Duration::from_micros(300);

/// How long the store takes for a commit.
const COMMIT: Duration = Duration::from_micros(400);

/// How long a voice takes.
const RENDER: Duration = Duration::from_millis(150);

/// Where Baton speaks SIP.
const BATON: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5060);

/// The wall clock when the world begins: a Monday, 15:00 UTC.
const MORNING: Wall = Wall::from_seconds(1_772_463_600);

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives twice.
    Twice,
    /// It arrives late by so much.
    Late(Duration),
}

/// An AE of the world.
#[derive(Debug, Clone)]
pub struct Ae {
    /// Their id; also the user that their phone answers to.
    pub id: &'static str,
    /// Who is tried after them.
    pub backup: Option<&'static str>,
    /// What their phone does; none: there is no phone.
    pub script: Option<Vec<Step>>,
}

/// What a world begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The caller's script.
    pub caller: Vec<Step>,
    /// The AI's script.
    pub ai: Vec<Step>,
    /// The AEs.
    pub aes: Vec<Ae>,
    /// The rules of a transfer.
    pub transfer: baton_transfer::Settings,
    /// From where everything random comes.
    pub seed: u64,
}

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
    fate: Box<dyn FnMut(&Bytes, u64) -> Fate>,
    /// Whether the store takes commits.
    pub store_is_well: bool,
    /// Everything that was published.
    pub events: Vec<Event>,
    /// Everything that was written, in order.
    pub records: Vec<Record>,
    /// Scripts that failed: whose, and how.
    pub failures: Vec<String>,
    answers: BTreeMap<u64, Result<Reply, Problem>>,
    asked: u64,
}

/// Something on its way.
enum Post {
    ToBoard(Box<Input>),
    ToRoom { port: u16, channel: Channel, from: SocketAddr, bytes: Bytes },
    ToParty(usize, Cue),
}

impl World {
    /// The world before anybody has done anything. Party 0 is the caller, 1 the AI, the AEs follow in their order.
    pub fn new(setup: Setup) -> World {
        let music: Vec<i16> = (0..16_000_i32).map(|n| if (n / 10) % 2 == 0 { 4_000 } else { -4_000 }).collect();
        let parties = cast(&setup);
        let board = Switchboard::new(settings(&setup), begin(&setup));
        World {
            now: Now { mono: Mono::from_millis(1), wall: MORNING },
            board,
            rooms: BTreeMap::new(),
            ports: BTreeMap::new(),
            room_settings: Arc::new(RoomSettings::new(Arc::new(Clip::new("music", music)))),
            parties,
            posts: BTreeMap::new(),
            posted: 0,
            fate: Box::new(|_, _| Fate::Arrives),
            store_is_well: true,
            events: Vec::new(),
            records: Vec::new(),
            failures: Vec::new(),
            answers: BTreeMap::new(),
            asked: 0,
        }
    }

    /// Lets `fate` decide about every SIP datagram; it is also told its number.
    pub fn set_fate(&mut self, fate: impl FnMut(&Bytes, u64) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        self.now
    }

    /// A party: 0 is the caller, 1 the AI, the AEs follow.
    pub fn party(&self, index: usize) -> &Party {
        &self.parties[index]
    }

    /// Begins: everybody looks at their script.
    pub fn begin(&mut self) {
        self.to_board(Input::Ports((20_000..20_400).step_by(2).collect()));
        for index in 0..self.parties.len() {
            self.to_party(index, Cue::Tick);
        }
    }

    /// Lets time go by until `done`, at most for `span`; says whether it came to that.
    pub fn run_until(&mut self, span: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now.mono + span;
        while !done(self) {
            let next = self.next_at().filter(|at| *at <= end);
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
        self.asked += 1;
        let ticket = self.asked;
        self.to_board(Input::Ask { ticket, command: Box::new(command) });
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
            self.to_party(index, Cue::Told(note.to_owned()));
        }
    }

    fn go_to(&mut self, at: Mono) {
        self.now = self.now.after(at.since(self.now.mono));
    }

    fn next_at(&self) -> Option<Mono> {
        let post = self.posts.first_key_value().map(|((at, _), _)| *at);
        let board = self.board.poll_timeout().map(|(deadline, _)| deadline.mono(self.now));
        let rooms = self.rooms.values().filter_map(Room::poll_timeout);
        let parties = self.parties.iter().filter_map(Party::poll_timeout);
        post.into_iter().chain(board).chain(rooms).chain(parties).min()
    }

    /// Everything that is due now.
    fn step(&mut self) {
        while let Some(entry) = self.posts.first_entry().filter(|entry| entry.key().0 <= self.now.mono) {
            let post = entry.remove();
            self.deliver(post);
        }
        if self.board.poll_timeout().is_some_and(|(deadline, _)| deadline.is_due(self.now)) {
            self.to_board(Input::Wake);
        }
        let due: Vec<RoomId> =
            self.rooms.iter().filter(|(_, room)| is_due(room.poll_timeout(), self.now)).map(|(id, _)| *id).collect();
        for id in due {
            self.in_room(id, |room, now, out| room.tick(now, out));
        }
        for index in 0..self.parties.len() {
            if is_due(self.parties[index].poll_timeout(), self.now) {
                self.to_party(index, Cue::Tick);
            }
        }
    }

    fn deliver(&mut self, post: Post) {
        match post {
            Post::ToBoard(input) => self.to_board(*input),
            Post::ToParty(index, cue) => self.to_party(index, cue),
            Post::ToRoom { port, channel, from, bytes } => {
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

    fn to_board(&mut self, input: Input) {
        let mut waiting = VecDeque::from([input]);
        while let Some(input) = waiting.pop_front() {
            self.board.handle(self.now, input);
            while let Some(output) = self.board.poll() {
                self.carry_out(output, &mut waiting);
            }
        }
    }

    fn carry_out(&mut self, output: Output, waiting: &mut VecDeque<Input>) {
        match output {
            Output::Transmit(transmit) => self.sip_to_party(transmit.remote, transmit.bytes),
            Output::Media(command) => {
                let id = command.room();
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
                let well = self.store_is_well;
                if well {
                    self.records.extend(records);
                }
                if let Some(ticket) = ticket {
                    let answer = if well { Input::Committed(ticket) } else { Input::CommitRefused(ticket) };
                    self.post(COMMIT, Post::ToBoard(Box::new(answer)));
                }
            }
            Output::Publish(event) => self.events.push(*event),
            Output::Render { ticket, full, short } => {
                let spoken = Some(Spoken { full: speech(&full), short: speech(&short) });
                self.post(RENDER, Post::ToBoard(Box::new(Input::Rendered { ticket, spoken })));
            }
            Output::Answer { ticket, result } => {
                self.answers.insert(ticket, result);
            }
            Output::WantPorts => waiting.push_back(Input::Ports(Vec::new())),
        }
    }

    fn sip_to_party(&mut self, to: SocketAddr, bytes: Bytes) {
        let Some(index) = self.parties.iter().position(|party| party.identity().sip == to) else { return };
        let travel = self.travel(&bytes);
        for span in travel {
            self.post(span, Post::ToParty(index, Cue::Sip { from: BATON, bytes: bytes.clone() }));
        }
    }

    fn travel(&mut self, bytes: &Bytes) -> Vec<Duration> {
        match (self.fate)(bytes, self.posted) {
            Fate::Arrives => vec![TRAVEL],
            Fate::Lost => Vec::new(),
            Fate::Twice => vec![TRAVEL, TRAVEL * 2],
            Fate::Late(span) => vec![TRAVEL + span],
        }
    }

    fn in_room(&mut self, id: RoomId, act: impl FnOnce(&mut Room, Mono, &mut Outbox)) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let mut out = Outbox::new();
        act(room, self.now.mono, &mut out);
        let mut packets = Vec::new();
        for outgoing in out.outgoing() {
            match outgoing {
                Outgoing::Packet { port, channel: Channel::Rtp, to, bytes } => {
                    packets.push((port, to, Bytes::copy_from_slice(bytes)))
                }
                Outgoing::Packet { channel: Channel::Rtcp, .. } | Outgoing::Latch { .. } | Outgoing::Unlatch { .. } => {}
            }
        }
        let events: Vec<baton_media::Event> = out.take_events().collect();
        for (port, to, bytes) in packets {
            let from = SocketAddr::new(BATON.ip(), port.0);
            if let Some(index) = self.parties.iter().position(|party| party.identity().rtp == to) {
                self.post(TRAVEL, Post::ToParty(index, Cue::Rtp { from, bytes }));
            }
        }
        for event in events {
            if let baton_media::Event::Closed { port, .. } = &event {
                self.ports.remove(&port.0);
            }
            self.post(Duration::ZERO, Post::ToBoard(Box::new(Input::Media(event))));
        }
    }

    fn to_party(&mut self, index: usize, cue: Cue) {
        self.parties[index].handle(self.now.mono, cue);
        while let Some(act) = self.parties[index].poll() {
            let me = self.parties[index].identity().clone();
            match act {
                Act::Sip { bytes, .. } => {
                    for span in self.travel(&bytes) {
                        let incoming = Incoming {
                            transport: Transport::Udp,
                            connection: None,
                            local: BATON,
                            remote: me.sip,
                            bytes: bytes.clone(),
                        };
                        self.post(span, Post::ToBoard(Box::new(Input::Sip(incoming))));
                    }
                }
                Act::Rtp { to, bytes } => {
                    self.post(TRAVEL, Post::ToRoom { port: to.port(), channel: Channel::Rtp, from: me.rtp, bytes });
                }
                Act::Note(note) => {
                    let others = (0..self.parties.len()).filter(|other| *other != index);
                    others.collect::<Vec<_>>().into_iter().for_each(|other| self.to_party(other, Cue::Told(note.clone())));
                }
                Act::Finished(Ok(())) => {}
                Act::Finished(Err(fault)) => self.failures.push(format!("{}: {fault}", me.user)),
            }
        }
    }
}

fn is_due(at: Option<Mono>, now: Now) -> bool {
    at.is_some_and(|at| at <= now.mono)
}

/// A second of sound for every three words.
fn speech(text: &str) -> Arc<Clip> {
    let words = text.split_whitespace().count().max(1);
    let samples = (0..words * 2_667).map(|n| if (n / 8) % 2 == 0 { 6_000 } else { -6_000 });
    Arc::new(Clip::new("briefing", samples.collect()))
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, host], port))
}

fn cast(setup: &Setup) -> Vec<Party> {
    let one = |index: usize, user: &str, steps: &[Step]| {
        let host = u8::try_from(index).unwrap_or(u8::MAX) + 1;
        let identity = Identity {
            user: user.to_owned(),
            display: user.to_owned(),
            pilot: Pilot::ALL[index.min(Pilot::ALL.len() - 1)],
            sip: address(host, 5060),
            rtp: address(host, 7_000),
            proxy: BATON,
            seed: setup.seed.wrapping_mul(31).wrapping_add(index as u64),
            origin: Mono::ZERO,
        };
        let mut lines = Lines::default();
        let voice: Vec<i16> = (0..8_000_i32).map(|n| if (n / 12) % 2 == 0 { 7_000 } else { -7_000 }).collect();
        lines.add("words", &voice);
        Party::new(identity, Script::new(steps), lines)
    };
    let mut parties = vec![one(0, "+15550123", &setup.caller), one(1, "ai", &setup.ai)];
    for (place, ae) in setup.aes.iter().enumerate() {
        parties.push(one(place + 2, ae.id, ae.script.as_deref().unwrap_or_default()));
    }
    parties
}

fn settings(setup: &Setup) -> Settings {
    let lines = setup.aes.iter().enumerate().map(|(place, ae)| {
        let host = u8::try_from(place).unwrap_or(u8::MAX) + 3;
        let at = if ae.script.is_some() { address(host, 5060) } else { address(250, 5060) };
        let uri = format!("sip:{}@{at}", ae.id).parse().expect("a URI of letters and an address");
        (AeId::from(ae.id), AeLine { uri, address: at, trunk: None, trusted: true })
    });
    Settings {
        domain: "baton.example".to_owned(),
        media_address: BATON.ip(),
        trunks: vec![Trunk {
            name: "carrier".to_owned(),
            uri: "sip:10.0.1.1".parse().expect("a URI of an address"),
            address: address(1, 5060),
            sources: vec!["10.0.1.1".parse().expect("an address")],
            credentials: None,
            rtp: baton_media::Sources::Symmetric,
        }],
        ais: vec![Ai {
            name: "agent".to_owned(),
            uri: "sip:ai@10.0.1.2".to_owned(),
            address: address(2, 5060),
            trust_context: true,
        }],
        routes: vec![Route { to: "*".to_owned(), trunk: None, ais: vec!["agent".to_owned()] }],
        aes: lines.collect(),
        transfer: setup.transfer.clone(),
        prompts: Line::all().into_iter().map(|line| (line, speech(line.text()))).collect(),
        public_url: "http://10.0.0.1:8080".to_owned(),
        pop_link_ttl: Duration::from_secs(3_600),
        words_per_second: 3.0,
        ai_answer_max: Duration::from_secs(4),
        sabotage: None,
    }
}

fn begin(setup: &Setup) -> Begin {
    let aes = setup.aes.iter().map(|ae| AeSettings {
        id: AeId::from(ae.id),
        name: ae.id.to_owned(),
        uri: format!("sip:{}@10.0.1.9", ae.id),
        numbers: Vec::new(),
        backup: ae.backup.map(AeId::from),
        timezone: "America/New_York".parse().expect("a zone of the bundled database"),
        hours: "Mon-Sun 00:00-24:00".parse().expect("hours that always are"),
        skills: Vec::new(),
        trunk: None,
        trusted: true,
        ring_max: None,
        ringing: None,
    });
    let listen = vec![Listen { transport: Transport::Udp, addr: BATON, advertise: BATON.into() }];
    Begin {
        agent: UserAgent::new(baton_sip::Settings::new(listen, setup.seed)),
        roster: Roster::new(aes.collect(), Vec::new()),
        ids: IdSource::seeded(setup.seed),
        links: PopLink::new([7; 32]),
        callbacks: Vec::new(),
        last_event_seq: 0,
    }
}
