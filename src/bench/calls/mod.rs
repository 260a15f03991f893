//! `baton bench calls`: basic calls through a daemon of its own. A caller's INVITE, the AI's 180 and 200, ACK, BYE; media is anchored, and the
//! journal is written. It says what a call costs: time of the processor, system calls, memory, and how long an INVITE takes to come through.

mod account;
mod bare;
mod desk;
mod load;
mod message;
mod overload;
mod phone;
mod report;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use super::setting::{Addresses, Folder};
use crate::clock::Clock;
use crate::demo::daemon::Daemon;
use account::SystemCalls;
use load::{Load, Plan};
use report::{Memory, Rate, Report};

pub(crate) use bare::ForwardArgs;
pub(super) use bare::forward;

/// What `baton bench calls` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CallsArgs {
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Calls a second; may be given more than once
    #[arg(long, value_name = "N", default_values_t = [50, 200, 1_000, 3_000], value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) rate: Vec<u32>,
    /// For how many seconds calls begin
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
    /// How long a call is up, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) hold: u32,
    /// Make the same calls through a process that only sends datagrams on, too: what the machine takes for them alone
    #[arg(long, conflicts_with = "overload")]
    pub(crate) bare: bool,
    /// How many calls are up together when memory is looked at; 0: it is not
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=4_000))]
    pub(crate) held: u32,
    /// Find what the daemon can do, and offer so many times that
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(2..=100))]
    pub(crate) overload: Option<u32>,
    /// What it can do in calls a second, where that is known
    #[arg(long, value_name = "N", requires = "overload", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) capacity: Option<u32>,
    /// A daemon that is there already
    #[arg(long, value_name = "IP:PORT", requires = "overload")]
    pub(crate) against: Option<SocketAddr>,
    /// Where that daemon calls those whom this tool asks for
    #[arg(long, value_name = "IP:PORT", requires = "against")]
    pub(crate) callee: Option<SocketAddr>,
}

/// Until a daemon that has just been started, or has just been busy, is quiet.
const REST: Duration = Duration::from_secs(1);
/// Until nothing is known any more of calls that are over: RFC 3261 and RFC 6026 let transactions be remembered for 32 s.
const FORGOTTEN: Duration = Duration::from_secs(36);
/// Calls before the measurement: pages that are touched once, prompts, the first ports.
const WARM_UP: Plan = Plan { rate: 100, calls: 100, hold: Duration::ZERO };
/// How fast calls come up that are held.
const HELD_RATE: u32 = 100;

/// Measures; `true` if every promise held.
pub(super) fn run(args: &CallsArgs) -> anyhow::Result<bool> {
    if let Some(times) = args.overload {
        return overload::run(args, times);
    }
    let mut report = Report { rates: Vec::new(), memory: None };
    for rate in &args.rate {
        let hold = Duration::from_millis(args.hold.into());
        let plan = Plan { rate: *rate, calls: (rate * args.seconds) as usize, hold };
        report.rates.push((rate_of(plan)?, args.bare.then(|| bare::rate_of(plan)).transpose()?));
    }
    if args.held > 0 {
        report.memory = Some(memory(args.held as usize)?);
    }
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(report.ok())
}

/// A daemon, and phones to call through it; both have seen a few calls.
struct Floor {
    daemon: Daemon,
    load: Load,
    clock: Clock,
    folder: Folder,
}

impl Floor {
    fn open() -> anyhow::Result<Floor> {
        let clock = Clock::start();
        let folder = Folder::new()?;
        let at = Addresses::wide()?;
        let load = Load::open(clock, at.sip).context("the phones' sockets")?;
        fs::write(folder.path().join("baton.toml"), configuration(&at, folder.path(), load.callee())).context("baton.toml")?;
        let daemon = Daemon::start(folder.path(), at.http, None, clock)?;
        let mut floor = Floor { daemon, load, clock, folder };
        floor.load.run(WARM_UP);
        thread::park_timeout(REST);
        Ok(floor)
    }

    fn close(mut self, well: bool) {
        self.daemon.stop(self.clock);
        if !well {
            self.folder.keep();
            eprintln!("baton bench: the daemon's log is {}", self.folder.path().join("baton.log").display());
        }
    }
}

fn rate_of(plan: Plan) -> anyhow::Result<Rate> {
    let mut floor = Floor::open()?;
    let rate = measured(floor.daemon.id(), &mut floor.load, plan);
    floor.close(rate.as_ref().is_ok_and(|rate| rate.outcome.failed == 0));
    rate
}

/// Makes the calls of a plan, and looks at what a process does for them.
fn measured(process: u32, load: &mut Load, plan: Plan) -> anyhow::Result<Rate> {
    let system_calls = SystemCalls::count(process);
    thread::park_timeout(REST);
    let (before, own) = (account::worked(process)?, account::worked(std::process::id())?);
    let outcome = load.run(plan);
    thread::park_timeout(REST);
    let worked = account::between(&before, &account::worked(process)?);
    let tool = account::between(&own, &account::worked(std::process::id())?).values().sum();
    Ok(Rate { plan, outcome, worked, tool, system_calls: system_calls.stop() })
}

fn memory(calls: usize) -> anyhow::Result<Memory> {
    let mut floor = Floor::open()?;
    let process = floor.daemon.id();
    thread::park_timeout(FORGOTTEN);
    let before = account::resident_kib(process)?;
    floor.load.hold(Plan { rate: HELD_RATE, calls, hold: Duration::ZERO });
    let held = account::resident_kib(process)?;
    let outcome = floor.load.hang_up(HELD_RATE * 10);
    thread::park_timeout(FORGOTTEN);
    let after = account::resident_kib(process)?;
    let is_whole = outcome.done == calls && outcome.failed == 0;
    floor.close(is_whole);
    Ok(Memory { calls, before, held, after, is_whole })
}

/// Everything that is left out has its default, the store and its journal among it.
fn configuration(at: &Addresses, folder: &Path, callee: SocketAddr) -> String {
    format!(
        "[node]\nname = \"baton-bench\"\n\n\
         [sip]\nlisten = [\"udp:{}\"]\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\n\n\
         [http]\nlisten = \"{}\"\npublic_url = \"http://{}\"\n\n\
         [store]\nurl = \"sqlite:{}\"\n\n\
         [[trunk]]\nname = \"carrier\"\nuri = \"sip:{callee}\"\nsources = [\"127.0.0.1/32\"]\n\n\
         [[ai]]\nname = \"ai\"\nuri = \"sip:{{to}}@{callee}\"\nsilence = \"ignore\"\n\n\
         [[route]]\nto = \"*\"\nai = \"ai\"\n\n\
         [[ae]]\nid = \"ae\"\nname = \"ae\"\nuri = \"sip:ae@{callee}\"\ntimezone = \"UTC\"\nhours = \"Mon-Sun 00:00-24:00\"\n",
        at.sip,
        at.rtp.0,
        at.rtp.1,
        at.http,
        at.http,
        folder.join("baton.db").display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_is_one_that_the_daemon_takes() {
        let at = Addresses::wide().unwrap();
        let folder = Folder::new().unwrap();
        let file = folder.path().join("calls.toml");
        fs::write(&file, configuration(&at, Path::new("out"), SocketAddr::from(([127, 0, 0, 1], 5_080)))).unwrap();
        Config::load(&file).unwrap();
    }
}
