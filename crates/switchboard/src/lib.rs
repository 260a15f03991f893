//! The switchboard: joins SIP, media and transfers into calls. Told inputs and the time, it answers with outputs.
//!
//! There is no clock, socket or thread in here: whoever owns these drives a [`Switchboard`] with [`Input`]s and does what its
//! [`Output`]s say.
#![forbid(unsafe_code)]

mod ask;
mod call;
mod callbacks;
mod deeds;
mod ended;
mod farewell;
mod gauges;
mod heard;
mod inbound;
mod io;
mod keys;
mod leg;
mod midcall;
mod offers;
mod payload;
mod peer;
mod recording;
mod refer;
mod scene;
mod settings;
mod switchboard;

pub use gauges::Gauges;
pub use io::{Input, Output, Spoken};
pub use recording::{RecordCalls, RecordConsult, RecordFault, RecordKind, RecordOrder, Recorded, RecordingSettings, Track};
pub use settings::{AeLine, Ai, Credentials, Network, NetworkError, Route, Sabotage, Settings, Trunk};
pub use switchboard::{Begin, DRAIN_RETRY_AFTER, Switchboard};

/// Why the switchboard wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A SIP timer.
    Sip(baton_sip::Why),
    /// An AI must have answered.
    AiMustAnswer,
    /// A transfer waits for something.
    Transfer(baton_transfer::Why),
}
