//! The sum of several legs for one that hears them all.

use std::collections::VecDeque;

use crate::Port;
use crate::leg::Sound;

/// A queue of samples for each leg that is heard.
#[derive(Debug, Clone)]
pub(crate) struct Mixer {
    voices: Vec<Voice>,
    /// What the sum is multiplied by, in 1/32768: less than one only where it would turn over.
    gain: i32,
}

#[derive(Debug, Clone)]
struct Voice {
    port: Port,
    queue: VecDeque<i16>,
    flows: bool,
    /// Which stream of the leg, and the timestamp that comes next in it.
    next: Option<(u64, u32)>,
}

impl Mixer {
    /// A mixer of these legs.
    pub(crate) fn new(ports: &[Port]) -> Mixer {
        let voice = |port: &Port| Voice { port: *port, queue: VecDeque::with_capacity(QUEUE_MAX), flows: false, next: None };
        Mixer { voices: ports.iter().map(voice).collect(), gain: UNITY }
    }

    /// Takes sound of a leg; what is too much for the queue pushes out the oldest. Says whether the leg is one of the mixer's.
    pub(crate) fn hear(&mut self, sound: &Sound<'_>) -> bool {
        let Some(voice) = self.voices.iter_mut().find(|voice| voice.port == sound.from) else { return false };
        voice.hear(sound);
        true
    }

    /// Adds up a frame; says whether any leg was in it.
    pub(crate) fn fill(&mut self, frame: &mut [i16]) -> bool {
        let mut sums = [0_i32; FRAME_MAX];
        let sums = &mut sums[..frame.len().min(FRAME_MAX)];
        let mut is_sound = false;
        for voice in &mut self.voices {
            voice.flows = voice.queue.len() >= if voice.flows { sums.len() } else { QUEUE_START + sums.len() };
            if voice.flows {
                is_sound = true;
                let length = sums.len();
                for (sum, sample) in sums.iter_mut().zip(voice.queue.drain(..length)) {
                    *sum += i32::from(sample);
                }
            }
        }
        self.level(sums, frame);
        is_sound
    }

    /// Writes the sums into a frame; where more than a few would turn over all of it becomes quieter, and louder again step by step.
    fn level(&mut self, sums: &[i32], frame: &mut [i16]) {
        let over = sums.iter().filter(|sum| sum.abs() > PEAK_MAX).count();
        let peak = sums.iter().map(|sum| sum.abs()).max().unwrap_or(0).max(1);
        let most = if over > CUT_MAX { (i64::from(PEAK_MAX) * i64::from(UNITY) / i64::from(peak)) as i32 } else { UNITY };
        self.gain = most.min(self.gain + RISE);
        frame.fill(0);
        for (slot, sum) in frame.iter_mut().zip(sums) {
            let levelled = i64::from(*sum) * i64::from(self.gain) / i64::from(UNITY);
            *slot = levelled.clamp(i64::from(-PEAK_MAX), i64::from(PEAK_MAX)) as i16;
        }
    }
}

impl Voice {
    /// Takes a packet into its place: what comes after its time is left out, what was lost becomes silence while the voice flows.
    fn hear(&mut self, sound: &Sound<'_>) {
        let rtp = &sound.rtp;
        if let Some((_, next)) = self.next.filter(|(epoch, _)| *epoch == sound.epoch) {
            let ahead = rtp.timestamp.wrapping_sub(next) as i32;
            if (-LATE_MAX..0).contains(&ahead) {
                return;
            }
            if self.flows && (1..=LOST_MAX).contains(&ahead) {
                (0..ahead).for_each(|_| self.push(0));
            }
        }
        self.next = Some((sound.epoch, rtp.timestamp.wrapping_add(rtp.payload.len() as u32)));
        rtp.payload.iter().for_each(|octet| self.push(sound.codec.decode(*octet)));
    }

    fn push(&mut self, sample: i16) {
        if self.queue.len() == QUEUE_MAX {
            self.queue.pop_front();
        }
        self.queue.push_back(sample);
    }
}

/// One, in 1/32768.
const UNITY: i32 = 32_768;
/// How fast the sum becomes louder again: by a hundredth in a frame.
const RISE: i32 = 328;
/// The loudest sample of a sum.
const PEAK_MAX: i32 = 32_767;
/// Samples of a frame that are cut off without anybody hearing it.
const CUT_MAX: usize = 4;
/// Samples that a packet may be behind and still be an overtaken one: a second.
const LATE_MAX: i32 = 8_000;
/// Samples that were lost on end and become silence: 60 ms.
const LOST_MAX: i32 = 480;
/// Samples of the longest frame: 60 ms.
const FRAME_MAX: usize = 480;
/// Samples of a leg that wait at most: 80 ms.
const QUEUE_MAX: usize = 640;
/// Samples that must wait beside the first frame, so that a late packet leaves no hole: 20 ms.
const QUEUE_START: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use crate::rtp::Rtp;

    fn hear(mixer: &mut Mixer, port: u16, codec: Codec, timestamp: u32, payload: &[u8]) -> bool {
        let rtp = Rtp { marker: false, payload_type: 0, seq: 0, timestamp, ssrc: 0, payload };
        mixer.hear(&Sound { from: Port(port), codec, rtp, epoch: 1, swap: 1 })
    }

    fn said(value: i16, samples: usize) -> Vec<u8> {
        vec![Codec::Pcmu.encode(value); samples]
    }

    #[test]
    fn two_voices_are_added_and_never_turn_over() {
        let mut mixer = Mixer::new(&[Port(2), Port(4)]);
        for port in [2, 4] {
            assert!(hear(&mut mixer, port, Codec::Pcmu, 0, &said(30_000, 400)));
        }
        let mut frame = [0; 160];
        assert!(mixer.fill(&mut frame));
        assert!(frame.iter().all(|sample| *sample > 32_700), "{}", frame[0]);
    }

    #[test]
    fn a_loud_moment_is_made_quieter_as_a_whole_and_soon_over() {
        let mut mixer = Mixer::new(&[Port(2), Port(4)]);
        let mut wave = said(30_000, 160);
        wave.extend(said(10_000, 480));
        hear(&mut mixer, 2, Codec::Pcmu, 0, &wave);
        hear(&mut mixer, 4, Codec::Pcmu, 0, &wave);
        let mut frame = [0; 160];
        mixer.fill(&mut frame);
        mixer.fill(&mut frame);
        let soon = frame[0];
        assert!((10_000..20_100).contains(&soon), "{soon}");
        mixer.fill(&mut frame);
        assert!(frame[0] > soon);
    }

    #[test]
    fn a_voice_that_pauses_leaves_the_other_alone() {
        let mut mixer = Mixer::new(&[Port(2), Port(4)]);
        hear(&mut mixer, 2, Codec::Pcma, 0, &[Codec::Pcma.encode(1_000); 320]);
        assert!(!hear(&mut mixer, 6, Codec::Pcma, 0, &[Codec::Pcma.encode(9_000); 320]));
        let mut frame = [0; 160];
        assert!(mixer.fill(&mut frame));
        assert!((frame[0] - 1_000).abs() < 40);
    }

    #[test]
    fn nothing_is_silence_and_a_flood_is_bounded() {
        let mut mixer = Mixer::new(&[Port(2)]);
        let mut frame = [5; 160];
        assert!(!mixer.fill(&mut frame));
        assert_eq!(frame, [0; 160]);
        hear(&mut mixer, 2, Codec::Pcmu, 0, &[0; 60_000]);
        assert_eq!(mixer.voices[0].queue.len(), QUEUE_MAX);
    }

    #[test]
    fn what_is_lost_keeps_its_time_and_what_comes_late_is_left_out() {
        let mut mixer = Mixer::new(&[Port(2)]);
        let mut frame = [0; 160];
        hear(&mut mixer, 2, Codec::Pcmu, 0, &said(1_000, 320));
        assert!(mixer.fill(&mut frame));
        hear(&mut mixer, 2, Codec::Pcmu, 480, &said(2_000, 160));
        hear(&mut mixer, 2, Codec::Pcmu, 320, &said(9_000, 160));
        let heard: Vec<i16> = (0..3).map(|_| (mixer.fill(&mut frame), frame[80])).map(|(_, sample)| sample / 900).collect();
        assert_eq!(heard, [1, 0, 2]);
    }
}
