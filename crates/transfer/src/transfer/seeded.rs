//! Faults that are put in on purpose (`baton_time::bug!`): events that get lost, and actions that are forgotten.

use baton_contract::EventKind;

use crate::{Action, Event, Fact, SceneName};

/// Whether this build loses the event, in whatever state.
pub(super) fn is_lost(event: &Event) -> bool {
    if !baton_time::seeded::ARE_IN {
        return false;
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are lost")]
    match event {
        Event::CallerGone => baton_time::bug!(49),
        Event::LegGone { .. } => baton_time::bug!(50),
        Event::Refused { .. } => baton_time::bug!(51),
        Event::Ringing { .. } => baton_time::bug!(52),
        Event::Answered { .. } => baton_time::bug!(53),
        Event::Key { .. } => baton_time::bug!(54),
        Event::Trying { .. } => baton_time::bug!(55),
        Event::CommitRefused(_) => baton_time::bug!(56),
        Event::AiFailed => baton_time::bug!(57),
        Event::AiBack => baton_time::bug!(58),
        Event::Cancel => baton_time::bug!(59),
        Event::Committed(_) => baton_time::bug!(60),
        Event::AiGone => baton_time::bug!(61),
        Event::CallerKey(_) => baton_time::bug!(62),
        _ => false,
    }
}

/// Whether this build forgets the action.
pub(super) fn is_forgotten(action: &Action) -> bool {
    if !baton_time::seeded::ARE_IN {
        return false;
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are forgotten")]
    match action {
        Action::HangUp { .. } => baton_time::bug!(63),
        Action::Scene(SceneName::Human) => baton_time::bug!(64),
        Action::Scene(SceneName::Conversation) => baton_time::bug!(65),
        Action::DropAi => baton_time::bug!(66),
        Action::Commit { fact: Fact::Released, .. } => baton_time::bug!(67),
        Action::EndCall => baton_time::bug!(68),
        Action::Report(EventKind::TransferEnded, _) => baton_time::bug!(69),
        Action::Report(EventKind::Accepted, _) => baton_time::bug!(70),
        Action::Dial { .. } => baton_time::bug!(71),
        Action::Progress(_) => baton_time::bug!(72),
        Action::RecallAi { .. } => baton_time::bug!(73),
        Action::Scene(SceneName::Rescue) => baton_time::bug!(74),
        _ => false,
    }
}
