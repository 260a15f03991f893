//! The supervisor of the latency budget: which stage runs, what it may cost, and what still fits into what is left.

use std::time::Duration;

use baton_contract::{Stage, StagesMs};
use baton_time::Mono;

use crate::why::Limit;
use crate::{BudgetSettings, Limits, Why};
use serde::{Deserialize, Serialize};

/// So much later than it was due something may be done.
const LATE_MAX: Duration = Duration::from_millis(250);

/// The budget of one transfer, from the decision on. Its limits are those in force at the decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Budget {
    limits: BudgetSettings,
    /// When the transfer was decided.
    begun: Mono,
    /// The stage that runs now.
    open: Option<Open>,
    /// Of the total: which limits were missed already.
    told: Told,
    /// Whether a human can still come on the line: once nobody is dialled any more, limits mean nothing.
    runs: bool,
    spent: StagesMs,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Open {
    stage: Stage,
    begun: Mono,
    told: Told,
}

/// How far the limits of one stage have been passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Told {
    Nothing,
    Target,
    Worst,
}

/// A limit that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missed {
    pub(crate) stage: Stage,
    pub(crate) limit: Limit,
    pub(crate) after: Duration,
}

impl Limit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Limit::Target => "target",
            Limit::Worst => "worst",
        }
    }
}

impl Budget {
    /// The decision has been made: the total runs, and the start of the first attempt.
    pub(crate) fn begin(now: Mono, limits: BudgetSettings) -> Budget {
        let open = Some(Open { stage: Stage::Start, begun: now, told: Told::Nothing });
        Budget { limits, begun: now, open, told: Told::Nothing, runs: true, spent: StagesMs::default() }
    }

    /// The budget of a transfer that begins with the human on the line: no limit is watched, and nothing was spent.
    pub(crate) fn unspent(now: Mono, limits: BudgetSettings) -> Budget {
        Budget { open: None, runs: false, ..Budget::begin(now, limits) }
    }

    /// Ends the stage that runs and begins `stage`.
    pub(crate) fn open(&mut self, now: Mono, stage: Stage) {
        self.close(now);
        if stage == Stage::Start {
            self.spent = StagesMs::default();
        }
        self.open = Some(Open { stage, begun: now, told: Told::Nothing });
    }

    /// Ends the stage that runs.
    pub(crate) fn close(&mut self, now: Mono) {
        let Some(open) = self.open.take() else { return };
        let spent = Some(millis(now.since(open.begun)));
        match open.stage {
            Stage::Start => self.spent.start = spent,
            Stage::Ringing => self.spent.ringing = spent,
            Stage::Accept => self.spent.accept = spent,
            Stage::Total => self.spent.total = spent,
        }
    }

    /// No human will come on the line any more, or one is: no limit is watched from here on.
    pub(crate) fn stop(&mut self, now: Mono) {
        self.close(now);
        self.runs = false;
        self.spent.total = Some(millis(now.since(self.begun)));
    }

    /// The human is on the line, though not alone with the caller: no limit is watched until [`Budget::go_on`].
    pub(crate) fn hold(&mut self) {
        self.runs = false;
    }

    /// The human has left again: limits count as before.
    pub(crate) fn go_on(&mut self) {
        self.runs = true;
    }

    /// What the stages of the last attempt took, and the total.
    pub(crate) fn spent(&self) -> StagesMs {
        self.spent
    }

    /// The phone that is dialled now has limits of its own for its first ring.
    pub(crate) fn expect_ringing(&mut self, limits: Limits) {
        self.limits.ringing = limits;
    }

    /// What is left of the total's worst case.
    pub(crate) fn left(&self, now: Mono) -> Duration {
        (self.begun + self.limits.total.worst).since(now)
    }

    /// What an attempt takes if it meets its targets.
    pub(crate) fn attempt_targets(&self) -> Duration {
        self.limits.start.target + self.limits.ringing.target + self.limits.accept.target
    }

    /// Whether one more attempt fits: what is left of the total's worst case covers the targets of its stages. An attempt that was ended for the
    /// next one is ended a little late on every machine, and the next one fits all the same.
    pub(crate) fn attempt_fits(&self, now: Mono) -> bool {
        self.left(now) + LATE_MAX >= self.attempt_targets() && !baton_time::bug!(41)
    }

    /// When an attempt that begins `now` must end so that another one fits after it. `None` where nothing would be left for this one.
    pub(crate) fn attempt_ends_before_another(&self, now: Mono) -> Option<Mono> {
        let left = self.left(now).checked_sub(self.attempt_targets())?;
        (!left.is_zero()).then(|| now + left)
    }

    /// When the stage that runs meets its worst case, the total's included.
    pub(crate) fn worst_at(&self) -> Mono {
        let total = self.begun + self.limits.total.worst;
        match self.open {
            Some(open) => total.min(open.begun + self.limits.of(open.stage).worst),
            None => total,
        }
    }

    /// The next limit that may be missed.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        if !self.runs {
            return None;
        }
        let total = self.next_limit(Stage::Total, self.begun, self.told);
        let stage = self.open.and_then(|open| self.next_limit(open.stage, open.begun, open.told));
        match (stage, total) {
            (Some(stage), Some(total)) => Some(if total.0 < stage.0 { total } else { stage }),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        }
    }

    /// Takes the limit that [`Budget::poll_timeout`] named and that has come.
    pub(crate) fn miss(&mut self, now: Mono, why: Why) -> Option<Missed> {
        let (stage, limit) = why.limit()?;
        let told = match limit {
            Limit::Target => Told::Target,
            Limit::Worst => Told::Worst,
        };
        if stage == Stage::Total {
            self.told = told;
            return Some(Missed { stage, limit, after: now.since(self.begun) });
        }
        let open = self.open.as_mut().filter(|open| open.stage == stage)?;
        open.told = told;
        Some(Missed { stage, limit, after: now.since(open.begun) })
    }

    fn next_limit(&self, stage: Stage, begun: Mono, told: Told) -> Option<(Mono, Why)> {
        let limits = self.limits.of(stage);
        match told {
            Told::Nothing => Some((begun + limits.target, Why::StageTarget(stage))),
            Told::Target => Some((begun + limits.worst, Why::StageWorst(stage))),
            Told::Worst => None,
        }
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1_000)
    }

    #[test]
    fn an_attempt_fits_while_what_is_left_covers_its_targets() {
        let budget = Budget::begin(at(0), BudgetSettings::default());
        assert_eq!(budget.attempt_targets(), Duration::from_millis(22_500));
        assert!(budget.attempt_fits(Mono::from_millis(67_500)));
        assert!(!budget.attempt_fits(Mono::from_millis(67_751)));
    }

    #[test]
    fn an_attempt_leaves_the_next_one_its_targets() {
        let budget = Budget::begin(at(0), BudgetSettings::default());
        assert_eq!(budget.attempt_ends_before_another(at(10)), Some(Mono::from_millis(67_500)));
        assert_eq!(budget.attempt_ends_before_another(at(68)), None);
        let ended = budget.attempt_ends_before_another(at(10)).unwrap();
        assert!(budget.attempt_fits(ended + Duration::from_millis(20)), "a clock that ticks late takes nobody away");
    }

    #[test]
    fn each_limit_is_missed_once_and_in_order() {
        let mut budget = Budget::begin(at(0), BudgetSettings::default());
        let mut missed = Vec::new();
        while let Some((at, why)) = budget.poll_timeout() {
            missed.push(why);
            assert!(budget.miss(at, why).is_some());
        }
        let start = [Why::StageTarget(Stage::Start), Why::StageWorst(Stage::Start)];
        let total = [Why::StageTarget(Stage::Total), Why::StageWorst(Stage::Total)];
        assert_eq!(missed, [start, total].concat());
    }

    #[test]
    fn a_stage_that_has_ended_misses_nothing() {
        let mut budget = Budget::begin(at(0), BudgetSettings::default());
        budget.open(Mono::from_millis(3), Stage::Ringing);
        assert_eq!(budget.miss(at(9), Why::StageWorst(Stage::Start)), None);
        budget.stop(at(12));
        assert_eq!(budget.poll_timeout(), None);
        assert_eq!(budget.spent().start, Some(3));
        assert_eq!(budget.spent().total, Some(12_000));
    }
}
