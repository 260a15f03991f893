//! What a failing seed comes down to: the fewest deeds and faults with which it still fails, their trace, and a fixture.

use super::plan::Plan;
use super::run::Run;
use super::stock::Stock;

/// A seed that fails, made small.
#[derive(Debug, Clone)]
pub struct Found {
    /// What does not hold.
    pub violation: String,
    /// Everything that happens in the smallest world that still fails.
    pub trace: Vec<String>,
    /// The same as a fixture.
    pub fixture: String,
}

/// Looks into a seed; none where all holds.
pub fn examine(seed: u64, stock: &Stock) -> Option<Found> {
    let mut plan = Plan::draw(seed);
    let violation = violation(&plan, stock)?;
    while smaller(&mut plan, &violation, stock) {}
    let fixture = fixture(&plan, &violation, stock);
    Some(Found { violation, trace: trace_of(&plan, stock), fixture })
}

fn violation(plan: &Plan, stock: &Stock) -> Option<String> {
    Run::new(plan, stock).play()
}

/// Leaves out everything that can be left out, once; says whether anything was.
fn smaller(plan: &mut Plan, violation: &str, stock: &Stock) -> bool {
    let before = plan.deeds.len() + plan.fates.len();
    let kind = kind(violation);
    let still = |plan: &Plan| self::violation(plan, stock).is_some_and(|found| self::kind(&found) == kind);
    for at in (0..plan.deeds.len()).rev() {
        let mut less = plan.clone();
        less.deeds.remove(at);
        if still(&less) {
            *plan = less;
        }
    }
    for at in (0..plan.fates.len()).rev() {
        let mut less = plan.clone();
        less.fates.remove(at);
        if still(&less) {
            *plan = less;
        }
    }
    plan.deeds.len() + plan.fates.len() < before
}

/// A violation without its numbers.
fn kind(violation: &str) -> String {
    violation.chars().filter(|sign| !sign.is_ascii_digit()).collect()
}

pub(super) fn trace_of(plan: &Plan, stock: &Stock) -> Vec<String> {
    let mut run = Run::new(plan, stock);
    run.trace = Some(Vec::new());
    let violation = run.play();
    let mut trace = run.trace.take().unwrap_or_default();
    trace.push(violation.map_or("all holds".to_owned(), |violation| format!("VIOLATION {violation}")));
    trace
}

fn fixture(plan: &Plan, violation: &str, stock: &Stock) -> String {
    let mut run = Run::new(plan, stock);
    run.acts = Some(Vec::new());
    run.play();
    let acts = run.acts.take().unwrap_or_default();
    super::story::write(plan, violation, &acts)
}
