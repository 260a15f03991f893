//! How a try ends: farewells, and what goes on record.

use std::time::Duration;

use baton_contract::{At, CallbackOutcome, CallbackState, CommitLevel, EventKind, LegId};

use super::event::{CallbackAction, Change, Said, Unchanged};
use super::idle::{LOOK_EVERY, STORE_MAX};
use super::state::{Ae, End, Hears, State, Writing};
use super::{ANOTHER_LEG, CallbackRun, Evidence, Ignored, OLD_SPEECH, Turn, lines};
use crate::{Cause, Line, SayId};

/// The one sentence that an AE hears last is no longer than this.
const AE_PARTING_MAX: Duration = Duration::from_secs(2);

/// What a caller or a mailbox hears last is no longer than this.
const CALLER_PARTING_MAX: Duration = Duration::from_secs(30);

impl CallbackRun {
    /// Tells whoever is left one last thing; then the try ends so.
    pub(super) fn part(&mut self, turn: &mut Turn<'_>, ae: Option<(Ae, Line)>, caller: Option<(LegId, Vec<Said>)>, end: End) {
        if matches!(self.state, State::Confirming { hears: Hears::Listened { .. }, .. }) {
            self.act(CallbackAction::StopListening);
        }
        let ae = ae.map(|(ae, line)| {
            let say = self.say_to_ae(ae.leg, lines([line]));
            (ae, say)
        });
        let caller = caller.map(|(leg, speech)| (leg, self.say_to_caller(speech)));
        let most = if caller.is_some() { CALLER_PARTING_MAX } else { AE_PARTING_MAX };
        self.state = State::Parting { ae, caller, until: turn.now.mono + most, end: Box::new(end) };
    }

    pub(super) fn parting_said(&mut self, turn: &mut Turn<'_>, say: SayId) -> Ignored {
        let State::Parting { ae, caller, .. } = &self.state else { return OLD_SPEECH };
        let leg = match (ae, caller) {
            (Some((ae, said)), _) if *said == say => ae.leg,
            (_, Some((leg, said))) if *said == say => *leg,
            (_, _) => return OLD_SPEECH,
        };
        self.act(CallbackAction::HangUp { leg, cause: Cause::CallOver });
        self.parting_gone(turn, leg)
    }

    /// One of those who were told the last thing has left.
    pub(super) fn parting_gone(&mut self, turn: &mut Turn<'_>, leg: LegId) -> Ignored {
        let State::Parting { ae, caller, end, .. } = &mut self.state else { return ANOTHER_LEG };
        let left = ae.take_if(|(ae, _)| ae.leg == leg);
        if left.is_none() && caller.take_if(|(held, _)| *held == leg).is_none() {
            return ANOTHER_LEG;
        }
        let is_last = ae.is_none() && caller.is_none();
        let end = (**end).clone();
        if let Some((ae, _)) = left {
            self.release(turn, &ae, Duration::ZERO);
        }
        if is_last {
            self.settle(turn, end);
        }
        None
    }

    /// The farewells have taken long enough.
    pub(super) fn hang_up_rest(&mut self, turn: &mut Turn<'_>) {
        let State::Parting { ae, caller, end, .. } = &self.state else { return };
        let (ae, caller, end) = (ae.clone().map(|(ae, _)| ae), caller.map(|(leg, _)| leg), (**end).clone());
        for leg in caller.into_iter().chain(ae.iter().map(|ae| ae.leg)) {
            self.act(CallbackAction::HangUp { leg, cause: Cause::CallOver });
        }
        if let Some(ae) = ae {
            self.release(turn, &ae, Duration::ZERO);
        }
        self.settle(turn, end);
    }

    /// The try is over, and every leg of it: what follows goes on record.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>, end: End) {
        self.case.must_end = None;
        self.after_what_is_under_way();
        self.act(CallbackAction::EndCall);
        self.row.progress.claim = None;
        let (outcome, reason, again) = match end {
            End::Failed(outcome, reason) => (outcome, reason, true),
            End::Missed(outcome, reason) => (outcome, reason, false),
            End::Changed(change) => {
                if let Some(attempt) = self.attempt() {
                    attempt.outcome = Some(CallbackOutcome::Cancelled);
                }
                self.lay(change.clone());
                self.case.wanted = Some(change);
                self.write(CommitLevel::Power);
                self.state = State::Settling { until: turn.now.mono + STORE_MAX };
                return;
            }
        };
        if let Some(attempt) = self.attempt() {
            attempt.outcome = Some(outcome);
        }
        let rules = turn.rules();
        let next = if again && self.row.progress.tries < rules.attempts {
            rules.window.next_open(turn.now.wall + rules.retry_after, &self.zone)
        } else {
            None
        };
        self.row.state = if next.is_some() { CallbackState::Scheduled } else { CallbackState::Missed };
        self.row.progress.next_at = next.map(At);
        self.row.progress.reason = Some(reason);
        self.write(CommitLevel::Power);
        self.state = State::Settling { until: turn.now.mono + STORE_MAX };
    }

    /// The end of the try is on record.
    pub(super) fn settled(&mut self) {
        let asked = self.case.wanted.take().is_some();
        match self.row.state {
            CallbackState::Missed => self.report_row(EventKind::CallbackMissed),
            CallbackState::Scheduled | CallbackState::Cancelled if asked => self.changed(),
            CallbackState::Scheduled => self.report_row(EventKind::CallbackTried),
            CallbackState::Cancelled | CallbackState::Running | CallbackState::Kept => {}
        }
        self.state = if self.is_open() { self.at_rest() } else { State::Over };
        if self.case.evidence == Evidence::Waits {
            self.write_evidence();
        }
    }

    /// Writes down what a leg has answered at last; nobody waits for it.
    fn write_evidence(&mut self) {
        self.case.evidence = Evidence::Written;
        self.write(CommitLevel::Process);
        self.recorded = self.row.progress.epoch;
        self.case.awaited = None;
    }

    /// The store did not take the end of the try, or says nothing: the row is read, and then written again if it must be.
    pub(super) fn look_again_while_settling(&mut self, turn: &Turn<'_>) {
        self.case.awaited = None;
        self.act(CallbackAction::Reload);
        self.state = State::Settling { until: turn.now.mono + LOOK_EVERY };
    }

    /// Somebody has ended the call: the try is over where it stands.
    pub(super) fn call_is_over(&mut self, turn: &mut Turn<'_>) -> Ignored {
        if let (Some(leg), State::Keeping { .. } | State::Switching { .. }) = (self.state.caller(), &self.state) {
            return self.hung_up(turn, leg);
        }
        let end = match &self.state {
            State::Parting { end, .. } => (**end).clone(),
            State::Leasing { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Listening { .. }
            | State::Calling { .. }
            | State::Confirming { .. } => End::Failed(CallbackOutcome::Interrupted, "the call was hung up".to_owned()),
            State::Waiting
            | State::Reminded
            | State::Writing { .. }
            | State::Claiming { .. }
            | State::Unclear { .. }
            | State::Elsewhere { .. }
            | State::Keeping { .. }
            | State::Switching { .. }
            | State::Kept { .. }
            | State::Settling { .. }
            | State::Over => return ANOTHER_LEG,
        };
        self.case.awaited = None;
        if let Some(ae) = self.state.ae().cloned() {
            self.release(turn, &ae, Duration::ZERO);
        }
        self.settle(turn, end);
        None
    }

    /// Somebody wants it changed.
    pub(super) fn change(&mut self, turn: &mut Turn<'_>, change: Change) -> Ignored {
        let refused = match &self.state {
            State::Waiting | State::Reminded => {
                let before = Box::new(self.row.clone());
                self.lay(change);
                self.write(CommitLevel::Power);
                self.state = State::Writing { before, why: Writing::Change, until: turn.now.mono + STORE_MAX };
                return None;
            }
            State::Claiming { .. } if self.case.wanted.is_none() => {
                self.case.wanted = Some(change);
                return None;
            }
            State::Leasing { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Listening { .. }
            | State::Calling { .. }
            | State::Confirming { .. } => {
                self.stop(turn, change);
                return None;
            }
            State::Claiming { .. } | State::Writing { .. } | State::Parting { .. } | State::Settling { .. } => Unchanged::Busy,
            State::Unclear { .. } => Unchanged::Store,
            State::Elsewhere { .. } => Unchanged::Elsewhere,
            State::Keeping { .. } | State::Switching { .. } | State::Kept { .. } => Unchanged::Connected,
            State::Over => Unchanged::Over,
        };
        self.act(CallbackAction::Changed(Err(refused)));
        Some("it cannot be changed where it stands")
    }

    /// A try is stopped in the middle.
    fn stop(&mut self, turn: &mut Turn<'_>, change: Change) {
        let end = End::Changed(change);
        let Some(ae) = self.state.ae().cloned() else { return };
        match &self.state {
            State::Listening { .. } => self.part(turn, Some((ae, Line::NoLongerWaiting)), None, end),
            State::Calling { caller, .. } => {
                let leg = *caller;
                self.act(CallbackAction::HangUp { leg, cause: Cause::Cancelled });
                self.part(turn, Some((ae, Line::NoLongerWaiting)), None, end);
            }
            State::Confirming { caller, .. } => {
                let farewell = (*caller, lines([Line::Goodbye]));
                self.part(turn, Some((ae, Line::NoLongerWaiting)), Some(farewell), end);
            }
            State::Leasing { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Waiting
            | State::Reminded
            | State::Writing { .. }
            | State::Claiming { .. }
            | State::Unclear { .. }
            | State::Elsewhere { .. }
            | State::Keeping { .. }
            | State::Switching { .. }
            | State::Kept { .. }
            | State::Parting { .. }
            | State::Settling { .. }
            | State::Over => {
                self.case.awaited = None;
                self.act(CallbackAction::HangUp { leg: ae.leg, cause: Cause::Cancelled });
                self.release(turn, &ae, Duration::ZERO);
                self.settle(turn, end);
            }
        }
    }

    /// What a leg that was given up has answered at last: it goes on record where nothing else is under way.
    pub(super) fn evidence(&mut self, leg: LegId, status: u16) -> Ignored {
        let Some(attempt) = self.attempt() else { return ANOTHER_LEG };
        let of_ae = attempt.aes.iter_mut().find(|view| view.leg == leg && view.sip_status.is_none());
        let of_caller = attempt.caller.as_mut().filter(|view| view.leg == leg && view.sip_status.is_none());
        match (of_ae, of_caller) {
            (Some(view), _) => view.sip_status = Some(status),
            (None, Some(view)) => view.sip_status = Some(status),
            (None, None) => return ANOTHER_LEG,
        }
        match self.state {
            State::Waiting | State::Reminded | State::Over => self.write_evidence(),
            State::Writing { .. }
            | State::Claiming { .. }
            | State::Unclear { .. }
            | State::Elsewhere { .. }
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
            | State::Settling { .. } => self.case.evidence = Evidence::Waits,
        }
        None
    }
}
