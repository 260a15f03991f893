//! What a room is told, and what it tells.

use std::net::SocketAddr;

use baton_time::Mono;
use serde::{Deserialize, Serialize};

use crate::{LegStats, Negotiated, PlayId, Port, Scene, TapId};

/// Names a room: the media of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub u64);

/// Whose leg it is. Nothing depends on it but what is counted and the self-test of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The caller.
    Caller,
    /// The voice AI.
    Ai,
    /// The human who takes over.
    Ae,
}

/// Where a leg's packets go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sources {
    /// To where its own packets come from, once that is learned (symmetric RTP).
    #[default]
    Symmetric,
    /// Always to the signalled address: gateways that send from one place and listen in another.
    Signalled,
}

/// Where the stream towards a leg stands, and where the leg's own packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamMark {
    /// The room.
    pub room: RoomId,
    /// The leg.
    pub port: Port,
    /// The SSRC of what it gets.
    pub ssrc: u32,
    /// The number of the next packet.
    pub seq: u16,
    /// The timestamp of the next packet.
    pub timestamp: u32,
    /// The address that its packets were learned to come from.
    pub from: Option<SocketAddr>,
    /// When that was.
    pub at: Mono,
}

/// What the switchboard tells the media of a room. A room is there from its first `Open` to `CloseRoom`.
#[derive(Debug, Clone)]
pub enum Command {
    /// Takes a port that is in stock for a leg. It sends nothing before `Connect`.
    Open {
        /// The room, made if it is new.
        room: RoomId,
        /// The port.
        port: Port,
        /// Whose leg it is.
        role: Role,
        /// Where its packets go.
        sources: Sources,
        /// What SSRC, first sequence number and first timestamp are made from.
        seed: u64,
    },
    /// The outcome of an offer and answer: from here on the leg hears what the scene says. Again after each new SDP.
    Connect {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
        /// What was agreed.
        negotiated: Negotiated,
    },
    /// The leg was there before this process: its stream goes on where that of the earlier one ended. After `Connect`, once.
    Resume {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
        /// What was written down last; `None` where the leg was too young for it.
        mark: Option<StreamMark>,
    },
    /// Swaps the scene.
    Scene {
        /// The room.
        room: RoomId,
        /// The new scene.
        scene: Scene,
    },
    /// Sends a key by RFC 4733 to a leg. Ignored on a leg without telephone-event.
    SendDigit {
        /// The room.
        room: RoomId,
        /// The leg that gets the key.
        port: Port,
        /// One of `0`-`9`, `*`, `#`, `A`-`D`; anything else is ignored.
        digit: char,
    },
    /// Copies what a leg says from now on, as [`crate::Tapped`], or no longer. Nothing of it is an event.
    Tap {
        /// The room.
        room: RoomId,
        /// The leg that is listened to.
        port: Port,
        /// The track; `None` ends it.
        tap: Option<TapId>,
    },
    /// Waits for a leg to say nothing for a while, from now on, and tells [`Event::Quiet`] once; or waits no longer.
    AwaitQuiet {
        /// The room.
        room: RoomId,
        /// The leg that is listened to.
        port: Port,
        /// For how long; `None` ends the wait.
        after: Option<std::time::Duration>,
    },
    /// Ends a leg; the port comes back with [`Event::Closed`].
    Close {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
    },
    /// Ends the room with all legs that are left.
    CloseRoom {
        /// The room.
        room: RoomId,
    },
}

impl Command {
    /// The room that the command is for.
    pub fn room(&self) -> RoomId {
        match self {
            Command::Open { room, .. }
            | Command::Connect { room, .. }
            | Command::Resume { room, .. }
            | Command::Scene { room, .. }
            | Command::SendDigit { room, .. }
            | Command::Tap { room, .. }
            | Command::AwaitQuiet { room, .. }
            | Command::Close { room, .. }
            | Command::CloseRoom { room } => *room,
        }
    }
}

/// What the media of a room tells the switchboard.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A leg pressed a key: told once, at the first packet of the event (or after 40 ms of an in-band tone).
    Digit {
        /// The room.
        room: RoomId,
        /// The leg that pressed it.
        port: Port,
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// When.
        at: Mono,
    },
    /// The first packet with sound of a playlist left.
    PlayStarted {
        /// The room.
        room: RoomId,
        /// The leg that hears it.
        port: Port,
        /// Which.
        play: PlayId,
        /// When.
        at: Mono,
    },
    /// The last clip of a playlist has been played; what its `then` says follows. Not told of a playlist that was swapped away.
    PlayEnded {
        /// The room.
        room: RoomId,
        /// The leg that heard it.
        port: Port,
        /// Which.
        play: PlayId,
        /// When.
        at: Mono,
    },
    /// The first RTP packet of a leg that was accepted.
    FirstPacket {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
        /// When.
        at: Mono,
    },
    /// A leg that should send has been without RTP for this long: told once for each threshold of the settings (1, 2 and 10 s).
    Lost {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
        /// The threshold, in milliseconds.
        silent_ms: u64,
    },
    /// RTP of a leg that was told as lost is there again.
    Back {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
    },
    /// A leg has said nothing for as long as [`Command::AwaitQuiet`] asked for, and the wait is over.
    Quiet {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
        /// When.
        at: Mono,
    },
    /// The first packet of a leg's new input left. Told again, without a gap, by each later scene that lets the leg go on hearing
    /// the other leg that it hears.
    Switched {
        /// The room.
        room: RoomId,
        /// The leg that hears it.
        port: Port,
        /// [`Scene::serial`] of the scene that asked for it.
        serial: u64,
        /// What it hears is another leg, or the sum of several (not what Baton made).
        live: bool,
        /// The time since the last packet of the old input, in microseconds; `None` where there was none to speak of.
        gap_us: Option<u64>,
        /// When.
        at: Mono,
    },
    /// A port could not be had.
    BindFailed {
        /// The room.
        room: RoomId,
        /// The port.
        port: Port,
        /// Why.
        error: BindError,
    },
    /// A leg is closed; its port can be given to another leg.
    Closed {
        /// The room.
        room: RoomId,
        /// The leg.
        port: Port,
        /// What went through it.
        stats: LegStats,
    },
}

impl Event {
    /// The room that the event is about.
    pub fn room(&self) -> RoomId {
        match self {
            Event::Digit { room, .. }
            | Event::PlayStarted { room, .. }
            | Event::PlayEnded { room, .. }
            | Event::FirstPacket { room, .. }
            | Event::Lost { room, .. }
            | Event::Back { room, .. }
            | Event::Quiet { room, .. }
            | Event::Switched { room, .. }
            | Event::BindFailed { room, .. }
            | Event::Closed { room, .. } => *room,
        }
    }
}

/// Why a leg got no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// It was never bound, or another leg has it.
    #[error("the port is not in stock")]
    NotInStock,
    /// The media thread could not watch it.
    #[error("the socket cannot be watched")]
    NotWatchable,
}
