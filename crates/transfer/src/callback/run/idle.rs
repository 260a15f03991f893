//! Between tries: the reminder, changes, the claim, and what the store says.

use std::time::Duration;

use baton_contract::{
    AeId, At, CallId, CallbackAttempt, CallbackClaim, CallbackOutcome, CallbackState, CallbackView, CommitLevel, EventKind,
    TransferId,
};
use baton_time::{Now, Wall};

use super::event::{CallbackAction, Change, Unchanged};
use super::state::{End, OnRecord, State, Writing};
use super::{ATTEMPTS_KEPT_MAX, CallbackRun, Ignored, NOT_AWAITED, OLD_ROW, Rendering, Turn};
use crate::plan::Plan;
use crate::{Target, Zone, briefing};

/// The store may take this long with a row.
pub(super) const STORE_MAX: Duration = Duration::from_secs(3);

/// How often a row is read again whose fate is not known.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A try from its claim to the bridge takes less than this; then the claim is given up.
pub(super) const TRY_MAX: Duration = Duration::from_secs(10 * 60);

/// A claim outlives its try by this much, for farewells and a slow disk.
const CLAIM_MARGIN: Duration = Duration::from_secs(60);

impl CallbackRun {
    /// Takes the row as it is on record.
    pub(super) fn adopt(&mut self, turn: &mut Turn<'_>, row: CallbackView) {
        self.recorded = row.progress.epoch;
        self.row = row;
        self.know_zone(turn);
        self.state = match self.row.state {
            CallbackState::Scheduled => self.at_rest(),
            CallbackState::Kept | CallbackState::Missed | CallbackState::Cancelled => State::Over,
            CallbackState::Running => match &self.row.progress.claim {
                Some(claim) if claim.node != turn.rules().node && claim.until.0 > turn.now.wall => {
                    State::Elsewhere { until: claim.until.0 }
                }
                Some(_) | None => {
                    let end = self.interrupted();
                    return self.settle(turn, end);
                }
            },
        };
    }

    /// A try was cut off: it is tried again, unless the caller had answered already.
    fn interrupted(&self) -> End {
        let caller = self.row.progress.attempts.last().and_then(|attempt| attempt.caller.as_ref());
        if caller.is_some_and(|caller| caller.sip_status == Some(200)) {
            let reason = "Baton was stopped while the caller was on the line".to_owned();
            return End::Missed(CallbackOutcome::Interrupted, reason);
        }
        End::Failed(CallbackOutcome::Interrupted, "Baton was stopped in the middle of it".to_owned())
    }

    fn know_zone(&mut self, turn: &Turn<'_>) {
        let of_ae = || turn.roster.find(&self.row.ae).map_or(Zone::UTC, |ae| ae.timezone.clone());
        self.zone = self.row.timezone.parse().unwrap_or_else(|_| of_ae());
    }

    /// Where a scheduled callback stands.
    pub(super) fn at_rest(&self) -> State {
        let progress = &self.row.progress;
        if progress.tries == 0 && progress.reminded_at.is_none() && progress.next_at.is_none() {
            State::Waiting
        } else {
            State::Reminded
        }
    }

    /// The reminder's time has come.
    pub(super) fn remind(&mut self, turn: &Turn<'_>) {
        let before = Box::new(self.row.clone());
        self.row.progress.reminded_at = Some(At(turn.now.wall));
        self.write(CommitLevel::Process);
        self.state = State::Writing { before, why: Writing::Reminder, until: turn.now.mono + STORE_MAX };
    }

    /// The callback's time has come: it is claimed, put off or missed, as the rules say.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>) {
        let late = turn.now.wall.since(self.row.due_at().0);
        let open = turn.rules().window.next_open(turn.now.wall, &self.zone);
        match open {
            _ if late > turn.rules().grace => self.rule(turn, None, "it was due while Baton was down"),
            None => self.rule(turn, None, "there are no hours in which the caller may be called"),
            Some(at) if at > turn.now.wall => self.rule(turn, Some(at), "put off to the hours in which the caller may be called"),
            Some(_) => self.claim(turn),
        }
    }

    /// Puts the callback off, or gives it up.
    fn rule(&mut self, turn: &Turn<'_>, next: Option<Wall>, reason: &str) {
        let before = Box::new(self.row.clone());
        if next.is_none() {
            self.row.state = CallbackState::Missed;
        }
        self.row.progress.next_at = next.map(At);
        self.row.progress.reason = Some(reason.to_owned());
        self.write(CommitLevel::Power);
        self.state = State::Writing { before, why: Writing::Rule, until: turn.now.mono + STORE_MAX };
    }

    fn claim(&mut self, turn: &Turn<'_>) {
        let before = Box::new(self.row.clone());
        let Now { wall, mono } = turn.now;
        let attempt = CallbackAttempt {
            started_at: At(wall),
            call: CallId::new(&mut self.case.ids, wall),
            transfer: TransferId::new(&mut self.case.ids, wall),
            aes: Vec::new(),
            caller: None,
            outcome: None,
        };
        let progress = &mut self.row.progress;
        if progress.attempts.len() >= ATTEMPTS_KEPT_MAX {
            progress.attempts.remove(0);
        }
        progress.attempts.push(attempt);
        progress.tries = progress.tries.saturating_add(1);
        progress.claim = Some(CallbackClaim { node: turn.rules().node.clone(), until: At(wall + TRY_MAX + CLAIM_MARGIN) });
        progress.reason = None;
        self.row.state = CallbackState::Running;
        self.write(CommitLevel::Power);
        self.state = State::Claiming { before, until: mono + STORE_MAX };
    }

    /// The claim is ours: whoever could take the call is looked for.
    fn claimed(&mut self, turn: &mut Turn<'_>) {
        if let Some(change) = self.case.wanted.take() {
            return self.settle(turn, End::Changed(change));
        }
        let plan = Plan::new(turn.roster, &Target::Ae(self.row.ae.clone()), &self.row.context);
        self.case.aes = plan.aes.into_iter().take(usize::from(turn.settings.attempts)).collect();
        self.case.passed_over.clear();
        self.case.must_end = Some(turn.now.mono + TRY_MAX);
        self.case.spoken_in = None;
        if let Some(first) = self.case.aes.front().cloned() {
            self.have_spoken(turn, &first);
        }
        self.next_ae(turn);
    }

    /// Has the briefing spoken in the language of this AE, unless that is under way or done.
    pub(super) fn have_spoken(&mut self, turn: &Turn<'_>, ae: &AeId) {
        let language = turn.settings.language_of(turn.roster.find(ae));
        if self.case.spoken_in.replace(language) == Some(language) {
            return;
        }
        self.case.briefing = Rendering::Pending;
        let (settings, pace) = (turn.settings, self.case.words_per_second);
        let CallbackView { context, caller, .. } = &self.row;
        let words = briefing::compose_in(&settings.phrases, language, context, None, caller, pace, settings.briefing_max);
        self.act(CallbackAction::Render(words));
    }

    /// The store has answered a commit.
    pub(super) fn committed(&mut self, turn: &mut Turn<'_>, number: u32, written: bool) -> Ignored {
        if self.case.awaited != Some(number) {
            return NOT_AWAITED;
        }
        self.case.awaited = None;
        if written && !matches!(self.state, State::Leasing { .. }) {
            self.recorded = self.row.progress.epoch;
        }
        match &self.state {
            State::Writing { why, .. } if written => {
                let why = *why;
                self.written(turn, why);
            }
            State::Claiming { .. } if written => self.claimed(turn),
            State::Writing { .. } | State::Claiming { .. } => self.take_back(turn),
            State::Leasing { ae, .. } => {
                let ae = ae.clone();
                if written { self.dial_ae(turn, ae) } else { self.not_leased(turn, &ae, "the store did not take the lease") }
            }
            State::Keeping { .. } => {
                self.bridge(turn, if written { OnRecord::Yes } else { OnRecord::Again(turn.now.mono + LOOK_EVERY) })
            }
            State::Switching { .. } | State::Kept { .. } => {
                self.on_record(if written { OnRecord::Yes } else { OnRecord::Again(turn.now.mono + LOOK_EVERY) });
            }
            State::Settling { .. } if written => self.settled(),
            State::Settling { .. } => self.look_again_while_settling(turn),
            State::Waiting
            | State::Reminded
            | State::Unclear { .. }
            | State::Elsewhere { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Listening { .. }
            | State::Calling { .. }
            | State::Over => return NOT_AWAITED,
            // That the caller was reached is on record, or is not: nothing waits for it.
            State::Confirming { .. } | State::Parting { .. } => {}
        }
        None
    }

    fn written(&mut self, turn: &Turn<'_>, why: Writing) {
        match why {
            Writing::Reminder => self.report_row(EventKind::CallbackReminded),
            Writing::Change => {
                self.know_zone(turn);
                self.changed();
            }
            Writing::Rule if self.row.state == CallbackState::Missed => self.report_row(EventKind::CallbackMissed),
            Writing::Rule => self.report_row(EventKind::CallbackTried),
        }
        self.state = if self.is_open() { self.at_rest() } else { State::Over };
    }

    /// A change that somebody wanted is on record.
    pub(super) fn changed(&mut self) {
        let kind =
            if self.row.state == CallbackState::Cancelled { EventKind::CallbackCancelled } else { EventKind::CallbackMoved };
        self.report_row(kind);
        self.act(CallbackAction::Changed(Ok(())));
    }

    /// The store did not take what was to be written, or says nothing: nothing has happened, and the row is read again.
    pub(super) fn take_back(&mut self, turn: &Turn<'_>) {
        if let State::Writing { before, .. } | State::Claiming { before, .. } = &self.state {
            self.row = (**before).clone();
        }
        let asked = matches!(self.state, State::Writing { why: Writing::Change, .. });
        if asked || self.case.wanted.take().is_some() {
            self.act(CallbackAction::Changed(Err(Unchanged::Store)));
        }
        self.case.awaited = None;
        self.look_again(turn);
    }

    /// Asks for the row, and asks again after a while.
    pub(super) fn look_again(&mut self, turn: &Turn<'_>) {
        self.act(CallbackAction::Reload);
        self.state = State::Unclear { until: turn.now.mono + LOOK_EVERY };
    }

    /// The row as the store has it.
    pub(super) fn reread(&mut self, turn: &mut Turn<'_>, row: CallbackView) -> Ignored {
        let epoch = row.progress.epoch;
        match &self.state {
            State::Waiting | State::Reminded | State::Elsewhere { .. } if epoch <= self.recorded => return OLD_ROW,
            State::Waiting | State::Reminded | State::Elsewhere { .. } | State::Unclear { .. } => self.adopt(turn, row),
            // It was written after all.
            State::Settling { .. } if epoch == self.row.progress.epoch => {
                self.recorded = epoch;
                self.settled();
            }
            // The claim is still ours: nobody else has written.
            State::Settling { .. } if row.progress.claim.as_ref().is_some_and(|claim| claim.node == turn.rules().node) => {
                self.recorded = epoch;
                self.write(CommitLevel::Power);
                self.state = State::Settling { until: turn.now.mono + STORE_MAX };
            }
            State::Settling { .. } => self.adopt(turn, row),
            State::Kept { record: OnRecord::Again(_) } => {
                self.recorded = epoch;
                if row.state == CallbackState::Kept {
                    self.on_record(OnRecord::Yes);
                } else {
                    self.write(CommitLevel::Power);
                    self.on_record(OnRecord::Awaited);
                }
            }
            State::Writing { .. }
            | State::Claiming { .. }
            | State::Leasing { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Listening { .. }
            | State::Calling { .. }
            | State::Confirming { .. }
            | State::Keeping { .. }
            | State::Switching { .. }
            | State::Kept { .. }
            | State::Parting { .. }
            | State::Over => return OLD_ROW,
        }
        None
    }

    /// Lays a change over the row.
    pub(super) fn lay(&mut self, change: Change) {
        let progress = &mut self.row.progress;
        progress.claim = None;
        progress.next_at = None;
        match change {
            Change::Cancel => self.row.state = CallbackState::Cancelled,
            Change::Move { ae, at, timezone } => {
                if at != self.row.at {
                    progress.reminded_at = None;
                }
                progress.tries = 0;
                progress.reason = None;
                self.row.state = CallbackState::Scheduled;
                (self.row.ae, self.row.at, self.row.timezone) = (ae, at, timezone);
            }
        }
    }
}
