//! When a delivery that failed is tried again, and when it is given up.

use std::time::Duration;

/// The waits between the tries: about sixteen hours in all.
const WAITS_S: [u64; 10] = [1, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800];

/// Nothing is delivered that is older.
const AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A receiver that asks for more patience than this gets this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How long to wait after `tries` tries for an event of the given age; `None` where it is given up.
///
/// `dice` are random bits: a wait is up to a fifth shorter or longer than its usual length, so that not all events that failed
/// together come back together.
pub(super) fn wait(tries: u32, age: Duration, retry_after: Option<Duration>, dice: u64) -> Option<Duration> {
    let usual = *WAITS_S.get(usize::try_from(tries.checked_sub(1)?).ok()?)?;
    let per_mille = 800 + dice % 401;
    let wait = Duration::from_millis(usual * per_mille).max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
    (age + wait <= AGE_MAX).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_come_to_an_end() {
        let waits: Vec<u64> =
            (1..).map_while(|tries| wait(tries, Duration::ZERO, None, 200)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, WAITS_S);
        assert_eq!(wait(11, Duration::ZERO, None, 0), None);
        assert_eq!(wait(u32::MAX, Duration::ZERO, None, 0), None);
        assert_eq!(wait(1, AGE_MAX, None, 0), None, "too old");
    }

    #[test]
    fn waits_differ_by_a_fifth_at_most() {
        for dice in [0, 1, 400, 401, u64::MAX] {
            let wait = wait(4, Duration::ZERO, None, dice).unwrap().as_millis();
            assert!((96_000..=144_000).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_patience_but_not_for_ever() {
        let patient = |seconds| wait(1, Duration::ZERO, Some(Duration::from_secs(seconds)), 0);
        assert_eq!(patient(90), Some(Duration::from_secs(90)));
        assert_eq!(patient(u64::MAX), Some(RETRY_AFTER_MAX));
    }
}
