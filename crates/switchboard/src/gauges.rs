//! What the gauges show, counted when somebody looks.

use std::collections::BTreeMap;

use baton_contract::{AeState, CallbackState, LegRole};
use baton_time::Now;

use crate::switchboard::Switchboard;

/// How many there are of what, right now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Legs that have not ended, by role.
    pub legs: BTreeMap<LegRole, usize>,
    /// Calls.
    pub calls: usize,
    /// AEs by what they are doing.
    pub aes: BTreeMap<AeState, usize>,
    /// Callbacks by how far they have come.
    pub callbacks: BTreeMap<CallbackState, usize>,
}

impl Gauges {
    pub(crate) fn count(board: &Switchboard, now: Now) -> Gauges {
        let mut gauges = Gauges { calls: board.calls.len(), ..Gauges::default() };
        for role in [LegRole::Caller, LegRole::Ai, LegRole::Ae] {
            let live = |call: &crate::call::Call| call.legs.iter().filter(|leg| leg.role == role && leg.is_live()).count();
            gauges.legs.insert(role, board.calls.values().map(live).sum());
        }
        for view in board.roster.views(now) {
            *gauges.aes.entry(view.state).or_default() += 1;
        }
        for callback in board.callbacks.values() {
            *gauges.callbacks.entry(callback.state).or_default() += 1;
        }
        gauges
    }
}
