//! Events on their way to webhooks.

use baton_contract::{At, CallId};

/// An event of a call waits for the earlier ones of that call until these were tried this often.
pub(crate) const OVERTAKEN_AFTER: u32 = 3;

/// An event that is to be delivered to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The event's number.
    pub seq: u64,
    /// The call that it belongs to, whose next event waits for this one; none where nobody has to wait, or for no longer.
    pub before_next_of: Option<CallId>,
    /// How often it was tried.
    pub tries: u32,
    /// When it happened.
    pub since: At,
    /// The event as JSON.
    pub body: String,
}
