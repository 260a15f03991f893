//! What a party leaves behind: what it sent and heard, packet by packet, message by message.

use std::net::SocketAddr;

use baton_time::Mono;
use bytes::Bytes;

use crate::tone::RATE;

/// Everything about one party's call.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The audio that it sent, from the origin of the story on.
    pub sent: Track,
    /// The audio that it heard, from the origin of the story on.
    pub heard: Track,
    /// Each RTP packet that came, in order of arrival.
    pub rtp_received: Vec<RtpSeen>,
    /// Each RTP packet that left.
    pub rtp_sent: Vec<RtpSeen>,
    /// Each SIP message, both ways.
    pub sip: Vec<SipSeen>,
    /// Each note of the script, with its time.
    pub notes: Vec<(Mono, String)>,
    /// How the script came out; `None` while it runs.
    pub verdict: Option<Result<(), Fault>>,
}

/// Why a script did not reach its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step} ({what}) at {at_ms} ms: {why}")]
pub struct Fault {
    /// Number of the step, from 1 on.
    pub step: usize,
    /// The step.
    pub what: String,
    /// When, since the beginning of the clock.
    pub at_ms: u64,
    /// What went wrong.
    pub why: String,
}

/// An RTP packet on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpSeen {
    /// When.
    pub at: Mono,
    /// Our end.
    pub local: SocketAddr,
    /// The far end.
    pub remote: SocketAddr,
    /// The whole packet.
    pub bytes: Bytes,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Where the payload begins.
    pub payload_at: usize,
}

impl RtpSeen {
    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at..).unwrap_or_default()
    }

    /// Whether it carries G.711 µ-law.
    pub fn is_audio(&self) -> bool {
        self.payload_type == 0
    }

    /// The audio of a µ-law packet.
    pub fn samples(&self) -> Vec<i16> {
        self.payload().iter().map(|byte| crate::g711::decode(*byte)).collect()
    }
}

/// A SIP message on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipSeen {
    /// When.
    pub at: Mono,
    /// Whether the party sent it.
    pub sent: bool,
    /// Our end.
    pub local: SocketAddr,
    /// The far end.
    pub remote: SocketAddr,
    /// The message.
    pub bytes: Bytes,
    /// `INVITE`, `180 Ringing`
    pub title: String,
    /// Whether the same bytes were seen before in this direction.
    pub again: bool,
}

/// Audio at 8 kHz, placed on the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    origin: Mono,
    samples: Vec<i16>,
}

impl Track {
    /// An empty track whose first sample belongs to `origin`.
    pub fn new(origin: Mono) -> Track {
        Track { origin, samples: Vec::new() }
    }

    /// The place of an instant in the track, in samples.
    pub fn place(&self, at: Mono) -> usize {
        usize::try_from(at.since(self.origin).as_micros() * u128::from(RATE) / 1_000_000).unwrap_or(usize::MAX)
    }

    /// Lays `samples` down at a place; audio that lies there already is replaced.
    pub fn lay(&mut self, place: usize, samples: &[i16]) {
        const LONGEST: usize = 3_600 * RATE as usize;
        let end = place.saturating_add(samples.len());
        if end > LONGEST {
            return;
        }
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        self.samples[place..end].copy_from_slice(samples);
    }

    /// All samples, from the origin on.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The samples between two instants, as far as there are any.
    pub fn between(&self, from: Mono, to: Mono) -> &[i16] {
        let (from, to) = (self.place(from).min(self.samples.len()), self.place(to).min(self.samples.len()));
        self.samples.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_puts_sound_where_the_clock_says() {
        let mut track = Track::new(Mono::from_millis(1_000));
        track.lay(track.place(Mono::from_millis(1_020)), &[7; 160]);
        assert_eq!(track.between(Mono::from_millis(1_000), Mono::from_millis(1_020)), [0; 160]);
        assert_eq!(track.between(Mono::from_millis(1_020), Mono::from_millis(1_900)), [7; 160]);
        assert_eq!(track.between(Mono::from_millis(5_000), Mono::from_millis(6_000)), []);
    }
}
