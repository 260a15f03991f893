//! The four transaction machines of RFC 3261 §17 with RFC 6026, and the table that finds them.
//!
//! A machine knows bytes, statuses and times, nothing of sessions. The table passes repetitions back to the machines and everything new on to
//! the user agent, together with whatever the user agent has left there (`User`) to remember what it was about.

mod client;
mod client_invite;
mod server;
mod server_invite;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use client::Client;
pub(crate) use client_invite::{Answer, ClientInvite};
pub(crate) use server::Server;
pub(crate) use server_invite::ServerInvite;
pub(crate) use table::{ClientKey, ClientMachine, Expired, ServerKey, ServerMachine, Transactions};

use crate::transport::Transmit;

/// When a response leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// At once.
    Now,
    /// When it has waited, if nothing better has been said by then; or never, where everything has been said.
    Later,
}

/// What a machine wants when its time has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing yet.
    Nothing,
    /// This is to be sent (again).
    Send(Transmit),
    /// The first answer has waited long enough: it is to be sent.
    Speak(Transmit),
    /// Timer B, F or H: nobody has answered, or no ACK has come. The machine is done.
    GaveUp,
    /// The machine is done.
    Over,
}
