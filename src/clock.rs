//! The only place that looks at the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use baton_time::{Mono, Now, Wall};

/// Both clocks of this machine, the monotonic one counted from when the process began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    /// Starts counting now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn start() -> Clock {
        Clock { epoch: Instant::now() }
    }

    /// Goes on with the clock of an earlier process of this start of the machine, which began at `epoch_ns` of the machine's own monotonic clock:
    /// what that process had set for a time is due at that time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn continuing(epoch_ns: Option<u64>) -> Clock {
        let (now, machine) = (Instant::now(), machine_ns());
        let since = epoch_ns.map(|epoch| Duration::from_nanos(machine.saturating_sub(epoch)));
        Clock { epoch: since.and_then(|since| now.checked_sub(since)).unwrap_or(now) }
    }

    /// When it began, on the machine's own monotonic clock, in nanoseconds.
    pub(crate) fn epoch_ns(self) -> u64 {
        machine_ns().saturating_sub(u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn now(self) -> Now {
        let mono = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Now { mono: Mono::from_micros(mono), wall: Wall::from_micros(wall) }
    }

    /// Where the monotonic clock begins, for threads that read it themselves.
    pub(crate) fn epoch(self) -> Instant {
        self.epoch
    }
}

/// The machine's own monotonic clock, which outlives the process, in nanoseconds.
fn machine_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000) + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_on_agrees_with_the_one_before() {
        let before = Clock::start();
        let after = Clock::continuing(Some(before.epoch_ns()));
        let (one, other) = (before.now().mono, after.now().mono);
        assert!(other.since(one) < Duration::from_secs(20) && one.since(other) < Duration::from_millis(5), "{one:?} {other:?}");
    }
}
