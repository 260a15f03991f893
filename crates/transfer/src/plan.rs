//! Who is tried in which order, and the proof that there is always a way out.

use crate::Roster;

/// Something wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// Two AEs have one id.
    #[error("placeholder")]
    Placeholder,
}

/// Everything that is wrong with the plans that this roster leads to.
pub fn check(_roster: &Roster) -> Vec<PlanFault> {
    Vec::new()
}
