//! The one stream towards a leg, for the whole of its life.

use std::time::Duration;

use baton_time::Mono;

use crate::rtp::Head;

/// The SSRC, the numbers and the timestamps of what a leg gets, whatever it is.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) ssrc: u32,
    next_seq: u16,
    next_timestamp: u32,
    /// When the next packet is due, if nothing else comes.
    pub(crate) due: Mono,
    last_at: Option<Mono>,
    last_timestamp: u32,
    pub(crate) gap_worst: Duration,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

impl Sender {
    /// A stream that is made from `seed`.
    pub(crate) fn new(seed: u64) -> Sender {
        let first = scramble(seed);
        let second = scramble(first);
        Sender {
            ssrc: first as u32,
            next_seq: second as u16 >> 1,
            next_timestamp: (second >> 32) as u32,
            due: Mono::ZERO,
            last_at: None,
            last_timestamp: 0,
            gap_worst: Duration::ZERO,
            packets: 0,
            octets: 0,
        }
    }

    /// The time since the last packet; `None` before the first one, and after a pause that was agreed on.
    pub(crate) fn gap(&self, now: Mono) -> Option<Duration> {
        self.last_at.map(|at| now.since(at))
    }

    /// Where the stream stands.
    pub(crate) fn next(&self) -> (u16, u32) {
        (self.next_seq, self.next_timestamp)
    }

    /// Goes on elsewhere in the stream.
    pub(crate) fn place_at(&mut self, seq: u16, timestamp: u32) {
        (self.next_seq, self.next_timestamp) = (seq, timestamp);
    }

    /// The header of a packet in its place in the stream.
    pub(crate) fn append(&mut self, marker: bool, payload_type: u8, samples: u32) -> Head {
        self.place(marker, payload_type, self.next_seq, self.next_timestamp, samples)
    }

    /// The header of a packet that keeps the place which its source gave it.
    pub(crate) fn place(&mut self, marker: bool, payload_type: u8, seq: u16, timestamp: u32, samples: u32) -> Head {
        if seq.wrapping_sub(self.next_seq) < 0x8000 {
            self.next_seq = seq.wrapping_add(1);
        }
        self.reach(timestamp.wrapping_add(samples));
        Head { marker, payload_type, seq, timestamp, ssrc: self.ssrc }
    }

    /// Takes note that the stream has come as far as `timestamp`.
    pub(crate) fn reach(&mut self, timestamp: u32) {
        if timestamp.wrapping_sub(self.next_timestamp) < 0x8000_0000 {
            self.next_timestamp = timestamp;
        }
    }

    /// Takes note that a packet of `octets` octets of sound left.
    pub(crate) fn sent(&mut self, now: Mono, timestamp: u32, octets: usize) {
        if let Some(gap) = self.gap(now) {
            self.gap_worst = self.gap_worst.max(gap);
        }
        (self.last_at, self.last_timestamp) = (Some(now), timestamp);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }

    /// Moves the timestamps over a time in which nothing was sent.
    pub(crate) fn skip(&mut self, samples: u32) {
        self.next_timestamp = self.next_timestamp.wrapping_add(samples);
    }

    /// Ends the stretch of packets: the next one may be long in coming.
    pub(crate) fn pause(&mut self) {
        self.last_at = None;
    }

    /// The timestamp that would be sampled `now` (RFC 3550 §6.4.1).
    pub(crate) fn timestamp_at(&self, now: Mono) -> u32 {
        let since = self.gap(now).unwrap_or_default();
        self.last_timestamp.wrapping_add((since.as_micros() / 125) as u32)
    }
}

/// Spreads a seed over 64 bits.
fn scramble(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_with_a_place_of_their_own_never_turn_the_stream_back() {
        let mut sender = Sender::new(7);
        let (seq, timestamp) = sender.next();
        sender.place(false, 0, seq.wrapping_add(2), timestamp.wrapping_add(320), 160);
        sender.place(false, 0, seq.wrapping_add(1), timestamp.wrapping_add(160), 160);
        assert_eq!(sender.next(), (seq.wrapping_add(3), timestamp.wrapping_add(480)));
        let head = sender.append(true, 8, 160);
        assert_eq!((head.seq, head.timestamp), (seq.wrapping_add(3), timestamp.wrapping_add(480)));
    }

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_one_another() {
        assert_eq!(Sender::new(1).ssrc, Sender::new(1).ssrc);
        assert_ne!(Sender::new(1).ssrc, Sender::new(2).ssrc);
    }

    #[test]
    fn the_worst_gap_is_kept_and_an_agreed_pause_is_none() {
        let mut sender = Sender::new(1);
        for at in [0, 20, 43, 60] {
            sender.sent(Mono::from_millis(at), 0, 160);
        }
        sender.pause();
        sender.sent(Mono::from_millis(5_000), 0, 160);
        assert_eq!(sender.gap_worst, Duration::from_millis(23));
    }
}
