//! Words of the verbs.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Credentials;
use crate::transport::{ConnectionId, Hop};
use crate::wire::{Header, NameAddr, Uri};

/// A call to be placed.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The Request-URI.
    pub target: Uri,
    /// Where the INVITE is sent. It is sent from the first listening address of its transport that can reach it.
    pub route: Hop,
    /// The stream that it is sent by: that of whoever has registered by it (RFC 5626 §5.3), for there may be no other way to them.
    pub flow: Option<ConnectionId>,
    /// Further servers of the same peer, in order: the next one is tried where one is silent, cannot be reached or says 503 (RFC 3263 §4.3).
    pub others: Vec<Hop>,
    /// Further phones of whoever is called: those of a round ring at once, and the first that answers has the call.
    pub beside: Vec<Beside>,
    /// Elements to pass first, nearest first, as values of Route (RFC 3608).
    pub routes: Vec<String>,
    /// What a 3xx means.
    pub redirects: Redirects,
    /// Who calls; the tag is ours to add.
    pub from: NameAddr,
    /// Whom; the target itself if none.
    pub to: Option<NameAddr>,
    /// Further headers, in this order, after ours.
    pub headers: Vec<Header>,
    /// The offer; none: the far side makes it in its answer.
    pub sdp: Option<Bytes>,
    /// What to answer 401 and 407 with, once for each nonce.
    pub credentials: Option<Credentials>,
    /// How many elements the call may pass; 70 if none.
    pub max_forwards: Option<u8>,
}

/// One more phone of whoever is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beside {
    /// The Request-URI.
    pub target: Uri,
    /// Where the INVITE is sent.
    pub route: Hop,
    /// The stream that it is sent by.
    pub flow: Option<ConnectionId>,
    /// Elements to pass first.
    pub routes: Vec<String>,
    /// When it rings: in round 0 together with the first phone, in any other when all of the rounds before have refused (RFC 3261 §16.6).
    pub round: u8,
}

/// What a 3xx to a call of ours means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// As [`Settings.redirects`](super::Settings) says.
    #[default]
    Usual,
    /// The owner is asked where it may go ([`Event::Redirected`](super::Event)), so many times at most.
    Asked(u8),
}

/// Why a session ends (RFC 3326), as told to the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: &'static str,
    /// The status or cause.
    pub cause: u16,
    /// For people.
    pub text: String,
}

impl Reason {
    /// A reason in SIP's own statuses.
    pub fn sip(cause: u16, text: &str) -> Reason {
        Reason { protocol: "SIP", cause, text: text.to_owned() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{};cause={}", self.protocol, self.cause)?;
        if self.text.is_empty() {
            return Ok(());
        }
        write!(out, ";text=\"{}\"", self.text.replace(['"', '\\'], "'"))
    }
}

/// Which rule a verb would have broken. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerbError {
    /// The session is over, or never was.
    #[error("there is no such session")]
    NoSession,
    /// The REFER is settled, or never was.
    #[error("there is no such REFER")]
    NoRefer,
    /// The session is not in a state for this verb.
    #[error("the session is not in a state for this")]
    WrongState,
    /// An offer waits for its answer (RFC 3264 §4: one at a time).
    #[error("an offer still waits for its answer")]
    OfferPending,
    /// The status does not fit the verb: `ring` takes 101 to 199, `refuse` 300 to 699.
    #[error("the status does not fit the verb")]
    WrongStatus,
    /// No listening address has the transport.
    #[error("nothing listens on this transport")]
    NoTransport,
    /// A table is full.
    #[error("the table of sessions or transactions is full")]
    Full,
}
