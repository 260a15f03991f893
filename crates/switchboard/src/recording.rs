//! What is to be recorded, and what became of it. The writer is the shell's; it never keeps a call waiting.

use baton_contract::{CallId, LegId, LegRole, RecordingState, TransferId};
use baton_media::{Port, TapId};

/// Which calls are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordingSettings {
    /// What holds for a call that nobody said anything else about.
    pub calls: RecordCalls,
    /// Whether the consult is recorded too, on tracks of its own.
    pub consult: RecordConsult,
}

/// Whether calls are recorded from their beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecordCalls {
    /// There is no folder for recordings: asking for one is refused.
    #[default]
    Never,
    /// Only those for which somebody asks.
    OnRequest,
    /// All of them, unless somebody says otherwise.
    All,
}

/// Whether the consult is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecordConsult {
    /// What Baton and the AE say to each other before the bridge is nobody's business.
    #[default]
    No,
    /// On tracks of its own.
    Yes,
}

/// An order to the writer. Orders of one call are carried out in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOrder {
    /// Begins a track. Its packets come by [`baton_media::Command::Tap`] with the same id; the two may overtake each other.
    Open(Track),
    /// Writes a line beside the tracks: a boundary that people look for.
    Mark {
        /// Whose.
        call: CallId,
        /// What happened, one word: `paused`, `resumed`, `bridged`, `handed_back` …
        what: &'static str,
    },
    /// Ends a track: answered by one [`crate::Input::Recorded`].
    Close(TapId),
    /// Nothing more will come for this call: ends the tracks that are open, each with its answer, and the lines beside them.
    CloseCall(CallId),
}

/// A track to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// Its name here and at the media threads.
    pub tap: TapId,
    /// In which call.
    pub call: CallId,
    /// Who is heard.
    pub leg: LegId,
    /// As whom.
    pub role: LegRole,
    /// What for; part of the file's name.
    pub kind: RecordKind,
    /// In which transfer.
    pub transfer: Option<TransferId>,
}

/// What a track is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RecordKind {
    /// The call itself.
    Call,
    /// The consult, which the caller must not hear.
    Consult,
    /// A message that is left for somebody.
    Voicemail,
    /// What a caller has answered when they were asked: it is written down, and then there is no file of it any more.
    Answer,
}

/// What was written of a track; it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The file, relative to the folder for recordings.
    pub file: String,
    /// How long it plays, in milliseconds.
    pub duration_ms: u64,
    /// How much of that is louder than silence, in milliseconds.
    pub speech_ms: u64,
}

/// Why a track was not written, or not to its end. The call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The file cannot be made or written.
    #[error("the recording cannot be written")]
    NotWritable,
    /// More tracks are open than the writer takes.
    #[error("too many recordings at once")]
    TooMany,
    /// No folder is configured.
    #[error("there is no folder for recordings")]
    NoFolder,
}

/// How far the recording of a call has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recording {
    pub(crate) state: RecordingState,
    /// How many tracks were opened.
    pub(crate) tracks: u32,
    /// The boundary that was written down last.
    pub(crate) marked: &'static str,
}

/// The track that what a leg says is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tracked {
    pub(crate) tap: TapId,
    pub(crate) kind: RecordKind,
}

/// A message that is being taken.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct Taking {
    pub(crate) tap: TapId,
    pub(crate) port: Port,
}
