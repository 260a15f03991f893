//! `baton sim --soak`: one switchboard has many calls, and must be as it was before them.

use std::process::ExitCode;
use std::time::Instant;

use baton_sim::chance::{self, Stock};
use serde_json::json;

use super::SimArgs;

/// The memory may be larger at the end than after the first tenth, when every cache is full, by so many parts of a hundred.
const GROWTH_MAX: u64 = 5;

/// Plays so many transfers and looks at the memory.
pub(super) fn run(args: &SimArgs, transfers: u64, stock: &Stock) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "how long it took is measured by the clock of the machine")]
    let begun = Instant::now();
    let mut early = None;
    let soaked = chance::soak(args.first, transfers, args.tell, stock, |done| {
        if early.is_none() && done * 10 >= transfers {
            early = resident_kb();
        }
    });
    let (early, late) = (early.unwrap_or(0), resident_kb().unwrap_or(0));
    let is_back = late <= early + early * GROWTH_MAX / 100;
    let took = begun.elapsed().as_secs_f64();
    let violation = soaked.violation.as_ref().map(|(seed, what)| format!("call {seed}: {what}"));
    soaked.trace.iter().for_each(|line| println!("{line}"));
    if args.json {
        let report = json!({
            "transfers": soaked.transfers, "calls": soaked.calls, "violation": violation,
            "resident_kb": {"after_a_tenth": early, "at_the_end": late}, "seconds": took,
        });
        println!("{report}");
    } else {
        if let Some(violation) = &violation {
            println!("{violation}");
        }
        println!("{} transfers in {} calls, {took:.0} s", soaked.transfers, soaked.calls);
        println!("resident: {early} kB after a tenth of them, {late} kB at the end");
    }
    if violation.is_none() && is_back { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The resident memory of this process; none where the system does not tell.
fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
