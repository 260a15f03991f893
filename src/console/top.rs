//! `baton top`: what the daemon is doing, anew every second.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use baton_contract::{AeState, AeView, CallState, CallView, Page};
use serde_json::{Value, json};

use super::daemon::{Daemon, Trouble};
use super::table::table;
use super::waits::waits;
use super::words::{self, Here, ae_state, driver, stopwatch};
use crate::clock::Clock;

/// How many calls are shown: the newest ones.
const ROWS_MAX: usize = 20;

/// Moves the cursor home and clears what was there.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// What `baton top` is told beside where the daemon is.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct TopArgs {
    /// Shows it once, and ends; so it does where nobody looks at a terminal.
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) every: u64,
}

/// Everything that is shown, at one moment.
struct Look {
    calls: Vec<CallView>,
    aes: Vec<AeView>,
    measures: BTreeMap<String, f64>,
    is_draining: bool,
}

/// `baton top`
pub(crate) fn top(daemon: &Daemon, json: bool, mut here: Here, args: TopArgs) -> Result<String, Trouble> {
    if json {
        return Ok(in_json(&look(daemon)?).to_string());
    }
    if args.once || !std::io::stdout().is_terminal() {
        return Ok(screen(&look(daemon)?, &here));
    }
    let clock = Clock::start();
    loop {
        let shown = format!("{CLEAR}{}", screen(&look(daemon)?, &here));
        let mut out = std::io::stdout().lock();
        match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
            Err(fault) if fault.kind() == std::io::ErrorKind::BrokenPipe => return Ok(String::new()),
            written => written.map_err(Trouble::Output)?,
        }
        drop(out);
        pause(Duration::from_secs(args.every));
        here.now = clock.now().wall;
    }
}

#[expect(clippy::disallowed_methods, reason = "another process is looked at again after a while")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn look(daemon: &Daemon) -> Result<Look, Trouble> {
    let calls = daemon.get::<Page<CallView>>("/v1/calls?limit=1000")?.view.items;
    let aes = daemon.get::<Page<AeView>>("/v1/aes")?.view.items;
    let measures = measures(&daemon.text("/metrics")?);
    let is_draining = measures.get("baton_draining").is_some_and(|on| *on > 0.0);
    Ok(Look { calls, aes, measures, is_draining })
}

/// `name{labels}` and its value, of each line that has one.
fn measures(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

impl Look {
    /// Calls that have not ended, newest first.
    fn up(&self) -> Vec<&CallView> {
        self.calls.iter().filter(|call| call.state != CallState::Ended).collect()
    }

    /// What a family sums up to over its labels, of those with `label` in them.
    fn sum(&self, family: &str, label: &str) -> f64 {
        let of = |name: &str| name.split('{').next() == Some(family) && name.contains(label);
        self.measures.iter().filter(|(name, _)| of(name)).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// A mean in seconds.
    fn mean(&self, family: &str) -> Option<Duration> {
        let count = self.sum(&format!("{family}_count"), "");
        (count > 0.0).then(|| Duration::from_secs_f64((self.sum(&format!("{family}_sum"), "") / count).clamp(0.0, 1e9)))
    }
}

fn screen(look: &Look, here: &Here) -> String {
    let up = look.up();
    let state = if look.is_draining { "draining" } else { "taking calls" };
    let free = look.aes.iter().filter(|ae| ae.state == AeState::Available).count();
    let mut text = format!("{}   {state}\n\n", here.time(baton_contract::At(here.now)));
    let mean = look.mean("baton_time_to_human_seconds").map_or("-".to_owned(), words::span);
    let ended = look.sum("baton_transfers_total", "");
    let bridged = look.sum("baton_transfers_total", "outcome=\"bridged\"");
    let facts = [
        ("calls", format!("{} up, {} shown", up.len(), up.len().min(ROWS_MAX))),
        ("transfers", format!("{ended} ended, {bridged} with a human, {mean} to the human on average")),
        ("missed", format!("{} limits of the budget", look.sum("baton_budget_missed_total", ""))),
        ("AEs", format!("{free} of {} free", look.aes.len())),
        ("callbacks", format!("{} promised", look.sum("baton_callbacks", "state=\"scheduled\""))),
        (
            "SIP",
            format!(
                "{} messages, {} refused at the door",
                look.sum("baton_sip_messages_total", ""),
                look.sum("baton_sip_rejected_total", "")
            ),
        ),
    ];
    text.extend(facts.iter().map(|(name, fact)| format!("  {name:9}  {fact}\n")));
    text.push('\n');
    let row = |call: &&CallView| {
        let legs = call.legs.iter().filter(|leg| leg.state != baton_contract::LegState::Ended).map(|leg| words::role(leg.role));
        [
            call.id.to_string(),
            call.from.clone(),
            call.to.clone(),
            stopwatch(here.since(call.started_at)),
            driver(call.driver).to_owned(),
            legs.collect::<Vec<_>>().join("+"),
            call.transfer.map(|transfer| transfer.to_string()).unwrap_or_default(),
        ]
    };
    let rows = up.iter().take(ROWS_MAX).map(row).collect();
    text.push_str(&table(["CALL", "FROM", "TO", "FOR", "SPEAKS", "LEGS", "TRANSFER"], rows));
    text.push('\n');
    let busy = look.aes.iter().map(|ae| [ae.id.to_string(), ae.name.clone(), ae_state(ae.state).to_owned()]).collect();
    text.push_str(&table(["AE", "NAME", "NOW"], busy));
    text.push_str(&waits(&look.measures));
    text
}

fn in_json(look: &Look) -> Value {
    json!({
        "draining": look.is_draining,
        "calls": look.up(),
        "aes": look.aes,
        "measures": look.measures,
    })
}

#[cfg(test)]
mod tests {
    use baton_time::Wall;
    use jiff::tz::TimeZone;

    use super::*;

    const METRICS: &str = "\
# HELP baton_transfers_total x
baton_transfers_total{mode=\"warm\",reason=\"vip\",outcome=\"bridged\"} 3
baton_transfers_total{mode=\"warm\",reason=\"vip\",outcome=\"failed\"} 1
baton_time_to_human_seconds_sum 30
baton_time_to_human_seconds_count 3
baton_draining 1
baton_callbacks{state=\"scheduled\"} 2
";

    fn seen() -> Look {
        Look { calls: Vec::new(), aes: Vec::new(), measures: measures(METRICS), is_draining: true }
    }

    #[test]
    fn measures_are_summed_over_their_labels() {
        let look = seen();
        assert_eq!((look.sum("baton_transfers_total", ""), look.sum("baton_transfers_total", "outcome=\"bridged\"")), (4.0, 3.0));
        assert_eq!(look.mean("baton_time_to_human_seconds"), Some(Duration::from_secs(10)));
        assert_eq!(look.mean("baton_ai_drop_seconds"), None, "nothing was measured");
    }

    #[test]
    fn a_daemon_without_calls_is_shown_all_the_same() {
        let here = Here { zone: TimeZone::UTC, now: Wall::from_seconds(1_772_460_000) };
        let shown = screen(&seen(), &here);
        assert!(shown.starts_with("2026-03-02 14:00:00   draining\n"), "{shown}");
        assert!(shown.contains("4 ended, 3 with a human, 10.0 s to the human on average\n"), "{shown}");
        assert!(shown.contains("  callbacks  2 promised\n"), "{shown}");
        assert_eq!(in_json(&seen())["draining"], true);
    }
}
