//! The ways out: back to the AI, a farewell, a word to the AE who is no longer needed.

use std::time::Duration;

use baton_contract::{Driver, Outcome};
use baton_time::Mono;

use super::attempt::{self, Attempt};
use super::case::{Ai, Turn};
use super::offer;
use super::state::{Ignored, State, Step, any_event};
use crate::budget::Budget;
use crate::{Action, AeSpeech, Cause, Event, LegEnd, Line, Purpose, SayId, SceneName, Why};
use serde::{Deserialize, Serialize};

/// A fresh AI is being dialled for the caller, who hears music.
///
/// Entry: the caller is to go back to the AI, whose leg has ended. Out: it answers: the caller is with it, `Over`; it cannot be had:
/// what the recall says; the caller hangs up: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recalling {
    recall: Recall,
    pub(crate) until: Mono,
}

/// What the AI is called back after, and so what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Recall {
    /// Every attempt has failed; without an AI: a callback.
    Attempts,
    /// The transfer was called off; without an AI: a callback.
    Cancel,
    /// The AE was lost after the bridge; without an AI: the next AE, then a callback.
    Loss,
    /// The AE has hung up after the bridge, and the AI is to go on; without one: a goodbye.
    Human,
    /// The AE has handed the caller back and hung up; without an AI: a callback.
    HandBack,
    /// The caller has picked no slot; without an AI: the first one is booked.
    Offer,
    /// The offer of a callback was called off; without an AI: a goodbye.
    Withdrawal,
}

/// The caller is told the last thing, and then the call ends.
///
/// Entry: a callback is promised, or nothing is left to try. Out: it is said, or the caller hangs up: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Farewell {
    pub(crate) say: SayId,
    pub(crate) until: Mono,
}

/// An AE who was listening is told in one sentence why they are not needed.
///
/// Entry: the caller has hung up, or the transfer was called off, while the AE was on the line. The transfer has its outcome.
/// Out: it is said, two seconds have gone by, or the AE hangs up: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parting {
    pub(crate) attempt: Attempt,
    say: SayId,
    pub(crate) until: Mono,
    then: Then,
}

/// What follows the parting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Then {
    /// The caller is gone: the call ends.
    EndCall,
    /// The caller is with the AI.
    Nothing,
}

/// An AI that was called back must have answered by then; it may be the second one that is tried.
const AI_MAX: Duration = Duration::from_secs(10);

/// The one sentence that an AE hears when they are no longer needed is no longer than this.
const PARTING_MAX: Duration = Duration::from_secs(2);

/// Brings the caller back to the AI; the outcome is `outcome` once they are there.
pub(crate) fn to_the_ai(turn: &mut Turn<'_>, outcome: Outcome) -> State {
    turn.case.budget.stop(turn.now.mono);
    match turn.case.ai {
        Ai::Up => {
            turn.act(Action::HushCaller);
            turn.scene(SceneName::Conversation);
            turn.driver(Driver::Ai);
            turn.finish(outcome);
            State::Over
        }
        Ai::Gone if outcome == Outcome::Cancelled => Recall::Cancel.begin(turn),
        Ai::Gone => Recall::Attempts.begin(turn),
        Ai::Failed => offer::begin(turn),
    }
}

/// The offer of a callback is called off. It is not made again, also where there is no AI to which the caller could go back.
pub(crate) fn withdrawn(turn: &mut Turn<'_>) -> State {
    match turn.case.ai {
        Ai::Up => to_the_ai(turn, Outcome::Cancelled),
        Ai::Gone | Ai::Failed => {
            turn.act(Action::HushCaller);
            Recall::Withdrawal.begin(turn)
        }
    }
}

/// The caller has hung up and no AE is listening: the call ends.
pub(crate) fn abandoned(turn: &mut Turn<'_>) -> State {
    turn.finish(Outcome::CallerAbandoned);
    turn.drop_ai();
    turn.act(Action::EndCall);
    State::Over
}

/// Nothing is left that could be done for the caller.
pub(crate) fn give_up(turn: &mut Turn<'_>) -> State {
    turn.finish(Outcome::Failed);
    Farewell::begin(turn, vec![Line::CallAgainLater, Line::Goodbye])
}

impl Recall {
    pub(crate) fn begin(self, turn: &mut Turn<'_>) -> State {
        turn.case.budget.stop(turn.now.mono);
        if turn.case.ai == Ai::Failed {
            return self.failed(turn);
        }
        turn.scene(SceneName::Rescue);
        turn.act(Action::RecallAi { resume: turn.case.begin.id, purpose: self.purpose(), note: None });
        Recalling { recall: self, until: turn.now.mono + AI_MAX }.into()
    }

    fn failed(self, turn: &mut Turn<'_>) -> State {
        turn.case.ai = Ai::Failed;
        match self {
            Recall::Attempts | Recall::Cancel | Recall::HandBack => offer::begin(turn),
            Recall::Offer => offer::book_first(turn),
            Recall::Human => Farewell::begin(turn, vec![Line::Goodbye]),
            Recall::Withdrawal => {
                turn.finish(Outcome::Cancelled);
                Farewell::begin(turn, vec![Line::CallAgainLater, Line::Goodbye])
            }
            Recall::Loss => {
                turn.case.budget = Budget::begin(turn.now.mono, turn.settings.budget.clone());
                attempt::next(turn)
            }
        }
    }

    const fn purpose(self) -> Purpose {
        match self {
            Recall::Attempts | Recall::Cancel | Recall::Offer | Recall::Withdrawal => Purpose::Return,
            Recall::Human => Purpose::AfterAe,
            Recall::HandBack => Purpose::HandBack,
            Recall::Loss => Purpose::Lost,
        }
    }

    const fn outcome(self) -> Outcome {
        match self {
            Recall::Attempts | Recall::Loss | Recall::Human | Recall::HandBack | Recall::Offer => Outcome::ReturnedToAi,
            Recall::Cancel | Recall::Withdrawal => Outcome::Cancelled,
        }
    }
}

impl Recalling {
    /// The AI is being dialled already.
    pub(crate) fn goes_on(recall: Recall, until: Mono) -> Recalling {
        Recalling { recall, until }
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::AiBack => {
                turn.case.ai = Ai::Up;
                turn.act(Action::HushCaller);
                turn.scene(SceneName::Conversation);
                turn.driver(Driver::Ai);
                turn.finish(self.recall.outcome());
                State::Over.into()
            }
            Event::AiFailed => self.recall.failed(turn).into(),
            Event::CallerGone => {
                turn.act(Action::ForgetAi);
                abandoned(turn).into()
            }
            Event::Cancel => match self.recall {
                Recall::Attempts => Recalling { recall: Recall::Cancel, ..self }.into(),
                Recall::Offer => Recalling { recall: Recall::Withdrawal, ..self }.into(),
                Recall::Cancel | Recall::Withdrawal => Step::ignore(self, Ignored::Twice),
                Recall::Loss | Recall::Human | Recall::HandBack => Step::ignore(self, Ignored::Decided),
            },
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        turn.act(Action::ForgetAi);
        self.recall.failed(turn)
    }
}

impl Farewell {
    pub(crate) fn begin(turn: &mut Turn<'_>, lines: Vec<Line>) -> State {
        turn.scene(SceneName::Offering);
        let say = turn.say_to_caller(lines);
        Farewell { say, until: turn.now.mono + super::listening::LINES_MAX }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::SpeechEnded(say) if say == self.say => end_call(turn).into(),
            Event::CallerGone => end_call(turn).into(),
            Event::SpeechStarted(say) if say == self.say => Step::ignore(self, Ignored::Twice),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        end_call(turn)
    }
}

impl Parting {
    /// The caller has hung up: the AE hears one sentence, the AI is let go at once.
    pub(crate) fn caller_left(turn: &mut Turn<'_>, attempt: Attempt) -> State {
        let say = turn.say_to_ae(attempt.leg, AeSpeech::Lines(vec![Line::CallerHasLeft]));
        turn.finish(Outcome::CallerAbandoned);
        turn.drop_ai();
        Parting { attempt, say, until: turn.now.mono + PARTING_MAX, then: Then::EndCall }.into()
    }

    /// The transfer was called off, and the caller goes back to the AI, which is up.
    pub(crate) fn cancelled(turn: &mut Turn<'_>, attempt: Attempt) -> State {
        let say = turn.say_to_ae(attempt.leg, AeSpeech::Lines(vec![Line::NoLongerWaiting]));
        turn.case.budget.stop(turn.now.mono);
        turn.act(Action::HushCaller);
        turn.scene(SceneName::Conversation);
        turn.finish(Outcome::Cancelled);
        Parting { attempt, say, until: turn.now.mono + PARTING_MAX, then: Then::Nothing }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::SpeechEnded(say) if say == self.say => self.hang_up(turn).into(),
            Event::LegGone { why: LegEnd::HungUp, .. } => self.over(turn).into(),
            Event::LegGone { why: LegEnd::Lost, .. } => self.hang_up(turn).into(),
            Event::CallerGone => match self.then {
                Then::Nothing => {
                    turn.drop_ai();
                    Parting { then: Then::EndCall, ..self }.into()
                }
                Then::EndCall => Step::ignore(self, Ignored::Twice),
            },
            Event::SpeechStarted(say) if say == self.say => Step::ignore(self, Ignored::Twice),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        self.hang_up(turn)
    }

    fn hang_up(self, turn: &mut Turn<'_>) -> State {
        let cause = match self.then {
            Then::EndCall => Cause::CallerGone,
            Then::Nothing => Cause::Cancelled,
        };
        turn.act(Action::HangUp { leg: self.attempt.leg, cause });
        self.over(turn)
    }

    fn over(self, turn: &mut Turn<'_>) -> State {
        self.attempt.release(turn, Duration::ZERO);
        match self.then {
            Then::EndCall => end_call(turn),
            Then::Nothing => State::Over,
        }
    }
}

fn end_call(turn: &mut Turn<'_>) -> State {
    turn.act(Action::EndCall);
    State::Over
}
