//! Random worlds hold, and are the same every time.

use super::{Stock, Tally, play, trace};

/// How many seeds a run of the tests plays: `BATON_SEEDS` says another number.
fn seeds() -> u64 {
    std::env::var("BATON_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(2_000)
}

#[test]
fn random_worlds_hold_and_meet_every_class_of_faults() {
    let stock = Stock::default();
    let mut tally = Tally::default();
    for seed in 1..=seeds() {
        let outcome = play(seed, &stock);
        assert_eq!(outcome.violation, None, "seed {seed}: baton sim --seed {seed} --trace");
        tally.add(&outcome.tally);
    }
    for (name, count) in tally.counts() {
        assert!(count > 0, "{name} was never met");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let stock = Stock::default();
    for seed in 1..40 {
        assert_eq!(trace(seed, &stock), trace(seed, &Stock::default()), "seed {seed}");
    }
}
