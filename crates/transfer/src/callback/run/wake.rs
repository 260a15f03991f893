//! When a run wants to be woken, and what it does then.

use baton_contract::{AttemptOutcome, CallbackOutcome};
use baton_time::{Deadline, Mono};

use super::ae::RESPONSE_MAX;
use super::event::{CallbackAction, CallbackWhy};
use super::state::{End, Hears, OnRecord, Response, State, earlier};
use super::{CallbackRun, Ignored, NOT_DUE, Turn};
use crate::{CallbackSettings, Cause, Line};

impl CallbackRun {
    pub(super) fn deadline(&self, rules: &CallbackSettings) -> Option<(Deadline, CallbackWhy)> {
        let own = self.own_deadline(rules)?;
        match (own, self.case.must_end) {
            ((Deadline::Mono(at), why), Some(end)) => earlier((at, why), (end, CallbackWhy::TryMustEnd)),
            (own, Some(_) | None) => Some(own),
        }
    }

    fn own_deadline(&self, rules: &CallbackSettings) -> Option<(Deadline, CallbackWhy)> {
        let mono = |at: Mono, why| Some((Deadline::Mono(at), why));
        match &self.state {
            State::Waiting => Some(self.reminder(rules)),
            State::Reminded if baton_time::bug!(92) => {
                Some((Deadline::Wall(self.row.due_at().0 - std::time::Duration::from_secs(90)), CallbackWhy::Due))
            }
            State::Reminded => Some((Deadline::Wall(self.row.due_at().0), CallbackWhy::Due)),
            State::Writing { until, .. } | State::Claiming { until, .. } | State::Leasing { until, .. } => {
                mono(*until, CallbackWhy::StoreMustAnswer)
            }
            State::Keeping { until, .. } | State::Settling { until } => mono(*until, CallbackWhy::StoreMustAnswer),
            State::Unclear { until } => mono(*until, CallbackWhy::LookAgain),
            State::Elsewhere { until } => Some((Deadline::Wall(*until), CallbackWhy::ClaimLapses)),
            State::Inviting { invited, response: Response::Awaited, .. }
            | State::Calling { invited, response: Response::Awaited, .. } => {
                mono(*invited + RESPONSE_MAX, CallbackWhy::MustRespond)
            }
            State::Inviting { invited, .. } | State::Ringing { invited, .. } => {
                mono(*invited + self.case.ring_max, CallbackWhy::AeMustAnswer)
            }
            State::Listening { answered, hears, .. } => {
                earlier((*answered + self.case.accept_max, CallbackWhy::AeMustAccept), hears.deadline(CallbackWhy::AeIsReminded))
            }
            State::Calling { invited, .. } => mono(*invited + rules.ring_max, CallbackWhy::CallerMustAnswer),
            State::Confirming { answered, hears, .. } => {
                let again = hears.deadline(CallbackWhy::CallerIsAskedAgain);
                earlier((*answered + rules.confirm_max, CallbackWhy::CallerMustConfirm), again)
            }
            State::Switching { until, .. } => mono(*until, CallbackWhy::AudioMustSwitch),
            State::Kept { record: OnRecord::Again(at) } => mono(*at, CallbackWhy::LookAgain),
            State::Parting { until, .. } => mono(*until, CallbackWhy::SpeechMustEnd),
            State::Kept { .. } | State::Over => None,
        }
    }

    /// The reminder, unless it is not wanted or would come before the promise itself; then the time of the callback.
    fn reminder(&self, rules: &CallbackSettings) -> (Deadline, CallbackWhy) {
        let at = self.row.due_at().0 - rules.reminder;
        if rules.reminder.is_zero() || at <= self.row.created_at.0 {
            (Deadline::Wall(self.row.due_at().0), CallbackWhy::Due)
        } else {
            (Deadline::Wall(at), CallbackWhy::Reminder)
        }
    }

    /// Does what is due. A clock that was set is no matter: what lies on the wall clock is looked at anew each time.
    pub(super) fn wake(&mut self, turn: &mut Turn<'_>) -> Ignored {
        let mut ignored = NOT_DUE;
        while let Some((_, why)) = self.deadline(turn.rules()).filter(|(at, _)| at.is_due(turn.now)) {
            ignored = None;
            self.due(turn, why);
        }
        ignored
    }

    fn due(&mut self, turn: &mut Turn<'_>, why: CallbackWhy) {
        match why {
            // What is due already needs no reminder.
            CallbackWhy::Reminder if self.row.due_at().0 <= turn.now.wall => self.begin(turn),
            CallbackWhy::Reminder => self.remind(turn),
            CallbackWhy::Due => self.begin(turn),
            CallbackWhy::StoreMustAnswer => self.store_is_silent(turn),
            CallbackWhy::LookAgain if matches!(self.state, State::Kept { .. }) => {
                self.act(CallbackAction::Reload);
                self.on_record(OnRecord::Again(turn.now.mono + super::idle::LOOK_EVERY));
            }
            CallbackWhy::LookAgain | CallbackWhy::ClaimLapses => self.look_again(turn),
            CallbackWhy::MustRespond => self.no_response(turn),
            CallbackWhy::AeMustAnswer => {
                self.ae_is_silent(turn, AttemptOutcome::NoAnswer, "not answered in time", Cause::NoAnswer)
            }
            CallbackWhy::AeMustAccept => {
                self.ae_is_silent(turn, AttemptOutcome::NotAccepted, "not accepted in time", Cause::NotAccepted);
            }
            CallbackWhy::AeIsReminded => {
                self.tell_keys(turn);
            }
            CallbackWhy::CallerMustAnswer => self.caller_is_silent(turn, CallbackOutcome::NoAnswer, "not answered in time"),
            CallbackWhy::CallerMustConfirm => self.not_confirmed(turn),
            CallbackWhy::CallerIsAskedAgain => {
                let hears = self.ask(turn);
                self.listens(hears);
            }
            CallbackWhy::SpeechMustEnd if matches!(self.state, State::Parting { .. }) => self.hang_up_rest(turn),
            CallbackWhy::SpeechMustEnd => {
                self.heard(turn);
            }
            CallbackWhy::AudioMustSwitch => {
                self.switched(turn);
            }
            CallbackWhy::TryMustEnd => self.out_of_time(turn),
        }
    }

    fn store_is_silent(&mut self, turn: &mut Turn<'_>) {
        match &self.state {
            State::Writing { .. } | State::Claiming { .. } => self.take_back(turn),
            State::Leasing { ae, .. } => {
                let ae = ae.clone();
                self.not_leased(turn, &ae, "the store does not answer");
            }
            State::Keeping { .. } => self.bridge(turn, OnRecord::Awaited),
            State::Settling { .. } => self.look_again_while_settling(turn),
            State::Waiting
            | State::Reminded
            | State::Unclear { .. }
            | State::Elsewhere { .. }
            | State::Inviting { .. }
            | State::Ringing { .. }
            | State::Listening { .. }
            | State::Calling { .. }
            | State::Confirming { .. }
            | State::Switching { .. }
            | State::Kept { .. }
            | State::Parting { .. }
            | State::Over => {}
        }
    }

    fn no_response(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.state, State::Calling { .. }) {
            return self.caller_is_silent(turn, CallbackOutcome::Unreachable, "no response within 3 s");
        }
        self.ae_is_silent(turn, AttemptOutcome::Unreachable, "no response within 3 s", Cause::Unreachable);
    }

    fn ae_is_silent(&mut self, turn: &mut Turn<'_>, outcome: AttemptOutcome, reason: &str, cause: Cause) {
        if let Some(ae) = self.state.ae().cloned() {
            self.ae_failed(turn, &ae, outcome, None, reason, Some(cause));
        }
    }

    fn caller_is_silent(&mut self, turn: &mut Turn<'_>, outcome: CallbackOutcome, reason: &str) {
        if let State::Calling { ae, caller, invited, .. } = &self.state {
            let (held, leg) = ((ae.clone(), *invited), *caller);
            self.act(CallbackAction::HangUp { leg, cause: Cause::NoAnswer });
            self.caller_failed(turn, held, outcome, None, reason);
        }
    }

    /// The claim lapses soon: whatever goes on is ended.
    fn out_of_time(&mut self, turn: &mut Turn<'_>) {
        self.case.must_end = None;
        let (ae, caller) = (self.state.ae().cloned(), self.state.caller());
        if let Some(leg) = caller {
            self.act(CallbackAction::HangUp { leg, cause: Cause::BudgetExceeded });
        }
        let end = End::Failed(CallbackOutcome::NoAe, "it took too long".to_owned());
        match ae {
            Some(ae) if matches!(self.state, State::Listening { .. } | State::Calling { .. } | State::Confirming { .. }) => {
                self.part(turn, Some((ae, Line::NoLongerWaiting)), None, end);
            }
            Some(ae) => {
                self.act(CallbackAction::HangUp { leg: ae.leg, cause: Cause::BudgetExceeded });
                self.release(turn, &ae, std::time::Duration::ZERO);
                self.settle(turn, end);
            }
            None => self.settle(turn, end),
        }
    }
}

impl Hears {
    fn deadline(self, again: CallbackWhy) -> (Mono, CallbackWhy) {
        match self {
            Hears::Speech { until, .. } => (until, CallbackWhy::SpeechMustEnd),
            Hears::Nothing { until } | Hears::Listened { until } => (until, again),
        }
    }
}
