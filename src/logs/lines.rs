//! Lines on stderr, written by a thread of their own. A write to a file may wait for a disk, and callers would wait with it; and it costs more than
//! what it writes about, so lines of the life of calls are gathered for a moment. Whatever is worth a look goes out at once, and takes along what
//! was said before it.

use std::io::{self, Write};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Octets that wait at most; the line that finds no room is lost, and counted.
const WAITING_MAX: usize = 1 << 20;

/// How long lines are gathered that nobody is in a hurry for.
const GATHER: Duration = Duration::from_millis(100);

/// What was said and is not written yet.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { text: Vec::new(), lost: 0, is_pressing: false, writer: None });

/// Whoever writes holds it, so that lines stay in their order; the engine never does.
static PEN: Mutex<()> = Mutex::new(());

struct Waiting {
    text: Vec<u8>,
    lost: u64,
    /// Something among it is not to wait.
    is_pressing: bool,
    /// The thread that writes; none before it has begun: everybody writes for themselves then.
    writer: Option<Thread>,
}

/// From here on lines are written by a thread of their own.
///
/// # Errors
/// When there is no thread to be had.
pub(crate) fn gather() -> io::Result<()> {
    let writer = thread::Builder::new().name("baton-log".to_owned()).spawn(write_for_ever)?;
    WAITING.lock().writer = Some(writer.thread().clone());
    Ok(())
}

/// Writes what waits, and comes back when it is written.
pub(crate) fn let_out() {
    let _pen = PEN.lock();
    let (text, lost) = {
        let mut waiting = WAITING.lock();
        waiting.is_pressing = false;
        (std::mem::take(&mut waiting.text), std::mem::take(&mut waiting.lost))
    };
    // There is nobody whom one could tell that stderr is gone.
    io::stderr().write_all(&text).unwrap_or_default();
    if lost > 0 {
        writeln!(io::stderr(), "{lost} lines of the log are lost: nobody has taken them").unwrap_or_default();
    }
}

fn write_for_ever() {
    loop {
        let (is_empty, is_pressing) = {
            let waiting = WAITING.lock();
            (waiting.text.is_empty(), waiting.is_pressing)
        };
        match (is_empty, is_pressing) {
            (true, _) => thread::park(),
            (false, false) => {
                thread::park_timeout(GATHER);
                let_out();
            }
            (false, true) => let_out(),
        }
    }
}

/// Makes writers for lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

/// Writes one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    is_pressing: bool,
}

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { is_pressing: true }
    }

    fn make_writer_for(&self, meta: &Metadata<'_>) -> Line {
        Line { is_pressing: *meta.level() <= Level::WARN }
    }
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut waiting = WAITING.lock();
        let Some(writer) = waiting.writer.clone() else {
            drop(waiting);
            io::stderr().write_all(text)?;
            return Ok(text.len());
        };
        let was_empty = waiting.text.is_empty();
        let was_pressing = waiting.is_pressing;
        waiting.is_pressing |= self.is_pressing;
        if waiting.text.len() + text.len() <= WAITING_MAX {
            waiting.text.extend_from_slice(text);
        } else {
            waiting.lost += 1;
        }
        let is_told = was_pressing || (!was_empty && !self.is_pressing);
        drop(waiting);
        if !is_told {
            writer.unpark();
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_by_the_thread_that_is_there_for_it() {
        gather().unwrap();
        let mut line = Line { is_pressing: false };
        line.write_all(b"a call has begun\n").unwrap();
        let_out();
        assert!(WAITING.lock().text.is_empty());
        Line { is_pressing: true }.write_all(b"something is wrong\n").unwrap();
        let is_written = || {
            thread::park_timeout(Duration::from_millis(5));
            WAITING.lock().text.is_empty()
        };
        assert!((0..6_000).any(|_| is_written()), "whatever is pressing is written without being asked for");
    }
}
