//! More calls than can be had: what a daemon can do is looked for first, then so many times that is offered. It must go on doing what it can, and tell the
//! others at once that they are to come later.

use std::time::Duration;

use anyhow::{Context as _, bail};
use baton_time::Mono;
use serde_json::json;

use super::load::{Load, Outcome, Plan};
use super::{CallsArgs, Floor};
use crate::bench::figures::Spread;
use crate::bench::metronome::{Metronome, stood_still};
use crate::bench::trial::Stall;
use crate::clock::Clock;

/// Calls a second that are tried one after the other, and for how many seconds each.
const STEPS: [u32; 14] = [50, 100, 150, 200, 300, 400, 500, 600, 800, 1_000, 1_300, 1_700, 2_200, 3_000];
const STEP_SECONDS: u32 = 3;
/// A daemon that takes longer for an INVITE is beyond what it can do, in milliseconds.
const THROUGH_MAX: f64 = 100.0;
/// What must be left of the capacity.
const GOODPUT_MIN: f64 = 0.9;
/// Who is turned away must hear of it by then, in milliseconds.
const TURNED_AWAY_MAX: f64 = 20.0;

/// A run of its own, or against a daemon that somebody else has started.
pub(super) fn run(args: &CallsArgs, times: u32) -> anyhow::Result<bool> {
    match (args.against, args.callee) {
        (Some(daemon), Some(callee)) => {
            let clock = Clock::start();
            let mut load = Load::open_at(clock, daemon, Some(callee)).context("the phones' sockets")?;
            Ok(tell(args, &Storm::blow(clock, &mut load, args, times)?))
        }
        (None, None) => {
            let mut floor = Floor::open()?;
            let storm = Storm::blow(floor.clock, &mut floor.load, args, times);
            let ok = storm.as_ref().is_ok_and(|storm| tell(args, storm));
            floor.close(ok);
            storm.map(|_| ok)
        }
        (Some(_), None) | (None, Some(_)) => bail!("--against and --callee belong together"),
    }
}

/// What was found.
struct Storm {
    times: u32,
    capacity: u32,
    outcome: Outcome,
    /// When this machine stood still meanwhile.
    stalls: Vec<Stall>,
    /// A while later, at half of what it can do.
    calm: Outcome,
}

impl Storm {
    fn blow(clock: Clock, load: &mut Load, args: &CallsArgs, times: u32) -> anyhow::Result<Storm> {
        let capacity = match args.capacity {
            Some(known) => known,
            None => capacity(load)?,
        };
        let plan = |rate: u32, seconds: u32| Plan { rate, calls: (rate * seconds) as usize, hold: Duration::ZERO };
        let metronome = Metronome::start(clock);
        let outcome = load.run(plan(capacity * times, args.seconds));
        let stalls = metronome.stop();
        std::thread::park_timeout(Duration::from_secs(1));
        let calm = load.run(plan((capacity / 2).max(1), STEP_SECONDS));
        Ok(Storm { times, capacity, outcome, stalls, calm })
    }

    /// Calls a second that came up and were ended, to what there would have been without the storm.
    fn goodput(&self) -> f64 {
        self.outcome.done as f64 / self.outcome.offered.as_secs_f64() / f64::from(self.capacity)
    }

    /// Calls that were neither had nor turned away.
    fn lost(&self) -> usize {
        self.outcome.failed.saturating_sub(self.outcome.turned_away.len())
    }

    fn lines(&self) -> Vec<(String, String, String, bool)> {
        let away = |stalls: &[Stall]| {
            let one =
                |(from, to): &(Mono, Mono)| (to.since(*from).saturating_sub(stood_still(stalls, *from, *to))).as_secs_f64() * 1e3;
            Spread::of(self.outcome.turned_away.iter().map(one)).map_or(("nobody".to_owned(), false), |away| {
                (format!("{:.1}, {:.1}, {:.1}", away.p50, away.p99, away.max), away.p99 <= TURNED_AWAY_MAX)
            })
        };
        let ((told, soon), (without, soon_without)) = (away(&[]), away(&self.stalls));
        let longest = self.stalls.iter().map(|stall| stall.was.since(stall.due)).max().unwrap_or_default();
        let offered = (self.outcome.done + self.outcome.failed) as f64 / self.outcome.offered.as_secs_f64();
        vec![
            (
                format!("goodput at {} times {} calls/s ({offered:.0} were offered)", self.times, self.capacity),
                format!("{:.2}", self.goodput()),
                format!("≥ {GOODPUT_MIN}"),
                self.goodput() >= GOODPUT_MIN,
            ),
            (
                format!("INVITE to 503 for {} calls, ms: p50, p99, max", self.outcome.turned_away.len()),
                told,
                format!("p99 ≤ {TURNED_AWAY_MAX}"),
                soon,
            ),
            (
                format!("the same without stalls of the machine ({}, the longest {} ms)", self.stalls.len(), longest.as_millis()),
                without,
                format!("p99 ≤ {TURNED_AWAY_MAX}"),
                soon_without,
            ),
            ("neither had nor turned away".to_owned(), self.lost().to_string(), "0".to_owned(), self.lost() == 0),
            (
                "a second later, at half of what it can do: failed".to_owned(),
                self.calm.failed.to_string(),
                "0".to_owned(),
                self.calm.failed == 0,
            ),
        ]
    }
}

/// The most calls a second of which none fails.
fn capacity(load: &mut Load) -> anyhow::Result<u32> {
    let mut capacity = None;
    for rate in STEPS {
        let outcome = load.run(Plan { rate, calls: (rate * STEP_SECONDS) as usize, hold: Duration::ZERO });
        let late = Spread::of(outcome.through.iter().copied()).is_none_or(|through| through.p99 > THROUGH_MAX);
        std::thread::park_timeout(Duration::from_millis(500));
        if outcome.failed > 0 || late {
            break;
        }
        capacity = Some(rate);
    }
    capacity.context("not even the fewest calls come through")
}

fn tell(args: &CallsArgs, storm: &Storm) -> bool {
    let lines = storm.lines();
    let ok = lines.iter().all(|(.., held)| *held);
    if args.json {
        let figures: Vec<_> = lines
            .iter()
            .map(|(name, value, asked, held)| json!({"name": name, "value": value, "asked": asked, "ok": held}))
            .collect();
        println!(
            "{}",
            json!({"capacity": storm.capacity, "goodput": storm.goodput(), "lost": storm.lost(), "figures": figures, "ok": ok})
        );
    } else {
        for (name, value, asked, held) in lines {
            println!("{} {name}: {value}   [{asked}]", if held { "ok  " } else { "MISS" });
        }
    }
    ok
}
