//! From the acceptance on: the bridge, and the time in which caller and AE hear each other.

use std::time::Duration;

use baton_contract::{AttemptOutcome, Driver, EventKind, LegId, Mode, Outcome};
use baton_time::Mono;
use serde_json::json;

use super::attempt::{Attempt, Failure};
use super::case::{Ai, Turn};
use super::ending::{Parting, Recall};
use super::handing::{HandingBack, MovingOn};
use super::introducing::Introducing;
use super::state::{Ignored, State, Step, any_event};
use crate::{Action, AfterAe, Cause, Event, Fact, LegEnd, Line, SceneName, Why};
use serde::{Deserialize, Serialize};

/// The AE has accepted, and the store is told before anybody hears of it.
///
/// Entry: the accept key, an accept through the API, or, where so configured, the end of the briefing.
/// Out: the store has it, refuses it, or does not answer within half a second (a live call does not wait for a disk): `Switching`, or, where the AI is to
/// introduce the two, `Introducing`; the
/// AE hangs up: the next step; the caller hangs up: `Parting`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accepting {
    pub(crate) attempt: Attempt,
    pub(crate) store_until: Mono,
}

/// The scene is swapped; caller and AE hear each other with the next packet.
///
/// Entry: the acceptance is on record, or the introduction has ended. The human drives from here on.
/// Out: the audio has switched: `Human`, and the AI is let go; the AE's leg ends: the next step; the caller hangs up: `Parting`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Switching {
    pub(crate) attempt: Attempt,
    pub(crate) until: Mono,
    /// Whether the store has the acceptance.
    on_record: bool,
    /// When the two could hear each other first, where the AI has introduced them.
    met: Option<Mono>,
}

/// Caller and AE talk; the transfer has its outcome and looks after the call.
///
/// Entry: the bridge. We only watch: the AE's hold is music for the caller.
/// Out: the caller hangs up: `Over`; the AE hangs up: `Over`, or `Recalling` where so configured; the AE is lost: `Recalling`; the AE
/// hands the caller back: `HandingBack`, or passes them on: `MovingOn`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Human {
    pub(crate) attempt: Attempt,
}

/// The store may take this long with an acceptance before the bridge is made without it.
const STORE_MAX: Duration = Duration::from_millis(500);

/// The audio may take this long to switch; then it counts as switched, and what the AE's phone does not send is silence.
const SWITCH_MAX: Duration = Duration::from_secs(1);

impl Accepting {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt) -> Accepting {
        Accepting { attempt, store_until: turn.now.mono + STORE_MAX }
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        let ours = Fact::Accepted(self.attempt.number);
        match event {
            Event::Committed(fact) if fact == ours => self.bridge(turn, true).into(),
            Event::CommitRefused(fact) if fact == ours => self.bridge(turn, false).into(),
            Event::LegGone { why, .. } => not_bridged(turn, &self.attempt, why).into(),
            Event::CallerGone => caller_gone(turn, self.attempt).into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        // Nobody takes an accepted caller away from an AE for the sake of a budget.
        if why == Why::StoreMustAnswer { self.bridge(turn, false) } else { self.into() }
    }

    fn bridge(self, turn: &mut Turn<'_>, on_record: bool) -> State {
        self.attempt.take_call(turn);
        match (turn.case.begin.options.introduce, turn.case.begin.mode, turn.case.ai) {
            (true, Mode::Warm, Ai::Up) => Introducing::begin(turn, self.attempt, on_record),
            (_, _, _) => Switching::begin(turn, self.attempt, on_record, None),
        }
    }
}

impl Switching {
    /// Swaps the scene; `met` is when the two could hear each other first, where the AI has introduced them.
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt, on_record: bool, met: Option<Mono>) -> State {
        // Nothing is said to the caller any more: the AE's voice is the next thing they hear.
        turn.act(Action::HushCaller);
        turn.scene(SceneName::Human);
        turn.driver(Driver::Human);
        Switching { attempt, until: turn.now.mono + SWITCH_MAX, on_record, met }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Switched => self.bridged(turn).into(),
            Event::LegGone { why, .. } => {
                turn.driver(if turn.case.ai == Ai::Up { Driver::Ai } else { Driver::Paused });
                // An introduction has held them.
                turn.case.budget.go_on();
                not_bridged(turn, &self.attempt, why).into()
            }
            Event::CallerGone => caller_gone(turn, self.attempt).into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        if why == Why::AudioMustSwitch { self.bridged(turn) } else { self.into() }
    }

    fn bridged(self, turn: &mut Turn<'_>) -> State {
        turn.case.bridged_at = Some(turn.now.mono);
        // Whoever asked by REFER hears of the bridge before our BYE.
        turn.last_word(Outcome::Bridged);
        turn.drop_ai();
        turn.case.budget.stop(self.met.unwrap_or(turn.now.mono));
        let stages = turn.case.budget.spent();
        let mut data = self.attempt.named();
        data["on_record"] = self.on_record.into();
        data["stages_ms"] = json!(stages);
        turn.report(EventKind::Bridged, data);
        turn.finish(Outcome::Bridged);
        Human { attempt: self.attempt }.into()
    }
}

impl Human {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::LegGone { why: LegEnd::HungUp, .. } => self.hung_up(turn).into(),
            Event::LegGone { why: LegEnd::Lost, .. } => self.lost(turn).into(),
            Event::CallerGone => {
                turn.act(Action::HangUp { leg: self.attempt.leg, cause: Cause::CallOver });
                self.over(turn).into()
            }
            Event::AeHeld if turn.case.scene == SceneName::Human => {
                turn.scene(SceneName::AeHolds);
                self.into()
            }
            Event::AeResumed if turn.case.scene == SceneName::AeHolds => {
                turn.scene(SceneName::Human);
                self.into()
            }
            Event::HandBack { by, note } => HandingBack::begin(turn, self.attempt, by, note).into(),
            Event::AeRefers { to } => MovingOn::begin(turn, self.attempt, to),
            Event::AeReplaced { leg } if leg == self.attempt.leg => Step::ignore(self, Ignored::Twice),
            Event::AeReplaced { leg } => self.replaced(turn, leg).into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    fn hung_up(self, turn: &mut Turn<'_>) -> State {
        match turn.case.begin.options.after_ae {
            AfterAe::End => self.over(turn),
            AfterAe::Ai => {
                let wrap_up = turn.settings.wrap_up;
                self.attempt.release(turn, wrap_up);
                turn.scene(SceneName::Rescue);
                turn.driver(Driver::Paused);
                turn.say_to_caller(vec![Line::BackToAssistant]);
                Recall::Human.begin(turn)
            }
        }
    }

    /// Another phone of the AE's side has taken the place of this one.
    fn replaced(self, turn: &mut Turn<'_>, leg: LegId) -> Human {
        turn.act(Action::HangUp { leg: self.attempt.leg, cause: Cause::MovedOn });
        turn.show(SceneName::Human);
        Human { attempt: Attempt { leg, ..self.attempt } }
    }

    /// The leg is lost: the caller hears music, and the AI, or else the next AE, takes over.
    fn lost(self, turn: &mut Turn<'_>) -> State {
        turn.act(Action::HangUp { leg: self.attempt.leg, cause: Cause::Lost });
        self.attempt.release(turn, Duration::ZERO);
        turn.scene(SceneName::Rescue);
        turn.driver(Driver::Paused);
        turn.say_to_caller(vec![Line::WeLostThem]);
        Recall::Loss.begin(turn)
    }

    fn over(self, turn: &mut Turn<'_>) -> State {
        let wrap_up = turn.settings.wrap_up;
        self.attempt.release(turn, wrap_up);
        turn.act(Action::EndCall);
        State::Over
    }
}

/// The AE has accepted and is gone before the bridge.
pub(crate) fn not_bridged(turn: &mut Turn<'_>, attempt: &Attempt, why: LegEnd) -> State {
    turn.consult_scene();
    let hang_up = match why {
        LegEnd::HungUp => None,
        LegEnd::Lost => Some(Cause::Lost),
    };
    attempt.clone().fail(turn, Failure::new(AttemptOutcome::NotAccepted, hang_up, "gone before the bridge"))
}

/// The caller has hung up in the same instant in which the AE accepted.
pub(crate) fn caller_gone(turn: &mut Turn<'_>, attempt: Attempt) -> State {
    attempt.failed(turn, Failure::new(AttemptOutcome::CallerGone, None, "the caller hung up as the AE accepted"));
    Parting::caller_left(turn, attempt)
}
