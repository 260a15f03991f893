//! A SIP user agent that is told the time and the bytes, and answers with bytes, events and the time at which it wants to be woken.
//!
//! `wire` reads and prints messages, `transaction` holds the machines of RFC 3261 §17, `dialog` what two ends share, and `ua` one file for each
//! verb. Nothing in here looks at a clock, a socket or a source of randomness.
#![forbid(unsafe_code)]

pub mod digest;
pub mod wire;

mod dialog;
mod random;
mod transaction;
mod ua;

pub use dialog::{Dialog, Side};
pub use ua::{
    ConnectionId, Counts, Dial, Direction, Event, Gone, Hop, Incoming, InviteRequest, Limits, Listen, MessageKind, Reason, ReferId, Rejected,
    SessionId, Settings, Timing, Transmit, Transport, UserAgent, VerbError, Why,
};
