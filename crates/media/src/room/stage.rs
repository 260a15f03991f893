//! A stage for plays: a room in virtual time with talkers who send numbered packets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;

use crate::rtp::{Head, Rtp};
use crate::sdp::{Direction, KeyTypes};
use crate::{
    Channel, Clip, Codec, Command, Event, Negotiated, Outbox, Outgoing, Port, Role, Room, RoomId, RoomSettings, Sabotage,
};
use crate::{Scene, Sources, Tapped};

pub(super) const ROOM: RoomId = RoomId(1);
pub(super) const CALLER: Port = Port(20_000);
pub(super) const AI: Port = Port(20_002);
pub(super) const AE: Port = Port(20_004);

/// A packet that a leg got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) at: Mono,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) payload: Vec<u8>,
}

impl Got {
    /// Who said it, and the number that it was given.
    pub(super) fn said(&self) -> Option<(Port, u16)> {
        let [mark, who, high, low, ..] = self.payload[..] else { return None };
        (mark == MARK).then(|| (Port(20_000 + u16::from(who)), u16::from_be_bytes([high, low])))
    }
}

/// Somebody who talks.
#[derive(Debug, Clone)]
pub(super) struct Talker {
    pub(super) from: SocketAddr,
    pub(super) next_at: Mono,
    pub(super) ptime: Duration,
    pub(super) payload_type: u8,
    pub(super) talks: bool,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) spoken: u16,
}

pub(super) struct Stage {
    pub(super) room: Room,
    pub(super) now: Mono,
    pub(super) got: BTreeMap<Port, Vec<Got>>,
    pub(super) reports: Vec<(Port, Channel, SocketAddr, Vec<u8>)>,
    pub(super) latches: Vec<(Port, Option<SocketAddr>)>,
    pub(super) events: Vec<Event>,
    pub(super) tapped: Vec<Tapped>,
    pub(super) talkers: BTreeMap<Port, Talker>,
    pub(super) out: Outbox,
}

pub(super) fn address(port: Port) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port.0 + 10_000))
}

pub(super) fn agreed(port: Port) -> Negotiated {
    Negotiated {
        codec: Codec::Pcmu,
        payload_type: 0,
        remote_payload_type: 0,
        dtmf: Some(KeyTypes { payload_type: 101, remote_payload_type: 101 }),
        ptime_ms: 20,
        remote: address(port),
        remote_rtcp: SocketAddr::new(address(port).ip(), address(port).port() + 1),
        direction: Direction::SendRecv,
        rtcp_mux: false,
    }
}

/// Loud music that is no talker's packet.
pub(super) fn music() -> Arc<Clip> {
    Arc::new(Clip::new("music", vec![2_000; 1_000]))
}

impl Stage {
    pub(super) fn new(sabotage: Option<Sabotage>) -> Stage {
        let settings = RoomSettings { sabotage, ..RoomSettings::new(music()) };
        Stage {
            room: Room::new(ROOM, Arc::new(settings)),
            now: Mono::from_millis(1_000),
            got: BTreeMap::new(),
            reports: vec![],
            latches: vec![],
            events: vec![],
            tapped: vec![],
            talkers: BTreeMap::new(),
            out: Outbox::new(),
        }
    }

    /// Opens, connects and lets talk the caller, the AI and the AE, each at a phase of its own.
    pub(super) fn with_everybody(sabotage: Option<Sabotage>, phases_us: [u64; 3]) -> Stage {
        let mut stage = Stage::new(sabotage);
        for ((port, role), phase) in [(CALLER, Role::Caller), (AI, Role::Ai), (AE, Role::Ae)].into_iter().zip(phases_us) {
            stage.open(port, role);
            stage.connect(agreed(port));
            stage.talk(port, phase);
        }
        stage
    }

    pub(super) fn open(&mut self, port: Port, role: Role) {
        let sources = Sources::Symmetric;
        self.command(Command::Open { room: ROOM, port, role, sources, seed: port.0.into() });
    }

    pub(super) fn connect(&mut self, negotiated: Negotiated) {
        let port = Port(negotiated.remote.port() - 10_000);
        self.command(Command::Connect { room: ROOM, port, negotiated });
    }

    pub(super) fn talk(&mut self, port: Port, phase_us: u64) {
        let talker = Talker {
            from: address(port),
            next_at: self.now + Duration::from_micros(phase_us),
            ptime: Duration::from_millis(20),
            payload_type: 0,
            talks: true,
            seq: port.0.wrapping_mul(3),
            timestamp: u32::from(port.0) * 7_919,
            spoken: 0,
        };
        self.talkers.insert(port, talker);
    }

    pub(super) fn talker(&mut self, port: Port) -> &mut Talker {
        self.talkers.get_mut(&port).unwrap()
    }

    pub(super) fn scene(&mut self, scene: Scene) {
        self.command(Command::Scene { room: ROOM, scene });
    }

    pub(super) fn command(&mut self, command: Command) {
        self.room.command(self.now, command, &mut self.out);
        self.collect();
    }

    /// Lets `millis` milliseconds go by.
    pub(super) fn run(&mut self, millis: u64) {
        self.run_until(self.now + Duration::from_millis(millis));
    }

    pub(super) fn run_until(&mut self, end: Mono) {
        loop {
            let next_talk = self.talkers.iter().map(|(port, talker)| (talker.next_at, *port)).min();
            let next_tick = self.room.poll_timeout();
            match (next_talk, next_tick) {
                (Some((at, port)), tick) if at < end && tick.is_none_or(|tick| at <= tick) => {
                    self.now = self.now.max(at);
                    self.speak(port);
                }
                (_, Some(tick)) if tick < end => {
                    self.now = self.now.max(tick);
                    self.room.tick(self.now, &mut self.out);
                    self.collect();
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn speak(&mut self, port: Port) {
        let talker = self.talkers.get_mut(&port).unwrap();
        let samples = talker.ptime.as_millis() as usize * 8;
        talker.next_at = talker.next_at + talker.ptime;
        let (seq, timestamp, number) = (talker.seq, talker.timestamp, talker.spoken);
        talker.timestamp = timestamp.wrapping_add(samples as u32);
        if !talker.talks {
            return;
        }
        (talker.seq, talker.spoken) = (seq.wrapping_add(1), number + 1);
        let mut payload = vec![0x30; samples];
        payload[..4].copy_from_slice(&[MARK, (port.0 - 20_000) as u8, (number >> 8) as u8, number as u8]);
        let (from, payload_type) = (talker.from, talker.payload_type);
        self.packet(port, from, Head { marker: false, payload_type, seq, timestamp, ssrc: port.0.into() }, &payload);
    }

    /// Lets a packet come to a leg.
    pub(super) fn packet(&mut self, port: Port, from: SocketAddr, head: Head, payload: &[u8]) {
        let mut bytes = vec![];
        head.write(&mut bytes);
        bytes.extend_from_slice(payload);
        self.datagram(port, Channel::Rtp, from, &bytes);
    }

    pub(super) fn datagram(&mut self, port: Port, channel: Channel, from: SocketAddr, bytes: &[u8]) {
        self.room.on_packet(self.now, port, channel, from, bytes, &mut self.out);
        self.collect();
    }

    fn collect(&mut self) {
        for outgoing in self.out.outgoing() {
            match outgoing {
                Outgoing::Packet { port, channel: Channel::Rtp, bytes, .. } if bytes[1] & 0x7F < 64 || bytes[1] & 0x7F > 95 => {
                    let rtp = Rtp::parse(bytes).unwrap();
                    let Rtp { marker, payload_type, seq, timestamp, .. } = rtp;
                    let got = Got { at: self.now, marker, payload_type, seq, timestamp, payload: rtp.payload.to_vec() };
                    self.got.entry(port).or_default().push(got);
                }
                Outgoing::Packet { port, channel, to, bytes } => self.reports.push((port, channel, to, bytes.to_vec())),
                Outgoing::Latch { port, to } => self.latches.push((port, Some(to))),
                Outgoing::Unlatch { port } => self.latches.push((port, None)),
            }
        }
        self.events.extend(self.out.take_events());
        self.tapped.extend(self.out.take_tapped());
        self.out.clear();
    }

    /// What a leg got, and forgets it.
    pub(super) fn take(&mut self, port: Port) -> Vec<Got> {
        self.got.remove(&port).unwrap_or_default()
    }

    pub(super) fn digits(&self) -> Vec<(Port, char)> {
        let digit = |event: &Event| if let Event::Digit { port, digit, .. } = event { Some((*port, *digit)) } else { None };
        self.events.iter().filter_map(digit).collect()
    }
}

/// What a stream must be whatever it carries: one number after the other, one packet time after the other, no gap.
pub(super) fn assert_whole(got: &[Got], gap_us_max: u64) {
    for pair in got.windows(2) {
        let gap = pair[1].at.since(pair[0].at).as_micros() as u64;
        assert_eq!(pair[1].seq, pair[0].seq.wrapping_add(1), "{:?}", pair[0].at);
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), pair[0].payload.len() as u32, "{:?}", pair[0].at);
        assert!(gap <= gap_us_max, "a gap of {gap} µs at {:?}", pair[0].at);
    }
}

/// The first octet of a talker's packet.
const MARK: u8 = 0x5A;
