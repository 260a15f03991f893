//! Counting packets by what became of them.

use serde::{Deserialize, Serialize};

/// What became of a packet; the label `fate` of `baton_rtp_packets_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Fate {
    /// Received, and at least one leg hears it.
    Forwarded,
    /// Received, and the scene lets nobody hear it.
    Unheard,
    /// Received: part of a key press.
    Key,
    /// Received twice.
    Duplicate,
    /// Received after its time.
    Late,
    /// Received from somebody else's address.
    Spoofed,
    /// Received: not RTP, or of an unknown payload type.
    Malformed,
    /// Received: more than anybody may send, or left over from a time in which nobody read.
    Flood,
    /// Sent: from another leg.
    SentForwarded,
    /// Sent: music and prompts.
    SentMade,
    /// Sent: silence, where nobody speaks.
    SentSilence,
    /// Sent: key presses.
    SentKey,
    /// Sent: the system did not take it.
    SendFailed,
}

impl Fate {
    /// Every fate, in the order of a [`Tally`].
    pub const ALL: [Fate; 13] = [
        Fate::Forwarded,
        Fate::Unheard,
        Fate::Key,
        Fate::Duplicate,
        Fate::Late,
        Fate::Spoofed,
        Fate::Malformed,
        Fate::Flood,
        Fate::SentForwarded,
        Fate::SentMade,
        Fate::SentSilence,
        Fate::SentKey,
        Fate::SendFailed,
    ];

    /// The labels `direction` and `fate`.
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Fate::Forwarded => ("in", "forwarded"),
            Fate::Unheard => ("in", "unheard"),
            Fate::Key => ("in", "key"),
            Fate::Duplicate => ("in", "duplicate"),
            Fate::Late => ("in", "late"),
            Fate::Spoofed => ("in", "spoofed"),
            Fate::Malformed => ("in", "malformed"),
            Fate::Flood => ("in", "flood"),
            Fate::SentForwarded => ("out", "forwarded"),
            Fate::SentMade => ("out", "made"),
            Fate::SentSilence => ("out", "silence"),
            Fate::SentKey => ("out", "key"),
            Fate::SendFailed => ("out", "failed"),
        }
    }
}

/// Packets by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally([u64; 13]);

impl Tally {
    /// Counts one packet.
    pub fn count(&mut self, fate: Fate) {
        self.0[fate as usize] += 1;
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Tally) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours += theirs;
        }
    }

    /// Counts `packets` packets.
    pub fn count_many(&mut self, fate: Fate, packets: u64) {
        self.0[fate as usize] += packets;
    }

    /// How many packets had this fate.
    pub fn of(&self, fate: Fate) -> u64 {
        self.0[fate as usize]
    }
}

/// What went through a leg in its life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegStats {
    /// Packets by fate.
    pub packets: Tally,
    /// The longest time between two packets sent to the leg, in microseconds.
    pub gap_us_worst: u64,
    /// Packets that the far end sent and that never arrived.
    pub lost: u64,
    /// The interarrival jitter of what the leg sent, in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u64,
    /// Whether RTP of the leg was ever accepted.
    pub heard: bool,
}
