//! Where the time went: the stages, and the limits of the budget that they missed.

use std::time::Duration;

use baton_contract::{AttemptOutcome, EventKind, Outcome, Stage, StagesMs};

use super::{Case, number, text};
use crate::console::table::table;
use crate::console::words::span;

const STAGES: [Stage; 4] = [Stage::Start, Stage::Ringing, Stage::Accept, Stage::Total];

impl Case {
    /// A sentence for each limit that was missed, or one for all that were kept.
    pub(super) fn misses(&self) -> Vec<String> {
        let missed: Vec<String> = STAGES.into_iter().filter_map(|stage| self.miss(stage)).collect();
        match (missed.is_empty(), self.events.is_empty()) {
            (false, _) => missed,
            (true, false) => vec!["Every limit of the budget was kept.".to_owned()],
            (true, true) => Vec::new(),
        }
    }

    /// `The budget's target for the acceptance was missed: it had not come after 20.0 s.`
    fn miss(&self, stage: Stage) -> Option<String> {
        let mut missed = self.events.iter().filter(|event| event.kind == EventKind::BudgetMissed);
        let last = missed.rfind(|event| text(event, "stage") == Some(stage.name()))?;
        let limit = if text(last, "limit") == Some("worst") { "worst case" } else { "target" };
        let after = number(last, "after_ms").map(|ms| span(Duration::from_millis(ms)))?;
        Some(format!("The budget's {limit} for {} was missed: {after} had gone by without it.", waited_for(stage)))
    }

    /// The stages of the last attempt, and the total.
    pub(super) fn stages(&self) -> String {
        let spent = |stage| spent(&self.transfer.stages_ms, stage).map(|ms| span(Duration::from_millis(ms)));
        let row = |stage: Stage| Some([self.ended_in(stage).to_owned(), spent(stage)?, since(stage).to_owned()]);
        let rows: Vec<_> = STAGES.into_iter().filter_map(row).collect();
        if rows.is_empty() { String::new() } else { table(["WAITED FOR", "HOW LONG", "SINCE"], rows) }
    }

    /// What a stage waited for, and whether it was in vain.
    fn ended_in(&self, stage: Stage) -> &'static str {
        let is_accepted = self.transfer.attempts.last().is_some_and(|last| last.outcome == Some(AttemptOutcome::Accepted));
        match stage {
            Stage::Accept if !is_accepted => "the acceptance, in vain",
            Stage::Total if self.transfer.outcome != Some(Outcome::Bridged) => "the human, in vain",
            Stage::Start | Stage::Ringing | Stage::Accept | Stage::Total => waited_for(stage),
        }
    }
}

fn spent(stages: &StagesMs, stage: Stage) -> Option<u64> {
    match stage {
        Stage::Start => stages.start,
        Stage::Ringing => stages.ringing,
        Stage::Accept => stages.accept,
        Stage::Total => stages.total,
    }
}

fn waited_for(stage: Stage) -> &'static str {
    match stage {
        Stage::Start => "the INVITE to the AE",
        Stage::Ringing => "the first ring",
        Stage::Accept => "the acceptance",
        Stage::Total => "the human on the line",
    }
}

fn since(stage: Stage) -> &'static str {
    match stage {
        Stage::Start => "the decision to dial",
        Stage::Ringing => "the INVITE",
        Stage::Accept => "the first ring",
        Stage::Total => "the request, to the outcome",
    }
}
