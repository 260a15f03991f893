//! Keys in the audio itself: dual tones found by Goertzel's filter, for legs without telephone-event.

/// Listens for dual tones in a stream of samples.
#[derive(Debug, Clone)]
pub(crate) struct ToneDetector {
    block: [i16; BLOCK],
    filled: usize,
    before: Option<char>,
    told: Option<char>,
}

impl Default for ToneDetector {
    fn default() -> Self {
        ToneDetector { block: [0; BLOCK], filled: 0, before: None, told: None }
    }
}

impl ToneDetector {
    /// Takes one sample; a key is told once, when two blocks on end have it.
    pub(crate) fn hear(&mut self, sample: i16) -> Option<char> {
        self.block[self.filled] = sample;
        self.filled += 1;
        if self.filled < BLOCK {
            return None;
        }
        self.filled = 0;
        let found = dual_tone(&self.block);
        let steady = found == self.before;
        self.before = found;
        if !steady || found == self.told {
            return None;
        }
        self.told = found;
        found
    }
}

/// The key whose two tones make up a block, if there is one.
fn dual_tone(block: &[i16; BLOCK]) -> Option<char> {
    let energy: f32 = block.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    if energy < BLOCK as f32 * LEVEL_MIN * LEVEL_MIN {
        return None;
    }
    let (row, low) = loudest(block, &ROWS)?;
    let (column, high) = loudest(block, &COLUMNS)?;
    // A pure sine of amplitude a has the energy N·a²/2 and the Goertzel power (N·a/2)², which is N/2 times as much.
    let share = (low + high) / (energy * BLOCK as f32 / 2.0);
    let twist_is_fair = low < high * TWIST_MAX && high < low * TWIST_MAX;
    (share > SHARE_MIN && twist_is_fair).then(|| char::from(PAD[row][column]))
}

/// The loudest of four tones with its power, if it stands out from the others.
fn loudest(block: &[i16; BLOCK], tones: &[f32; 4]) -> Option<(usize, f32)> {
    let powers = tones.map(|tone| power(block, tone));
    let (best, most) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let stands_out = powers.iter().enumerate().all(|(tone, power)| tone == best || power * STANDS_OUT < *most);
    stands_out.then_some((best, *most))
}

fn power(block: &[i16; BLOCK], hertz: f32) -> f32 {
    let turn = 2.0 * (std::f32::consts::TAU * hertz / 8_000.0).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in block {
        (one, two) = (f32::from(*sample) + turn * one - two, one);
    }
    one * one + two * two - turn * one * two
}

/// Samples looked at together: 20 ms, in which the tones are 1.5 bins and more apart.
const BLOCK: usize = 160;
/// The quietest tone that counts, as root mean square of a block: about -36 dBFS.
const LEVEL_MIN: f32 = 350.0;
/// How much of the energy the two tones must have: speech has less.
const SHARE_MIN: f32 = 0.7;
/// How much louder one tone may be than the other, as a ratio of powers: 9 dB.
const TWIST_MAX: f32 = 8.0;
/// How much louder the tone must be than the others of its group, as a ratio of powers: 6 dB.
const STANDS_OUT: f32 = 4.0;
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const PAD: [&[u8; 4]; 4] = [b"123A", b"456B", b"789C", b"*0#D"];

#[cfg(test)]
mod tests {
    use super::*;

    fn tones(low: f32, high: f32, amplitude: f32, samples: usize) -> Vec<i16> {
        let wave = |hertz: f32, i: usize| (std::f32::consts::TAU * hertz * i as f32 / 8_000.0).sin() * amplitude;
        (0..samples).map(|i| (wave(low, i) + wave(high, i)) as i16).collect()
    }

    fn heard(samples: &[i16]) -> String {
        let mut detector = ToneDetector::default();
        samples.iter().filter_map(|sample| detector.hear(*sample)).collect()
    }

    #[test]
    fn every_key_is_heard_once_at_any_phase_and_level() {
        for (row, low) in ROWS.iter().enumerate() {
            for (column, high) in COLUMNS.iter().enumerate() {
                for (lead, amplitude) in [(0, 9_000.0), (53, 1_500.0), (131, 15_000.0)] {
                    let mut samples = vec![0; lead];
                    samples.extend(tones(*low, *high, amplitude, 640));
                    samples.extend([0; 480]);
                    assert_eq!(heard(&samples), char::from(PAD[row][column]).to_string(), "{low} {high} {lead} {amplitude}");
                }
            }
        }
    }

    #[test]
    fn the_same_key_pressed_twice_is_heard_twice() {
        let press = [tones(770.0, 1_336.0, 8_000.0, 800), vec![0; 800]].concat();
        assert_eq!(heard(&[press.clone(), press].concat()), "55");
    }

    #[test]
    fn one_tone_or_noise_or_a_chord_is_no_key() {
        assert_eq!(heard(&tones(697.0, 697.0, 8_000.0, 1_600)), "");
        assert_eq!(heard(&tones(440.0, 880.0, 8_000.0, 1_600)), "");
        let mut seed = 1u32;
        let noise: Vec<i16> = (0..80_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 18) as i16
            })
            .collect();
        assert_eq!(heard(&noise), "");
    }
}
