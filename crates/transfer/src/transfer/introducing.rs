//! The introduction: caller, AI and AE hear each other before the AI leaves.

use baton_time::Mono;

use super::attempt::Attempt;
use super::bridge::{Switching, caller_gone, not_bridged};
use super::case::Turn;
use super::state::{State, Step, any_event};
use crate::{Action, Event, SceneName, Why};
use serde::{Deserialize, Serialize};

/// Three on the line: the AI introduces caller and AE to each other.
///
/// Entry: the acceptance is on record, the transfer is to be introduced, and the AI is up. Each hears the two others, and the AI still
/// drives. No limit of the budget counts: the human is on the line.
/// Out: the AI says that it is done, leaves or falls silent, the AE presses the accept or the skip key, or `introduce_max` has gone by:
/// `Switching`; the AE's leg ends: the next step; the caller hangs up: `Parting`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Introducing {
    pub(crate) attempt: Attempt,
    pub(crate) until: Mono,
    begun: Mono,
    on_record: bool,
}

impl Introducing {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt, on_record: bool) -> State {
        turn.case.budget.hold();
        turn.act(Action::HushCaller);
        turn.scene(SceneName::Introduction);
        let begun = turn.now.mono;
        Introducing { attempt, until: begun + turn.settings.introduce_max, begun, on_record }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        let keys = turn.settings.keys;
        match event {
            Event::AiDone => self.ends(turn).into(),
            Event::Key { key, .. } if key == keys.accept || key == keys.skip => self.ends(turn).into(),
            Event::LegGone { why, .. } => {
                turn.case.budget.go_on();
                not_bridged(turn, &self.attempt, why).into()
            }
            Event::CallerGone => caller_gone(turn, self.attempt).into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        if why == Why::IntroductionMustEnd { self.ends(turn) } else { self.into() }
    }

    /// The AI has said what there was to say: it is let go, and the two are alone.
    pub(crate) fn ends(self, turn: &mut Turn<'_>) -> State {
        let attempt = self.attempt;
        if baton_time::bug!(97) {
            turn.case.ai = super::case::Ai::Gone;
        }
        Switching::begin(turn, attempt, self.on_record, Some(self.begun))
    }
}
