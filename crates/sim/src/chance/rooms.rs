//! Media without packets: what the rooms are told, and the events that a room would tell. It keeps who hears whom, and for how long
//! the caller has heard nothing.

use std::time::Duration;

use baton_media::{Command, Event, LegStats, PlayId, Port, Role, RoomId, Source, Then};
use baton_time::Mono;

/// Packets come this often: what a swap of the scene takes.
pub(super) const PACKET: Duration = Duration::from_millis(20);

/// Thresholds at which a silent leg is told as lost, in milliseconds.
pub(super) const LOST: [u64; 3] = [1_000, 2_000, 10_000];

/// The media of one leg.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) room: RoomId,
    pub(super) port: Port,
    pub(super) role: Role,
    pub(super) connected: bool,
    /// The far end may send.
    pub(super) may_send: bool,
    pub(super) hears: Source,
    serial: u64,
    play: Option<(PlayId, Then)>,
    /// How often it was waited for that nothing is said, and whether it still is.
    waits: (u64, bool),
    /// Since when it hears nothing that there is.
    pub(super) quiet_since: Option<Mono>,
}

/// All rooms of a world.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    pub(super) lines: Vec<Line>,
}

/// What is to come of a command, and when.
#[derive(Debug)]
pub(super) enum Later {
    Tell(Duration, Event),
    /// The playlist ends then, if it is still the one that is played.
    Ends(Duration, Port, PlayId),
    /// Whether the leg has sent anything by then.
    Silent(Port),
    /// A leg that speaks has said nothing for long enough by then, if this wait is still on.
    SaysNothing(Duration, Port, u64),
}

/// So long somebody speaks who leaves a message, unless they press a key.
const SPEAKS: Duration = Duration::from_secs(6);

impl Rooms {
    /// Takes a command; what must not be asked for is answered in words.
    pub(super) fn command(&mut self, now: Mono, command: Command, later: &mut Vec<Later>) -> Result<(), String> {
        match command {
            Command::Open { room, port, role, .. } => {
                if self.lines.iter().any(|line| line.port == port) {
                    return Err(format!("port {} is opened while it is in use", port.0));
                }
                let (hears, play) = (Source::Silence, None);
                self.lines.push(Line {
                    room,
                    port,
                    role,
                    connected: false,
                    may_send: false,
                    hears,
                    serial: 0,
                    play,
                    waits: (0, false),
                    quiet_since: None,
                });
            }
            Command::Connect { port, negotiated, .. } => {
                let Some(line) = self.line_mut(port) else { return Err(format!("port {} is connected and not open", port.0)) };
                line.connected = true;
                line.may_send = negotiated.direction.receives();
                later.push(Later::Silent(port));
                self.note_quiet(now);
            }
            Command::Scene { room, scene } => {
                for at in 0..self.lines.len() {
                    if self.lines[at].room == room {
                        let source = scene.hears.get(&self.lines[at].port).cloned().unwrap_or(Source::Silence);
                        self.hear(at, source, scene.serial, later);
                    }
                }
                self.note_quiet(now);
            }
            Command::Close { room, port } => {
                if self.close(room, port, later).is_none() {
                    return Err(format!("port {} is closed and was not open", port.0));
                }
                self.note_quiet(now);
            }
            Command::CloseRoom { room } => {
                let left: Vec<Port> = self.lines.iter().filter(|line| line.room == room).map(|line| line.port).collect();
                for port in left {
                    self.close(room, port, later);
                }
            }
            Command::SendDigit { .. } | Command::Resume { .. } => {}
            Command::AwaitQuiet { port, after, .. } => {
                // A leg that has just been closed is not waited for, whatever is asked.
                let Some(line) = self.line_mut(port) else { return Ok(()) };
                line.waits = (line.waits.0 + 1, after.is_some());
                let wait = line.waits.0;
                later.extend(after.map(|after| Later::SaysNothing(SPEAKS + after, port, wait)));
            }
            Command::Tap { .. } => {}
        }
        Ok(())
    }

    /// A wait is over, if it is still on: in which room.
    pub(super) fn says_nothing(&mut self, port: Port, wait: u64) -> Option<RoomId> {
        let line = self.line_mut(port).filter(|line| line.waits == (wait, true))?;
        line.waits.1 = false;
        Some(line.room)
    }

    /// Whoever hears nothing hears nothing from now on only.
    pub(super) fn listen_anew(&mut self, now: Mono) {
        self.lines.iter_mut().for_each(|line| line.quiet_since = None);
        self.note_quiet(now);
    }

    fn hear(&mut self, at: usize, source: Source, serial: u64, later: &mut Vec<Later>) {
        let talks = matches!(source, Source::Leg(port) if self.line(port).is_some_and(|line| line.connected));
        let line = &mut self.lines[at];
        line.serial = serial;
        let (room, port) = (line.room, line.port);
        let same = line.hears == source;
        if let Source::Play(list) = &source {
            let running = line.play.is_some_and(|(id, _)| id == list.id);
            if !running && line.connected {
                let span: Duration = list.clips.iter().map(|clip| clip.duration()).sum();
                let at = Mono::ZERO;
                later.push(Later::Tell(PACKET, Event::PlayStarted { room, port, play: list.id, at }));
                later.push(Later::Ends(PACKET + span, port, list.id));
                line.play = Some((list.id, list.then));
            }
        } else {
            line.play = None;
            if line.connected && (talks || !same) && !matches!(source, Source::Leg(_) if !talks) {
                let event = Event::Switched { room, port, serial, live: talks, gap_us: None, at: Mono::ZERO };
                later.push(Later::Tell(PACKET, event));
            }
        }
        line.hears = source;
    }

    fn close(&mut self, room: RoomId, port: Port, later: &mut Vec<Later>) -> Option<()> {
        let at = self.lines.iter().position(|line| line.room == room && line.port == port)?;
        self.lines.swap_remove(at);
        later.push(Later::Tell(Duration::ZERO, Event::Closed { room, port, stats: LegStats::default() }));
        Some(())
    }

    /// A playlist has come to its end, if it is still the one.
    pub(super) fn ends(&mut self, now: Mono, port: Port, play: PlayId) -> Option<Event> {
        let line = self.line_mut(port)?;
        let (id, then) = line.play?;
        if id != play || then == Then::Repeat {
            return None;
        }
        line.hears = if then == Then::Music { Source::Music } else { Source::Silence };
        let event = Event::PlayEnded { room: line.room, port, play, at: now };
        self.note_quiet(now);
        Some(event)
    }

    pub(super) fn line(&self, port: Port) -> Option<&Line> {
        self.lines.iter().find(|line| line.port == port)
    }

    fn line_mut(&mut self, port: Port) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.port == port)
    }

    /// Callers who hear nothing: since when.
    fn note_quiet(&mut self, now: Mono) {
        for at in 0..self.lines.len() {
            let line = &self.lines[at];
            if line.role != Role::Caller || !line.connected {
                continue;
            }
            let there =
                |port: &Port| self.lines.iter().any(|other| other.port == *port && other.room == line.room && other.connected);
            let sound = match &line.hears {
                Source::Silence => false,
                Source::Music | Source::Play(_) => true,
                Source::Leg(port) => there(port),
                Source::Mix(ports) => ports.iter().any(there),
            };
            let since = line.quiet_since;
            self.lines[at].quiet_since = if sound { None } else { Some(since.unwrap_or(now)) };
        }
    }
}
