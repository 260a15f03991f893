//! Why a transfer wants to be woken.

use std::fmt;

use baton_contract::Stage;
use serde::{Deserialize, Serialize};

/// The reason of a deadline. Together they explain where the time of a transfer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Why {
    /// A stage should have ended by now; missing it is told.
    StageTarget(Stage),
    /// A stage must have ended by now; missing it acts.
    StageWorst(Stage),
    /// The store must have answered.
    StoreMustAnswer,
    /// What is left of the budget belongs to the next attempt.
    AttemptMustEnd,
    /// The far end must have sent any response at all.
    AeMustRespond,
    /// The AE must have answered.
    AeMustAnswer,
    /// The AE is told once more which keys there are.
    AeIsReminded,
    /// A recording must have ended.
    SpeechMustEnd,
    /// The caller's audio must have been switched to the AE.
    AudioMustSwitch,
    /// The caller must have picked a slot.
    CallerMustChoose,
    /// The caller is told that it goes on.
    CallerIsComforted,
    /// The AI must have answered again.
    AiMustAnswer,
}

impl Why {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Why::StageTarget(Stage::Start) => "the target for sending the INVITE",
            Why::StageTarget(Stage::Ringing) => "the target for the first ring",
            Why::StageTarget(Stage::Accept) => "the target for the acceptance",
            Why::StageTarget(Stage::Total) => "the target for the human on the line",
            Why::StageWorst(Stage::Start) => "the worst case for sending the INVITE",
            Why::StageWorst(Stage::Ringing) => "the worst case for the first ring",
            Why::StageWorst(Stage::Accept) => "the worst case for the acceptance",
            Why::StageWorst(Stage::Total) => "the worst case for the human on the line",
            Why::StoreMustAnswer => "the store must have answered",
            Why::AttemptMustEnd => "what is left belongs to the next attempt",
            Why::AeMustRespond => "the AE's phone must have responded",
            Why::AeMustAnswer => "the AE must have answered",
            Why::AeIsReminded => "the AE is told the keys once more",
            Why::SpeechMustEnd => "the recording must have ended",
            Why::AudioMustSwitch => "the audio must have been switched",
            Why::CallerMustChoose => "the caller must have chosen",
            Why::CallerIsComforted => "the caller is told that it goes on",
            Why::AiMustAnswer => "the AI must have answered",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
