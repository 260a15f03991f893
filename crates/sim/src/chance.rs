//! Random worlds: callers, an AI, AEs and an API user who do what a seed says, a network and a store that fail, against the production
//! switchboard, transfers and SIP in virtual time. After every event the invariants of `docs/reliability.md` are looked at.
//!
//! Phones here are of their own making, as small as they can be; the media of a room is a model of what the rooms are told, because
//! who hears whom is decided there. The fixtures listen to the real rooms.

mod dice;
mod leg;
mod plan;
#[cfg(test)]
mod plays;
mod rooms;
mod run;
mod shrink;
mod stock;
mod story;
mod tally;
mod watch;
mod wire;

pub use shrink::{Found, examine};
pub use stock::Stock;
pub use tally::{Fault, Tally};

use plan::Plan;
use run::Run;

/// What came of a seed.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What did not hold, in words; none: all held.
    pub violation: Option<String>,
    /// The classes of faults that it met.
    pub tally: Tally,
}

/// Plays the world of a seed.
pub fn play(seed: u64, stock: &Stock) -> Outcome {
    let plan = Plan::draw(seed);
    let mut run = Run::new(&plan, stock);
    let violation = run.play();
    Outcome { violation, tally: run.tally }
}

/// The first seed, of so many, that finds the fault of this number (`baton_time::bug!`); none where it is not found.
#[cfg(feature = "seeded-bugs")]
pub fn hunt(bug: u32, seeds: u64, stock: &Stock) -> Option<(u64, String)> {
    baton_time::seeded::choose(bug);
    let found = (1..=seeds).find_map(|seed| Some((seed, play(seed, stock).violation?)));
    baton_time::seeded::choose(0);
    found
}

/// Plays the world of a seed and tells everything that happens in it: the same text every time.
pub fn trace(seed: u64, stock: &Stock) -> Vec<String> {
    let plan = Plan::draw(seed);
    shrink::trace_of(&plan, stock)
}
