//! Makes any voice sound alike: 8 kHz, speech at about -20 dBFS with peaks below -6 dBFS, nothing before the first sound and
//! no long pauses.

use std::collections::VecDeque;
use std::f64::consts::PI;

use super::wav::Wave;

/// Samples per second of everything that Baton plays.
pub(crate) const RATE: u32 = 8_000;
/// The loudness of speech, as the root of the mean square of its frames: -20 dBFS.
const RMS_TARGET: f64 = 0.1;
/// What no sample exceeds: a little under -6 dBFS.
const PEAK_MAX: f64 = 0.49;
/// What counts as sound once the level is right: -52 dBFS in a frame.
const SOUND: f64 = 0.002_5;
/// A frame of 10 ms.
const FRAME: usize = RATE as usize / 100;
/// Frames that are kept before the first sound, so that its rise is not cut off.
const LEAD_FRAMES: usize = 1;
/// Frames that are kept after the last sound.
const TAIL_FRAMES: usize = 12;
/// How far the limiter looks ahead and back: 5 ms.
const LOOK: usize = RATE as usize / 200;
/// Zero crossings of the low-pass on either side.
const CROSSINGS: usize = 20;
/// The low-pass lets through this part of the band.
const CUTOFF: f64 = 0.94;

/// Speech from a voice, made ready to be played; empty where there was no sound in it.
pub(crate) fn speech(wave: &Wave) -> Vec<i16> {
    let mut samples = resample(wave);
    for filter in [Biquad::high_pass(90.0), Biquad::bell(2_600.0, 1.2, 3.0)] {
        filter.run(&mut samples);
    }
    let levelled = level(samples);
    trim(&levelled).into_iter().map(|sample| (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// To 8 kHz with a windowed sinc, so that nothing above 4 kHz comes back as noise.
pub(crate) fn resample(wave: &Wave) -> Vec<f64> {
    let input = &wave.samples;
    if wave.rate == RATE {
        return input.iter().map(|sample| f64::from(*sample) / 32_768.0).collect();
    }
    let common = gcd(wave.rate, RATE);
    let (up, down) = ((RATE / common) as usize, (wave.rate / common) as usize);
    let ratio = f64::from(wave.rate) / f64::from(RATE);
    let half = (CROSSINGS as f64 * ratio).ceil() as usize;
    let phases: Vec<Vec<f64>> = (0..up).map(|phase| taps(phase as f64 / up as f64, half, ratio)).collect();
    let length = input.len() * up / down;
    (0..length)
        .map(|at| {
            let (place, phase) = (at * down / up, at * down % up);
            let first = (place + 1).checked_sub(half);
            let skipped = if first.is_some() { 0 } else { half - place - 1 };
            let window = input.iter().skip(first.unwrap_or(0)).zip(phases[phase].iter().skip(skipped));
            window.map(|(sample, tap)| f64::from(*sample) * tap).sum::<f64>() / 32_768.0
        })
        .collect()
}

/// The low-pass around a point that lies `fraction` of a sample after one of the input.
fn taps(fraction: f64, half: usize, ratio: f64) -> Vec<f64> {
    let width = half as f64;
    let taps: Vec<f64> = (0..2 * half)
        .map(|at| {
            let distance = at as f64 - (width - 1.0) - fraction;
            let x = distance * CUTOFF / ratio;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let turn = PI * (distance / width).clamp(-1.0, 1.0);
            sinc * (0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| tap / sum).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A second-order filter (after Robert Bristow-Johnson's formulas).
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    fn high_pass(hertz: f64) -> Biquad {
        let (cos, alpha) = turn(hertz, std::f64::consts::FRAC_1_SQRT_2);
        Biquad::scaled([(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn bell(hertz: f64, quality: f64, decibels: f64) -> Biquad {
        let (cos, alpha) = turn(hertz, quality);
        let gain = 10_f64.powf(decibels / 40.0);
        Biquad::scaled([1.0 + alpha * gain, -2.0 * cos, 1.0 - alpha * gain], [1.0 + alpha / gain, -2.0 * cos, 1.0 - alpha / gain])
    }

    fn scaled(b: [f64; 3], a: [f64; 3]) -> Biquad {
        Biquad { b: b.map(|value| value / a[0]), a: [a[1] / a[0], a[2] / a[0]] }
    }

    fn run(&self, samples: &mut [f64]) {
        let (mut z1, mut z2) = (0.0, 0.0);
        for sample in samples {
            let out = self.b[0] * *sample + z1;
            z1 = self.b[1] * *sample - self.a[0] * out + z2;
            z2 = self.b[2] * *sample - self.a[1] * out;
            *sample = out;
        }
    }
}

fn turn(hertz: f64, quality: f64) -> (f64, f64) {
    let omega = 2.0 * PI * hertz / f64::from(RATE);
    (omega.cos(), omega.sin() / (2.0 * quality))
}

/// Brings the frames that hold speech to the target, and bends the gain around what would stick out.
fn level(mut samples: Vec<f64>) -> Vec<f64> {
    for _ in 0..LEVEL_ROUNDS {
        let spoken = || samples.chunks(FRAME).filter(|frame| rms(*frame) > 4.0 * SOUND).flatten();
        let loudness = if spoken().next().is_some() { rms(spoken()) } else { rms(&samples) };
        if loudness < SILENCE {
            return samples;
        }
        let gain = RMS_TARGET / loudness;
        samples.iter_mut().for_each(|sample| *sample *= gain);
        limit(&mut samples);
    }
    samples
}

/// What limiting takes away is made up for in the next round.
const LEVEL_ROUNDS: usize = 4;
/// Nothing that could be made louder.
const SILENCE: f64 = 1e-5;

/// Lowers the gain around peaks, some milliseconds ahead and back, so that nothing is clipped.
fn limit(samples: &mut [f64]) {
    let wanted: Vec<f64> = samples.iter().map(|sample| (PEAK_MAX / sample.abs().max(1e-9)).min(1.0)).collect();
    let least = sliding_min(&wanted);
    let mut sum: f64 = least.iter().take(LOOK).sum();
    let mut count = LOOK.min(least.len());
    for at in 0..samples.len() {
        if let Some(next) = least.get(at + LOOK) {
            sum += next;
            count += 1;
        }
        if let Some(gone) = at.checked_sub(LOOK + 1) {
            sum -= least[gone];
            count -= 1;
        }
        samples[at] *= (sum / count as f64).min(wanted[at]);
    }
}

/// The least value within [`LOOK`] of each place.
fn sliding_min(values: &[f64]) -> Vec<f64> {
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut least = Vec::with_capacity(values.len());
    for at in 0..values.len() + LOOK {
        if let Some(value) = values.get(at) {
            while queue.back().is_some_and(|back| values[*back] >= *value) {
                queue.pop_back();
            }
            queue.push_back(at);
        }
        if let Some(centre) = at.checked_sub(LOOK) {
            while queue.front().is_some_and(|front| front + LOOK < centre) {
                queue.pop_front();
            }
            least.push(queue.front().map_or(1.0, |front| values[*front]));
        }
    }
    least
}

/// The same without the silence around it, and with long pauses made shorter.
fn trim(samples: &[f64]) -> Vec<f64> {
    let loud: Vec<bool> = samples.chunks(FRAME).map(|frame| rms(frame) > SOUND).collect();
    let Some(first) = loud.iter().position(|loud| *loud) else { return Vec::new() };
    let last = loud.iter().rposition(|loud| *loud).unwrap_or(first);
    let frames = samples.chunks(FRAME).zip(&loud).take(last + 1 + TAIL_FRAMES).skip(first.saturating_sub(LEAD_FRAMES));
    let mut quiet = 0;
    let mut kept = Vec::with_capacity(samples.len());
    let frames = frames.filter(|(_, loud)| {
        quiet = if **loud { 0 } else { quiet + 1 };
        quiet <= PAUSE_FRAMES
    });
    frames.for_each(|(frame, _)| kept.extend_from_slice(frame));
    kept
}

/// Frames of a pause that are kept: between sentences a third of a second is enough.
const PAUSE_FRAMES: usize = 32;

fn rms<'s>(samples: impl IntoIterator<Item = &'s f64>) -> f64 {
    let (squares, count) =
        samples.into_iter().fold((0.0, 0_usize), |(squares, count), sample| (squares + sample * sample, count + 1));
    (squares / count.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, seconds: f64, amplitude: f64) -> Vec<i16> {
        let step = 2.0 * PI * hertz / f64::from(rate);
        (0..(f64::from(rate) * seconds) as usize).map(|at| ((at as f64 * step).sin() * amplitude * 32_767.0) as i16).collect()
    }

    #[test]
    fn tones_of_the_telephone_band_pass_and_others_do_not() {
        for rate in [16_000, 22_050, 24_000, 44_100, 48_000] {
            let pass = resample(&Wave { rate, samples: tone(rate, 1_000.0, 0.5, 0.5) });
            assert!((rms(&pass[400..3_600]) - 0.5 / 2_f64.sqrt()).abs() < 0.005, "{rate} {}", rms(&pass));
            let stop = resample(&Wave { rate, samples: tone(rate, 5_000.0, 0.5, 0.5) });
            assert!(rms(&stop[400..3_600]) < 0.001, "{rate} {}", rms(&stop[400..3_600]));
            assert!(pass.len().abs_diff(4_000) <= 1, "{rate}");
        }
    }

    #[test]
    fn quiet_and_loud_speech_come_out_alike_and_begin_at_once() {
        for amplitude in [0.01, 0.1, 0.99] {
            let mut samples = vec![0; 16_000];
            for hertz in [300.0, 800.0, 500.0] {
                samples.extend(tone(16_000, hertz, 0.3, amplitude));
                samples.extend(vec![0; 1_600]);
            }
            samples.extend(vec![0; 16_000]);
            let clip = speech(&Wave { rate: 16_000, samples });
            let peak = clip.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            assert!(f64::from(peak) / 32_767.0 <= 0.5, "{peak}");
            assert!(clip.iter().take(2 * FRAME).any(|sample| sample.unsigned_abs() > 256), "the first sound comes at once");
            assert!((8_000..10_500).contains(&clip.len()), "{}", clip.len());
            let spoken: Vec<f64> = clip[200..2_000].iter().map(|sample| f64::from(*sample) / 32_767.0).collect();
            assert!((0.07..0.14).contains(&rms(&spoken)), "{}", rms(&spoken));
        }
    }

    #[test]
    fn long_pauses_become_short() {
        let mut samples = tone(8_000, 400.0, 0.5, 0.3);
        samples.extend(vec![0; 16_000]);
        samples.extend(tone(8_000, 400.0, 0.5, 0.3));
        let clip = speech(&Wave { rate: 8_000, samples });
        assert!((10_000..12_000).contains(&clip.len()), "{}", clip.len());
    }

    #[test]
    fn silence_stays_silence() {
        assert!(speech(&Wave { rate: 16_000, samples: vec![0; 16_000] }).is_empty());
        assert!(speech(&Wave { rate: 8_000, samples: vec![] }).is_empty());
        assert!(speech(&Wave { rate: 44_100, samples: vec![7; 3] }).is_empty());
    }
}
