//! `baton fixture import`: a fixture out of a capture, without names and numbers.

mod capture;
mod events;
mod journal;
mod network;
mod story;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `baton fixture`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum FixtureArgs {
    /// Makes a fixture of the first call in a pcap or pcapng file, or of the first transfer in Baton's own events (JSON) or journal of calls,
    /// scrubbed of names, numbers and addresses.
    Import {
        /// The capture, the events, or the journal.
        file: PathBuf,
        /// The address of the B2BUA; without it the one that both is called and calls.
        #[arg(long, value_name = "ADDRESS:PORT")]
        baton: Option<SocketAddr>,
        /// Where the fixture is written to; without it to stdout.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The exit code where a file cannot be read.
const EXIT_UNREADABLE: u8 = 2;

/// Why there is no fixture.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("is longer than {FILE_BYTES_MAX} bytes; cut a call out of it first (sngrep, tshark -w)")]
    TooLong,
    #[error("{0}")]
    Capture(#[from] capture::Unreadable),
    #[error("{0}")]
    Story(#[from] story::NoStory),
    #[error("{0}")]
    Events(#[from] events::NoEvents),
    #[error("{0}")]
    Journal(#[from] journal::NoTrail),
}

/// Imports; what goes wrong is one sentence on stderr.
pub(crate) fn run(args: &FixtureArgs) -> ExitCode {
    let FixtureArgs::Import { file, baton, out } = args;
    let written = import(file, *baton).and_then(|text| match out {
        Some(out) => std::fs::write(out, text).map_err(Trouble::File),
        // A reader who has seen enough (`| head`) is no trouble.
        None => match std::io::stdout().lock().write_all(text.as_bytes()) {
            Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => Err(Trouble::File(fault)),
            Ok(()) | Err(_) => Ok(()),
        },
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{}: {trouble}", file.display());
            ExitCode::from(EXIT_UNREADABLE)
        }
    }
}

fn import(file: &Path, baton: Option<SocketAddr>) -> Result<String, Trouble> {
    if std::fs::metadata(file)?.len() > FILE_BYTES_MAX {
        return Err(Trouble::TooLong);
    }
    fixture_of(&std::fs::read(file)?, baton, &file.display().to_string())
}

fn fixture_of(bytes: &[u8], baton: Option<SocketAddr>, name: &str) -> Result<String, Trouble> {
    if crate::journal::is_journal(bytes) {
        return Ok(journal::story(bytes)?);
    }
    // JSON begins so, and no capture does.
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with(['{', '['])) {
        return Ok(events::story(text)?);
    }
    let said = network::said(&capture::packets(bytes)?)?;
    Ok(story::story(&said, baton, name)?)
}
