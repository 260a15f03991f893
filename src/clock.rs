//! The only place that looks at the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
