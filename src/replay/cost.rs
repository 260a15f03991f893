//! What playing stories costs: processor time, measured for each of them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time of this thread so far.
pub(super) fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The sentence about the stories of these names and costs, and what they share; none where there are none.
pub(super) fn summary(costs: &[(&str, Duration)], shared: Duration) -> Option<String> {
    let mut sorted: Vec<&(&str, Duration)> = costs.iter().collect();
    sorted.sort_by_key(|(_, cost)| *cost);
    let (median, (name, most)) = (sorted.get(sorted.len() / 2)?.1, sorted.last()?);
    let millis = |cost: Duration| cost.as_secs_f64() * 1e3;
    let mean = sorted.iter().map(|(_, cost)| *cost).sum::<Duration>() / u32::try_from(sorted.len()).ok()?;
    Some(format!(
        "processor time of a story: {:.1} ms on average, {:.1} ms at the median, {:.1} ms at most ({name}); once for all of them: {:.1} ms",
        millis(mean),
        millis(median),
        millis(*most),
        millis(shared)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_dearest_story_are_told() {
        let costs = [("a", 3), ("b", 1), ("c", 9)].map(|(name, ms)| (name, Duration::from_millis(ms)));
        let told = "processor time of a story: 4.3 ms on average, 3.0 ms at the median, 9.0 ms at most (c); once for all of them: 2.0 ms";
        assert_eq!(summary(&costs, Duration::from_millis(2)).as_deref(), Some(told));
        assert_eq!(summary(&[], Duration::ZERO), None);
    }
}
