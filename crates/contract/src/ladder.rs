//! The SIP messages of a call, as a ladder is drawn from them.

use serde::{Deserialize, Serialize};

use crate::{At, LegId, LegRole};

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To Baton.
    In,
    /// From Baton.
    Out,
}

/// A SIP message of a call, without what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipMessageView {
    /// When it was read or sent.
    pub at: At,
    /// The leg that it belongs to.
    pub leg: LegId,
    /// The part of that leg.
    pub role: LegRole,
    /// Which way it went.
    pub way: Way,
    /// `UDP`, `TCP`, `TLS`, `WS` or `WSS`.
    pub transport: String,
    /// Address and port of the far end.
    pub peer: String,
    /// `INVITE`, or `200 INVITE`.
    pub title: String,
    /// Its length.
    pub bytes: usize,
}
