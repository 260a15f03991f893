//! The sum of several legs for one that hears them all.

use std::collections::VecDeque;

use crate::{Codec, Port};

/// A queue of samples for each leg that is heard.
#[derive(Debug, Clone)]
pub(crate) struct Mixer {
    voices: Vec<Voice>,
}

#[derive(Debug, Clone)]
struct Voice {
    port: Port,
    queue: VecDeque<i16>,
    flows: bool,
}

impl Mixer {
    /// A mixer of these legs.
    pub(crate) fn new(ports: &[Port]) -> Mixer {
        let voice = |port: &Port| Voice { port: *port, queue: VecDeque::with_capacity(QUEUE_MAX), flows: false };
        Mixer { voices: ports.iter().map(voice).collect() }
    }

    /// Takes sound of a leg; what is too much for the queue pushes out the oldest.
    pub(crate) fn hear(&mut self, port: Port, codec: Codec, payload: &[u8]) {
        let Some(voice) = self.voices.iter_mut().find(|voice| voice.port == port) else { return };
        for octet in payload {
            if voice.queue.len() == QUEUE_MAX {
                voice.queue.pop_front();
            }
            voice.queue.push_back(codec.decode(*octet));
        }
    }

    /// Adds up a frame; says whether any leg was in it.
    pub(crate) fn fill(&mut self, frame: &mut [i16]) -> bool {
        frame.fill(0);
        let length = frame.len();
        let mut is_sound = false;
        for voice in &mut self.voices {
            voice.flows = voice.queue.len() >= if voice.flows { frame.len() } else { QUEUE_START + frame.len() };
            if voice.flows {
                is_sound = true;
                for (slot, sample) in frame.iter_mut().zip(voice.queue.drain(..length)) {
                    *slot = slot.saturating_add(sample);
                }
            }
        }
        is_sound
    }
}

/// Samples of a leg that wait at most: 80 ms.
const QUEUE_MAX: usize = 640;
/// Samples that must wait beside the first frame, so that a late packet leaves no hole: 20 ms.
const QUEUE_START: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_voices_are_added_and_never_turn_over() {
        let mut mixer = Mixer::new(&[Port(2), Port(4)]);
        let loud = [Codec::Pcmu.encode(30_000); 400];
        mixer.hear(Port(2), Codec::Pcmu, &loud);
        mixer.hear(Port(4), Codec::Pcmu, &loud);
        let mut frame = [0; 160];
        assert!(mixer.fill(&mut frame));
        assert_eq!(frame, [i16::MAX; 160]);
    }

    #[test]
    fn a_voice_that_pauses_leaves_the_other_alone() {
        let mut mixer = Mixer::new(&[Port(2), Port(4)]);
        mixer.hear(Port(2), Codec::Pcma, &[Codec::Pcma.encode(1_000); 320]);
        mixer.hear(Port(6), Codec::Pcma, &[Codec::Pcma.encode(9_000); 320]);
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
        mixer.hear(Port(2), Codec::Pcmu, &[0; 60_000]);
        assert_eq!(mixer.voices[0].queue.len(), QUEUE_MAX);
    }
}
