//! Where log lines go: into the journal with fields of their own where systemd says that it reads our stderr (`JOURNAL_STREAM`);
//! elsewhere to stderr, as JSON where `BATON_LOG_FORMAT=json`, as text otherwise. `RUST_LOG` sets the level.

mod journal;
mod lines;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use lines::{gather, let_out};

use journal::Journal;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As datagrams to journald.
    Journal,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Begins to log.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let wanted = std::env::var("BATON_LOG_FORMAT").unwrap_or_default();
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let is_journal = stream_of_stderr().is_some_and(|own| own == stream);
    let journal = match form(&wanted, is_journal) {
        Form::Journal => Journal::open(journal::SOCKET).ok(),
        Form::Json | Form::Text => None,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(lines::Lines);
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match (journal, form(&wanted, is_journal)) {
        (Some(journal), _) => registry.with(journal).try_init(),
        (None, Form::Json) => registry.with(lines.json()).try_init(),
        // A journal that cannot be reached still reads stderr.
        (None, Form::Text | Form::Journal) => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
    };
    if let Err(fault) = begun {
        eprintln!("baton: no log lines: {fault}");
    }
}

/// What is asked for, else what fits.
fn form(wanted: &str, is_journal: bool) -> Form {
    match wanted {
        "json" => Form::Json,
        "text" => Form::Text,
        "journal" => Form::Journal,
        _ if is_journal => Form::Journal,
        _ => Form::Text,
    }
}

/// Device and inode of stderr, as systemd writes them into `JOURNAL_STREAM` (systemd.exec(5)).
fn stream_of_stderr() -> Option<String> {
    let status = rustix::fs::fstat(std::io::stderr()).ok()?;
    Some(format!("{}:{}", status.st_dev, status.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_spoken_to_where_it_listens_and_nobody_wants_otherwise() {
        assert_eq!((form("", true), form("", false)), (Form::Journal, Form::Text));
        assert_eq!((form("json", true), form("text", true)), (Form::Json, Form::Text));
        assert_eq!(form("xml", false), Form::Text);
    }
}
