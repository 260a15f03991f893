//! Sound that Baton plays.

use std::time::Duration;

/// A named piece of sound: mono, 16 bit, 8,000 samples a second.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    name: String,
    samples: Vec<i16>,
}

impl Clip {
    /// The amplitude from which on a sample counts as sound: about -42 dBFS.
    pub const AUDIBLE: u16 = 256;

    /// A clip of `samples` at 8 kHz.
    pub fn new(name: impl Into<String>, samples: Vec<i16>) -> Clip {
        Clip { name: name.into(), samples }
    }

    /// The same clip without the silence before its first sound; a clip that is silent throughout becomes empty.
    #[must_use]
    pub fn trimmed(self) -> Clip {
        let first = self.samples.iter().position(|sample| sample.unsigned_abs() >= Clip::AUDIBLE).unwrap_or(self.samples.len());
        Clip { samples: self.samples[first.saturating_sub(RISE)..].to_vec(), ..self }
    }

    /// What the clip is called in logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long the clip plays.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 125)
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clip({}, {} ms)", self.name, self.duration().as_millis())
    }
}

/// How many samples before the first sound are kept, so that its rise is not cut off: 5 ms.
const RISE: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sound_comes_at_once_and_keeps_its_rise() {
        let mut samples = vec![3; 800];
        samples.extend([9_000; 80]);
        let clip = Clip::new("hello", samples).trimmed();
        assert_eq!(clip.samples().len(), RISE + 80);
        assert_eq!(clip.duration(), Duration::from_millis(15));
    }

    #[test]
    fn a_clip_without_any_sound_becomes_short_and_does_no_harm() {
        assert!(Clip::new("nothing", vec![0; 8_000]).trimmed().samples().len() <= RISE);
        assert_eq!(Clip::new("empty", vec![]).trimmed().samples(), &[] as &[i16]);
    }
}
