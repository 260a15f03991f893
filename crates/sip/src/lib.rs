//! A SIP user agent that is told the time and the bytes, and answers with bytes, events and the time at which it wants to be woken.
//!
//! `wire` reads and prints messages, `transaction` holds the machines of RFC 3261 §17, `dialog` what two ends share, and `ua` one file for each
//! verb; `websocket` frames messages where a browser speaks. Nothing in here looks at a clock, a socket or a source of randomness.
#![forbid(unsafe_code)]

pub mod digest;
#[cfg(feature = "rsip-interop")]
mod interop;
pub mod websocket;
pub mod wire;

mod dialog;
mod random;
mod timing;
mod transaction;
mod transport;
mod ua;

pub use dialog::{Dialog, Side};
pub use timing::{Timing, Why};
pub use transport::{ConnectionId, Hop, Incoming, Listen, ServerName, Transmit, Transport, Wanted};
pub use ua::{
    Account, AccountUse, Accounts, AgentSnapshot, Beside, Binding, Counts, Crowd, Dial, Direction, Event, Gone, InviteRequest,
    Limits, MessageCount, OptionsAnswer, OptionsFor, Ping, PingId, QuestionId, Reason, Redirects, ReferId, Registration,
    RegistrationId, RegistrationState, Rejected, SessionId, SessionIds, SessionRecord, SessionSnapshot, Settings, Subscribe,
    SubscriptionId, TEXT_BYTES_MAX, UserAgent, VerbError, network_of,
};
