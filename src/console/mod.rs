//! The operator's tools: what a running daemon is doing, told for people or, with `--json`, as the API tells it.

mod daemon;
mod drain;
mod explain;
mod ladder;
mod show;
mod table;
mod top;
mod waits;
mod words;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use baton_contract::{CallId, TransferId};
use clap::Subcommand;
use jiff::tz::TimeZone;

use crate::clock::Clock;
use daemon::{Daemon, Reach, Trouble};
use words::Here;

/// The operator's tools.
#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Lists calls, newest first.
    Calls(Reach),
    /// Shows a call and its legs.
    Call {
        /// The call.
        id: CallId,
        /// Shows its SIP messages as a ladder.
        #[arg(long)]
        ladder: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Asks for a human; while a transfer runs, shows that one.
    Transfer {
        /// The call.
        call: CallId,
        /// AE, group, number or SIP URI; without it the policy chooses.
        #[arg(long, value_name = "AE")]
        to: Option<String>,
        /// warm, cold, scheduled or voicemail; without it warm.
        #[arg(long)]
        mode: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Lists the AEs and what they are doing.
    Aes(Reach),
    /// Lists the callbacks that were promised.
    Callbacks(Reach),
    /// Tells in words what a transfer waited for, how long, and why it went the way it went.
    Explain {
        /// The transfer.
        transfer: TransferId,
        #[command(flatten)]
        reach: Reach,
    },
    /// Shows what the daemon is doing, anew every second.
    Top {
        #[command(flatten)]
        args: top::TopArgs,
        #[command(flatten)]
        reach: Reach,
    },
    /// Takes no new calls from now on; those that are up go on.
    Drain {
        /// Returns when no call is left.
        #[arg(long, conflicts_with = "off")]
        wait: bool,
        /// Takes new calls again.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        reach: Reach,
    },
}

/// Runs a tool. What goes wrong is one sentence on stderr, and exit 1; a configuration that is wrong has exit 2.
pub(crate) fn run(tool: Tool) -> ExitCode {
    match answer(tool).and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Configuration(faults)) => {
            eprintln!("{faults}");
            ExitCode::from(crate::cli::EXIT_CONFIG)
        }
        Err(trouble) => {
            eprintln!("baton: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// What the tool prints.
fn answer(tool: Tool) -> Result<String, Trouble> {
    let here = Here { zone: TimeZone::system(), now: Clock::start().now().wall };
    match tool {
        Tool::Calls(reach) => show::calls(&Daemon::reach(&reach)?, reach.json, &here),
        Tool::Call { id, ladder: true, reach } => ladder::ladder(&Daemon::reach(&reach)?, reach.json, &here, id),
        Tool::Call { id, ladder: false, reach } => show::call(&Daemon::reach(&reach)?, reach.json, &here, id),
        Tool::Transfer { call, to, mode, reach } => {
            show::transfer(&Daemon::reach(&reach)?, reach.json, call, to.as_deref(), mode.as_deref())
        }
        Tool::Aes(reach) => show::aes(&Daemon::reach(&reach)?, reach.json),
        Tool::Callbacks(reach) => show::callbacks(&Daemon::reach(&reach)?, reach.json, &here),
        Tool::Explain { transfer, reach } => explain::explain(&Daemon::reach(&reach)?, reach.json, &here, transfer),
        Tool::Top { args, reach } => top::top(&Daemon::reach(&reach)?, reach.json, here, args),
        Tool::Drain { wait, off, reach } => drain::drain(&Daemon::reach(&reach)?, reach.json, wait, off),
    }
}

/// A reader who has seen enough (`| head`) is no trouble.
fn print(text: &str) -> Result<(), Trouble> {
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        Err(fault) if fault.kind() != ErrorKind::BrokenPipe => Err(Trouble::Output(fault)),
        Ok(()) | Err(_) => Ok(()),
    }
}
