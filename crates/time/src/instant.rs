//! Instants on two clocks: the one that only goes forward and the one that people read.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the monotonic clock, in microseconds since the process (or the simulated world) began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mono(u64);

impl Mono {
    /// The beginning of the process.
    pub const ZERO: Mono = Mono(0);

    /// A point `micros` microseconds after the beginning.
    pub const fn from_micros(micros: u64) -> Mono {
        Mono(micros)
    }

    /// A point `millis` milliseconds after the beginning.
    pub const fn from_millis(millis: u64) -> Mono {
        Mono(millis * 1_000)
    }

    /// Microseconds since the beginning.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The first multiple of `span` that is not before it: what need not be exact can wait for others.
    #[must_use]
    pub fn rounded_up(self, span: Duration) -> Mono {
        Mono(self.0.checked_next_multiple_of(micros(span).max(1)).unwrap_or(self.0))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;

    fn add(self, span: Duration) -> Mono {
        Mono(self.0.saturating_add(micros(span)))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;

    fn sub(self, span: Duration) -> Mono {
        Mono(self.0.saturating_sub(micros(span)))
    }
}

/// A point on the wall clock, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wall(i64);

impl Wall {
    /// A point `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Wall {
        Wall(micros)
    }

    /// A point `seconds` seconds after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Wall {
        Wall(seconds * 1_000_000)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch; zero for times before it.
    pub fn as_unix_millis(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;

    fn add(self, span: Duration) -> Wall {
        Wall(self.0.saturating_add_unsigned(micros(span)))
    }
}

impl Sub<Duration> for Wall {
    type Output = Wall;

    fn sub(self, span: Duration) -> Wall {
        Wall(self.0.saturating_sub_unsigned(micros(span)))
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The monotonic clock: for every span and every budget.
    pub mono: Mono,
    /// The wall clock: for hours, callbacks and what people read.
    pub wall: Wall,
}

impl Now {
    /// Both clocks after `span` has gone by.
    #[must_use]
    pub fn after(self, span: Duration) -> Now {
        Now { mono: self.mono + span, wall: self.wall + span }
    }
}

/// When to be woken: on the clock that the reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deadline {
    /// On the monotonic clock.
    Mono(Mono),
    /// On the wall clock: moves when somebody sets the clock.
    Wall(Wall),
}

impl Deadline {
    /// Where this deadline lies on the monotonic clock, as things stand `now`.
    pub fn mono(self, now: Now) -> Mono {
        match self {
            Deadline::Mono(at) => at,
            Deadline::Wall(at) => now.mono + at.since(now.wall),
        }
    }

    /// Whether the deadline has come.
    pub fn is_due(self, now: Now) -> bool {
        match self {
            Deadline::Mono(at) => at <= now.mono,
            Deadline::Wall(at) => at <= now.wall,
        }
    }
}

/// The earlier of two deadlines with their reasons; the first one where they fall together.
pub fn soonest<W>(now: Now, a: Option<(Deadline, W)>, b: Option<(Deadline, W)>) -> Option<(Deadline, W)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0.mono(now) < a.0.mono(now) { b } else { a }),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { mono: Mono::from_millis(5_000), wall: Wall::from_seconds(100) };

    #[test]
    fn a_wall_deadline_in_the_past_is_due_at_once() {
        let deadline = Deadline::Wall(Wall::from_seconds(40));
        assert!(deadline.is_due(NOW));
        assert_eq!(deadline.mono(NOW), NOW.mono);
    }

    #[test]
    fn the_soonest_of_two_clocks_is_found_on_one() {
        let mono = Some((Deadline::Mono(Mono::from_millis(7_000)), "ring"));
        let wall = Some((Deadline::Wall(Wall::from_seconds(101)), "callback"));
        assert_eq!(soonest(NOW, mono, wall), wall);
        assert_eq!(soonest(NOW, mono, None), mono);
    }

    #[test]
    fn what_need_not_be_exact_comes_with_others_and_never_early() {
        let (span, late) = (Duration::from_millis(250), Mono::from_millis(750));
        assert_eq!([501, 749, 750].map(|at| Mono::from_millis(at).rounded_up(span)), [late; 3]);
        assert_eq!(Mono::from_millis(7).rounded_up(Duration::ZERO), Mono::from_millis(7));
    }

    #[test]
    fn spans_never_run_backwards() {
        assert_eq!(Mono::from_millis(1).since(Mono::from_millis(2)), Duration::ZERO);
        assert_eq!(Mono::from_millis(1) - Duration::from_secs(9), Mono::ZERO);
    }
}
