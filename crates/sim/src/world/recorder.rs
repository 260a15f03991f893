//! The writer of recordings in the virtual world: it counts, and its disk is never full.

use std::collections::BTreeMap;

use baton_contract::CallId;
use baton_media::{TapId, Tapped};
use baton_switchboard::{Input, RecordKind, RecordOrder, Recorded, Track};

/// Tracks that are open, with their samples.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    tracks: BTreeMap<TapId, Heard>,
    /// Every boundary that was written down, in its order.
    pub(super) marks: Vec<(CallId, &'static str)>,
    /// Every track that was closed, with what it was for.
    pub(super) closed: Vec<(Track, Recorded)>,
}

#[derive(Debug)]
struct Heard {
    track: Track,
    samples: u64,
    loud: u64,
}

/// A sample above this is no silence: about -50 dBFS.
const LOUD_MIN: u16 = 100;

impl Recorder {
    /// Whether any track is open.
    pub(super) fn is_recording(&self) -> bool {
        !self.tracks.is_empty()
    }

    /// Takes what a leg said.
    pub(super) fn hear(&mut self, tapped: &Tapped) {
        if let Some(heard) = self.tracks.get_mut(&tapped.tap) {
            for sample in tapped.samples() {
                heard.samples += 1;
                heard.loud += u64::from(sample.unsigned_abs() > LOUD_MIN);
            }
        }
    }

    /// Carries out an order; yields what the switchboard is told.
    pub(super) fn obey(&mut self, order: RecordOrder) -> Vec<Input> {
        let ended: Vec<TapId> = match order {
            RecordOrder::Open(track) => {
                self.tracks.insert(track.tap, Heard { track, samples: 0, loud: 0 });
                Vec::new()
            }
            RecordOrder::Mark { call, what } => {
                self.marks.push((call, what));
                Vec::new()
            }
            RecordOrder::Close(tap) => vec![tap],
            RecordOrder::CloseCall(call) => {
                self.tracks.iter().filter(|(_, heard)| heard.track.call == call).map(|(tap, _)| *tap).collect()
            }
        };
        ended.into_iter().filter_map(|tap| self.close(tap)).collect()
    }

    fn close(&mut self, tap: TapId) -> Option<Input> {
        let Heard { track, samples, loud } = self.tracks.remove(&tap)?;
        let kind = match track.kind {
            RecordKind::Call => "call",
            RecordKind::Consult => "consult",
            RecordKind::Voicemail => "voicemail",
            RecordKind::Answer => "answer",
        };
        let file = format!("{}/{kind}-{}.wav", track.call, track.leg);
        let recorded = Recorded { file, duration_ms: samples / 8, speech_ms: loud / 8 };
        self.closed.push((track, recorded.clone()));
        Some(Input::Recorded { tap, result: Ok(recorded) })
    }
}
