//! Callbacks: which times can be offered, how they are told, and what the AE's calendar gets.

use baton_contract::{AeId, At, CallbackView, Slot};
use baton_time::Now;

use crate::{Line, Roster, Zone};

/// The next times at which this AE could call back, soonest first, told in `zone` (absent: the AE's own); empty where there are none.
pub fn slots(_roster: &Roster, _now: Now, _ae: &AeId, _zone: Option<&Zone>) -> Vec<Slot> {
    Vec::new()
}

/// `at` as it is said to somebody in `zone`; `None` where it cannot be put together from pieces.
pub fn spoken(_now: Now, _at: At, _zone: &Zone) -> Option<Vec<Line>> {
    None
}

/// The callback as an iCalendar object (RFC 5545).
pub fn ics(_callback: &CallbackView, _roster: &Roster) -> String {
    String::new()
}
