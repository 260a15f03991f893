//! `baton bench`: the load tools. `transfers` measures everything that is promised about a warm transfer in figures, against a daemon of
//! its own, with real SIP and RTP over loopback, and says which of the promises held. `calls` does the same for basic calls.

mod asker;
mod calls;
mod figures;
mod floor;
mod kinds;
mod leftovers;
mod metronome;
mod mixed;
mod receiver;
mod run;
mod scripts;
mod setting;
mod trial;

use std::process::ExitCode;

/// What `baton bench` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BenchArgs {
    /// What is measured
    #[command(subcommand)]
    pub(crate) what: Bench,
}

/// What can be measured.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Bench {
    /// Basic calls: what each costs in time of the processor, system calls and memory, and how long an INVITE takes to come through
    Calls(calls::CallsArgs),
    /// Sends datagrams from a caller to a callee and back; what `calls --bare` starts
    #[command(hide = true)]
    Forward(calls::ForwardArgs),
    /// Warm transfers: how soon the AE rings, hears the briefing and has the caller, and what the caller hears meanwhile
    Transfers(TransfersArgs),
}

/// What `baton bench transfers` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TransfersArgs {
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// How many transfers are measured; by default 200, mixed 1,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) calls: Option<u32>,
    /// How many of them are between request and bridge at a time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) in_flight: u16,
    /// All kinds of transfers in turn; each must have the one outcome that it is to have, and leave nothing behind
    #[arg(long)]
    pub(crate) mixed: bool,
    /// With `--mixed`: breaks the daemon on purpose, to show that it is found
    #[arg(long, value_enum, value_name = "NAME", requires = "mixed")]
    pub(crate) sabotage: Option<Sabotage>,
}

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// Ports that a leg has left are never used again
    KeepPorts,
}

impl Sabotage {
    /// The name under which the daemon is told.
    const fn name(self) -> &'static str {
        match self {
            Sabotage::KeepPorts => "keep-ports",
        }
    }
}

/// Measures. Succeeds only if every bar held.
pub(crate) fn run(args: BenchArgs) -> ExitCode {
    let held = match args.what {
        Bench::Calls(args) => calls::run(&args),
        Bench::Forward(args) => calls::forward(&args),
        Bench::Transfers(args) if args.mixed => mixed::run(&args),
        Bench::Transfers(args) => run::run(&args),
    };
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("baton bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
