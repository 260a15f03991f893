//! Hold music: a soft electric piano over a warm chord, eight bars that loop without a seam. Composed for Baton, computed at start.

use std::f64::consts::TAU;

use baton_media::Clip;

use super::sound::RATE;

/// Beats a minute; eight bars of four beats make 24 seconds.
const BEATS_PER_MINUTE: usize = 80;
/// Samples of an eighth note.
const EIGHTH: usize = RATE as usize * 60 / BEATS_PER_MINUTE / 2;
/// Samples of a bar.
const BAR: usize = 8 * EIGHTH;
/// The loudness of the whole: -20 dBFS.
const RMS_TARGET: f64 = 0.1;
/// What no sample exceeds: a little under -6 dBFS.
const PEAK_MAX: f64 = 0.49;

/// One bar: its bass, and the four notes of its chord from low to high, as MIDI numbers.
const BARS: [(u8, [u8; 4]); 8] = [
    (41, [57, 60, 64, 67]), // F major 9
    (40, [55, 59, 62, 67]), // E minor 7
    (38, [57, 60, 65, 69]), // D minor 7
    (36, [55, 59, 64, 67]), // C major 7
    (45, [57, 60, 64, 67]), // A minor 7
    (38, [57, 60, 64, 65]), // D minor 9
    (43, [55, 60, 62, 65]), // G suspended
    (43, [55, 59, 62, 65]), // G 7
];

/// Which note of the chord each eighth plays, one octave up where it is 4 or more.
const ARPEGGIO: [usize; 8] = [0, 2, 1, 3, 4, 3, 2, 1];

/// The melody: bar, eighth, MIDI number.
const MELODY: [(usize, usize, u8); 18] = [
    (0, 0, 76),
    (0, 3, 79),
    (0, 6, 81),
    (1, 0, 79),
    (1, 4, 74),
    (2, 0, 77),
    (2, 3, 76),
    (2, 6, 72),
    (3, 0, 71),
    (3, 4, 67),
    (4, 0, 72),
    (4, 3, 76),
    (4, 6, 79),
    (5, 0, 77),
    (5, 4, 76),
    (6, 0, 74),
    (6, 4, 72),
    (7, 2, 71),
];

/// A sound of the band: what it is made of, and how it fades.
struct Timbre {
    /// Multiples of the note's frequency, with their loudness.
    partials: &'static [(f64, f64)],
    /// Seconds until it has come up.
    attack: f64,
    /// Seconds in which it falls to a third.
    decay: f64,
    /// How long it is heard at all, in samples.
    length: usize,
}

/// The most partials of a timbre.
const PARTIALS_MAX: usize = 4;

const PIANO: Timbre =
    Timbre { partials: &[(1.0, 1.0), (2.0, 0.28), (3.0, 0.06), (6.98, 0.05)], attack: 0.006, decay: 0.55, length: 6 * EIGHTH };
const BELL: Timbre = Timbre { partials: &[(1.0, 1.0), (2.0, 0.16), (4.0, 0.05)], attack: 0.012, decay: 0.8, length: BAR };
const PAD: Timbre =
    Timbre { partials: &[(0.998, 0.6), (1.002, 0.6), (2.0, 0.12)], attack: 0.35, decay: 3.0, length: BAR + 3 * EIGHTH };
const BASS: Timbre = Timbre { partials: &[(1.0, 1.0), (2.0, 0.45), (3.0, 0.16)], attack: 0.012, decay: 1.3, length: BAR };

/// The music, as a clip that is to be played again and again.
pub(crate) fn music() -> Clip {
    let mut tape = vec![0.0; BARS.len() * BAR];
    let [piano, bell, pad, bass_guitar] = [PIANO, BELL, PAD, BASS].map(Instrument::new);
    for (bar, (bass, chord)) in BARS.iter().enumerate() {
        let at = bar * BAR;
        play(&mut tape, at, &bass_guitar, *bass, 0.55);
        play(&mut tape, at + 5 * EIGHTH, &bass_guitar, *bass, 0.25);
        for note in chord {
            play(&mut tape, at, &pad, *note, 0.13);
        }
        for (eighth, step) in ARPEGGIO.iter().enumerate() {
            let octave = if *step >= chord.len() { 12 } else { 0 };
            let accent = if eighth % 4 == 0 { 0.34 } else { 0.25 };
            play(&mut tape, at + eighth * EIGHTH, &piano, chord[step % chord.len()] + octave, accent);
        }
    }
    for (bar, eighth, note) in MELODY {
        play(&mut tape, bar * BAR + eighth * EIGHTH, &bell, note, 0.3);
    }
    Clip::new("music", levelled(&tape))
}

/// Adds a note; what rings on beyond the end of the tape goes on at its beginning, so that the loop has no seam.
fn play(tape: &mut [f64], at: usize, band: &Instrument, note: u8, loudness: f64) {
    let hertz = 440.0 * 2_f64.powf((f64::from(note) - 69.0) / 12.0);
    // Each value of a sine follows from the two before it, so that none has to be computed; all partials go side by side, for each of them waits
    // for its own last value.
    let (mut before, mut now, mut twice_cos) = ([0.0; PARTIALS_MAX], [0.0; PARTIALS_MAX], [0.0; PARTIALS_MAX]);
    let partials = band.timbre.partials.iter().filter(|(multiple, _)| hertz * multiple < 3_400.0);
    for (place, (multiple, part)) in partials.enumerate() {
        let turn = TAU * hertz * multiple / f64::from(RATE);
        (before[place], twice_cos[place]) = (-turn.sin() * loudness * part, 2.0 * turn.cos());
    }
    let mut envelope = band.envelope.iter();
    let mut from = at % tape.len();
    while !envelope.as_slice().is_empty() {
        for (sample, gain) in tape[from..].iter_mut().zip(envelope.by_ref()) {
            *sample += now.iter().sum::<f64>() * gain;
            for place in 0..PARTIALS_MAX {
                let next = twice_cos[place] * now[place] - before[place];
                (before[place], now[place]) = (now[place], next);
            }
        }
        from = 0;
    }
}

/// A timbre with the course of its loudness worked out.
struct Instrument {
    timbre: Timbre,
    envelope: Vec<f64>,
}

impl Instrument {
    fn new(timbre: Timbre) -> Instrument {
        let rate = f64::from(RATE);
        let fall = (-1.0 / (timbre.decay * rate)).exp();
        let (rise, release) = (timbre.attack * rate, (EIGHTH / 2) as f64);
        let mut gain = 1.0;
        let envelope = (0..timbre.length)
            .map(|step| {
                gain *= fall;
                gain * ((step as f64 + 1.0) / (rise + 1.0)).min((timbre.length - step) as f64 / release).min(1.0)
            })
            .collect();
        Instrument { timbre, envelope }
    }
}

/// At the target loudness; what sticks out is rounded off softly.
fn levelled(tape: &[f64]) -> Vec<i16> {
    let rms = (tape.iter().map(|sample| sample * sample).sum::<f64>() / tape.len() as f64).sqrt();
    let soften = |sample: f64| {
        let knee = 0.6 * PEAK_MAX;
        let over = (sample.abs() - knee).max(0.0);
        let room = PEAK_MAX - knee;
        (sample.abs().min(knee) + room * (over / room).tanh()) * sample.signum()
    };
    tape.iter().map(|sample| (soften(sample * RMS_TARGET / rms) * 32_767.0).round() as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decibels(samples: &[i16]) -> f64 {
        let squares: f64 = samples.iter().map(|sample| (f64::from(*sample) / 32_768.0).powi(2)).sum();
        10.0 * (squares / samples.len() as f64).max(1e-12).log10()
    }

    #[test]
    fn the_music_is_never_silent_nor_loud() {
        let clip = music();
        let samples = clip.samples();
        assert_eq!(samples.len(), 24 * RATE as usize);
        assert!((decibels(samples) + 20.0).abs() < 0.5, "{}", decibels(samples));
        assert!(samples.iter().all(|sample| sample.unsigned_abs() < 16_400));
        let twice = samples.repeat(2);
        let quietest = (0..samples.len()).step_by(400).map(|at| decibels(&twice[at..at + 3_200])).fold(0.0, f64::min);
        assert!(quietest > -32.0, "{quietest}");
    }

    #[test]
    fn the_end_leads_into_the_beginning() {
        let clip = music();
        let samples = clip.samples();
        let steps = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or(0);
        let seam = samples[0].abs_diff(samples[samples.len() - 1]);
        assert!(seam <= steps / 2, "{seam} of {steps}");
    }

    #[test]
    fn it_is_the_same_every_time() {
        assert!(music() == music());
    }
}
