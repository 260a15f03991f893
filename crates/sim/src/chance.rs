//! Random worlds: callers, an AI, AEs and an API user who do what a seed says, a network and a store that fail, against the production
//! switchboard, transfers and SIP in virtual time. After every event the invariants of `docs/reliability.md` are looked at.
//!
//! Phones here are of their own making, as small as they can be; the media of a room is a model of what the rooms are told, because
//! who hears whom is decided there. The fixtures listen to the real rooms.

mod agenda;
mod dice;
mod disk;
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
mod ways;
mod wire;

pub use shrink::{Found, examine};
pub use stock::Stock;
pub use tally::{Fault, Tally};

use plan::{Plan, Rules};
use run::{Lived, Run};

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

/// What came of many calls on one switchboard.
#[derive(Debug, Clone, Default)]
pub struct Soaked {
    /// How many calls there were.
    pub calls: u64,
    /// How many transfers.
    pub transfers: u64,
    /// What did not hold, and in the call of which seed; none: all held.
    pub violation: Option<(u64, String)>,
    /// What happened in the call that was to be told.
    pub trace: Vec<String>,
    /// The classes of faults that were met.
    pub tally: Tally,
}

/// Plays calls on one switchboard, one after the other, from the one of seed `first` on, until there were so many transfers: after each of them
/// nothing may be left. `look` is shown how many transfers there were, now and then.
/// The call of the seed `told` is told.
pub fn soak(first: u64, transfers: u64, told: Option<u64>, stock: &Stock, mut look: impl FnMut(u64)) -> Soaked {
    let rules = Rules::of_many();
    let mut soaked = Soaked::default();
    let mut lived: Option<Lived> = None;
    while soaked.transfers < transfers && soaked.violation.is_none() {
        soaked.calls += 1;
        let seed = first + soaked.calls - 1;
        let plan = Plan::draw_one_of_many(seed, &rules);
        let (mut run, violation) = match lived.take() {
            None => {
                let mut run = Run::new(&plan, stock);
                run.trace = (told == Some(seed)).then(Vec::new);
                let violation = run.play();
                (run, violation)
            }
            Some(before) => {
                let mut run = Run::after(&plan, stock, before);
                run.trace = (told == Some(seed)).then(Vec::new);
                let violation = run.play_on();
                (run, violation)
            }
        };
        soaked.transfers += run.transfers() as u64;
        soaked.tally.add(&run.tally);
        soaked.trace.extend(run.trace.take().into_iter().flatten());
        soaked.violation = violation.map(|what| (seed, what));
        lived = Some(run.lived());
        if soaked.calls % LOOK_EVERY == 0 {
            look(soaked.transfers);
        }
    }
    soaked
}

/// After so many calls somebody may look at the memory.
const LOOK_EVERY: u64 = 1_000;

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
