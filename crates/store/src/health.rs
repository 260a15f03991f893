//! How the store is doing.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use baton_contract::CommitLevel;

use crate::Refusal;

/// How the store is doing, right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Why commits are being refused; `None` while they are taken. A store that is ill tries again by itself.
    pub trouble: Option<Refusal>,
    /// Batches that wait for the writer, and the records of those that are kept until they are written.
    pub queued: usize,
    /// Transactions committed since the start.
    pub commits: u64,
    /// Flushes of the disk since the start, each of which carried one or more power-level batches.
    pub flushes: u64,
}

impl Health {
    /// Whether promises can be taken.
    pub const fn is_well(&self) -> bool {
        self.trouble.is_none()
    }
}

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 11] = [250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 1_000_000];

/// The same bounds as Prometheus writes them, in seconds.
const BUCKET_NAMES: [&str; 11] = ["0.00025", "0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.25", "1"];

/// Counters that the writer writes and everybody reads.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    write_trouble: AtomicU8,
    flush_trouble: AtomicU8,
    commits: AtomicU64,
    flushes: AtomicU64,
    process: Latency,
    power: Latency,
}

#[derive(Debug, Default)]
struct Latency {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

/// The outages, by the number under which [`Gauges`] keeps them; zero is none.
const OUTAGES: [Refusal; 8] = [
    Refusal::QueueFull,
    Refusal::Closed,
    Refusal::DiskFull,
    Refusal::ReadOnly,
    Refusal::Locked,
    Refusal::Stalled,
    Refusal::FlushFailed,
    Refusal::Broken,
];

impl Gauges {
    pub(crate) fn health(&self, queued: usize) -> Health {
        Health { trouble: self.trouble(), queued, commits: self.commits(), flushes: self.flushes.load(Ordering::Relaxed) }
    }

    /// What keeps the store from taking promises; the writer's trouble goes first.
    fn trouble(&self) -> Option<Refusal> {
        self.write_trouble().or_else(|| self.flush_trouble())
    }

    pub(crate) fn write_trouble(&self) -> Option<Refusal> {
        outage(&self.write_trouble)
    }

    pub(crate) fn flush_trouble(&self) -> Option<Refusal> {
        outage(&self.flush_trouble)
    }

    /// Notes that writing goes wrong, or well again; says whether that is news.
    pub(crate) fn set_write_trouble(&self, trouble: Option<Refusal>) -> bool {
        set_outage(&self.write_trouble, trouble)
    }

    /// Notes that flushing goes wrong, or well again; says whether that is news.
    pub(crate) fn set_flush_trouble(&self, trouble: Option<Refusal>) -> bool {
        set_outage(&self.flush_trouble, trouble)
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_flush(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_latency(&self, level: CommitLevel, took: Duration) {
        let latency = self.latency(level);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(at) = BUCKETS_US.iter().position(|bound| micros <= *bound) {
            latency.buckets[at].fetch_add(1, Ordering::Relaxed);
        }
        latency.count.fetch_add(1, Ordering::Relaxed);
        latency.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    fn latency(&self, level: CommitLevel) -> &Latency {
        match level {
            CommitLevel::Process => &self.process,
            CommitLevel::Power => &self.power,
        }
    }

    /// The histogram `baton_store_commit_seconds{level}` in Prometheus' text format.
    pub(crate) fn prometheus(&self) -> String {
        let mut text = String::from(
            "# HELP baton_store_commit_seconds From the submission of a batch to its acknowledgement.\n\
             # TYPE baton_store_commit_seconds histogram\n",
        );
        for (name, level) in [("process", CommitLevel::Process), ("power", CommitLevel::Power)] {
            self.latency(level).write(&mut text, name);
        }
        text
    }
}

fn outage(slot: &AtomicU8) -> Option<Refusal> {
    let number = usize::from(slot.load(Ordering::Acquire));
    number.checked_sub(1).and_then(|at| OUTAGES.get(at).copied())
}

fn set_outage(slot: &AtomicU8, trouble: Option<Refusal>) -> bool {
    let at = trouble.and_then(|refusal| OUTAGES.iter().position(|outage| *outage == refusal));
    let number = at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0);
    slot.swap(number, Ordering::AcqRel) != number
}

impl Latency {
    fn write(&self, text: &mut String, level: &str) {
        const INFALLIBLE: &str = "a String can always be written to";
        let mut below = 0;
        for (bucket, bound) in self.buckets.iter().zip(BUCKET_NAMES) {
            below += bucket.load(Ordering::Relaxed);
            writeln!(text, "baton_store_commit_seconds_bucket{{level=\"{level}\",le=\"{bound}\"}} {below}").expect(INFALLIBLE);
        }
        let count = self.count.load(Ordering::Relaxed);
        let sum = Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(text, "baton_store_commit_seconds_bucket{{level=\"{level}\",le=\"+Inf\"}} {count}").expect(INFALLIBLE);
        writeln!(text, "baton_store_commit_seconds_sum{{level=\"{level}\"}} {sum}").expect(INFALLIBLE);
        writeln!(text, "baton_store_commit_seconds_count{{level=\"{level}\"}} {count}").expect(INFALLIBLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outage_is_remembered_as_itself() {
        let gauges = Gauges::default();
        for outage in OUTAGES {
            assert!(outage.is_outage());
            assert!(gauges.set_write_trouble(Some(outage)));
            assert!(!gauges.set_write_trouble(Some(outage)), "told twice, news once");
            assert_eq!(gauges.trouble(), Some(outage));
        }
        gauges.set_flush_trouble(Some(Refusal::FlushFailed));
        assert!(gauges.set_write_trouble(None));
        assert_eq!(gauges.trouble(), Some(Refusal::FlushFailed), "the two do not hide each other's end");
        gauges.set_flush_trouble(None);
        assert!(gauges.health(3).is_well());
    }

    #[test]
    fn the_histogram_counts_upwards() {
        let gauges = Gauges::default();
        for micros in [300, 900, 3_000_000] {
            gauges.note_latency(CommitLevel::Process, Duration::from_micros(micros));
        }
        let text = gauges.prometheus();
        assert!(text.contains("baton_store_commit_seconds_bucket{level=\"process\",le=\"0.0005\"} 1\n"), "{text}");
        assert!(text.contains("baton_store_commit_seconds_bucket{level=\"process\",le=\"1\"} 2\n"), "{text}");
        assert!(text.contains("baton_store_commit_seconds_bucket{level=\"process\",le=\"+Inf\"} 3\n"), "{text}");
        assert!(text.contains("baton_store_commit_seconds_count{level=\"power\"} 0\n"), "{text}");
    }
}
