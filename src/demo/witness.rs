//! The witness: sees when the machine gave the daemon no processor though it was ready to run. On a busy machine that is what a late
//! packet comes from, and no fault of the daemon; the scheduler keeps count of it for every thread.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use baton_time::Mono;

use crate::clock::Clock;

/// How often the witness looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A shorter wait for a processor is nothing.
const WAIT_MIN: Duration = Duration::from_millis(2);
/// The threads that packets and signalling wait for begin with one of these names.
const THREADS: [&str; 2] = ["media", "engine"];

/// The witness, at work.
pub(crate) struct Witness {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Mono, Mono)>>,
}

/// One thread that is watched.
struct Watched {
    account: PathBuf,
    waited: Duration,
}

impl Witness {
    /// Watches a process; where the system keeps no such account, nothing is seen.
    pub(crate) fn watch(clock: Clock, process: u32) -> Option<Witness> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let watched = watched(&Path::new("/proc").join(process.to_string()).join("task"));
        let work = move || look(clock, watched, &told);
        let thread = thread::Builder::new().name("witness".to_owned()).spawn(work).ok()?;
        Some(Witness { over, thread })
    }

    /// When the daemon had to wait for a processor, as far as it was seen.
    pub(crate) fn testify(self) -> Vec<(Mono, Mono)> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn watched(tasks: &Path) -> Vec<Watched> {
    let entries = fs::read_dir(tasks).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let wanted = entries.filter(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| THREADS.iter().any(|wanted| name.starts_with(wanted)))
    });
    wanted.filter_map(|task| Watched::of(task.join("schedstat"))).collect()
}

fn look(clock: Clock, mut watched: Vec<Watched>, over: &AtomicBool) -> Vec<(Mono, Mono)> {
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) && !watched.is_empty() {
        thread::park_timeout(LOOK_EVERY); // until the next look at the account
        let now = clock.now().mono;
        for thread in &mut watched {
            let Some(waited) = waited(&thread.account) else { continue };
            let wait = waited.saturating_sub(thread.waited);
            thread.waited = waited;
            if wait >= WAIT_MIN {
                // The wait ended between this look and the one before.
                let end = now - LOOK_EVERY / 2;
                waits.push((end - wait, end));
            }
        }
    }
    waits
}

impl Watched {
    fn of(account: PathBuf) -> Option<Watched> {
        Some(Watched { waited: waited(&account)?, account })
    }
}

/// The second number of a schedstat file: nanoseconds in which the thread was ready and did not run.
fn waited(account: &Path) -> Option<Duration> {
    let text = fs::read_to_string(account).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_threads_that_packets_wait_for_are_watched() {
        let folder = std::env::temp_dir().join(format!("baton-witness-{}", std::process::id()));
        for (id, name, account) in
            [("1", "media-0\n", "5 7000000 2\n"), ("2", "tokio\n", "5 9000000 2\n"), ("3", "engine\n", "nonsense\n")]
        {
            fs::create_dir_all(folder.join(id)).unwrap();
            fs::write(folder.join(id).join("comm"), name).unwrap();
            fs::write(folder.join(id).join("schedstat"), account).unwrap();
        }
        let found: Vec<Duration> = watched(&folder).into_iter().map(|thread| thread.waited).collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [Duration::from_millis(7)]);
    }

    #[test]
    fn a_process_that_is_not_there_is_no_trouble() {
        assert_eq!(Witness::watch(Clock::start(), u32::MAX).unwrap().testify(), []);
    }
}
