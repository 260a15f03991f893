//! The humans who take over.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::At;

/// The id of an AE, as the configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AeId(pub String);

impl AeId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AeId {
    fn from(id: &str) -> AeId {
        AeId(id.to_owned())
    }
}

impl fmt::Display for AeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an AE says of themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// May be rung.
    #[default]
    Available,
    /// Do not disturb.
    Dnd,
    /// Not there.
    Away,
}

/// What is known of an AE's phone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phone {
    /// Nothing: it has an address, and nobody tells more.
    #[default]
    Unknown,
    /// It has registered.
    Registered,
    /// It should have registered, and has not.
    Gone,
    /// It talks to somebody.
    InUse,
}

/// What an AE is doing, as Baton sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AeState {
    /// May be rung now.
    Available,
    /// Do not disturb.
    Dnd,
    /// Not there.
    Away,
    /// Outside working hours.
    OffHours,
    /// Leased to a transfer, not yet talking to the caller.
    Offered,
    /// Talking to a caller.
    OnCall,
    /// Finishing up after a call.
    WrapUp,
}

/// An AE as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AeView {
    /// Their id.
    pub id: AeId,
    /// Their name.
    pub name: String,
    /// What they say of themselves.
    pub presence: Presence,
    /// What they are doing.
    pub state: AeState,
    /// What is known of their phone.
    #[serde(default)]
    pub phone: Phone,
    /// Who is rung when they cannot take it.
    pub backup: Option<AeId>,
    /// IANA name of their time zone.
    pub timezone: String,
    /// Their hours, as configured.
    pub hours: String,
    /// What they know.
    pub skills: Vec<String>,
}

/// A time at which an AE could call back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Whose time it is.
    pub ae: AeId,
    /// When it begins.
    pub at: At,
    /// IANA name of the zone in which it is told to the caller.
    pub timezone: String,
    /// The time as it is told: `Monday, March 2, 10:00`.
    pub local: String,
}
