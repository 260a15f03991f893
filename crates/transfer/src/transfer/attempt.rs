//! An attempt up to the answer: the lease, the INVITE, the ringing; and what follows when it fails.

use std::time::Duration;

use baton_contract::{
    AeId, AeState, AttemptOutcome, AttemptView, CommitLevel, EventKind, LegId, Outcome, Record, Stage, TransferState,
};
use baton_time::Mono;
use serde_json::json;

use super::case::Turn;
use super::ending;
use super::listening::Listening;
use super::state::{
    Ignored, State, Step, everywhere, of_speech, of_the_ae, of_the_bridge, of_the_invite, of_the_offer, of_the_recall,
    of_the_store,
};
use crate::budget::millis;
use crate::{Action, Cause, Event, Fact, Line, Why, outcome};

/// One dialled AE.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// From 1.
    pub(crate) number: u8,
    pub(crate) ae: AeId,
    pub(crate) leg: LegId,
    pub(crate) epoch: u64,
    /// INVITE to answer.
    pub(crate) ring_max: Duration,
    /// When it must end so that the next one still fits; absent where there is no next one.
    pub(crate) must_end: Option<Mono>,
}

/// The AE is held, and the store is told.
///
/// Entry: a transfer was asked for, or an attempt has failed and another one fits. The caller hears the consult scene.
/// Out: the store has it: `Dialing`; it refuses or does not answer within the start's worst case: back to the AI; the caller hangs up or somebody cancels.
#[derive(Debug, Clone)]
pub(crate) struct Journalling {
    pub(crate) attempt: Attempt,
}

/// The INVITE was asked for and has not left yet.
///
/// Entry: the attempt is on record. Out: the INVITE has left: `Invited`; the start's worst case: the next step.
#[derive(Debug, Clone)]
pub(crate) struct Dialing {
    pub(crate) attempt: Attempt,
}

/// The INVITE has left; nothing rings yet.
///
/// Entry: the INVITE was sent. Out: an 18x: `Ringing`; the answer: `Listening`; a refusal, no response within 3 s, or the stage's
/// worst case: the next step.
#[derive(Debug, Clone)]
pub(crate) struct Invited {
    pub(crate) attempt: Attempt,
    invited: Mono,
    silence: Silence,
}

/// Whether the far end has responded to the INVITE at all.
#[derive(Debug, Clone, Copy)]
enum Silence {
    Until(Mono),
    Broken,
}

/// The AE's phone rings.
///
/// Entry: any 18x. Out: the answer: `Listening`; a refusal, `ring_max`, or the worst case of the acceptance: the next step.
#[derive(Debug, Clone)]
pub(crate) struct Ringing {
    pub(crate) attempt: Attempt,
    invited: Mono,
}

/// No response of any kind within this time: the far end cannot be reached.
const RESPONSE_MAX: Duration = Duration::from_secs(3);

/// A lease outlives the budget by this much, for speeches and farewells.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// The first attempt, on record together with the request; where nobody can be dialled, the request alone, and the callback.
pub(crate) fn first(turn: &mut Turn<'_>) -> State {
    match lease(turn) {
        Some(attempt) => journal(turn, attempt),
        None => {
            let view = turn.case.view(TransferState::Offering);
            turn.commit(Fact::Requested, CommitLevel::Process, vec![Record::Transfer(Box::new(view))]);
            super::offer::begin(turn)
        }
    }
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
    if number > turn.settings.attempts || !turn.case.budget.attempt_fits(turn.now.mono) {
        return None;
    }
    let span = turn.case.budget.left(turn.now.mono) + LEASE_MARGIN;
    while let Some(ae) = turn.case.plan.aes.get(turn.case.plan_done).cloned() {
        turn.case.plan_done += 1;
        match turn.roster.lease(turn.now, &ae, turn.case.begin.id, span) {
            Ok(lease) => {
                let leg = LegId::new(&mut turn.case.ids, turn.now.wall);
                let another = number < turn.settings.attempts
                    && turn.case.plan.aes[turn.case.plan_done..].iter().any(|ae| turn.roster.is_free(turn.now, ae));
                let must_end = another.then(|| turn.case.budget.attempt_ends_before_another(turn.now.mono)).flatten();
                let own = turn.roster.find(&ae).and_then(|ae| ae.ring_max);
                let ring_max = own.unwrap_or(turn.settings.ring_max);
                let attempt = Attempt { number, ae, leg, epoch: lease.epoch, ring_max, must_end };
                record(turn, &attempt, lease);
                return Some(attempt);
            }
            Err(state) => turn.case.passed_over.push((ae, why_not(state))),
        }
    }
    None
}

fn record(turn: &mut Turn<'_>, attempt: &Attempt, lease: crate::Lease) {
    turn.case.attempts.push(AttemptView {
        ae: attempt.ae.clone(),
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
    let records = vec![Record::Transfer(Box::new(view)), Record::Lease(lease.row(&attempt.ae, turn.case.begin.id))];
    turn.commit(Fact::Attempt(attempt.number), CommitLevel::Process, records);
}

fn journal(turn: &mut Turn<'_>, attempt: Attempt) -> State {
    turn.case.budget.open(turn.now.mono, Stage::Start);
    turn.consult_scene();
    if attempt.number > 1 {
        turn.say_to_caller(vec![Line::TryingSomeoneElse]);
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
            "ae": self.ae, "leg": self.leg, "attempt": self.number, "outcome": failure.outcome.name(),
            "sip_status": sip_status, "reason": failure.reason,
        });
        turn.report(EventKind::AttemptFailed, data);
    }

    /// Frees the AE, after `wrap_up`.
    pub(crate) fn release(&self, turn: &mut Turn<'_>, wrap_up: Duration) {
        if turn.roster.release(turn.now, &self.ae, turn.case.begin.id, self.epoch, wrap_up) {
            let view = turn.case.view(TransferState::Dialing);
            let records = vec![Record::Release { ae: self.ae.clone(), epoch: self.epoch }, Record::Transfer(Box::new(view))];
            turn.commit(Fact::Released, CommitLevel::Process, records);
        }
    }

    fn answer_deadline(&self, invited: Mono) -> Option<(Mono, Why)> {
        earlier(Some((invited + self.ring_max, Why::AeMustAnswer)), self.deadline())
    }

    /// One of the events that end an attempt whose leg is not up.
    fn ends(self, turn: &mut Turn<'_>, event: Event, rang: bool) -> State {
        match event {
            Event::Refused { status, phrase, .. } => self.refused(turn, status, &phrase, rang),
            Event::Decline { reason, retry_after } => self.declined(turn, reason, retry_after),
            Event::Cancel => self.cancelled(turn),
            Event::CallerGone
            | Event::LegGone { .. }
            | Event::Dialed { .. }
            | Event::Trying { .. }
            | Event::Ringing { .. }
            | Event::Answered { .. }
            | of_the_ae!()
            | of_the_bridge!()
            | of_the_store!()
            | of_speech!()
            | of_the_offer!()
            | of_the_recall!()
            | everywhere!() => self.caller_gone(turn),
        }
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
    fn out_of_time(self, turn: &mut Turn<'_>, why: Why) -> State {
        let reason = format!("out of time: {why}");
        self.fail(turn, Failure::new(AttemptOutcome::BudgetExceeded, Some(Cause::BudgetExceeded), reason))
    }
}

/// How much of a reason from outside is kept, in characters.
const REASON_CHARS_MAX: usize = 200;

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
            of_the_store!() => Step::ignore(self, Ignored::NotAwaited),
            Event::Decline { .. } | Event::LegGone { .. } | of_the_invite!() | of_the_ae!() | of_the_bridge!() => {
                Step::ignore(self, Ignored::TooEarly)
            }
            of_speech!() => Step::ignore(self, Ignored::OldSpeech),
            of_the_offer!() => Step::ignore(self, Ignored::NotAsked),
            of_the_recall!() => Step::ignore(self, Ignored::NotRecalled),
            everywhere!() => Step::ignore(self, Ignored::Twice),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        self.not_on_record(turn)
    }

    fn dial(self, turn: &mut Turn<'_>) -> State {
        let Attempt { leg, ae, number, .. } = &self.attempt;
        let passed_over = turn.case.passed_over();
        turn.report(EventKind::AttemptStarted, json!({"ae": ae, "leg": leg, "attempt": number, "passed_over": passed_over}));
        turn.act(Action::Dial { leg: *leg, ae: ae.clone(), attempt: *number });
        Dialing { attempt: self.attempt }.into()
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
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Dialed { .. } => self.sent(turn).into(),
            // These can only follow the INVITE: it has left, whatever became of the word of it.
            Event::Trying { .. } | Event::Ringing { .. } | Event::Answered { .. } => self.sent(turn).on(turn, event),
            Event::Refused { .. } | Event::CallerGone | Event::Cancel | Event::Decline { .. } => {
                self.attempt.ends(turn, event, false).into()
            }
            of_the_store!() => Step::ignore(self, Ignored::NotAwaited),
            Event::LegGone { .. } | of_the_ae!() | of_the_bridge!() => Step::ignore(self, Ignored::TooEarly),
            of_speech!() => Step::ignore(self, Ignored::OldSpeech),
            of_the_offer!() => Step::ignore(self, Ignored::NotAsked),
            of_the_recall!() => Step::ignore(self, Ignored::NotRecalled),
            everywhere!() => Step::ignore(self, Ignored::Twice),
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
                Listening::begin(turn, self.attempt).into()
            }
            Event::Refused { .. } | Event::CallerGone | Event::Cancel | Event::Decline { .. } => {
                ring_ended(turn, self.invited);
                self.attempt.ends(turn, event, false).into()
            }
            Event::Dialed { .. } => Step::ignore(self, Ignored::Twice),
            of_the_store!() => Step::ignore(self, Ignored::NotAwaited),
            Event::LegGone { .. } | of_the_ae!() | of_the_bridge!() => Step::ignore(self, Ignored::TooEarly),
            of_speech!() => Step::ignore(self, Ignored::OldSpeech),
            of_the_offer!() => Step::ignore(self, Ignored::NotAsked),
            of_the_recall!() => Step::ignore(self, Ignored::NotRecalled),
            everywhere!() => Step::ignore(self, Ignored::Twice),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        ring_ended(turn, self.invited);
        match why {
            Why::AeMustRespond => {
                let failure = Failure::new(AttemptOutcome::Unreachable, Some(Cause::Unreachable), "no response within 3 s");
                self.attempt.fail(turn, failure)
            }
            Why::AeMustAnswer => self.attempt.not_answered(turn),
            Why::StageTarget(_)
            | Why::StageWorst(_)
            | Why::StoreMustAnswer
            | Why::AttemptMustEnd
            | Why::AeIsReminded
            | Why::SpeechMustEnd
            | Why::AudioMustSwitch
            | Why::CallerMustChoose
            | Why::CallerIsComforted
            | Why::AiMustAnswer => self.attempt.out_of_time(turn, why),
        }
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
        let Attempt { ae, leg, number, .. } = &self.attempt;
        turn.report(
            EventKind::Ringing,
            json!({"ae": ae, "leg": leg, "attempt": number, "sip_status": status, "after_ms": after_ms}),
        );
        turn.progress(180, "Ringing");
        Ringing { attempt: self.attempt, invited: self.invited }.into()
    }
}

impl Ringing {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Answered { .. } => {
                ring_ended(turn, self.invited);
                Listening::begin(turn, self.attempt).into()
            }
            Event::Refused { .. } | Event::CallerGone | Event::Cancel | Event::Decline { .. } => {
                ring_ended(turn, self.invited);
                self.attempt.ends(turn, event, true).into()
            }
            Event::Dialed { .. } | Event::Trying { .. } | Event::Ringing { .. } => Step::ignore(self, Ignored::Twice),
            of_the_store!() => Step::ignore(self, Ignored::NotAwaited),
            Event::LegGone { .. } | of_the_ae!() | of_the_bridge!() => Step::ignore(self, Ignored::TooEarly),
            of_speech!() => Step::ignore(self, Ignored::OldSpeech),
            of_the_offer!() => Step::ignore(self, Ignored::NotAsked),
            of_the_recall!() => Step::ignore(self, Ignored::NotRecalled),
            everywhere!() => Step::ignore(self, Ignored::Twice),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        ring_ended(turn, self.invited);
        match why {
            Why::AeMustAnswer => self.attempt.not_answered(turn),
            Why::StageTarget(_)
            | Why::StageWorst(_)
            | Why::StoreMustAnswer
            | Why::AttemptMustEnd
            | Why::AeMustRespond
            | Why::AeIsReminded
            | Why::SpeechMustEnd
            | Why::AudioMustSwitch
            | Why::CallerMustChoose
            | Why::CallerIsComforted
            | Why::AiMustAnswer => self.attempt.out_of_time(turn, why),
        }
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

/// The earlier of two deadlines; the first one where they fall together.
pub(crate) fn earlier(a: Option<(Mono, Why)>, b: Option<(Mono, Why)>) -> Option<(Mono, Why)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}
