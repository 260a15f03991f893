//! An attempt up to the answer: on record, dialled, ringing.

use std::time::Duration;

use baton_contract::{AttemptOutcome, EventKind, Mode, Outcome, Stage};
use baton_time::Mono;

use super::attempt::{Attempt, Failure, earlier};
use super::case::Turn;
use super::cold::Referring;
use super::ending;
use super::state::{Ignored, State, Step, any_event};
use crate::budget::millis;
use crate::{Action, Cause, ColdBy, Event, Fact, Why};
use serde::{Deserialize, Serialize};

/// The AE is held, and the store is told.
///
/// Entry: a transfer was asked for, or an attempt has failed and another one fits. The caller hears the consult scene.
/// Out: the store has it: `Dialing`, or, in a cold transfer from a trunk that takes REFER, `Referring`; it refuses or does not answer within the start's worst case: back to the AI; the caller hangs up or somebody cancels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Journalling {
    pub(crate) attempt: Attempt,
}

/// The INVITE was asked for and has not left yet.
///
/// Entry: the attempt is on record. Out: the INVITE has left: `Invited`; the start's worst case: the next step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dialing {
    pub(crate) attempt: Attempt,
}

/// The INVITE has left; nothing rings yet.
///
/// Entry: the INVITE was sent. Out: an 18x: `Ringing`; the answer: `Listening`, or, in a cold transfer, `Accepting`; a refusal, no response within 3 s, or the stage's
/// worst case: the next step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Invited {
    pub(crate) attempt: Attempt,
    invited: Mono,
    silence: Silence,
}

/// Whether the far end has responded to the INVITE at all.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Silence {
    Until(Mono),
    Broken,
}

/// The AE's phone rings.
///
/// Entry: any 18x. Out: the answer: `Listening`, or, in a cold transfer, `Accepting`; a refusal, `ring_max`, or the worst case of the acceptance: the next step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ringing {
    pub(crate) attempt: Attempt,
    invited: Mono,
}

/// No response of any kind within this time: the far end cannot be reached.
const RESPONSE_MAX: Duration = Duration::from_secs(3);

impl Journalling {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        let ours = Fact::Attempt(self.attempt.number);
        match event {
            Event::Committed(fact) if fact == ours => self.dial(turn).into(),
            Event::CommitRefused(fact) if fact == ours => self.not_on_record(turn).into(),
            Event::CallerGone => {
                self.unsent(turn);
                ending::abandoned(turn).into()
            }
            Event::Cancel => {
                self.unsent(turn);
                ending::to_the_ai(turn, Outcome::Cancelled).into()
            }
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        self.not_on_record(turn)
    }

    fn dial(self, turn: &mut Turn<'_>) -> State {
        let mut data = self.attempt.named();
        data["passed_over"] = turn.case.passed_over().into();
        turn.report(EventKind::AttemptStarted, data);
        match (turn.case.begin.mode, turn.case.begin.cold_by) {
            (Mode::Cold, ColdBy::Refer) => Referring::begin(turn, self.attempt),
            (Mode::Warm | Mode::Cold | Mode::Scheduled | Mode::Voicemail, _) => Dialing::begin(turn, self.attempt),
        }
    }

    /// Nobody is dialled who is not on record. With the store down, the caller is best off with the AI.
    fn not_on_record(self, turn: &mut Turn<'_>) -> State {
        turn.case.store_failed = true;
        self.unsent(turn);
        ending::to_the_ai(turn, Outcome::ReturnedToAi)
    }

    /// Nobody was dialled, so there was no attempt.
    fn unsent(self, turn: &mut Turn<'_>) {
        turn.case.attempts.pop();
        turn.case.budget.close(turn.now.mono);
        self.attempt.release(turn, Duration::ZERO);
    }
}

impl Dialing {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt) -> State {
        turn.act(Action::Dial { leg: attempt.leg, to: attempt.to.clone(), attempt: attempt.number });
        Dialing { attempt }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Dialed { .. } => self.sent(turn).into(),
            // These can only follow the INVITE: it has left, whatever became of the word of it.
            Event::Trying { .. } | Event::Ringing { .. } | Event::Answered { .. } => self.sent(turn).on(turn, event),
            Event::Refused { .. } | Event::CallerGone | Event::Cancel | Event::Decline { .. } => {
                self.attempt.ends(turn, event, false).into()
            }
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        self.attempt.out_of_time(turn, why)
    }

    fn sent(self, turn: &mut Turn<'_>) -> Invited {
        turn.case.budget.open(turn.now.mono, Stage::Ringing);
        let now = turn.now.mono;
        Invited { attempt: self.attempt, invited: now, silence: Silence::Until(now + RESPONSE_MAX) }
    }
}

impl Invited {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Trying { .. } => match self.silence {
                Silence::Until(_) => Invited { silence: Silence::Broken, ..self }.into(),
                Silence::Broken => Step::ignore(self, Ignored::Twice),
            },
            Event::Ringing { status, .. } => self.rings(turn, status).into(),
            Event::Answered { .. } => {
                ring_ended(turn, self.invited);
                turn.case.budget.open(turn.now.mono, Stage::Accept);
                self.attempt.answered(turn).into()
            }
            Event::Refused { .. } | Event::CallerGone | Event::Cancel | Event::Decline { .. } => {
                ring_ended(turn, self.invited);
                self.attempt.ends(turn, event, false).into()
            }
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        ring_ended(turn, self.invited);
        if why == Why::AeMustRespond {
            let failure = Failure::new(AttemptOutcome::Unreachable, Some(Cause::Unreachable), "no response within 3 s");
            return self.attempt.fail(turn, failure);
        }
        self.attempt.not_in_time(turn, why)
    }

    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        let response = match self.silence {
            Silence::Until(at) => Some((at, Why::AeMustRespond)),
            Silence::Broken => None,
        };
        earlier(response, self.attempt.answer_deadline(self.invited))
    }

    fn rings(self, turn: &mut Turn<'_>, status: u16) -> State {
        turn.case.budget.open(turn.now.mono, Stage::Accept);
        let after_ms = millis(turn.now.mono.since(self.invited));
        let mut data = self.attempt.named();
        data["sip_status"] = status.into();
        data["after_ms"] = after_ms.into();
        turn.report(EventKind::Ringing, data);
        turn.progress(180, "Ringing");
        Ringing { attempt: self.attempt, invited: self.invited }.into()
    }
}

impl Ringing {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Answered { .. } => {
                ring_ended(turn, self.invited);
                self.attempt.answered(turn).into()
            }
            Event::Refused { .. } | Event::CallerGone | Event::Cancel | Event::Decline { .. } => {
                ring_ended(turn, self.invited);
                self.attempt.ends(turn, event, true).into()
            }
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        ring_ended(turn, self.invited);
        self.attempt.not_in_time(turn, why)
    }

    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        self.attempt.answer_deadline(self.invited)
    }
}

/// The ringing is over, one way or the other.
fn ring_ended(turn: &mut Turn<'_>, invited: Mono) {
    let rang = millis(turn.now.mono.since(invited));
    if let Some(view) = turn.case.attempt() {
        view.ring_ms = Some(rang);
    }
}
