//! Who hears whom: a value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Clip;

/// Names a leg's media end: its even local RTP port; RTCP lives on the odd one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port(pub u16);

/// Names one playing of a [`Playlist`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlayId(pub u64);

/// For each leg of a room what it hears, and what becomes of its keys; swapped as one value between two packets.
///
/// A leg that is not named hears silence, and its keys are consumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// The caller's number for this swap, repeated in [`crate::Event::Switched`].
    pub serial: u64,
    /// What each leg hears.
    pub hears: BTreeMap<Port, Source>,
    /// What becomes of the keys that each leg presses.
    pub digits: BTreeMap<Port, Digits>,
}

impl Scene {
    /// A scene in which everybody hears silence.
    pub fn new(serial: u64) -> Scene {
        Scene { serial, ..Scene::default() }
    }

    /// The same scene, with `port` hearing `source`.
    #[must_use]
    pub fn hear(mut self, port: Port, source: Source) -> Scene {
        self.hears.insert(port, source);
        self
    }

    /// The same scene, with the keys of `port` treated by `digits`.
    #[must_use]
    pub fn keys(mut self, port: Port, digits: Digits) -> Scene {
        self.digits.insert(port, digits);
        self
    }
}

/// What a leg hears.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Source {
    /// Silence frames at the leg's packet time.
    #[default]
    Silence,
    /// The music on hold, from where this leg left it within the same stretch of music.
    Music,
    /// Another leg; until its first packet what Baton played before goes on (never another leg).
    Leg(Port),
    /// The sum of several legs.
    Mix(Vec<Port>),
    /// Prompts one after the other. The [`PlayId`] that is already running on the leg goes on undisturbed.
    Play(Playlist),
}

/// Clips played one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Playlist {
    /// Names this playing in events.
    pub id: PlayId,
    /// What is played, in order; may be empty.
    pub clips: Vec<Arc<Clip>>,
    /// What follows the last clip.
    pub then: Then,
}

/// What follows the last clip of a playlist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Silence frames.
    #[default]
    Silence,
    /// The music on hold.
    Music,
    /// The clips again from the first one.
    Repeat,
}

/// What becomes of the keys that a leg presses. Each press is an [`crate::Event::Digit`] under every policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Digits {
    /// Nobody hears them.
    #[default]
    Consume,
    /// They pass on to the legs that hear this one.
    Pass,
    /// They pass on, but the first key of a pair waits: the second one within that time takes both away, anything else lets it go.
    HoldPair(Pair),
}

/// Two keys of which the first is held back until it is clear whether the second one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The first.
    pub first: char,
    /// The second.
    pub then: char,
    /// How long the first one waits.
    pub wait: Duration,
}
