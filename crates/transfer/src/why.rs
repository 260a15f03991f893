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
    /// The trunk must have answered the REFER.
    ReferMustBeAnswered,
    /// The trunk must have said how the REFER came out.
    ReferMustEnd,
    /// The AI must have told the AE what there is to tell.
    BriefingMustEnd,
    /// Three have talked long enough.
    IntroductionMustEnd,
    /// The caller's message is long enough.
    MessageMustEnd,
    /// The recording must have been kept.
    RecordingMustBeKept,
}

/// Which limit of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limit {
    Target,
    Worst,
}

impl Why {
    /// The limit of the budget that it is, if it is one.
    pub(crate) const fn limit(self) -> Option<(Stage, Limit)> {
        match self {
            Why::StageTarget(stage) => Some((stage, Limit::Target)),
            Why::StageWorst(stage) => Some((stage, Limit::Worst)),
            Why::StoreMustAnswer
            | Why::AttemptMustEnd
            | Why::AeMustRespond
            | Why::AeMustAnswer
            | Why::AeIsReminded
            | Why::SpeechMustEnd
            | Why::AudioMustSwitch
            | Why::CallerMustChoose
            | Why::CallerIsComforted
            | Why::AiMustAnswer
            | Why::ReferMustBeAnswered
            | Why::ReferMustEnd
            | Why::BriefingMustEnd
            | Why::IntroductionMustEnd
            | Why::MessageMustEnd
            | Why::RecordingMustBeKept => None,
        }
    }

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
            Why::ReferMustBeAnswered => "the trunk must have answered the REFER",
            Why::ReferMustEnd => "the trunk must have said how the REFER came out",
            Why::BriefingMustEnd => "the AI must have briefed the AE",
            Why::IntroductionMustEnd => "the introduction must have ended",
            Why::MessageMustEnd => "the message must have ended",
            Why::RecordingMustBeKept => "the recording must have been kept",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
