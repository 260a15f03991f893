//! One attempt: the lease that it begins with, how it fails, and what follows then.

use std::time::Duration;

use baton_contract::{
    AeId, AeState, AttemptOutcome, AttemptView, CommitLevel, EventKind, LegId, Mode, Outcome, Record, Stage, TransferState,
};
use baton_time::Mono;
use serde_json::{Value, json};

use super::bridge::Accepting;
use super::case::Turn;
use super::dialling::Journalling;
use super::ending;
use super::listening::Listening;
use super::state::{State, any_event};
use crate::budget::millis;
use crate::{AcceptedBy, Action, Callee, Cause, Event, Fact, Line, SceneName, Target, Why, outcome};
use serde::{Deserialize, Serialize};

/// One dialled AE.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// From 1.
    pub(crate) number: u8,
    pub(crate) to: Callee,
    pub(crate) leg: LegId,
    /// Of the lease; an outside target has none.
    pub(crate) epoch: u64,
    /// INVITE to answer.
    pub(crate) ring_max: Duration,
    /// When it must end so that the next one still fits; absent where there is no next one.
    pub(crate) must_end: Option<Mono>,
}

/// A lease outlives the budget by this much, for speeches and farewells.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// The first attempt, on record together with the request; where nobody can be dialled, the request alone, and the callback.
pub(crate) fn first(turn: &mut Turn<'_>) -> State {
    match lease(turn) {
        Some(attempt) => journal(turn, attempt),
        None => {
            request(turn, TransferState::Offering);
            super::offer::begin(turn)
        }
    }
}

/// The request goes on record without an attempt.
pub(crate) fn request(turn: &mut Turn<'_>, state: TransferState) {
    let view = turn.case.view(state);
    turn.commit(Fact::Requested, CommitLevel::Process, vec![Record::Transfer(Box::new(view))]);
}

/// Leases the next AE of the plan and puts the attempt on record; where none is left or fits, the exit that suits the last attempt.
pub(crate) fn next(turn: &mut Turn<'_>) -> State {
    match lease(turn) {
        Some(attempt) => journal(turn, attempt),
        None => match turn.case.last_attempt() {
            Some(AttemptOutcome::Declined | AttemptOutcome::Later) => ending::to_the_ai(turn, Outcome::ReturnedToAi),
            Some(
                AttemptOutcome::Accepted
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Busy
                | AttemptOutcome::Machine
                | AttemptOutcome::Screened
                | AttemptOutcome::Forwarded
                | AttemptOutcome::Unreachable
                | AttemptOutcome::NotAccepted
                | AttemptOutcome::BudgetExceeded
                | AttemptOutcome::CallerGone,
            )
            | None => super::offer::begin(turn),
        },
    }
}

fn lease(turn: &mut Turn<'_>) -> Option<Attempt> {
    let number = u8::try_from(turn.case.attempts.len()).ok()?.checked_add(1)?;
    if (number > turn.settings.attempts && !baton_time::bug!(42)) || !turn.case.budget.attempt_fits(turn.now.mono) {
        return None;
    }
    let span = turn.case.budget.left(turn.now.mono) + LEASE_MARGIN;
    if let Target::Outside(to) = &turn.case.begin.target {
        let to = Callee::Outside(to.clone());
        return (number == 1).then(|| outside(turn, to));
    }
    while let Some(ae) = turn.case.plan.aes.get(turn.case.plan_done).cloned() {
        turn.case.plan_done = if baton_time::bug!(43) { turn.case.plan.aes.len() } else { turn.case.plan_done + 1 };
        match turn.roster.lease(turn.now, &ae, turn.case.begin.id, span) {
            Ok(lease) => {
                let leg = LegId::new(&mut turn.case.ids, turn.now.wall);
                let another = number < turn.settings.attempts
                    && turn.case.plan.aes[turn.case.plan_done..].iter().any(|ae| turn.roster.is_free(turn.now, ae));
                let must_end = another.then(|| turn.case.budget.attempt_ends_before_another(turn.now.mono)).flatten();
                let own = turn.roster.find(&ae).and_then(|ae| ae.ring_max);
                let ring_max = own.unwrap_or(turn.settings.ring_max);
                let ringing = turn.roster.find(&ae).and_then(|ae| ae.ringing);
                turn.case.budget.expect_ringing(ringing.unwrap_or(turn.settings.budget.ringing));
                let to = Callee::Ae(ae.clone());
                let attempt = Attempt { number, to, leg, epoch: lease.epoch, ring_max, must_end };
                let lease = Record::Lease(lease.row(&ae, turn.case.begin.id));
                record(turn, &attempt, Some(lease));
                return Some(attempt);
            }
            Err(state) => turn.case.passed_over.push((ae, why_not(state))),
        }
    }
    None
}

/// The only attempt at somebody who is no AE: there is nobody after them.
fn outside(turn: &mut Turn<'_>, to: Callee) -> Attempt {
    let leg = LegId::new(&mut turn.case.ids, turn.now.wall);
    let attempt = Attempt { number: 1, to, leg, epoch: 0, ring_max: turn.settings.ring_max, must_end: None };
    record(turn, &attempt, None);
    attempt
}

fn record(turn: &mut Turn<'_>, attempt: &Attempt, lease: Option<Record>) {
    turn.case.attempts.push(AttemptView {
        ae: attempt.ae(),
        leg: attempt.leg,
        outcome: None,
        sip_status: None,
        reason: None,
        ring_ms: None,
        briefing_ms: None,
        accept_ms: None,
    });
    let state = if attempt.number == 1 { TransferState::Requested } else { TransferState::Dialing };
    let view = turn.case.view(state);
    let records = std::iter::once(Record::Transfer(Box::new(view))).chain(lease).collect();
    turn.commit(Fact::Attempt(attempt.number), CommitLevel::Process, records);
}

fn journal(turn: &mut Turn<'_>, attempt: Attempt) -> State {
    turn.case.budget.open(turn.now.mono, Stage::Start);
    turn.consult_scene();
    if attempt.number > 1 && turn.case.scene != SceneName::ConsultAi {
        turn.say_to_caller(vec![Line::TryingSomeoneElse]);
    }
    if attempt.number > 1 && turn.case.begin.mode != Mode::Cold {
        turn.brief(&attempt.to);
    }
    Journalling { attempt }.into()
}

const fn why_not(state: Option<AeState>) -> &'static str {
    match state {
        None => "unknown",
        Some(AeState::Available) => "available",
        Some(AeState::Dnd) => "dnd",
        Some(AeState::Away) => "away",
        Some(AeState::OffHours) => "off_hours",
        Some(AeState::Offered) => "offered",
        Some(AeState::OnCall) => "on_call",
        Some(AeState::WrapUp) => "wrap_up",
    }
}

/// How an attempt failed.
pub(crate) struct Failure {
    pub(crate) outcome: AttemptOutcome,
    /// The final status of the INVITE, where there was one.
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
    /// Why the leg is ended; absent where it has ended by itself.
    pub(crate) hang_up: Option<Cause>,
}

impl Failure {
    pub(crate) fn new(outcome: AttemptOutcome, hang_up: Option<Cause>, reason: impl Into<String>) -> Failure {
        Failure { outcome, status: None, reason: reason.into(), hang_up }
    }
}

impl Attempt {
    /// Who is dialled, as views and events name them.
    pub(crate) fn ae(&self) -> AeId {
        AeId::from(self.to.name())
    }

    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        self.must_end.map(|at| (at, Why::AttemptMustEnd))
    }

    /// Ends the attempt without success, frees the AE and goes on to the next step.
    pub(crate) fn fail(self, turn: &mut Turn<'_>, failure: Failure) -> State {
        self.close(turn, failure);
        next(turn)
    }

    /// Ends the attempt without success and frees the AE.
    pub(crate) fn close(&self, turn: &mut Turn<'_>, failure: Failure) {
        self.failed(turn, failure);
        self.release(turn, Duration::ZERO);
    }

    /// Ends the attempt without success; the AE is not free yet.
    pub(crate) fn failed(&self, turn: &mut Turn<'_>, failure: Failure) {
        if let Some(cause) = failure.hang_up {
            turn.act(Action::HangUp { leg: self.leg, cause });
        }
        turn.case.budget.close(turn.now.mono);
        let mut sip_status = failure.status;
        if let Some(view) = turn.case.attempt() {
            sip_status = view.sip_status.or(failure.status);
            view.outcome = Some(failure.outcome);
            view.sip_status = sip_status;
            view.reason = Some(failure.reason.clone());
        }
        let data = json!({
            "ae": self.ae(), "leg": self.leg, "attempt": self.number, "outcome": failure.outcome.name(),
            "sip_status": sip_status, "reason": failure.reason,
        });
        if !baton_time::bug!(45) {
            turn.report(EventKind::AttemptFailed, data);
        }
    }

    /// Frees the AE, after `wrap_up`.
    pub(crate) fn release(&self, turn: &mut Turn<'_>, wrap_up: Duration) {
        let Callee::Ae(ae) = &self.to else { return };
        if turn.roster.release(turn.now, ae, turn.case.begin.id, self.epoch, wrap_up) {
            let view = turn.case.view(TransferState::Dialing);
            let records = vec![Record::Release { ae: ae.clone(), epoch: self.epoch }, Record::Transfer(Box::new(view))];
            turn.commit(Fact::Released, CommitLevel::Process, records);
        }
    }

    /// The AE has the caller: the lease lapses no more.
    pub(crate) fn take_call(&self, turn: &mut Turn<'_>) {
        if let Callee::Ae(ae) = &self.to {
            turn.roster.take_call(ae, turn.case.begin.id, self.epoch);
        }
    }

    /// The AE has accepted: it goes on record before anything follows from it.
    pub(crate) fn accepted(self, turn: &mut Turn<'_>, by: AcceptedBy, answered: Mono) -> State {
        turn.case.budget.close(turn.now.mono);
        let accept_ms = millis(turn.now.mono.since(answered));
        if let Some(view) = turn.case.attempt() {
            view.outcome = Some(AttemptOutcome::Accepted);
            view.accept_ms = Some(accept_ms);
        }
        let view = turn.case.view(TransferState::Accepted);
        turn.commit(Fact::Accepted(self.number), CommitLevel::Process, vec![Record::Transfer(Box::new(view))]);
        let mut data = self.named();
        data["by"] = by.name().into();
        data["after_ms"] = accept_ms.into();
        turn.report(EventKind::Accepted, data);
        Accepting::begin(turn, self).into()
    }

    /// The AE has answered: they are briefed, or, in a cold transfer, connected.
    pub(crate) fn answered(self, turn: &mut Turn<'_>) -> State {
        turn.report(EventKind::Answered, self.named());
        if let Some(view) = turn.case.attempt() {
            view.sip_status = Some(200);
        }
        match turn.case.begin.mode {
            Mode::Cold => self.accepted(turn, AcceptedBy::Cold, turn.now.mono),
            Mode::Warm | Mode::Scheduled | Mode::Voicemail => Listening::begin(turn, self),
        }
    }

    /// What every event about an attempt says.
    pub(crate) fn named(&self) -> Value {
        json!({"ae": self.ae(), "leg": self.leg, "attempt": self.number})
    }

    pub(crate) fn answer_deadline(&self, invited: Mono) -> Option<(Mono, Why)> {
        earlier(Some((invited + self.ring_max * if baton_time::bug!(44) { 2 } else { 1 }, Why::AeMustAnswer)), self.deadline())
    }

    /// One of the events that end an attempt whose leg is not up.
    pub(crate) fn ends(self, turn: &mut Turn<'_>, event: Event, rang: bool) -> State {
        match event {
            Event::Refused { status, phrase, .. } => self.refused(turn, status, &phrase, rang),
            Event::Decline { reason, retry_after } => self.declined(turn, reason, retry_after),
            Event::Cancel => self.cancelled(turn),
            any_event!() => self.caller_gone(turn),
        }
    }

    /// `ring_max` has gone by, or a worst case has come, or the next attempt needs what is left.
    pub(crate) fn not_in_time(self, turn: &mut Turn<'_>, why: Why) -> State {
        if why == Why::AeMustAnswer { self.not_answered(turn) } else { self.out_of_time(turn, why) }
    }

    fn not_answered(self, turn: &mut Turn<'_>) -> State {
        let reason = format!("not answered within ring_max {} s", self.ring_max.as_secs_f64());
        self.fail(turn, Failure::new(AttemptOutcome::NoAnswer, Some(Cause::NoAnswer), reason))
    }

    /// The caller has hung up before the AE had answered.
    pub(crate) fn caller_gone(self, turn: &mut Turn<'_>) -> State {
        self.close(turn, Failure::new(AttemptOutcome::CallerGone, Some(Cause::CallerGone), "the caller hung up"));
        ending::abandoned(turn)
    }

    /// Somebody has called the transfer off before the AE had answered.
    pub(crate) fn cancelled(self, turn: &mut Turn<'_>) -> State {
        self.close(turn, Failure::new(AttemptOutcome::NotAccepted, Some(Cause::Cancelled), "the transfer was cancelled"));
        ending::to_the_ai(turn, Outcome::Cancelled)
    }

    /// The AE has declined without a key.
    pub(crate) fn declined(self, turn: &mut Turn<'_>, reason: Option<String>, retry_after: Option<Duration>) -> State {
        let (outcome, cause) = match retry_after {
            Some(_) => (AttemptOutcome::Later, Cause::Later),
            None => (AttemptOutcome::Declined, Cause::Declined),
        };
        let reason = match (reason, retry_after) {
            (Some(reason), _) => reason.chars().filter(|sign| !sign.is_control()).take(REASON_CHARS_MAX).collect(),
            (None, Some(after)) => format!("asked for {} min later", after.as_secs() / 60),
            (None, None) => "declined".to_owned(),
        };
        self.fail(turn, Failure::new(outcome, Some(cause), reason))
    }

    /// The INVITE was refused.
    fn refused(self, turn: &mut Turn<'_>, status: u16, phrase: &str, rang: bool) -> State {
        let outcome = outcome::of_refusal(status, rang);
        let phrase: String = phrase.chars().filter(|sign| !sign.is_control()).take(REASON_CHARS_MAX).collect();
        let failure = Failure { outcome, status: Some(status), reason: format!("refused: {status} {phrase}"), hang_up: None };
        self.fail(turn, failure)
    }

    /// A worst case has come, or the next attempt needs what is left.
    pub(crate) fn out_of_time(self, turn: &mut Turn<'_>, why: Why) -> State {
        let reason = format!("out of time: {why}");
        self.fail(turn, Failure::new(AttemptOutcome::BudgetExceeded, Some(Cause::BudgetExceeded), reason))
    }
}

/// How much of a reason from outside is kept, in characters.
const REASON_CHARS_MAX: usize = 200;

/// The earlier of two deadlines; the first one where they fall together.
pub(crate) fn earlier(a: Option<(Mono, Why)>, b: Option<(Mono, Why)>) -> Option<(Mono, Why)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}
