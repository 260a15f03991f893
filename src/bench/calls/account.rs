//! What the system says about the daemon: how long its threads worked, how much memory it has, how often it asked the kernel for something.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// Time of the processor that the threads of a process have had, in seconds, by the name of the thread.
pub(super) type Worked = BTreeMap<String, f64>;

/// Reads how long each thread has worked since it began; threads of one name are added up.
pub(super) fn worked(process: u32) -> anyhow::Result<Worked> {
    let folder = format!("/proc/{process}/task");
    let mut worked = Worked::new();
    for thread in fs::read_dir(&folder).with_context(|| folder.clone())? {
        let thread = thread.with_context(|| folder.clone())?.path();
        // A thread may end while one looks.
        let Ok(name) = fs::read_to_string(thread.join("comm")) else { continue };
        let Ok(statistics) = fs::read_to_string(thread.join("schedstat")) else { continue };
        *worked.entry(name.trim().to_owned()).or_default() += seconds(&statistics).unwrap_or_default();
    }
    Ok(worked)
}

/// The first number of a schedstat: nanoseconds on the processor.
fn seconds(statistics: &str) -> Option<f64> {
    Some(statistics.split(' ').next()?.parse::<u64>().ok()? as f64 / 1e9)
}

/// What was worked between two looks, by thread; what was nothing is left out.
pub(super) fn between(before: &Worked, after: &Worked) -> Worked {
    let spent = after.iter().map(|(name, after)| (name.clone(), after - before.get(name).copied().unwrap_or_default()));
    spent.filter(|(_, spent)| *spent > 0.0).collect()
}

/// The resident memory of a process in KiB.
pub(super) fn resident_kib(process: u32) -> anyhow::Result<f64> {
    Ok(crate::bench::setting::resident_mb(process)? * 1e6 / 1_024.0)
}

/// Counts the system calls of a process, by thread, with `perf`.
pub(super) struct SystemCalls(Option<Child>);

impl SystemCalls {
    /// Begins to count; nothing is counted where there is no `perf`, or where it may not.
    pub(super) fn count(process: u32) -> SystemCalls {
        let mut perf = Command::new("perf");
        perf.args(["stat", "-x", ";", "--per-thread", "-e", "raw_syscalls:sys_enter", "-p", &process.to_string()]);
        perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        SystemCalls(perf.spawn().ok())
    }

    /// Stops counting; `None` where nothing could be counted.
    pub(super) fn stop(self) -> Option<BTreeMap<String, u64>> {
        let perf = self.0?;
        let id = i32::try_from(perf.id()).ok().and_then(rustix::process::Pid::from_raw)?;
        rustix::process::kill_process(id, rustix::process::Signal::INT).ok()?;
        let told = perf.wait_with_output().ok()?;
        let counted = counts(&String::from_utf8_lossy(&told.stderr));
        (!counted.is_empty()).then_some(counted)
    }
}

/// Reads lines such as `engine-4711;109;;raw_syscalls:sys_enter;2456063;100.00;;`.
fn counts(told: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in told.lines() {
        let mut fields = line.split(';');
        let (Some(thread), Some(Ok(count))) = (fields.next(), fields.next().map(str::parse::<u64>)) else { continue };
        let name = thread.rsplit_once('-').map_or(thread, |(name, _)| name);
        *counts.entry(name.trim().to_owned()).or_default() += count;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_account_of_threads_is_read() {
        assert_eq!(seconds("1500000000 77 3\n"), Some(1.5));
        assert_eq!(seconds("no number"), None);
        let before = worked(std::process::id()).unwrap();
        let spent = (0..3_000_000_u64).fold(0, |sum: u64, one| sum.rotate_left(5) ^ one);
        assert!(std::hint::black_box(spent) > 0);
        let after = worked(std::process::id()).unwrap();
        assert!(between(&before, &after).values().sum::<f64>() > 0.0);
        let known = Worked::from([("a".to_owned(), 1.0), ("b".to_owned(), 1.0)]);
        let later = Worked::from([("a".to_owned(), 1.5), ("b".to_owned(), 1.0), ("c".to_owned(), 2.0)]);
        assert_eq!(between(&known, &later), Worked::from([("a".to_owned(), 0.5), ("c".to_owned(), 2.0)]));
    }

    #[test]
    fn the_counts_of_perf_are_read() {
        let told = "# started\n\nengine-12;109;;raw_syscalls:sys_enter;2456063;100.00;;\ntokio-rt-worker-13;5;;x;1;1;;\ntokio-rt-worker-14;6;;x;1;1;;\n\
                    media-0-15;<not counted>;;x;0;0;;\n";
        let expected = [("engine", 109), ("tokio-rt-worker", 11)];
        assert_eq!(counts(told), expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    }
}
