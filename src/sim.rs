//! `baton sim`: random worlds against the production core, in virtual time.

mod soak;

use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use baton_sim::chance::{self, Found, Stock, Tally};
use serde_json::{Map, Value, json};

/// `baton sim`
#[derive(Debug, clap::Args)]
pub(crate) struct SimArgs {
    /// How many seeds are played.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub(crate) first: u64,
    /// How many threads share the seeds out among them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    /// One seed only.
    #[arg(long, value_name = "K", conflicts_with_all = ["seeds", "first"])]
    pub(crate) seed: Option<u64>,
    /// Tells everything that happens in the one seed: always the same bytes.
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,
    /// Plays calls on one switchboard, from that of the first seed on, until there were so many transfers, and looks whether anything of them is left.
    #[arg(long, value_name = "TRANSFERS", conflicts_with_all = ["seed", "seeds"])]
    pub(crate) soak: Option<u64>,
    /// Of these, tells everything that happens in the call of this seed.
    #[arg(long, value_name = "K", requires = "soak")]
    pub(crate) tell: Option<u64>,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// The binary misbehaves in this one way, so that a check can be seen to fail; 0: it does not.
    #[cfg(feature = "seeded-bugs")]
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) bug: u32,
    /// Looks for every fault that this binary can be told to have, within so many seeds each.
    #[cfg(feature = "seeded-bugs")]
    #[arg(long)]
    pub(crate) hunt: bool,
}

/// So many failing seeds are made small and shown; the others are only counted.
const SHOWN_MAX: usize = 5;

/// Plays the seeds and says what came of them.
pub(crate) fn run(args: &SimArgs) -> ExitCode {
    #[cfg(feature = "seeded-bugs")]
    baton_time::seeded::choose(args.bug);
    let stock = Stock::default();
    #[cfg(feature = "seeded-bugs")]
    if args.hunt {
        return hunt(args.seeds, &stock);
    }
    if let Some(transfers) = args.soak {
        return soak::run(args, transfers, &stock);
    }
    if args.trace {
        let lines = chance::trace(args.seed.unwrap_or(args.first), &stock);
        lines.iter().for_each(|line| println!("{line}"));
        let holds = lines.last().is_some_and(|last| last == "all holds");
        return if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (first, count) = args.seed.map_or((args.first, args.seeds), |seed| (seed, 1));
    #[expect(clippy::disallowed_methods, reason = "how fast worlds are played is measured by the clock of the machine")]
    let begun = Instant::now();
    let seeds = first..first.saturating_add(count);
    let (tally, failing) = if args.jobs == 1 { play(seeds, &stock) } else { share_out(&seeds, args) };
    let rate = count as f64 / begun.elapsed().as_secs_f64().max(1e-9);
    let shown: Vec<(u64, Found)> =
        failing.iter().take(SHOWN_MAX).filter_map(|seed| Some((*seed, chance::examine(*seed, &stock)?))).collect();
    if args.json {
        print_json(count, rate, &tally, &failing, &shown)
    } else {
        print(count, rate, &tally, &failing, &shown)
    }
    if failing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays seeds; what they met, and those that failed.
fn play(seeds: impl Iterator<Item = u64>, stock: &Stock) -> (Tally, Vec<u64>) {
    let (mut tally, mut failing) = (Tally::default(), Vec::new());
    for seed in seeds {
        let outcome = chance::play(seed, stock);
        tally.add(&outcome.tally);
        failing.extend(outcome.violation.map(|_| seed));
    }
    (tally, failing)
}

/// The same on several threads: worlds know nothing of each other.
fn share_out(seeds: &Range<u64>, args: &SimArgs) -> (Tally, Vec<u64>) {
    let jobs = usize::from(args.jobs);
    let share = |job: usize| {
        move || {
            #[cfg(feature = "seeded-bugs")]
            baton_time::seeded::choose(args.bug);
            play(seeds.clone().skip(job).step_by(jobs), &Stock::default())
        }
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|job| scope.spawn(share(job))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread that panics has found a defect of the simulator"))
            .collect()
    });
    let (mut tally, mut failing) = (Tally::default(), Vec::new());
    for (own, failed) in shares {
        tally.add(&own);
        failing.extend(failed);
    }
    failing.sort_unstable();
    (tally, failing)
}

/// Says which of the faults that were put in on purpose are found: 95 in 100 must be.
#[cfg(feature = "seeded-bugs")]
fn hunt(seeds: u64, stock: &Stock) -> ExitCode {
    let mut missed = Vec::new();
    for bug in 1..=baton_time::seeded::COUNT {
        match chance::hunt(bug, seeds, stock) {
            Some((seed, violation)) => println!("{bug:>3} seed {seed:>6}: {violation}"),
            None => {
                println!("{bug:>3} not found");
                missed.push(bug);
            }
        }
    }
    let count = baton_time::seeded::COUNT as usize;
    println!("{} of {count} faults found within {seeds} seeds each", count - missed.len());
    if missed.len() * 20 <= count { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_json(count: u64, rate: f64, tally: &Tally, failing: &[u64], shown: &[(u64, Found)]) {
    let faults: Map<String, Value> = tally.counts().map(|(name, count)| (name.to_owned(), json!(count))).collect();
    let detail = |(seed, found): &(u64, Found)| json!({"seed": seed, "violation": found.violation, "trace": found.trace, "fixture": found.fixture});
    let report = json!({
        "seeds": count, "violations": failing.len(), "rate_per_s": rate.round(), "faults": faults,
        "failing": shown.iter().map(detail).collect::<Vec<_>>(), "failing_seeds": failing,
    });
    println!("{report}");
}

fn print(count: u64, rate: f64, tally: &Tally, failing: &[u64], shown: &[(u64, Found)]) {
    for (seed, found) in shown {
        println!("seed {seed}: {}\n", found.violation);
        found.trace.iter().for_each(|line| println!("  {line}"));
        println!("\nthe same as a fixture:\n");
        found.fixture.lines().for_each(|line| println!("  {line}"));
        println!();
    }
    for (name, count) in tally.counts() {
        println!("{name:<24} {count:>10}");
    }
    println!("{count} seeds, {} violations, {rate:.0} seeds/s", failing.len());
}
