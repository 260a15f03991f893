//! A mixed run: transfers of all kinds in turn over real sockets. Each must have exactly the outcome that its kind has, told once, and
//! nothing may be left over: no call, no leg, no AE who is held, no lease in the store, no port, no socket. A receiver of webhooks hears of every
//! event, once, in its turn and soon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use baton_time::Now;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::asker::Askers;
use super::floor::{Floor, Plan};
use super::kinds::Kind;
use super::leftovers::Holdings;
use super::receiver::{LAST_WITHIN, Receiver, Webhooks};
use super::run::play;
use super::setting::{Addresses, Folder, configuration, resident_mb};
use super::trial::Trial;
use super::{Sabotage, TransfersArgs};
use crate::client::Api;
use crate::clock::Clock;
use crate::demo::conductor::SeenEvent;
use crate::demo::daemon::Daemon;

/// How many transfers are made where nothing else is said.
const CALLS: u32 = 1_000;
/// Everything must have come to rest so long after the last call: the longest timers of SIP (64 × T1 = 32 s) and a little.
const REST_WITHIN: Duration = Duration::from_secs(45);
/// How long the daemon may take, from its start on, until it opens nothing more by itself.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
/// From so many transfers on everything that the daemon remembers on purpose (its last 1,000 calls, rows for ladders, pages of the store) is full.
const FULL_AFTER: usize = 1_000;
/// What the daemon may hold at the end, to what it held after a tenth of the transfers, where that is more than [`FULL_AFTER`].
const MEMORY_MORE: f64 = 1.2;
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the stream of events has told.
#[derive(Debug, Default)]
struct Heard {
    /// How often each transfer's end was told, with its outcomes.
    ended: BTreeMap<String, Vec<String>>,
    /// The number of each event.
    seqs: Vec<u64>,
    /// Resident memory when a tenth of the transfers had ended, in megabytes.
    tenth_mb: Option<f64>,
}

/// What came of a run.
struct Tally {
    kinds: BTreeMap<Kind, (usize, usize)>,
    faults: Vec<String>,
    before: Holdings,
    after: Holdings,
    tenth: Tenth,
    leases: usize,
    webhooks: Webhooks,
}

/// What was when a tenth of the transfers had ended.
struct Tenth {
    /// How many that are.
    transfers: usize,
    /// Resident memory in megabytes, if it was looked at.
    resident_mb: Option<f64>,
}

impl Tenth {
    fn left_over(&self, after: &Holdings) -> Option<String> {
        let then = self.resident_mb.filter(|_| self.transfers >= FULL_AFTER)?;
        (after.resident_mb > MEMORY_MORE * then)
            .then(|| format!("{:.1} MB more than after a tenth of the transfers", after.resident_mb - then))
    }
}

/// Plays; `true` if every transfer had its outcome and nothing is left over.
pub(super) fn run(args: &TransfersArgs) -> anyhow::Result<bool> {
    let clock = Clock::start();
    let start = clock.now();
    let plan = Plan { calls: args.calls.unwrap_or(CALLS) as usize, in_flight: usize::from(args.in_flight), mixed: true };
    let mut folder = Folder::new()?;
    let at = Addresses::find(plan.lanes())?;
    let floor = Floor::open(clock, plan, at.sip).context("the parties' sockets")?;
    let receiver = Receiver::start(clock, start).context("the receiver of webhooks")?;
    let text = configuration(&at, folder.path(), floor.ai()?, &floor.phones()?) + &receiver.configuration();
    std::fs::write(folder.path().join("baton.toml"), text).context("baton.toml")?;
    let mut daemon = Daemon::start(folder.path(), at.http, args.sabotage.map(Sabotage::name), clock)?;
    let tally = tally(&daemon, floor, receiver, plan.calls / 10, (clock, start));
    daemon.stop(clock);
    let tally = tally.and_then(|tally| Ok(Tally { leases: leases(&folder.path().join("baton.db"), clock.now())?, ..tally }));
    let ok = tally.as_ref().is_ok_and(Tally::ok);
    if !ok {
        folder.keep();
        eprintln!("baton bench: the daemon's log is {}", folder.path().join("baton.log").display());
    }
    let tally = tally?;
    if args.json {
        println!("{}", tally.json());
    } else {
        print!("{}", tally.table());
    }
    Ok(ok)
}

fn tally(daemon: &Daemon, floor: Floor, receiver: Receiver, tenth: usize, (clock, start): (Clock, Now)) -> anyhow::Result<Tally> {
    let heard = follow(daemon.api, start, tenth, daemon.id())?;
    let before = settled(daemon, clock)?;
    let (played, asked) = play(floor, Askers::start(daemon.api, clock))?;
    let give_up = clock.now().mono + LAST_WITHIN;
    while receiver.count() < heard.lock().seqs.len() && clock.now().mono < give_up {
        thread::park_timeout(LOOK_EVERY);
    }
    let came = receiver.end();
    let after = at_rest(daemon, clock, &before)?;
    let Heard { ended, seqs, tenth_mb } = std::mem::take(&mut *heard.lock());
    let tenth = Tenth { transfers: tenth, resident_mb: tenth_mb };
    let webhooks = Webhooks::of(&seqs, &came);
    let faults = webhooks.faults().to_vec();
    let mut tally = Tally { kinds: BTreeMap::new(), faults, before, after, tenth, leases: 0, webhooks };
    for trial in &played.trials {
        let mut faults = trial.faults();
        match asked.iter().find(|asked| asked.number == trial.number).map(|asked| &asked.verdict) {
            Some(Ok(202)) => {}
            None if trial.kind.mode().is_none() => {}
            other => faults.push(format!("transfer {}: POST: {other:?}", trial.number)),
        }
        faults.extend(judge(daemon.api, trial, &ended)?);
        let (made, good) = tally.kinds.entry(trial.kind).or_default();
        *made += 1;
        *good += usize::from(faults.is_empty());
        tally.faults.extend(faults.into_iter().map(|fault| format!("{}: {fault}", trial.kind.name())));
    }
    Ok(tally)
}

/// What is wrong with what the daemon says of a transfer.
fn judge(api: Api, trial: &Trial, ended: &BTreeMap<String, Vec<String>>) -> anyhow::Result<Option<String>> {
    let Some(call) = &trial.call else { return Ok(Some(format!("transfer {}: the call never reached the AI", trial.number))) };
    let view = api.get(&format!("/v1/calls/{call}")).context("GET call")?.json();
    let Some(id) = view["transfer"].as_str() else {
        return Ok(Some(format!("transfer {}: {call} has no transfer", trial.number)));
    };
    let transfer = api.get(&format!("/v1/transfers/{id}")).context("GET transfer")?.json();
    let wanted = trial.kind.outcome();
    let told = ended.get(id).map_or(&[][..], Vec::as_slice);
    let once = told.len() == 1 && told[0] == wanted;
    let over = view["state"] == "ended" && matches!(transfer["state"].as_str(), Some("ended" | "bridged"));
    let right = transfer["outcome"] == wanted;
    let says = format!(
        "transfer {}: {id} of {call} ({}) is {} with outcome {}, its end was told as {told:?}; {wanted} was to be",
        trial.number, view["state"], transfer["state"], transfer["outcome"]
    );
    Ok((!(once && over && right)).then_some(says))
}

/// Waits until the daemon has what it needs without a call: two looks find the same.
fn settled(daemon: &Daemon, clock: Clock) -> anyhow::Result<Holdings> {
    let give_up = clock.now().mono + SETTLED_WITHIN;
    let mut last = Holdings::default();
    loop {
        thread::park_timeout(LOOK_EVERY);
        let now = Holdings::of(daemon.api, daemon.id())?;
        let is_same = Holdings { resident_mb: last.resident_mb, ..now.clone() } == last;
        if is_same && now.ports_bound > 0 && now.left_over(&now).is_empty() || clock.now().mono >= give_up {
            return Ok(now);
        }
        last = now;
    }
}

/// Waits until nothing is left over; what there is when that does not come is told as it is.
fn at_rest(daemon: &Daemon, clock: Clock, before: &Holdings) -> anyhow::Result<Holdings> {
    let give_up = clock.now().mono + REST_WITHIN;
    loop {
        let now = Holdings::of(daemon.api, daemon.id())?;
        if now.left_over(before).is_empty() || clock.now().mono >= give_up {
            return Ok(now);
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

/// Keeps the end of every transfer as it is told, the numbers of all events, and what memory the daemon has when so many have ended.
fn follow(api: Api, start: Now, tenth: usize, process: u32) -> anyhow::Result<Arc<Mutex<Heard>>> {
    let heard = Arc::<Mutex<Heard>>::default();
    let kept = Arc::clone(&heard);
    let each = move |line: &str| {
        if let Some(seen) = SeenEvent::read(line, start) {
            let mut kept = kept.lock();
            kept.seqs.extend(seen.event["seq"].as_u64());
            if seen.kind() == "transfer.ended" {
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                kept.ended.entry(word(&seen.event["transfer"])).or_default().push(word(&seen.event["data"]["outcome"]));
                if kept.ended.len() == tenth && kept.tenth_mb.is_none() {
                    kept.tenth_mb = resident_mb(process).ok();
                }
            }
        }
        true
    };
    let work = move || {
        if let Err(error) = api.follow("/v1/events", each) {
            tracing::debug!(%error, "the event stream has ended");
        }
    };
    thread::Builder::new().name("events".to_owned()).spawn(work).context("a thread for the events")?;
    Ok(heard)
}

/// Leases that a stopped daemon has left in its store, and that somebody would still have to wait for.
fn leases(file: &std::path::Path, now: Now) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    runtime.block_on(async {
        let url = format!("sqlite:{}", file.display());
        let store = baton_store::Store::open(&url, baton_store::Settings::default(), Box::new(|_| {})).await?;
        let leases = store.leases().await;
        store.close().await;
        match leases {
            Ok(rows) => Ok(rows.iter().filter(|lease| lease.until.0 > now.wall).count()),
            Err(error) => bail!("the leases: {error}"),
        }
    })
}

impl Tally {
    fn left_over(&self) -> Vec<String> {
        let leases = (self.leases > 0).then(|| format!("{} leases in the store", self.leases));
        self.after.left_over(&self.before).into_iter().chain(leases).chain(self.tenth.left_over(&self.after)).collect()
    }

    fn ok(&self) -> bool {
        self.faults.is_empty() && self.left_over().is_empty()
    }

    fn table(&self) -> String {
        const FAULTS_SHOWN: usize = 12;
        let mut text = format!("{:<14} {:<20} {:>6} {:>6}\n", "kind", "outcome", "made", "right");
        for (kind, (made, good)) in &self.kinds {
            text.push_str(&format!("{:<14} {:<20} {made:>6} {good:>6}\n", kind.name(), kind.outcome()));
        }
        let (before, after) = (&self.before, &self.after);
        text.push_str(&format!(
            "\n{:<34} {:>8} {:>8}\n{:<34} {:>8} {:>8}\n{:<34} {:>8} {:>8}\n{:<34} {:>8} {:>8}\n{:<34} {:>8.1} {:>8.1}\n",
            "",
            "before",
            "after",
            "descriptors",
            before.descriptors(),
            after.descriptors(),
            "sockets",
            before.sockets,
            after.sockets,
            "of them bound ahead for RTP",
            2 * before.ports_bound,
            2 * after.ports_bound,
            "resident memory, MB",
            before.resident_mb,
            after.resident_mb
        ));
        if let Tenth { transfers, resident_mb: Some(mb) } = self.tenth {
            text.push_str(&format!("{:<34} {mb:>8.1}\n", format!("the same after {transfers} transfers")));
        }
        text.push_str(&self.webhooks.row());
        let left = self.left_over();
        let left = if left.is_empty() { "nothing".to_owned() } else { left.join(", ") };
        text.push_str(&format!("left over: {left}\n"));
        self.faults.iter().take(FAULTS_SHOWN).for_each(|fault| text.push_str(&format!("\n{fault}")));
        text.push_str(if self.ok() { "\nEvery transfer had its outcome, once.\n" } else { "\nNot everything held.\n" });
        text
    }

    fn json(&self) -> Value {
        let kinds: BTreeMap<&str, Value> =
            self.kinds.iter().map(|(kind, (made, good))| (kind.name(), json!({"made": made, "right": good}))).collect();
        json!({"ok": self.ok(), "kinds": kinds, "before": self.before.json(), "after": self.after.json(),
               "after_a_tenth": {"transfers": self.tenth.transfers, "resident_mb": self.tenth.resident_mb}, "left_over": self.left_over(), "webhooks": self.webhooks.json(),
               "faults": self.faults})
    }
}
