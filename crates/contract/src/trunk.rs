//! The trunks, as the API shows them.

use serde::{Deserialize, Serialize};

use crate::At;

/// Whether somebody is there, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// Nobody has asked, or not all answers are there.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not answer.
    Down,
}

/// How a registration with a trunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationStage {
    /// Not answered yet.
    Trying,
    /// It stands.
    Registered,
    /// Refused, or nobody answers.
    Failed,
    /// Taken back.
    Ended,
}

/// A registration with a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationView {
    /// How it stands.
    pub state: RegistrationStage,
    /// When it ends unless it is refreshed, or is tried again.
    pub at: Option<At>,
    /// The status that it failed with.
    pub sip_status: Option<u16>,
}

/// One address of a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressView {
    /// `udp:192.0.2.1:5060`
    pub address: String,
    /// Whether it answers.
    pub state: PeerState,
    /// How long its last answer took, in milliseconds.
    pub answered_ms: Option<u64>,
}

/// What is known about letting go of calls on a trunk (attended release).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseMemory {
    /// It is not wanted.
    #[default]
    Off,
    /// It is wanted, and has not been tried yet.
    Untried,
    /// The trunk has taken a call over.
    Works,
    /// The trunk has refused to; it is asked again after an hour.
    Refused,
}

/// A trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkView {
    /// Its name.
    pub name: String,
    /// Whether it answers; its best address counts.
    pub state: PeerState,
    /// Our registration with it, where it wants one.
    pub registration: Option<RegistrationView>,
    /// Its addresses, in the order in which they are tried.
    pub addresses: Vec<AddressView>,
    /// Channels that are taken.
    pub calls: u32,
    /// How many channels it has.
    pub channels: Option<u32>,
    /// What is known about letting go of calls on it.
    pub release: ReleaseMemory,
}
