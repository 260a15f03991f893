//! Stretches in which nothing can change: everybody goes on hearing what they hear, and nobody has anything to do.
//!
//! Most of a call is such a stretch: a phone rings, music plays, two people talk. The media of a world may stand still then: its clock is not
//! moved on, no packet is made, and where the stretch ends it goes on with the packet that is next. Rooms and phones do not notice, because
//! they are told the time. What is heard right before a stretch and right behind it is heard in between, too; a fixture is played both ways
//! by a test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_media::{Command, Event, PlayId, Source};
use baton_time::Mono;

use super::World;

/// Whether every packet is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// All of them.
    Always,
    /// Those after something has happened, and those before something is due.
    WhereItChanges,
}

/// The media's own time, and what keeps it going.
#[derive(Debug)]
pub(super) struct Still {
    listening: Listening,
    /// How long the media has stood still so far.
    skipped: Duration,
    /// Nothing has happened since, or will have by then.
    calm_from: Mono,
    /// Lists that are being played, and to whom.
    playing: BTreeMap<u16, PlayId>,
    /// Lists that have come to their end.
    ended: BTreeSet<PlayId>,
    /// When RTP came last to ports to which it has to come.
    heard: BTreeMap<u16, Mono>,
    /// RTP packets on their way.
    flying: usize,
    /// When each party goes on with its packets.
    resume: Vec<Mono>,
    /// From when to when nothing was sent.
    gaps: Vec<(Mono, Mono)>,
}

/// Time in a packet.
const PACKET: Duration = Duration::from_millis(20);

/// What has happened is heard by everybody, and the packets flow evenly again, after this.
const SETTLES: Duration = Duration::from_millis(150);

/// A key may be held back for so long, to see whether a second one follows.
const KEY_SETTLES: Duration = Duration::from_millis(2_000);

/// Packets flow again so long before something is due.
const AHEAD: Duration = Duration::from_millis(100);

/// A shorter stretch is listened to; also, a phone that was held up for less makes up for it.
const SHORTEST: Duration = Duration::from_millis(240);

/// Where RTP has to come, it comes at least so often.
const EVENLY: Duration = Duration::from_millis(45);

impl Still {
    pub(super) fn new(parties: usize) -> Still {
        Still {
            listening: Listening::Always,
            skipped: Duration::ZERO,
            calm_from: Mono::ZERO,
            playing: BTreeMap::new(),
            ended: BTreeSet::new(),
            heard: BTreeMap::new(),
            flying: 0,
            resume: vec![Mono::ZERO; parties],
            gaps: Vec::new(),
        }
    }

    /// Something has happened.
    pub(super) fn stirs(&mut self, now: Mono) {
        self.calm_from = self.calm_from.max(now + SETTLES);
    }

    /// A packet of RTP leaves for somewhere.
    pub(super) fn flies(&mut self) {
        self.flying += 1;
    }

    /// A packet of RTP arrives somewhere, at this port if it is Baton's.
    pub(super) fn lands(&mut self, now: Mono, port: Option<u16>) {
        self.flying = self.flying.saturating_sub(1);
        if let Some(heard) = port.and_then(|port| self.heard.get_mut(&port)) {
            *heard = now;
        }
    }

    /// The rooms are told something.
    pub(super) fn commanded(&mut self, now: Mono, command: &Command) {
        match command {
            Command::Connect { port, negotiated, .. } if negotiated.direction.receives() => {
                self.heard.insert(port.0, now);
            }
            Command::Connect { port, .. } | Command::Close { port, .. } => {
                self.heard.remove(&port.0);
            }
            Command::Scene { scene, .. } => {
                for (port, source) in &scene.hears {
                    match source {
                        Source::Play(list) if !self.ended.contains(&list.id) => self.playing.insert(port.0, list.id),
                        Source::Play(_) | Source::Silence | Source::Music | Source::Leg(_) | Source::Mix(_) => {
                            self.playing.remove(&port.0)
                        }
                    };
                }
            }
            Command::Open { .. }
            | Command::Resume { .. }
            | Command::SendDigit { .. }
            | Command::Tap { .. }
            | Command::AwaitQuiet { .. }
            | Command::CloseRoom { .. } => {}
        }
    }

    /// A room tells something; it is put right where it names an instant.
    pub(super) fn tells(&mut self, now: Mono, event: &mut Event) {
        self.stirs(now);
        match event {
            Event::PlayEnded { play, at, .. } => {
                self.ended.insert(*play);
                self.playing.retain(|_, list| list != play);
                *at = *at + self.skipped;
            }
            Event::Digit { at, .. } => {
                self.calm_from = self.calm_from.max(now + KEY_SETTLES);
                *at = *at + self.skipped;
            }
            Event::PlayStarted { at, .. }
            | Event::FirstPacket { at, .. }
            | Event::Quiet { at, .. }
            | Event::Switched { at, .. } => *at = *at + self.skipped,
            Event::Closed { port, .. } => {
                self.heard.remove(&port.0);
                self.playing.remove(&port.0);
            }
            Event::Lost { .. } | Event::Back { .. } | Event::BindFailed { .. } => {}
        }
    }

    /// What time it is for the media.
    pub(super) fn time(&self, now: Mono) -> Mono {
        now - self.skipped
    }

    /// What time it is for everybody else when it is `at` for the media.
    pub(super) fn instant(&self, at: Mono) -> Mono {
        at + self.skipped
    }

    /// When a party that wants to be told at `at` is told.
    pub(super) fn goes_on(&self, index: usize, at: Mono) -> Mono {
        at.max(self.resume[index])
    }

    fn is_calm(&self, now: Mono) -> bool {
        self.flying == 0
            && now >= self.calm_from
            && self.playing.is_empty()
            && self.heard.values().all(|at| now.since(*at) <= EVENLY)
    }
}

impl World {
    /// Whether every packet is made from now on; in real time they are.
    pub fn set_listening(&mut self, listening: Listening) {
        self.still.listening = listening;
    }

    /// So much of the time between two instants was listened to.
    pub fn listened(&self, from: Mono, to: Mono) -> Duration {
        let gaps = self.still.gaps.iter().filter(|(begin, end)| *begin >= from && *end <= to);
        to.since(from).saturating_sub(gaps.map(|(begin, end)| end.since(*begin)).sum())
    }

    /// Goes over the stretch that begins now, if it does; something is due, or looked at, at `end`.
    pub(super) fn stand_still(&mut self, end: Mono) {
        let now = self.now.mono;
        let wanted = self.still.listening == Listening::WhereItChanges && self.carrier.is_none() && self.missed.is_none();
        if !wanted || !self.still.is_calm(now) || self.recorder.is_recording() {
            return;
        }
        let post = self.posts.first_key_value().map(|((at, _), _)| *at);
        let board = self.board.poll_timeout().map(|(deadline, _)| deadline.mono(self.now));
        let parties = self.parties.iter().filter_map(|party| party.acts_at(now));
        let due = post.into_iter().chain(board).chain(parties).fold(end, Mono::min);
        let stretch = (due - AHEAD).since(now);
        if stretch < SHORTEST {
            return;
        }
        let packets = u32::try_from(stretch.as_micros() / PACKET.as_micros()).unwrap_or(0);
        let span = PACKET * packets;
        for (party, resume) in self.parties.iter().zip(&mut self.still.resume) {
            *resume = party.speaks_at().map_or(Mono::ZERO, |at| at + span);
        }
        self.still.skipped += span;
        self.still.gaps.push((now, now + span));
        self.still.heard.values_mut().for_each(|at| *at = *at + span);
        self.go_to(now + span);
    }
}
