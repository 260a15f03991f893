//! Plays seeds as fast as it can: `cargo run --release -p baton-sim --example seeds -- FIRST COUNT`; with `trace` behind it, tells the first one.

fn main() {
    let mut words = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let (first, count) = (words.next().unwrap_or(1), words.next().unwrap_or(1_000));
    let stock = baton_sim::chance::Stock::default();
    if std::env::args().any(|word| word == "trace") {
        baton_sim::chance::trace(first, &stock).iter().for_each(|line| println!("{line}"));
        return;
    }
    #[cfg(feature = "seeded-bugs")]
    if std::env::args().any(|word| word == "hunt") {
        return hunt(count, &stock);
    }
    let mut failing = 0;
    for seed in first..first + count {
        let outcome = baton_sim::chance::play(seed, &stock);
        if let Some(violation) = outcome.violation {
            failing += 1;
            println!("{seed}: {violation}");
        }
    }
    println!("{count} seeds, {failing} violations");
}

/// Which of the faults that were put in on purpose are found within so many seeds each.
#[cfg(feature = "seeded-bugs")]
fn hunt(seeds: u64, stock: &baton_sim::chance::Stock) {
    let mut caught = 0;
    for bug in 1..=baton_time::seeded::COUNT {
        match baton_sim::chance::hunt(bug, seeds, stock) {
            Some((seed, violation)) => {
                caught += 1;
                println!("{bug}: seed {seed}: {violation}");
            }
            None => println!("{bug}: NOT FOUND"),
        }
    }
    println!("{caught} of {} faults found within {seeds} seeds each", baton_time::seeded::COUNT);
}
