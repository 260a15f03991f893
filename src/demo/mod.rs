//! `baton demo`: the main job on this machine. It starts a daemon of its own, plays caller, AI and AEs over real UDP, and checks what
//! everybody heard.

pub(crate) mod cast;
mod checks;
pub(crate) mod conductor;
pub(crate) mod daemon;
pub(crate) mod evidence;
mod page;
mod pcapng;
pub(crate) mod port;
mod progress;
mod report;
mod run;
pub(crate) mod stage;
mod story;
mod wav;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

/// What `baton demo` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArgs {
    /// The folder for the report, the recordings and the capture
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    pub(crate) out: PathBuf,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the daemon running afterwards, and say how to call it
    #[arg(long)]
    pub(crate) serve: bool,
    /// Play only this story (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub(crate) story: Vec<String>,
    /// Break the daemon on purpose: a check must catch it (people say only the beginning of their lines)
    #[arg(long, value_name = "NAME")]
    pub(crate) sabotage: Option<Sabotage>,
}

/// The ways to break the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// Consult and caller hear each other
    LeakConsult,
    /// The AI stays audible after the bridge
    AiLingers,
    /// Packets are lost at the bridge
    DropCutover,
    /// The caller hears nothing while waiting
    Silence,
    /// The AE's phone is not cancelled
    NoCancel,
}

impl Sabotage {
    /// The name that the daemon is told.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Sabotage::LeakConsult => "leak-consult",
            Sabotage::AiLingers => "ai-lingers",
            Sabotage::DropCutover => "drop-cutover",
            Sabotage::Silence => "silence",
            Sabotage::NoCancel => "no-cancel",
        }
    }
}

/// Runs the demo. Succeeds only if every check of every story held.
pub(crate) fn run(args: DemoArgs) -> ExitCode {
    match run::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("baton demo: {error}");
            ExitCode::FAILURE
        }
    }
}
