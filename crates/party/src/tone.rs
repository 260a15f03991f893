//! Pilot tones: a quiet mark by which everything that a party sends can be recognised wherever it is heard.
//!
//! The pilots lie above the speech band, 100 Hz apart and off the grid of 50 Hz, so that one packet of 20 ms tells them apart and no two
//! packets of one party are alike.

use std::f64::consts::TAU;

/// Samples a second, everywhere in this crate.
pub const RATE: u32 = 8_000;

/// Level of a pilot's peak against full scale, in decibels.
pub const PILOT_DBFS: f64 = -40.0;

/// Where no pilot is: what is as loud here is a hiss, not a pilot.
const BESIDE_THE_PILOTS: f64 = 3_353.0;

/// Who is heard: each party of a story has its own pilot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pilot {
    /// The caller.
    Caller,
    /// The AI.
    Ai,
    /// The first AE.
    Ae,
    /// The AE after the first one.
    Backup,
}

impl Pilot {
    /// All of them.
    pub const ALL: [Pilot; 4] = [Pilot::Caller, Pilot::Ai, Pilot::Ae, Pilot::Backup];

    /// The frequency in hertz.
    pub const fn hertz(self) -> f64 {
        match self {
            Pilot::Caller => 3_503.0,
            Pilot::Ai => 3_603.0,
            Pilot::Ae => 3_703.0,
            Pilot::Backup => 3_803.0,
        }
    }
}

/// A pilot being made, with a dither below hearing that makes each packet different from every other.
#[derive(Debug, Clone)]
pub struct PilotSource {
    /// Where the tone stands: cosine and sine of its phase, times its amplitude.
    at: [f64; 2],
    /// Cosine and sine of the step from sample to sample.
    step: [f64; 2],
    dither: Dice,
}

impl PilotSource {
    /// The pilot of a party; `seed` chooses the dither.
    pub fn new(pilot: Pilot, seed: u64) -> PilotSource {
        let amplitude = 32_768.0 * 10_f64.powf(PILOT_DBFS / 20.0);
        let (sin, cos) = (TAU * pilot.hertz() / f64::from(RATE)).sin_cos();
        PilotSource { at: [amplitude, 0.0], step: [cos, sin], dither: Dice::new(seed) }
    }

    /// Adds the pilot to `samples`.
    pub fn mix_into(&mut self, samples: &mut [i16]) {
        for sample in samples {
            let dither = (self.dither.roll() & 0x1f) as f64 - 15.5;
            let ([x, y], [cos, sin]) = (self.at, self.step);
            *sample = sample.saturating_add((y + dither) as i16);
            self.at = [x * cos - y * sin, y * cos + x * sin];
        }
    }
}

/// The level of one frequency in `samples`, in decibels against a full-scale sine (Goertzel's filter under a Hann window).
pub fn level_dbfs(samples: &[i16], hertz: f64) -> f64 {
    let [level] = levels_dbfs(samples, [hertz]);
    level
}

/// The levels of several frequencies, as [`level_dbfs`] has each.
fn levels_dbfs<const N: usize>(samples: &[i16], hertz: [f64; N]) -> [f64; N] {
    if samples.is_empty() {
        return [f64::NEG_INFINITY; N];
    }
    let span = samples.len() as f64;
    let coefficients = hertz.map(|hertz| 2.0 * (TAU * hertz / f64::from(RATE)).cos());
    let (mut last, mut before) = ([0.0_f64; N], [0.0_f64; N]);
    // The window's cosine goes on by itself: cos((n + 1) d) = 2 cos d cos(n d) - cos((n - 1) d).
    let turn = 2.0 * (TAU / span).cos();
    let (mut cosine, mut cosine_before) = ((TAU * 0.5 / span).cos(), (TAU * -0.5 / span).cos());
    for sample in samples {
        let windowed = f64::from(*sample) * (1.0 - cosine);
        for at in 0..N {
            let next = windowed + coefficients[at] * last[at] - before[at];
            (before[at], last[at]) = (last[at], next);
        }
        (cosine, cosine_before) = (turn * cosine - cosine_before, cosine);
    }
    let mut levels = [0.0; N];
    for at in 0..N {
        let power = last[at] * last[at] + before[at] * before[at] - coefficients[at] * last[at] * before[at];
        let amplitude = 2.0 * power.max(0.0).sqrt() / span;
        levels[at] = 20.0 * (amplitude / 32_768.0).max(1e-9).log10();
    }
    levels
}

/// The loudness of `samples` in decibels against a full-scale sine.
pub fn loudness_dbfs(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return f64::NEG_INFINITY;
    }
    let sum: i64 = samples.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum();
    let rms = (2.0 * sum as f64 / samples.len() as f64).sqrt();
    20.0 * (rms / 32_768.0).max(1e-9).log10()
}

/// Whether a pilot is in `samples`: it must have about its own level and stand out from what lies beside it.
pub fn hears(samples: &[i16], pilot: Pilot) -> bool {
    let [level, beside] = levels_dbfs(samples, [pilot.hertz(), BESIDE_THE_PILOTS]);
    stands_out(level, beside)
}

/// Whose pilots are in `samples`.
pub fn pilots(samples: &[i16]) -> impl Iterator<Item = Pilot> {
    let [caller, ai, ae, backup] = Pilot::ALL.map(Pilot::hertz);
    let [caller, ai, ae, backup, beside] = levels_dbfs(samples, [caller, ai, ae, backup, BESIDE_THE_PILOTS]);
    let levels = [caller, ai, ae, backup];
    Pilot::ALL.into_iter().zip(levels).filter(move |(_, level)| stands_out(*level, beside)).map(|(pilot, _)| pilot)
}

fn stands_out(level: f64, beside: f64) -> bool {
    level > PILOT_DBFS - 6.0 && level > beside + 6.0
}

/// How much `b` sounds like `a`, from 0 to 1: the best normalised correlation of the two at up to `lag_max` samples either way.
pub fn likeness(a: &[i16], b: &[i16], lag_max: usize) -> f64 {
    let (a, b): (Vec<f32>, Vec<f32>) = (centred(a), centred(b));
    let lags = -(lag_max as isize)..=lag_max as isize;
    lags.map(|lag| correlation(&a, &b, lag)).fold(0.0, f64::max)
}

/// Where in `sound` the clip begins, in samples: the place where they are most alike, if they are more alike than `at_least`.
pub fn find(clip: &[i16], sound: &[i16], at_least: f64) -> Option<usize> {
    let (clip, sound) = (centred(clip), centred(sound));
    let last = sound.len().checked_sub(clip.len())?;
    let likeness = |place: usize| correlation(&clip, &sound[place..place + clip.len()], 0);
    let (place, best) = (0..=last).map(|place| (place, likeness(place))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (best > at_least).then_some(place)
}

fn centred(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|sample| f32::from(*sample)).collect()
}

/// The normalised correlation of `a` with `b` where `b` is `lag` samples later.
fn correlation(a: &[f32], b: &[f32], lag: isize) -> f64 {
    let (a, b) = if lag < 0 { (a.get(lag.unsigned_abs()..), Some(b)) } else { (Some(a), b.get(lag.unsigned_abs()..)) };
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let span = a.len().min(b.len());
    let (a, b) = (&a[..span], &b[..span]);
    let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let energy: f32 = a.iter().map(|a| a * a).sum::<f32>() * b.iter().map(|b| b * b).sum::<f32>();
    if energy > 0.0 { f64::from(product / energy.sqrt()) } else { 0.0 }
}

/// Takes away what lies above the speech band, so that no line that is spoken can be taken for a pilot.
pub fn below_the_pilots(samples: &[i16]) -> Vec<i16> {
    const CUT_HERTZ: f64 = 3_000.0;
    const HALF: usize = 32;
    let taps: Vec<f64> = (0..=2 * HALF)
        .map(|index| {
            let x = index as f64 - HALF as f64;
            let cut = CUT_HERTZ / f64::from(RATE);
            let sinc = if index == HALF { 2.0 * cut } else { (TAU * cut * x).sin() / (std::f64::consts::PI * x) };
            let turn = TAU * index as f64 / (2 * HALF) as f64;
            sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
        })
        .collect();
    let at = |index: usize| samples.get(index).map_or(0.0, |sample| f64::from(*sample));
    (0..samples.len())
        .map(|centre| {
            let sum: f64 =
                taps.iter().enumerate().map(|(tap, weight)| weight * (centre + HALF).checked_sub(tap).map_or(0.0, at)).sum();
            sum.clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// A small seeded source of numbers (xorshift64*): the same seed rolls the same numbers.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A source from a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pilots: &[Pilot]) -> Vec<i16> {
        let mut samples = vec![0; 160];
        for (seed, pilot) in pilots.iter().enumerate() {
            PilotSource::new(*pilot, seed as u64 + 7).mix_into(&mut samples);
        }
        through_g711(&samples)
    }

    fn through_g711(samples: &[i16]) -> Vec<i16> {
        samples.iter().map(|sample| crate::g711::decode(crate::g711::encode(*sample))).collect()
    }

    #[test]
    fn one_packet_tells_who_is_heard() {
        for pilot in Pilot::ALL {
            let heard: Vec<Pilot> = Pilot::ALL.into_iter().filter(|other| hears(&packet(&[pilot]), *other)).collect();
            assert_eq!(heard, [pilot]);
            assert_eq!(pilots(&packet(&[pilot])).collect::<Vec<_>>(), [pilot]);
        }
    }

    #[test]
    fn two_at_once_are_both_heard() {
        let both = packet(&[Pilot::Caller, Pilot::Ae]);
        assert!(hears(&both, Pilot::Caller) && hears(&both, Pilot::Ae));
        assert!(!hears(&both, Pilot::Ai) && !hears(&both, Pilot::Backup));
    }

    #[test]
    fn neither_silence_nor_noise_nor_a_loud_voice_is_taken_for_a_pilot() {
        let mut dice = Dice::new(3);
        let noise: Vec<i16> = (0..8_000).map(|_| (dice.roll() % 1_200) as i16 - 600).collect();
        let voice: Vec<i16> = (0..8_000).map(|n| ((f64::from(n) * 0.41).sin() * 16_000.0) as i16).collect();
        for sound in [vec![0; 8_000], noise, voice] {
            let sound = through_g711(&sound);
            let false_alarms =
                sound.chunks(160).flat_map(|packet| Pilot::ALL.map(|pilot| hears(packet, pilot))).filter(|heard| *heard).count();
            assert_eq!(false_alarms, 0);
        }
    }

    #[test]
    fn a_filtered_line_keeps_its_voice_and_loses_its_hiss() {
        let tone =
            |hertz: f64| (0..1_600).map(|n| ((f64::from(n) * TAU * hertz / 8_000.0).sin() * 8_000.0) as i16).collect::<Vec<_>>();
        let change = |hertz: f64| {
            level_dbfs(&below_the_pilots(&tone(hertz))[400..1_200], hertz) - level_dbfs(&tone(hertz)[400..1_200], hertz)
        };
        assert!(change(1_000.0).abs() < 0.5);
        assert!(change(3_503.0) < -50.0);
    }

    #[test]
    fn a_sound_is_known_again_later_and_quieter_but_not_in_another() {
        let mut dice = Dice::new(9);
        let mut noise = |count: usize| (0..count).map(|_| (dice.roll() % 8_000) as i16 - 4_000).collect::<Vec<i16>>();
        let (one, other) = (noise(4_000), noise(4_000));
        let later: Vec<i16> = [vec![0; 100], one.iter().map(|sample| sample / 3).collect()].concat();
        assert!(likeness(&one, &later, 200) > 0.95);
        assert!(likeness(&one, &other, 200) < 0.2);
        assert_eq!(find(&one[..2_000], &[other.clone(), one.clone()].concat(), 0.8), Some(4_000));
        assert_eq!(find(&one[..2_000], &other, 0.8), None);
    }

    #[test]
    fn no_two_packets_of_a_silent_party_are_alike() {
        let mut source = PilotSource::new(Pilot::Ai, 5);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3_000 {
            let mut samples = [0; 160];
            source.mix_into(&mut samples);
            assert!(seen.insert(samples.map(crate::g711::encode)));
        }
    }
}
