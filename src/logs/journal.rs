//! journald's own protocol: a datagram for each line, with the call, the leg and the transfer as fields that can be searched for.

use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as Surroundings;
use tracing_subscriber::registry::LookupSpan;

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest value of a field, in bytes; a whole datagram must fit into the smallest usual buffer of 208 KiB.
const VALUE_MAX: usize = 16 * 1_024;

/// Fields that have other names in the journal than in our lines.
const NAMES: [(&str, &str); 4] =
    [("call", "CALL_ID"), ("leg", "LEG_ID"), ("transfer", "TRANSFER_ID"), ("callback", "CALLBACK_ID")];

/// Names that journald or this module gives a meaning of their own.
const TAKEN: [&str; 6] = ["MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "CODE_FILE", "CODE_LINE"];

/// A way to journald.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// Fails where nobody listens at `path`.
    pub(super) fn open(path: impl AsRef<Path>) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journal that is behind loses lines, as it does when it writes too fast; it never holds a call up.
        socket.set_nonblocking(true)?;
        Ok(Journal { socket })
    }
}

/// Names and values, in the order in which they were given.
#[derive(Debug, Clone, Default)]
struct Fields(Vec<(String, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name().to_owned(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name().to_owned(), format!("{value:?}")));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, around: Surroundings<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = around.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, around: Surroundings<'_, S>) {
        if let Some(span) = around.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, around: Surroundings<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut all = Fields::default();
        for span in around.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                all.0.extend(fields.0.iter().cloned());
            }
        }
        let (message, rest): (Vec<_>, Vec<_>) = own.0.into_iter().partition(|(name, _)| name == "message");
        all.0.extend(rest);
        let message = message.into_iter().next().map(|(_, text)| text).unwrap_or_default();
        let entry = entry(event.metadata(), &message, &all.0);
        // Nothing can be done about a line that the journal does not take.
        drop(self.socket.send(&entry));
    }
}

/// The datagram of one line (systemd.journal-fields(7), Native Journal Protocol).
fn entry(about: &tracing::Metadata<'_>, message: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(512);
    let told: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    // One line, whatever a value holds: what reads lines must not be told two.
    let line: String = format!("{message}{told}").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    push(&mut entry, "MESSAGE", line.trim_start());
    push(&mut entry, "PRIORITY", priority(*about.level()));
    push(&mut entry, "SYSLOG_IDENTIFIER", "baton");
    push(&mut entry, "TARGET", about.target());
    if let (Some(file), Some(line)) = (about.file(), about.line()) {
        push(&mut entry, "CODE_FILE", file);
        push(&mut entry, "CODE_LINE", &line.to_string());
    }
    for (at, (name, value)) in fields.iter().enumerate() {
        // A line's own field stands for the same one of the spans around it.
        let is_last = !fields[at + 1..].iter().any(|(later, _)| later == name);
        if is_last && !value.is_empty() {
            push(&mut entry, &name_of(name), value);
        }
    }
    entry
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// The name as the journal takes it: capitals, digits and underscores, beginning with a letter, at most 64 of them.
fn name_of(name: &str) -> String {
    if let Some((_, known)) = NAMES.iter().find(|(own, _)| *own == name) {
        return (*known).to_owned();
    }
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).take(60).collect();
    let is_free = plain.starts_with(|c: char| c.is_ascii_uppercase()) && !TAKEN.contains(&plain.as_str());
    if is_free { plain } else { format!("F_{plain}") }
}

/// `NAME=value`, or with a length in front of a value of several lines.
fn push(entry: &mut Vec<u8>, name: &str, value: &str) {
    let end = (0..=value.len().min(VALUE_MAX)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    let value = &value[..end];
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What a journal at a socket of its own gets while `log` logs.
    fn told(name: &str, log: impl FnOnce()) -> Vec<String> {
        let path: PathBuf = std::env::temp_dir().join(format!("baton-journal-{}-{name}", std::process::id()));
        let journald = UnixDatagram::bind(&path).unwrap();
        journald.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal::open(&path).unwrap());
        tracing::subscriber::with_default(subscriber, log);
        let mut buffer = [0; 32 * 1_024];
        let length = journald.recv(&mut buffer).unwrap();
        std::fs::remove_file(path).unwrap();
        String::from_utf8_lossy(&buffer[..length]).split_terminator('\n').map(str::to_owned).collect()
    }

    #[test]
    fn a_line_carries_its_call_as_a_field() {
        let lines = told("call", || {
            let _in = tracing::info_span!("in", call = "c_1", leg = "l_1", transfer = tracing::field::Empty).entered();
            tracing::warn!(silent_ms = 900, leg = "l_2", "the AI's media is lost");
        });
        for expected in ["PRIORITY=4", "SYSLOG_IDENTIFIER=baton", "CALL_ID=c_1", "LEG_ID=l_2", "SILENT_MS=900"] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
        }
        assert_eq!(lines[0], "MESSAGE=the AI's media is lost call=c_1 leg=l_1 silent_ms=900 leg=l_2");
        assert!(!lines.iter().any(|line| line.starts_with("TRANSFER_ID") || line == "LEG_ID=l_1"), "{lines:?}");
    }

    #[test]
    fn a_value_of_several_lines_cannot_forge_a_field() {
        let lines = told("forged", || tracing::info!(reason = "a\nPRIORITY=0", "x"));
        assert_eq!(lines.iter().filter(|line| line.starts_with("PRIORITY=")).count(), 2, "one is within a value: {lines:?}");
        let mut entry = Vec::new();
        push(&mut entry, "REASON", "a\nPRIORITY=0");
        assert_eq!(entry, b"REASON\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n");
    }

    #[test]
    fn names_are_such_as_the_journal_takes() {
        assert_eq!(
            ["call", "late_ms", "priority", "log.target", "_x", "9"].map(name_of),
            ["CALL_ID", "LATE_MS", "F_PRIORITY", "LOG_TARGET", "F__X", "F_9"]
        );
    }

    #[test]
    fn nobody_listens_where_there_is_no_journal() {
        assert!(Journal::open("/nowhere/at/all").is_err());
    }
}
