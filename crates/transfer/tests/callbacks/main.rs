//! Random callbacks over ten zones, with days on which the clocks change, restarts, two daemons at one store, and clocks that are set:
//! none early, late, double, or outside of the hours in which its caller may be called.
//!
//! `BATON_CALLBACKS=20000 cargo test --release -p baton-transfer --test callbacks` plays all that the figure asks for.

#![expect(clippy::wildcard_enum_match_arm, reason = "an observer looks at few of many")]

mod dice;
mod observer;
mod people;
mod world;

use observer::Wrong;
use world::{Fault, World};

/// How many callbacks there are in one world.
const PER_WORLD: usize = 10;

/// How many are played where nobody says how many.
const USUALLY: usize = 2_000;

struct Played {
    callbacks: usize,
    kept: usize,
    missed: usize,
    cancelled: usize,
    tries: usize,
    crashes: usize,
    steps: usize,
    wrong: Vec<String>,
    kinds: std::collections::BTreeSet<Wrong>,
}

fn play(callbacks: usize, first_seed: u64, fault: Fault) -> Played {
    let mut played = Played {
        callbacks: 0,
        kept: 0,
        missed: 0,
        cancelled: 0,
        tries: 0,
        crashes: 0,
        steps: 0,
        wrong: Vec::new(),
        kinds: Default::default(),
    };
    for place in 0..callbacks.div_ceil(PER_WORLD) {
        let seed = first_seed + place as u64;
        let mut world = World::new(seed, PER_WORLD, fault);
        world.run();
        let observer = world.close();
        played.callbacks += PER_WORLD;
        played.kept += observer.kept();
        played.missed += observer.missed;
        played.cancelled += observer.cancelled;
        played.tries += observer.tries;
        played.crashes += observer.crashes;
        played.steps += observer.steps;
        played.wrong.extend(observer.wrong.iter().map(|(kind, what)| format!("seed {seed}: {kind:?}: {what}")));
        played.kinds.extend(observer.wrong.iter().map(|(kind, _)| *kind));
    }
    played
}

#[test]
fn no_callback_is_early_late_double_or_outside_of_its_hours() {
    let callbacks = std::env::var("BATON_CALLBACKS").ok().and_then(|text| text.parse().ok()).unwrap_or(USUALLY);
    let played = play(callbacks, 1, Fault::None);
    let Played { callbacks, kept, missed, cancelled, tries, crashes, steps, wrong, .. } = played;
    println!(
        "{callbacks} callbacks: {kept} kept, {missed} missed, {cancelled} called off; {tries} tries, {crashes} crashes, {steps} clocks set; {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert_eq!(kept + missed + cancelled, callbacks, "each has come to its end");
    assert!(kept * 3 > callbacks && missed > 0 && cancelled > 0 && crashes > 0 && steps > 0, "all of it was played");
}

#[test]
fn what_is_wrong_is_noticed() {
    for (fault, kind) in [
        (Fault::EveryClaimIsGranted, Wrong::Double),
        (Fault::ClockIsAhead, Wrong::Early),
        (Fault::WokenLate, Wrong::Late),
        (Fault::AnotherZone, Wrong::OutsideItsHours),
        (Fault::KeptIsForgotten, Wrong::Double),
        (Fault::NeverWoken, Wrong::Forgotten),
        (Fault::ReminderIsForgotten, Wrong::RemindedTwice),
    ] {
        let played = play(100, 1, fault);
        assert!(played.kinds.contains(&kind), "{fault:?} was not noticed: {:?}", played.kinds);
    }
}
