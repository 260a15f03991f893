//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::config::Config;
use crate::console::Tool;
use crate::demo::DemoArgs;
use crate::import::FixtureArgs;
use crate::probe::ProbeArgs;
use crate::replay::ReplayArgs;
use crate::sim::SimArgs;

/// Telephony call control that hands a caller from a voice AI to a human, and never drops one.
#[derive(Debug, Parser)]
#[command(name = "baton", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `baton` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the daemon.
    Serve(Serve),
    /// Plays warm transfers on this machine: caller, AI and AEs over loopback; nothing else is needed.
    Demo(DemoArgs),
    /// Makes fixtures.
    #[command(subcommand)]
    Fixture(FixtureArgs),
    /// Asks a trunk what it can do and, with `--to`, learns the rest by a call.
    Probe(ProbeArgs),
    /// Plays SIP fixtures in virtual time: exit code 0 if all hold, 1 if one failed, 2 if one cannot be read.
    Replay(ReplayArgs),
    /// Plays random worlds in virtual time against the production core: exit code 0 if all holds, 1 if something does not.
    Sim(SimArgs),
    /// Measures: load tools of its own against a daemon of its own.
    Bench(BenchArgs),
    /// Validates a configuration; each error with its line, and what would be right.
    Check {
        /// The configuration.
        file: PathBuf,
    },
    #[command(flatten)]
    Tool(Tool),
}

/// `baton serve`
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The configuration; without it /etc/baton/baton.toml if it is there, else loopback only.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// For where there is no service manager: a small parent holds the sockets and starts the daemon, again at once if it dies.
    #[arg(long)]
    pub(crate) supervised: bool,
}

/// Where a configuration is looked for when none is named.
const CONFIG_DEFAULT: &str = "/etc/baton/baton.toml";

/// The exit code for a wrong configuration.
pub(crate) const EXIT_CONFIG: u8 = 2;

/// `baton check FILE`: says that all is well, or everything that is not.
pub(crate) fn check(file: &Path) -> ExitCode {
    match Config::load(file) {
        Ok(config) => {
            println!("{}: ok ({})", file.display(), config.summary());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

/// The configuration that `baton serve` runs by: the named one, else the one of this machine, else the built-in one.
/// Faults have been printed where there is none; the exit code is what is left to return.
pub(crate) fn config(named: Option<&Path>) -> Result<Config, ExitCode> {
    let installed = Path::new(CONFIG_DEFAULT);
    let file = named.or_else(|| installed.exists().then_some(installed));
    file.map_or_else(|| Ok(Config::built_in()), Config::load).map_err(|faults| {
        eprintln!("{faults}");
        ExitCode::from(EXIT_CONFIG)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_read_as_documented() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert!(matches!(read("baton check a.toml"), Ok(Command::Check { file }) if file == Path::new("a.toml")));
        assert!(matches!(read("baton serve"), Ok(Command::Serve(Serve { config: None, supervised: false }))));
        assert!(matches!(read("baton serve --config x"), Ok(Command::Serve(Serve { config: Some(_), .. }))));
        let Ok(Command::Demo(demo)) = read("baton demo --story warm --json") else { panic!("a demo") };
        assert_eq!((demo.story.join(" ").as_str(), demo.json, demo.out.as_path()), ("warm", true, Path::new("demo-out")));
        assert!(read("baton check").is_err());
        assert!(read("baton").is_err());
    }
}
