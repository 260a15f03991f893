//! Plays seeds as fast as it can: `cargo run --release -p baton-sim --example seeds -- FIRST COUNT`; with `trace` behind it, tells the first one.

fn main() {
    let mut words = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let (first, count) = (words.next().unwrap_or(1), words.next().unwrap_or(1_000));
    let stock = baton_sim::chance::Stock::default();
    if std::env::args().any(|word| word == "trace") {
        baton_sim::chance::trace(first, &stock).iter().for_each(|line| println!("{line}"));
        return;
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
