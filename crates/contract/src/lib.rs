//! What crosses borders: ids, commands, events, views and the payload. Shapes only; whoever decides something does it elsewhere.
//!
//! Every JSON shape that a user of Baton sees is one of the types below.
#![forbid(unsafe_code)]

mod ae;
mod at;
mod call;
mod callback;
mod command;
mod context;
mod event;
mod id;
mod ladder;
mod link;
mod problem;
mod record;
mod recording;
mod text;
mod transfer;
mod trunk;

pub use ae::{AeId, AeState, AeView, Phone, Presence, Slot};
pub use at::At;
pub use call::{CallDirection, CallEnd, CallOutcome, CallState, CallView, Driver, LegRole, LegState, LegView, NewCall};
pub use callback::{
    CallbackAttempt, CallbackClaim, CallbackOutcome, CallbackProgress, CallbackState, CallbackView, CallerAttempt, NewCallback,
    UpdateCallback,
};
pub use command::{Command, DrainView, Page, Reply};
pub use context::{Account, Caller, Consent, Context, Done, Signals, SourceRef, Utterance};
pub use event::{Event, EventKind};
pub use id::{CallId, CallbackId, IdError, IdSource, LegId, TransferId};
pub use ladder::{SipMessageView, Way};
pub use link::{LinkError, PopLink};
pub use problem::Problem;
pub use record::{CommitLevel, Forget, LeaseRow, OutboxStep, PlacedRow, Record};
pub use recording::{RecordingState, RecordingView, SetRecording};
pub use text::{Author, NewText, TextView};
pub use transfer::{
    Afterwards, AttemptOutcome, AttemptView, BriefingRequest, Meanwhile, MessageView, Mode, Outcome, OutcomeClass, Stage,
    StagesMs, TransferRequest, TransferState, TransferView,
};
pub use trunk::{AddressView, PeerState, RegistrationStage, RegistrationView, ReleaseMemory, TrunkView};
