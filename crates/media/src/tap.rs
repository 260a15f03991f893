//! Copies of what a leg says, for whoever records it.

use baton_time::Mono;
use serde::{Deserialize, Serialize};

use crate::Codec;

/// Names one track of a recording; what it stands for is the switchboard's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TapId(pub u64);

/// The octets of one copy at most: a packet of 60 ms. A longer packet comes as several copies.
pub const TAPPED_OCTETS_MAX: usize = 480;

/// What a leg said in one packet, as it came: not put into order, without what was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tapped {
    /// The track.
    pub tap: TapId,
    /// When the packet came.
    pub at: Mono,
    /// How the octets are to be read.
    pub codec: Codec,
    length: u16,
    octets: [u8; TAPPED_OCTETS_MAX],
}

impl Tapped {
    /// A copy of `octets`, as far as they have room.
    pub fn new(tap: TapId, at: Mono, codec: Codec, octets: &[u8]) -> Tapped {
        let length = octets.len().min(TAPPED_OCTETS_MAX);
        let mut held = [0; TAPPED_OCTETS_MAX];
        held[..length].copy_from_slice(&octets[..length]);
        Tapped { tap, at, codec, length: length as u16, octets: held }
    }

    /// The samples, 8,000 a second.
    pub fn samples(&self) -> impl Iterator<Item = i16> + '_ {
        self.octets[..usize::from(self.length)].iter().map(|octet| self.codec.decode(*octet))
    }
}
