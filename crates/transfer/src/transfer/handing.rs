//! Away from the AE: back to the AI, or on to somebody else, with the AE on the line until it has worked.

use std::collections::VecDeque;
use std::time::Duration;

use baton_contract::{AttemptOutcome, CommitLevel, Driver, EventKind, LegId, Record, TransferState};
use baton_time::Mono;
use serde_json::json;

use super::attempt::{Attempt, LEASE_MARGIN, earlier};
use super::bridge::Human;
use super::case::{Ai, Turn};
use super::ending::{Recall, Recalling};
use super::state::{Ignored, State, Step, any_event};
use crate::outcome::of_refusal;
use crate::{Action, AeSpeech, Callee, Cause, Event, Fact, HandBackBy, LegEnd, Line, Purpose, SceneName, Why};
use serde::{Deserialize, Serialize};

/// The caller goes back to the AI as the AE wanted.
///
/// Entry: the hand-back key, the API, or the AE's REFER to the AI. The caller hears music from this instant on, a fresh AI is dialled with
/// the AE's note, and the AE stays on the line, where one sentence tells them what happens.
/// Out: the AI answers: the caller is with it, the AE's leg ends: `Over`; it cannot be had: the AE has the caller again: `Human`; the AE
/// hangs up meanwhile: `Recalling`; the caller hangs up: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HandingBack {
    pub(crate) attempt: Attempt,
    hold: Hold,
    by: HandBackBy,
    pub(crate) until: Mono,
}

/// The call moves on to somebody whom the AE has named.
///
/// Entry: the AE's REFER to a third party, or to a group, whose members are tried in turn. The caller hears music, the third party is dialled at once, and the AE is kept.
/// Out: the third party answers: they are the caller's human, the AE's leg ends: `Human`; they cannot be had: the AE has the caller again:
/// `Human`, or, where the AE has left meanwhile, `Recalling`; the caller hangs up: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MovingOn {
    from: Giver,
    hold: Hold,
    pub(crate) to: Attempt,
    dialled: Mono,
    answers: Answers,
    /// Who is tried next, in this order: the rest of a group.
    left: VecDeque<Callee>,
}

/// The AE who passes the caller on.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Giver {
    There(Attempt),
    Left,
}

/// Whether the AE holds, which outlasts an attempt to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Hold {
    Off,
    On,
}

/// Whether the third party's phone has responded at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Answers {
    Nothing,
    Something,
}

/// An AI that the caller is handed back to must have answered by then; it may be the second one that is tried.
const AI_MAX: Duration = Duration::from_secs(10);

/// No response of any kind within this time: the third party cannot be reached.
const RESPONSE_MAX: Duration = Duration::from_secs(3);

impl Hold {
    fn of(turn: &Turn<'_>) -> Hold {
        if turn.case.scene == SceneName::AeHolds { Hold::On } else { Hold::Off }
    }

    const fn scene(self) -> SceneName {
        match self {
            Hold::Off => SceneName::Human,
            Hold::On => SceneName::AeHolds,
        }
    }
}

/// The caller is with the AE again, who holds or does not.
fn with_the_ae(turn: &mut Turn<'_>, attempt: Attempt, hold: Hold) -> State {
    turn.act(Action::HushCaller);
    turn.scene(hold.scene());
    turn.driver(Driver::Human);
    Human { attempt }.into()
}

/// The caller has hung up: whoever is on the line with us is let go.
fn over(turn: &mut Turn<'_>, attempt: &Attempt) -> State {
    turn.act(Action::HangUp { leg: attempt.leg, cause: Cause::CallOver });
    attempt.release(turn, turn.settings.wrap_up);
    turn.act(Action::EndCall);
    State::Over
}

impl HandingBack {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt, by: HandBackBy, note: Option<String>) -> State {
        let hold = Hold::of(turn);
        turn.scene(SceneName::Rescue);
        turn.driver(Driver::Paused);
        // The AI of before the bridge may still be on its way out; it is not the one that is meant.
        turn.case.ai = Ai::Gone;
        turn.act(Action::RecallAi { resume: turn.case.begin.id, purpose: Purpose::HandBack, note });
        turn.say_to_ae(attempt.leg, AeSpeech::Lines(vec![Line::HandingBack]));
        HandingBack { attempt, hold, by, until: turn.now.mono + AI_MAX }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::AiBack => self.back(turn).into(),
            Event::AiFailed => self.failed(turn).into(),
            Event::LegGone { why, .. } => self.ae_left(turn, why).into(),
            Event::CallerGone => {
                turn.act(Action::ForgetAi);
                over(turn, &self.attempt).into()
            }
            Event::AeHeld if self.hold == Hold::Off => HandingBack { hold: Hold::On, ..self }.into(),
            Event::AeResumed if self.hold == Hold::On => HandingBack { hold: Hold::Off, ..self }.into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>) -> State {
        turn.act(Action::ForgetAi);
        self.failed(turn)
    }

    fn back(self, turn: &mut Turn<'_>) -> State {
        turn.case.ai = Ai::Up;
        turn.act(Action::HushCaller);
        turn.scene(SceneName::Conversation);
        turn.drives(
            Driver::Ai,
            json!({"driver": Driver::Ai, "cause": "handback", "by": self.by.name(), "ae": self.attempt.to.name()}),
        );
        if !baton_time::bug!(89) {
            turn.act(Action::HangUp { leg: self.attempt.leg, cause: Cause::HandedBack });
        }
        let wrap_up = turn.settings.wrap_up;
        self.attempt.release(turn, wrap_up);
        State::Over
    }

    /// No AI can be had; another time one may be.
    fn failed(self, turn: &mut Turn<'_>) -> State {
        turn.say_to_ae(self.attempt.leg, AeSpeech::Lines(vec![Line::AssistantNotThere]));
        with_the_ae(turn, self.attempt, self.hold)
    }

    /// The AE has not waited; the AI that is being dialled is all the caller has.
    fn ae_left(self, turn: &mut Turn<'_>, why: LegEnd) -> State {
        if why == LegEnd::Lost {
            turn.act(Action::HangUp { leg: self.attempt.leg, cause: Cause::Lost });
        }
        let wrap_up = turn.settings.wrap_up;
        self.attempt.release(turn, wrap_up);
        Recalling::goes_on(Recall::HandBack, self.until).into()
    }
}

impl MovingOn {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt, to: Vec<Callee>) -> Step {
        let mut left = VecDeque::from(to);
        let Some(next) = next_free(turn, &mut left) else {
            // Somebody else has them; the one who asked goes on talking.
            turn.say_to_ae(attempt.leg, AeSpeech::Lines(vec![Line::NotReached]));
            return Human { attempt }.into();
        };
        let hold = Hold::of(turn);
        turn.scene(SceneName::Rescue);
        turn.driver(Driver::Paused);
        dial(turn, &next);
        let answers = Answers::Nothing;
        MovingOn { from: Giver::There(attempt), hold, to: next, dialled: turn.now.mono, answers, left }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        let third = self.to.leg;
        match event {
            Event::Trying { leg } | Event::Ringing { leg, .. } if leg == third && self.answers == Answers::Nothing => {
                MovingOn { answers: Answers::Something, ..self }.into()
            }
            Event::Answered { leg } if leg == third => self.answered(turn).into(),
            Event::Refused { leg, status, .. } if leg == third => {
                self.failed(turn, None, of_refusal(status, false), &format!("refused: {status}")).into()
            }
            Event::LegGone { leg, why } if leg != third => self.ae_left(turn, why),
            Event::CallerGone => self.caller_gone(turn).into(),
            Event::AeHeld if self.hold == Hold::Off => MovingOn { hold: Hold::On, ..self }.into(),
            Event::AeResumed if self.hold == Hold::On => MovingOn { hold: Hold::Off, ..self }.into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        let (cause, outcome) = if why == Why::AeMustRespond {
            (Cause::Unreachable, AttemptOutcome::Unreachable)
        } else {
            (Cause::NoAnswer, AttemptOutcome::NoAnswer)
        };
        self.failed(turn, Some(cause), outcome, why.words())
    }

    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        let response = (self.dialled + RESPONSE_MAX, Why::AeMustRespond);
        earlier((self.answers == Answers::Nothing).then_some(response), self.to.answer_deadline(self.dialled))
    }

    /// The leg of the AE, while they are there.
    pub(crate) fn ae_leg(&self) -> Option<LegId> {
        match &self.from {
            Giver::There(attempt) => Some(attempt.leg),
            Giver::Left => None,
        }
    }

    fn answered(self, turn: &mut Turn<'_>) -> State {
        if let Giver::There(attempt) = self.from {
            turn.act(Action::HangUp { leg: attempt.leg, cause: Cause::MovedOn });
            let wrap_up = turn.settings.wrap_up;
            if !baton_time::bug!(90) {
                attempt.release(turn, wrap_up);
            }
        }
        self.to.take_call(turn);
        turn.act(Action::HushCaller);
        turn.scene(SceneName::Human);
        turn.drives(
            Driver::Human,
            json!({"driver": Driver::Human, "cause": "moved_on", "ae": self.to.to.name(), "leg": self.to.leg}),
        );
        Human { attempt: self.to }.into()
    }

    /// The third party cannot be had: the next one, or else the AE.
    fn failed(mut self, turn: &mut Turn<'_>, hang_up: Option<Cause>, outcome: AttemptOutcome, reason: &str) -> State {
        if let Some(cause) = hang_up {
            turn.act(Action::HangUp { leg: self.to.leg, cause });
        }
        let next = next_free(turn, &mut self.left);
        let mut data = json!({"ae": self.to.to.name(), "leg": self.to.leg, "outcome": outcome, "reason": reason, "by": "ae"});
        if let Some(next) = &next {
            data["next"] = next.to.name().into();
        }
        turn.report(EventKind::AttemptFailed, data);
        self.to.release(turn, Duration::ZERO);
        if let Some(to) = next {
            dial(turn, &to);
            return MovingOn { to, dialled: turn.now.mono, answers: Answers::Nothing, ..self }.into();
        }
        match self.from {
            Giver::There(attempt) => {
                turn.say_to_ae(attempt.leg, AeSpeech::Lines(vec![Line::NotReached]));
                with_the_ae(turn, attempt, self.hold)
            }
            Giver::Left => Recall::Loss.begin(turn),
        }
    }

    fn ae_left(self, turn: &mut Turn<'_>, why: LegEnd) -> Step {
        let Giver::There(attempt) = &self.from else { return Step::ignore(self, Ignored::Twice) };
        if why == LegEnd::Lost {
            turn.act(Action::HangUp { leg: attempt.leg, cause: Cause::Lost });
        }
        let wrap_up = turn.settings.wrap_up;
        attempt.release(turn, wrap_up);
        MovingOn { from: Giver::Left, ..self }.into()
    }

    fn caller_gone(self, turn: &mut Turn<'_>) -> State {
        turn.act(Action::HangUp { leg: self.to.leg, cause: Cause::CallerGone });
        self.to.release(turn, Duration::ZERO);
        match &self.from {
            Giver::There(attempt) => over(turn, attempt),
            Giver::Left => {
                turn.act(Action::EndCall);
                State::Over
            }
        }
    }
}

/// The next one of those whom the AE means who is free.
fn next_free(turn: &mut Turn<'_>, left: &mut VecDeque<Callee>) -> Option<Attempt> {
    while let Some(to) = left.pop_front() {
        match hold(turn, &to) {
            Some(attempt) => return Some(attempt),
            None => {
                let data = json!({"ae": to.name(), "outcome": "busy", "reason": "not free"});
                turn.report(EventKind::AttemptFailed, data);
            }
        }
    }
    None
}

fn dial(turn: &mut Turn<'_>, next: &Attempt) {
    turn.report(EventKind::AttemptStarted, json!({"ae": next.to.name(), "leg": next.leg, "by": "ae"}));
    turn.act(Action::Dial { leg: next.leg, to: next.to.clone(), attempt: next.number });
}

/// The third party as somebody who is dialled: an AE only if they are free, and then with a lease that goes on record.
///
/// The INVITE does not wait for the store: caller and AE are on the line already.
fn hold(turn: &mut Turn<'_>, to: &Callee) -> Option<Attempt> {
    let (epoch, ring_max) = match to {
        Callee::Outside(_) => (0, None),
        Callee::Ae(ae) => {
            let span = turn.settings.ring_max + LEASE_MARGIN;
            let lease = turn.roster.lease(turn.now, ae, turn.case.begin.id, span).ok()?;
            let view = turn.case.view(TransferState::Bridged);
            let row = Record::Lease(lease.row(ae, turn.case.begin.id));
            turn.commit(Fact::PassedOn, CommitLevel::Process, vec![Record::Transfer(Box::new(view)), row]);
            (lease.epoch, turn.roster.find(ae).and_then(|ae| ae.ring_max))
        }
    };
    let leg = LegId::new(&mut turn.case.ids, turn.now.wall);
    let ring_max = ring_max.unwrap_or(turn.settings.ring_max);
    Some(Attempt { number: 0, to: to.clone(), leg, epoch, ring_max, must_end: None })
}
