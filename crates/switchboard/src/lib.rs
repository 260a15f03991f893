//! The switchboard: joins SIP, media and transfers into calls. Told inputs and the time, it answers with outputs.
//!
//! There is no clock, socket or thread in here: whoever owns these drives a [`Switchboard`] with [`Input`]s and does what its
//! [`Output`]s say.
#![forbid(unsafe_code)]

mod ask;
mod attested;
mod beginning;
mod call;
mod callbacks;
mod calls;
mod capacity;
mod cold;
mod complaints;
mod connecting;
mod crowd;
mod deeds;
mod destinations;
mod ended;
mod farewell;
mod gauges;
mod handback;
mod heard;
mod identity;
mod inbound;
mod invited;
mod io;
mod keys;
mod leg;
mod midcall;
mod numbers;
mod offers;
mod outbound;
mod payload;
mod peer;
mod phones;
mod placing;
mod reach;
mod recorder;
mod recording;
mod refer;
mod release;
mod reload;
mod replaced;
mod rescue;
mod restore;
mod scene;
mod settings;
mod snapshot;
mod switchboard;
mod texts;
mod tongue;
mod transcript;
mod voicemail;
mod watch;

pub use capacity::Full;
pub use crowd::Queue;
pub use destinations::{Allowed, Denied, normalised};
pub use gauges::{Gauges, TrunkGauge};
pub use io::{Input, Output, Spoken};
pub use numbers::{DialForm, NumberPlan};
pub use phones::PhonesRecord;
pub use recording::{RecordCalls, RecordConsult, RecordFault, RecordKind, RecordOrder, Recorded, RecordingSettings, Track};
pub use reload::{NotReloaded, Reload};
pub use settings::{
    AI_LOST_AFTER_MS, AeLine, Ai, AiEnds, AiRoute, AiSilence, AnswerCaller, CallerId, Capacity, ColdWay, Credentials, Network,
    NetworkError, Outsiders, RING_MAX, Rescue, RescueBy, Route, Sabotage, Settings, Strangers, Trunk, UserToUser,
};
pub use snapshot::{CallRecord, CallSnapshot, Haste, Standing};
pub use switchboard::{Begin, DRAIN_RETRY_AFTER, Switchboard};
pub use watch::{Named, Registering};

/// Why the switchboard wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A SIP timer.
    Sip(baton_sip::Why),
    /// An AI must have answered.
    AiMustAnswer,
    /// Whom we call must have answered.
    CallerMustAnswer,
    /// A message may be no longer than this.
    MessageIsLong,
    /// A key of the AE waits for another one.
    KeyIsHeld,
    /// A trunk is asked whether it is there, or a call may be let go.
    Trunk,
    /// A callback is due, or its run waits for something.
    Callback,
    /// A transfer waits for something.
    Transfer(baton_transfer::Why),
}
