//! Recording of a call.

use serde::{Deserialize, Serialize};

use crate::CallId;

/// Whether a call is being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// What the legs say is written down.
    On,
    /// Nothing is written for now; the tracks go on with silence.
    Paused,
    /// Nothing is written, and what was written is closed.
    Off,
}

/// The recording of a call, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingView {
    /// Of which call.
    pub call: CallId,
    /// Whether it is recorded now.
    pub state: RecordingState,
}

/// What is wanted of the recording of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRecording {
    /// From now on.
    pub state: RecordingState,
}
