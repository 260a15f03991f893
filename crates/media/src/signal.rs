//! Tones that Baton makes itself: a ringback for a caller who is passed on, and the beep before a message.

use std::f64::consts::TAU;

use crate::Clip;

/// What a caller hears while somebody's phone rings: two short rings and a pause, to be played again and again. The pause is shorter than
/// that of any public network, so that nobody is without sound for a second.
pub fn ringback() -> Clip {
    let mut samples = Vec::new();
    for pause_ms in [200, 900] {
        samples.extend(tone(&[400.0, 450.0], 2_000.0, 400));
        samples.extend((0..pause_ms * 8).map(|_| 0_i16));
    }
    Clip::new("ringback", samples)
}

/// What comes before a message that is recorded.
pub fn beep() -> Clip {
    Clip::new("beep", tone(&[1_000.0], 8_000.0, 300))
}

/// The sum of sines of one amplitude, with soft edges.
fn tone(hertz: &[f64], amplitude: f64, millis: usize) -> Vec<i16> {
    let length = millis * 8;
    let at = |sample: usize| {
        let edge = sample.min(length - 1 - sample).min(EDGE) as f64 / EDGE as f64;
        let wave: f64 = hertz.iter().map(|hertz| (TAU * hertz * sample as f64 / 8_000.0).sin()).sum();
        (amplitude * edge * wave) as i16
    };
    (0..length).map(at).collect()
}

/// Samples in which a tone comes and goes: 10 ms.
const EDGE: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ringback_never_pauses_for_a_second_and_does_not_turn_over() {
        let clip = ringback();
        let loud = |sample: &i16| sample.unsigned_abs() >= Clip::AUDIBLE;
        let longest = clip.samples().split(loud).map(<[i16]>::len).max().unwrap();
        assert!((800 * 8..1_000 * 8).contains(&longest), "{longest}");
        assert!(clip.samples().iter().all(|sample| sample.unsigned_abs() <= 4_000));
    }

    #[test]
    fn the_beep_is_short_and_has_soft_edges() {
        let clip = beep();
        assert_eq!(clip.duration().as_millis(), 300);
        assert_eq!((clip.samples()[0], clip.samples()[clip.samples().len() - 1]), (0, 0));
        assert!(clip.samples().iter().any(|sample| *sample > 7_000));
    }
}
