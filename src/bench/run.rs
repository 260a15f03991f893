//! One run, from the first port to the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use baton_time::{Mono, Now};
use parking_lot::Mutex;

use super::TransfersArgs;
use super::asker::{Asked, Askers};
use super::figures::{Report, Resident};
use super::floor::{Floor, Plan, Played};
use super::metronome::Metronome;
use super::setting::{Addresses, Folder, configuration, resident_mb};
use super::trial::{Measured, Request, Stall};
use crate::client::Api;
use crate::clock::Clock;
use crate::demo::conductor::SeenEvent;
use crate::demo::daemon::Daemon;

/// How many transfers are measured where nothing else is said.
const CALLS: u32 = 200;
/// How long the daemon is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// When the daemon took each call's request, by call.
type Taken = Arc<Mutex<BTreeMap<String, Mono>>>;

/// Measures; `true` if every bar held.
pub(super) fn run(args: &TransfersArgs) -> anyhow::Result<bool> {
    let clock = Clock::start();
    let start = clock.now();
    let plan = Plan { calls: args.calls.unwrap_or(CALLS) as usize, in_flight: usize::from(args.in_flight), mixed: false };
    let mut folder = Folder::new()?;
    let at = Addresses::find(plan.lanes())?;
    let floor = Floor::open(clock, plan, at.sip).context("the parties' sockets")?;
    let text = configuration(&at, folder.path(), floor.ai()?, &floor.phones()?);
    std::fs::write(folder.path().join("baton.toml"), text).context("baton.toml")?;
    let mut daemon = Daemon::start(folder.path(), at.http, None, clock)?;
    let outcome = measure(&daemon, floor, (clock, start), plan);
    daemon.stop(clock);
    if !outcome.as_ref().is_ok_and(Report::ok) {
        folder.keep();
        eprintln!("baton bench: the daemon's log is {}", folder.path().join("baton.log").display());
    }
    let report = outcome?;
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(report.ok())
}

fn measure(daemon: &Daemon, floor: Floor, (clock, start): (Clock, Now), plan: Plan) -> anyhow::Result<Report> {
    let taken = follow(daemon.api, start)?;
    thread::park_timeout(REST);
    let before = resident_mb(daemon.id())?;
    let askers = Askers::start(daemon.api, clock);
    let metronome = Metronome::start(clock);
    let played = play(floor, askers);
    let still = metronome.stop();
    let (played, asked) = played?;
    thread::park_timeout(REST);
    let after = resident_mb(daemon.id())?;
    let taken = std::mem::take(&mut *taken.lock());
    let measured = evaluate(&played, &asked, &taken, &still)?;
    Ok(Report::of((plan.calls, plan.in_flight), &measured, (&played.stalls, &still), Resident { before, after }))
}

/// Plays on a thread of its own, which comes before others where this machine allows it: the far sides of a real call do not wait for it.
pub(super) fn play(floor: Floor, askers: Askers) -> anyhow::Result<(Played, Vec<Asked>)> {
    const NICE: i32 = -15;
    let work = || {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the parties have no priority");
        }
        floor.play(&askers)
    };
    let played = thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("the parties broke down"))?;
    let asked = askers.end();
    Ok((played?, asked))
}

/// Follows the daemon's events on a thread of its own, which ends with the daemon.
fn follow(api: Api, start: Now) -> anyhow::Result<Taken> {
    let taken = Taken::default();
    let kept = Arc::clone(&taken);
    let each = move |line: &str| {
        if let Some(seen) = SeenEvent::read(line, start).filter(|seen| seen.kind() == "transfer.requested") {
            kept.lock().insert(seen.event["call"].as_str().unwrap_or_default().to_owned(), seen.at);
        }
        true
    };
    let work = move || {
        if let Err(error) = api.follow("/v1/events", each) {
            tracing::debug!(%error, "the event stream has ended");
        }
    };
    thread::Builder::new().name("events".to_owned()).spawn(work).context("a thread for the events")?;
    Ok(taken)
}

/// Measures each transfer but the first one, which only had to come through.
fn evaluate(
    played: &Played,
    asked: &[Asked],
    taken: &BTreeMap<String, Mono>,
    still: &[Stall],
) -> anyhow::Result<Vec<(usize, Measured)>> {
    let mut measured = Vec::new();
    for trial in &played.trials {
        let asked = asked.iter().find(|asked| asked.number == trial.number);
        let call = trial.call.as_deref().unwrap_or_default();
        let request = Request { posted: asked.map(|asked| asked.posted), taken: taken.get(call).copied() };
        let mut each = trial.measure(request, still);
        match asked.map(|asked| &asked.verdict) {
            Some(Ok(202)) => {}
            Some(Ok(status)) => each.faults.push(format!("transfer {}: POST: {status} instead of 202", trial.number)),
            Some(Err(error)) => each.faults.push(format!("transfer {}: POST: {error}", trial.number)),
            None => each.faults.push(format!("transfer {}: nobody asked for it", trial.number)),
        }
        if trial.number == 0 && !each.faults.is_empty() {
            bail!("not even one transfer comes through:\n{}", each.faults.join("\n"));
        }
        measured.push((trial.number, each));
    }
    Ok(measured.into_iter().filter(|(number, _)| *number > 0).collect())
}
