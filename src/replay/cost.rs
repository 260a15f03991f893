//! What playing stories costs: processor time, measured for each of them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time of this thread so far.
pub(super) fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The sentence about the stories of these names and costs; none where there are none.
pub(super) fn summary(costs: &[(&str, Duration)]) -> Option<String> {
    let mut sorted: Vec<&(&str, Duration)> = costs.iter().collect();
    sorted.sort_by_key(|(_, cost)| *cost);
    let (median, (name, most)) = (sorted.get(sorted.len() / 2)?.1, sorted.last()?);
    let millis = |cost: Duration| cost.as_secs_f64() * 1e3;
    Some(format!("processor time of a story: {:.1} ms at the median, {:.1} ms at most ({name})", millis(median), millis(*most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_dearest_story_are_told() {
        let costs = [("a", 3), ("b", 1), ("c", 9)].map(|(name, ms)| (name, Duration::from_millis(ms)));
        assert_eq!(summary(&costs).as_deref(), Some("processor time of a story: 3.0 ms at the median, 9.0 ms at most (c)"));
        assert_eq!(summary(&[]), None);
    }
}
