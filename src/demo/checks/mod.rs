//! The checks: what must have held in every story. Each looks at what the parties received, not at what the daemon says of itself,
//! wherever that is possible.

mod hearing;
mod promises;
mod signalling;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use super::evidence::Evidence;

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The check.
    pub(crate) check: &'static str,
    /// Whether it held.
    pub(crate) ok: bool,
    /// In words, with figures.
    pub(crate) says: String,
}

impl Finding {
    fn new(check: &'static str, ok: bool, says: impl Into<String>) -> Finding {
        Finding { check, ok, says: says.into() }
    }
}

/// A check; `None` where a story has nothing to be checked by it.
type Check = fn(&Evidence) -> Option<Finding>;

/// All checks, in the order in which they are shown.
const CHECKS: [Check; 22] = [
    signalling::script,
    signalling::outcome,
    signalling::attempts,
    signalling::legs,
    signalling::cancel,
    signalling::ring_max,
    signalling::notify,
    signalling::ai_dropped,
    hearing::conversation,
    hearing::bridge,
    hearing::caller_hears_no_ae,
    hearing::caller_hears_no_briefing,
    hearing::ae_hears_no_caller,
    hearing::ai_hears_nobody,
    hearing::ai_gone,
    hearing::silence,
    hearing::introduction,
    hearing::hand_back,
    stream::cut_over,
    stream::continuity,
    stream::gap,
    promises::briefing,
];

/// More checks, of what is promised to people.
const PROMISES: [Check; 6] = [
    promises::screen_pop,
    promises::budget,
    promises::callback_kept_on_disk,
    promises::calendar,
    promises::callback_in_order,
    promises::message,
];

/// Runs every check on a story.
pub(crate) fn run(evidence: &Evidence) -> Vec<Finding> {
    CHECKS.iter().chain(&PROMISES).filter_map(|check| check(evidence)).collect()
}
