//! A promise to call somebody back.

use serde::{Deserialize, Serialize};

use crate::{AeId, At, CallId, CallbackId, Context, TransferId};

/// How far a callback has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackState {
    /// Promised.
    Scheduled,
    /// Called off.
    Cancelled,
    /// Being carried out.
    Running,
    /// Caller and AE were connected.
    Kept,
    /// It did not come about.
    Missed,
}

/// A callback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallbackView {
    /// Its id.
    pub id: CallbackId,
    /// How far it has come.
    pub state: CallbackState,
    /// The call in which it was promised.
    pub call: Option<CallId>,
    /// The transfer that ended in it.
    pub transfer: Option<TransferId>,
    /// Who calls.
    pub ae: AeId,
    /// Who is called: number or SIP URI.
    pub caller: String,
    /// When.
    pub at: At,
    /// IANA name of the zone in which it was told to the caller.
    pub timezone: String,
    /// What the AE should know.
    #[serde(default)]
    pub context: Context,
    /// When it was promised.
    pub created_at: At,
}

/// What is needed to promise a callback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCallback {
    /// The call in which it is promised; picks the slot where that call is being offered some.
    #[serde(default)]
    pub call: Option<CallId>,
    /// Who calls.
    pub ae: AeId,
    /// Who is called: number or SIP URI.
    pub caller: String,
    /// When.
    pub at: At,
    /// IANA name of the caller's time zone; absent: the AE's.
    #[serde(default)]
    pub timezone: Option<String>,
    /// What the AE should know.
    #[serde(default)]
    pub context: Option<Context>,
}

/// What may be changed about a callback.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateCallback {
    /// A new AE.
    pub ae: Option<AeId>,
    /// A new time.
    pub at: Option<At>,
    /// A new zone.
    pub timezone: Option<String>,
}
