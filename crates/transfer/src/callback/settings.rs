//! What the configuration says about callbacks, as checked values.

use std::time::Duration;

use crate::{Hours, Key};

/// How callbacks are carried out. The defaults are those of the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSettings {
    /// How often a callback is tried at most.
    pub attempts: u8,
    /// From the end of a try to the next one.
    pub retry_after: Duration,
    /// How long before its time a callback is told as an event; zero: never.
    pub reminder: Duration,
    /// How late a try may begin, where Baton was down when it was due.
    pub grace: Duration,
    /// The caller's INVITE to their answer.
    pub ring_max: Duration,
    /// How long a caller who has answered may take to confirm.
    pub confirm_max: Duration,
    /// How the caller may confirm.
    pub confirm: ConfirmBy,
    /// The key by which the caller confirms.
    pub confirm_key: Key,
    /// When callers may be called, in their own zone.
    pub window: Hours,
    /// What the caller hears first; absent: a shipped line.
    pub greeting: Option<String>,
    /// What a mailbox hears; absent: a shipped line.
    pub message: Option<String>,
    /// The trunk by which callers are called; absent: the first one.
    pub trunk: Option<String>,
    /// The name of this node, by which a claim is known as ours.
    pub node: String,
}

/// How the caller of a callback confirms that they are there and want to be connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConfirmBy {
    /// By the key.
    #[default]
    Key,
    /// By the key, or by saying yes: what they say is written down and looked at.
    Speech,
}

impl Default for CallbackSettings {
    fn default() -> CallbackSettings {
        CallbackSettings {
            attempts: 3,
            retry_after: Duration::from_secs(15 * 60),
            reminder: Duration::from_secs(30 * 60),
            grace: Duration::from_secs(60 * 60),
            ring_max: Duration::from_secs(30),
            confirm_max: Duration::from_secs(20),
            confirm: ConfirmBy::default(),
            confirm_key: Key::ONE,
            window: Hours::daily(8 * 60, 21 * 60),
            greeting: None,
            message: None,
            trunk: None,
            node: "baton-1".to_owned(),
        }
    }
}
