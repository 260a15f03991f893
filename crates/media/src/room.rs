//! The media of one call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;

use crate::{Channel, Clip, Command, Outbox, Port, RoomId};

/// What all rooms have in common.
#[derive(Debug, Clone)]
pub struct RoomSettings {
    /// The music on hold, looped.
    pub music: Arc<Clip>,
    /// After which times without RTP a leg is told as lost, rising.
    pub lost_after: Vec<Duration>,
    /// Breaks the media on purpose: the self-test of the demo.
    pub sabotage: Option<Sabotage>,
}

impl RoomSettings {
    /// The usual settings: lost after 1, 2 and 10 s.
    pub fn new(music: Arc<Clip>) -> RoomSettings {
        let lost_after = vec![Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(10)];
        RoomSettings { music, lost_after, sabotage: None }
    }
}

/// A fault put in on purpose, to prove that the demo's checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The caller hears the AE while the AE hears the briefing.
    LeakConsult,
    /// The AI is heard by the caller for 500 ms after the bridge.
    AiLingers,
    /// The first three packets to the caller at each cut-over to a leg are lost.
    DropCutover,
    /// Music is digital silence.
    Silence,
}

/// The media of one call: told packets, commands and the time; puts packets and events into an [`Outbox`].
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    settings: Arc<RoomSettings>,
}

impl Room {
    /// An empty room.
    pub fn new(id: RoomId, settings: Arc<RoomSettings>) -> Room {
        Room { id, settings }
    }

    /// Does what a command says; those for other rooms are ignored.
    pub fn command(&mut self, now: Mono, command: Command, out: &mut Outbox) {
        let _ = (now, command, out, &self.settings, self.id);
    }

    /// Takes a datagram that came to a leg's socket from `from`.
    pub fn on_packet(&mut self, now: Mono, port: Port, channel: Channel, from: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        let _ = (now, port, channel, from, bytes, out);
    }

    /// Does everything that is due at `now`.
    pub fn tick(&mut self, now: Mono, out: &mut Outbox) {
        let _ = (now, out);
    }

    /// When [`Room::tick`] must be called next; it may be later than said before.
    pub fn poll_timeout(&self) -> Option<Mono> {
        None
    }

    /// Whether no leg is left.
    pub fn is_empty(&self) -> bool {
        true
    }
}
