//! What a packet sounds like: whose pilot is in it, and whether Baton plays or speaks.

use baton_party::{Pilot, RtpSeen, level_dbfs, loudness_dbfs};
use baton_time::Mono;

/// Below this there is nothing to hear.
const SILENCE_DBFS: f64 = -50.0;

/// Anything louder than this is more than a pilot.
const LOUD_DBFS: f64 = -35.0;

/// The music of the world is below this, its voices above.
const VOICE_DBFS: f64 = -16.5;

/// The pitch of the world's voices.
pub(crate) const VOICE_HERTZ: f64 = 500.0;

/// Their pitch where they speak German.
pub(crate) const GERMAN_HERTZ: f64 = 700.0;

/// What is heard in one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Whose pilots.
    pub pilots: Vec<Pilot>,
    /// What else.
    pub made: Made,
}

/// What Baton, or a party's own line, adds to the pilots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Nothing.
    Nothing,
    /// Music.
    Music,
    /// A voice.
    Voice,
    /// A voice that speaks German.
    German,
}

impl Sound {
    /// What a packet of audio sounds like.
    pub fn of(packet: &RtpSeen) -> Sound {
        let samples = packet.samples();
        let loudness = loudness_dbfs(&samples);
        if loudness < SILENCE_DBFS {
            return Sound { pilots: Vec::new(), made: Made::Nothing };
        }
        let made = match loudness {
            level if level < LOUD_DBFS => Made::Nothing,
            level if level < VOICE_DBFS => Made::Music,
            _ if level_dbfs(&samples, GERMAN_HERTZ) > level_dbfs(&samples, VOICE_HERTZ) => Made::German,
            _ => Made::Voice,
        };
        let pilots = baton_party::pilots(&samples).collect();
        Sound { pilots, made }
    }

    /// Whether nothing is heard.
    pub fn is_silence(&self) -> bool {
        self.pilots.is_empty() && self.made == Made::Nothing
    }
}

/// The audio packets of a party that came from `from` on, up to `to`.
pub fn between(packets: &[RtpSeen], from: Mono, to: Mono) -> impl Iterator<Item = &RtpSeen> {
    let first = packets.partition_point(|packet| packet.at < from);
    packets[first..].iter().take_while(move |packet| packet.at <= to).filter(|packet| packet.is_audio())
}
