//! Whether somebody is still speaking: for messages that end when nothing more is said.

use std::time::Duration;

use baton_time::Mono;

use crate::Codec;

/// Waits for a leg to be quiet for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet {
    after: Duration,
    spoke_at: Mono,
}

impl Quiet {
    /// Begins to wait.
    pub(crate) fn new(now: Mono, after: Duration) -> Quiet {
        Quiet { after, spoke_at: now }
    }

    /// Takes sound of the leg.
    pub(crate) fn hear(&mut self, now: Mono, codec: Codec, payload: &[u8]) {
        let energy: i64 = payload.iter().map(|octet| i64::from(codec.decode(*octet)).pow(2)).sum();
        if energy >= SPEECH * payload.len() as i64 {
            self.spoke_at = now;
        }
    }

    /// When the leg has been quiet for long enough, if it stays so.
    pub(crate) fn at(&self) -> Mono {
        self.spoke_at + self.after
    }
}

/// The mean square of a packet in which somebody speaks: -38 dBFS, above the noise of a line.
const SPEECH: i64 = 292 * 292;
