//! The caller of a callback: dialled, asked, connected.

use std::time::Duration;

use baton_contract::{CallbackOutcome, CallbackState, CallerAttempt, CommitLevel, Driver, EventKind, LegId};
use baton_time::Mono;
use serde_json::json;

use super::ae::SPEECH_MAX;
use super::event::{CallbackAction, Said};
use super::state::{Ae, End, Hears, OnRecord, Response, State};
use super::{ANOTHER_KEY, ANOTHER_LEG, CallbackRun, Ignored, NOT_ASKED, Turn, lines, millis};
use crate::callback::ConfirmBy;
use crate::callback::answer::{Spoken, meaning};
use crate::{Cause, Key, Line, SceneName};

/// The store may take this long before two people who wait for each other are connected without it.
const KEPT_MAX: Duration = Duration::from_millis(500);

/// The audio may take this long to switch; then it counts as switched.
const SWITCH_MAX: Duration = Duration::from_secs(1);

impl CallbackRun {
    /// The AE has accepted: the caller is dialled, if they may be called at this hour.
    pub(super) fn call_them(&mut self, turn: &mut Turn<'_>, ae: Ae) {
        if !turn.rules().window.contain(turn.now.wall, &self.zone) {
            let reason = "the hours in which the caller may be called had ended".to_owned();
            return self.part(turn, Some((ae, Line::NotReached)), None, End::Failed(CallbackOutcome::WindowClosed, reason));
        }
        let caller = LegId::new(&mut self.case.ids, turn.now.wall);
        if let Some(attempt) = self.attempt() {
            attempt.caller = Some(CallerAttempt { leg: caller, sip_status: None, reason: None, ring_ms: None, confirm_ms: None });
        }
        self.act(CallbackAction::Scene(SceneName::CallingBack));
        self.say_to_ae(ae.leg, lines([Line::CallingThem]));
        self.act(CallbackAction::DialCaller { leg: caller, to: self.row.caller.clone() });
        self.state = State::Calling { ae, caller, invited: turn.now.mono, response: Response::Awaited };
    }

    pub(super) fn caller_answered(&mut self, turn: &Turn<'_>, leg: LegId) -> Ignored {
        let State::Calling { ae, caller, invited, .. } = &self.state else { return ANOTHER_LEG };
        if *caller != leg {
            return ANOTHER_LEG;
        }
        let (ae, ring_ms) = (ae.clone(), millis(turn.now.mono.since(*invited)));
        if let Some(view) = self.attempt().and_then(|attempt| attempt.caller.as_mut()) {
            view.sip_status = Some(200);
            view.ring_ms = Some(ring_ms);
        }
        // Whatever happens from here on, the caller has been reached: a crash must not have them called again.
        self.write(CommitLevel::Power);
        let hears = self.ask(turn);
        self.state = State::Confirming { ae, caller: leg, answered: turn.now.mono, hears };
        None
    }

    /// Tells the caller who calls, and what to press.
    pub(super) fn ask(&mut self, turn: &Turn<'_>) -> Hears {
        let mut speech = vec![Said::Greeting];
        speech.extend(lines([Line::ToBeConnectedPress, Line::Key(turn.rules().confirm_key)]));
        if turn.rules().confirm == ConfirmBy::Speech {
            speech.extend(lines([Line::OrSayYes]));
        }
        let say = self.say_to_caller(speech);
        Hears::Speech { say, until: turn.now.mono + SPEECH_MAX }
    }

    pub(super) fn caller_key(&mut self, turn: &Turn<'_>, key: Key) -> Ignored {
        if key != turn.rules().confirm_key && !baton_time::bug!(91) {
            return ANOTHER_KEY;
        }
        self.confirmed(turn)
    }

    /// What the caller has said when they were asked to say yes. Whatever is neither a yes nor a no has them asked again.
    pub(super) fn spoken(&mut self, turn: &mut Turn<'_>, text: Option<&str>) -> Ignored {
        let State::Confirming { ae, caller, answered, hears } = &self.state else { return NOT_ASKED };
        match (text.map_or(Spoken::Unclear, meaning), *hears) {
            (Spoken::Yes, _) => self.confirmed(turn),
            (Spoken::No, _) => {
                let (ae, caller, confirm_ms) = (ae.clone(), *caller, millis(turn.now.mono.since(*answered)));
                let reason = "the caller said no".to_owned();
                if let Some(view) = self.attempt().and_then(|attempt| attempt.caller.as_mut()) {
                    view.confirm_ms = Some(confirm_ms);
                    view.reason = Some(reason.clone());
                }
                let farewell = (caller, lines([Line::Goodbye]));
                self.part(turn, Some((ae, Line::NotReached)), Some(farewell), End::Missed(CallbackOutcome::NotConfirmed, reason));
                None
            }
            (Spoken::Unclear, Hears::Listened { .. }) => {
                let hears = self.ask(turn);
                self.listens(hears)
            }
            (Spoken::Unclear, Hears::Speech { .. } | Hears::Nothing { .. }) => NOT_ASKED,
        }
    }

    /// The caller is there and wants to be connected.
    fn confirmed(&mut self, turn: &Turn<'_>) -> Ignored {
        let State::Confirming { ae, caller, answered, .. } = &self.state else { return NOT_ASKED };
        let (ae, caller, confirm_ms) = (ae.clone(), *caller, millis(turn.now.mono.since(*answered)));
        if let Some(attempt) = self.attempt() {
            attempt.outcome = Some(CallbackOutcome::Connected);
            attempt.caller.iter_mut().for_each(|view| view.confirm_ms = Some(confirm_ms));
        }
        self.row.state = CallbackState::Kept;
        self.row.progress.claim = None;
        self.row.progress.next_at = None;
        self.row.progress.reason = None;
        if turn.rules().confirm == ConfirmBy::Speech {
            self.act(CallbackAction::StopListening);
        }
        self.after_what_is_under_way();
        self.write(CommitLevel::Power);
        self.state = State::Keeping { ae, caller, until: turn.now.mono + KEPT_MAX };
        None
    }

    /// Connects caller and AE.
    pub(super) fn bridge(&mut self, turn: &mut Turn<'_>, record: OnRecord) {
        let State::Keeping { ae, caller, .. } = &self.state else { return };
        let (ae, caller) = (ae.clone(), *caller);
        if let Some(transfer) = self.row.progress.attempts.last().map(|attempt| attempt.transfer) {
            turn.roster.take_call(&ae.id, transfer, ae.epoch);
        }
        self.case.must_end = None;
        self.act(CallbackAction::Scene(SceneName::Human));
        self.state = State::Switching { ae, caller, until: turn.now.mono + SWITCH_MAX, record };
    }

    pub(super) fn switched(&mut self, _turn: &Turn<'_>) -> Ignored {
        let State::Switching { ae, record, .. } = &self.state else { return NOT_ASKED };
        let (ae, record) = (ae.clone(), *record);
        self.report(EventKind::DriverChanged, json!({"driver": Driver::Human}));
        self.report_attempt(EventKind::Bridged, json!({"ae": ae.id, "leg": ae.leg, "on_record": record == OnRecord::Yes}));
        self.report_row(EventKind::CallbackKept);
        self.act(CallbackAction::HandOver { ae: ae.id, leg: ae.leg, epoch: ae.epoch });
        self.state = if record == OnRecord::Yes { State::Over } else { State::Kept { record } };
        None
    }

    /// What the store says to the callback that was kept.
    pub(super) fn on_record(&mut self, known: OnRecord) {
        if let State::Switching { record, .. } | State::Kept { record } = &mut self.state {
            *record = known;
        }
        if matches!(self.state, State::Kept { record: OnRecord::Yes }) {
            self.state = State::Over;
        }
    }

    /// One of the two has hung up while they were being connected: so is the other, and the call is over.
    pub(super) fn hung_up(&mut self, turn: &mut Turn<'_>, leg: LegId) -> Ignored {
        let (State::Keeping { ae, caller, .. } | State::Switching { ae, caller, .. }) = &self.state else {
            return ANOTHER_LEG;
        };
        let (ae, caller) = (ae.clone(), *caller);
        let other = if leg == caller {
            ae.leg
        } else if leg == ae.leg {
            caller
        } else {
            return ANOTHER_LEG;
        };
        let on_record = matches!(self.state, State::Switching { record: OnRecord::Yes, .. });
        self.act(CallbackAction::HangUp { leg: other, cause: Cause::CallOver });
        let wrap_up = turn.settings.wrap_up;
        self.release(turn, &ae, wrap_up);
        self.act(CallbackAction::EndCall);
        self.state = if on_record { State::Over } else { State::Settling { until: turn.now.mono + super::idle::STORE_MAX } };
        None
    }

    /// The caller could not be had, or has refused.
    pub(super) fn caller_refused(&mut self, turn: &mut Turn<'_>, leg: LegId, status: u16, reason: &str) -> Ignored {
        let State::Calling { ae, caller, invited, response } = &self.state else { return self.evidence(leg, status) };
        if *caller != leg {
            return self.evidence(leg, status);
        }
        let (ae, invited, rang) = (ae.clone(), *invited, *response == Response::Rings);
        let outcome = match status {
            486 | 600 | 603 | 607 | 608 => CallbackOutcome::Busy,
            480 | 487 => CallbackOutcome::NoAnswer,
            408 if rang => CallbackOutcome::NoAnswer,
            _ => CallbackOutcome::Unreachable,
        };
        self.caller_failed(turn, (ae, invited), outcome, Some(status), reason);
        None
    }

    /// The caller was dialled in vain: the AE is told so.
    pub(super) fn caller_failed(
        &mut self,
        turn: &mut Turn<'_>,
        (ae, invited): (Ae, Mono),
        outcome: CallbackOutcome,
        status: Option<u16>,
        reason: &str,
    ) {
        let ring_ms = millis(turn.now.mono.since(invited));
        if let Some(view) = self.attempt().and_then(|attempt| attempt.caller.as_mut()) {
            view.sip_status = view.sip_status.or(status);
            view.reason = Some(reason.to_owned());
            view.ring_ms = Some(ring_ms);
        }
        let end = End::Failed(outcome, format!("the caller: {reason}"));
        self.part(turn, Some((ae, Line::NotReached)), None, end);
    }

    /// One of the two has left before the caller had confirmed.
    pub(super) fn gone_while_calling(&mut self, turn: &mut Turn<'_>, leg: LegId) -> Ignored {
        match &self.state {
            State::Confirming { ae, caller, answered, .. } if *caller == leg => {
                let (ae, confirm_ms) = (ae.clone(), millis(turn.now.mono.since(*answered)));
                let reason = "the caller hung up without confirming".to_owned();
                if let Some(view) = self.attempt().and_then(|attempt| attempt.caller.as_mut()) {
                    view.confirm_ms = Some(confirm_ms);
                    view.reason = Some(reason.clone());
                }
                self.part(turn, Some((ae, Line::NotReached)), None, End::Missed(CallbackOutcome::HungUp, reason));
                None
            }
            State::Calling { ae, caller, .. } if ae.leg == leg => {
                let (ae, caller) = (ae.clone(), *caller);
                self.act(CallbackAction::HangUp { leg: caller, cause: Cause::Cancelled });
                self.release(turn, &ae, Duration::ZERO);
                self.settle(turn, ae_gone());
                None
            }
            State::Confirming { ae, caller, .. } if ae.leg == leg => {
                let (ae, caller) = (ae.clone(), *caller);
                self.release(turn, &ae, Duration::ZERO);
                self.part(turn, None, Some((caller, lines([Line::CallAgainLater, Line::Goodbye]))), ae_gone());
                None
            }
            State::Waiting
            | State::Reminded
            | State::Writing { .. }
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
            | State::Settling { .. }
            | State::Over => ANOTHER_LEG,
        }
    }

    /// Nobody has confirmed: whatever has answered hears the message, the AE that nobody was reached.
    pub(super) fn not_confirmed(&mut self, turn: &mut Turn<'_>) {
        let State::Confirming { ae, caller, answered, .. } = &self.state else { return };
        let (ae, caller, confirm_ms) = (ae.clone(), *caller, millis(turn.now.mono.since(*answered)));
        let reason = format!("answered, and nobody confirmed within {} s", turn.rules().confirm_max.as_secs());
        if let Some(view) = self.attempt().and_then(|attempt| attempt.caller.as_mut()) {
            view.confirm_ms = Some(confirm_ms);
            view.reason = Some(reason.clone());
        }
        let message = vec![Said::Message, Said::Line(Line::Goodbye)];
        let end = End::Missed(CallbackOutcome::NotConfirmed, reason);
        self.part(turn, Some((ae, Line::NotReached)), Some((caller, message)), end);
    }
}

fn ae_gone() -> End {
    End::Failed(CallbackOutcome::AeGone, "the AE hung up while the caller was being called".to_owned())
}
