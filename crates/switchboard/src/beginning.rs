//! How a call begins, and what that means for whoever is its caller.

use baton_contract::CallbackId;
use serde::{Deserialize, Serialize};

/// How a call began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beginning {
    /// The caller's INVITE came over a trunk.
    Inbound,
    /// We call somebody for an AI: the one who is called is the call's caller leg.
    Outbound(Outbound),
    /// A callback is due: the AE first, then the caller, whom we dial.
    #[allow(dead_code, reason = "whoever keeps callbacks opens such calls")]
    Callback(CallbackId),
}

/// A call that we place for an AI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outbound {
    /// Who wants it.
    pub(crate) by: PlacedBy,
    /// The AI that is to talk, by its place in the settings.
    pub(crate) ai: usize,
    /// The number that the callee is shown, where one was asked for.
    pub(crate) shown: Option<String>,
}

/// Who wants an outbound call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PlacedBy {
    /// `POST /v1/calls`: the AI is dialled once the callee has answered.
    Api,
    /// An INVITE of the AI itself, which is answered once the callee has answered.
    Ai,
}
