//! The AE of a callback: held, dialled, briefed, and accepting.

use std::time::Duration;

use baton_contract::{
    AeState, At, AttemptOutcome, AttemptView, CallbackOutcome, CommitLevel, EventKind, LeaseRow, LegId, Record,
};
use baton_time::{Mono, Now};
use serde_json::json;

use super::event::{CallbackAction, Said};
use super::idle::{STORE_MAX, TRY_MAX};
use super::state::{Ae, End, Hears, Response, State};
use super::{ANOTHER_KEY, ANOTHER_LEG, CallbackRun, Ignored, NOT_ASKED, OLD_SPEECH, Rendering, TWICE, Turn, lines, millis};
use crate::callback::ConfirmBy;
use crate::{AcceptBy, Cause, Key, LegEnd, Line, SceneName, outcome};

/// No response of any kind within this time: the far end cannot be reached.
pub(super) const RESPONSE_MAX: Duration = Duration::from_secs(3);

/// Longer than anything that is said; then it counts as said.
pub(super) const SPEECH_MAX: Duration = Duration::from_secs(60);

/// A caller who is asked to say yes is listened to for so long, or until they have said nothing for [`ANSWER_SILENCE`].
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whoever has said nothing for so long has answered.
const ANSWER_SILENCE: Duration = Duration::from_millis(1_500);

/// What was said must have been written down within this time; then the caller is asked again.
const TEXT_MAX: Duration = Duration::from_secs(5);

/// The pause before somebody is told once more what to press.
pub(super) const REMIND_EVERY: Duration = Duration::from_secs(5);

impl CallbackRun {
    /// Holds the next AE who is free; where none is left, the try has failed.
    pub(super) fn next_ae(&mut self, turn: &mut Turn<'_>) {
        let Some(transfer) = self.row.progress.attempts.last().map(|attempt| attempt.transfer) else { return };
        while let Some(id) = self.case.aes.pop_front() {
            match turn.roster.lease(turn.now, &id, transfer, TRY_MAX) {
                Ok(lease) => {
                    let ae = Ae { leg: LegId::new(&mut self.case.ids, turn.now.wall), id: id.clone(), epoch: lease.epoch };
                    let row = LeaseRow { ae: id, transfer, epoch: lease.epoch, until: At(lease.until) };
                    self.commit(CommitLevel::Process, vec![Record::Lease(row)]);
                    self.state = State::Leasing { ae, until: turn.now.mono + STORE_MAX };
                    return;
                }
                Err(state) => self.case.passed_over.push(format!("{id} is {}", why_not(state))),
            }
        }
        let tried = self.row.progress.attempts.last().is_some_and(|attempt| !attempt.aes.is_empty());
        let reason =
            if tried { "no AE took it".to_owned() } else { format!("no AE is free: {}", self.case.passed_over.join(", ")) };
        self.settle(turn, End::Failed(CallbackOutcome::NoAe, reason));
    }

    pub(super) fn not_leased(&mut self, turn: &mut Turn<'_>, ae: &Ae, why: &str) {
        self.case.awaited = None;
        self.case.passed_over.push(format!("{} is not held: {why}", ae.id));
        self.release(turn, ae, Duration::ZERO);
        self.next_ae(turn);
    }

    pub(super) fn dial_ae(&mut self, turn: &Turn<'_>, ae: Ae) {
        let Some(attempt) = self.attempt() else { return };
        let (call, transfer) = (attempt.call, attempt.transfer);
        attempt.aes.push(AttemptView {
            ae: ae.id.clone(),
            leg: ae.leg,
            outcome: None,
            sip_status: None,
            reason: None,
            ring_ms: None,
            briefing_ms: None,
            accept_ms: None,
        });
        let number = attempt.aes.len();
        let own = turn.roster.find(&ae.id).and_then(|ae| ae.ring_max);
        self.case.ring_max = own.unwrap_or(turn.settings.ring_max);
        self.case.accept_max = turn.settings.budget.accept.worst;
        self.have_spoken(turn, &ae.id);
        self.act(CallbackAction::DialAe { call, transfer, leg: ae.leg, ae: ae.id.clone() });
        self.act(CallbackAction::Scene(SceneName::Offering));
        self.report_attempt(EventKind::AttemptStarted, json!({"ae": ae.id, "leg": ae.leg, "attempt": number}));
        self.state = State::Inviting { ae, invited: turn.now.mono, response: Response::Awaited };
    }

    /// A provisional response: `rings` where it was an 18x.
    pub(super) fn responded(&mut self, leg: LegId, rings: Option<(Now, u16)>) -> Ignored {
        match &mut self.state {
            State::Inviting { ae, invited, response } if ae.leg == leg => match rings {
                Some((now, status)) => {
                    let data =
                        json!({"ae": ae.id, "leg": leg, "sip_status": status, "after_ms": millis(now.mono.since(*invited))});
                    self.state = State::Ringing { ae: ae.clone(), invited: *invited };
                    self.report_attempt(EventKind::Ringing, data);
                }
                None if *response == Response::Awaited => *response = Response::Some,
                None => return TWICE,
            },
            State::Calling { caller, response, .. } if *caller == leg => match rings {
                Some(_) if *response != Response::Rings => *response = Response::Rings,
                None if *response == Response::Awaited => *response = Response::Some,
                Some(_) | None => return TWICE,
            },
            State::Ringing { ae, .. } if ae.leg == leg => return TWICE,
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
            | State::Over => return ANOTHER_LEG,
        }
        None
    }

    /// The AE has answered, or the caller.
    pub(super) fn answered(&mut self, turn: &Turn<'_>, leg: LegId) -> Ignored {
        if let State::Inviting { ae, invited, .. } | State::Ringing { ae, invited } = &self.state
            && ae.leg == leg
        {
            let (ae, invited) = (ae.clone(), *invited);
            self.ae_answered(turn, ae, invited);
            return None;
        }
        self.caller_answered(turn, leg)
    }

    fn ae_answered(&mut self, turn: &Turn<'_>, ae: Ae, invited: Mono) {
        let ring_ms = millis(turn.now.mono.since(invited));
        if let Some(view) = self.ae_view() {
            view.sip_status = Some(200);
            view.ring_ms = Some(ring_ms);
        }
        self.report_attempt(EventKind::Answered, json!({"ae": ae.id, "leg": ae.leg}));
        let hears = self.brief(turn, ae.leg);
        self.state = State::Listening { ae, answered: turn.now.mono, hears };
    }

    /// Tells the AE what it is about, and what to press.
    fn brief(&mut self, turn: &Turn<'_>, leg: LegId) -> Hears {
        let mut speech = lines([Line::CallbackForYou]);
        if self.case.briefing == Rendering::Ready {
            speech.push(Said::Briefing);
        }
        speech.extend(keys(turn));
        let say = self.say_to_ae(leg, speech);
        Hears::Speech { say, until: turn.now.mono + SPEECH_MAX }
    }

    pub(super) fn rendered(&mut self, ready: bool) -> Ignored {
        if self.case.briefing != Rendering::Pending {
            return TWICE;
        }
        self.case.briefing = if ready { Rendering::Ready } else { Rendering::Failed };
        None
    }

    pub(super) fn key(&mut self, turn: &mut Turn<'_>, leg: LegId, key: Key) -> Ignored {
        if self.is_same_press(leg, key, turn.now.mono) {
            return TWICE;
        }
        let keys = turn.settings.keys;
        match &self.state {
            State::Listening { ae, .. } if ae.leg == leg => {
                if key == keys.accept {
                    self.accept(turn, "key")
                } else if key == keys.decline {
                    self.decline(turn, "declined by key")
                } else if key == keys.later {
                    self.decline(turn, "asked for later by key")
                } else if key == keys.repeat {
                    let hears = self.brief(turn, leg);
                    self.listens(hears)
                } else if key == keys.skip {
                    self.tell_keys(turn)
                } else {
                    ANOTHER_KEY
                }
            }
            State::Confirming { caller, .. } if *caller == leg => self.caller_key(turn, key),
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

    pub(super) fn listens(&mut self, now_hears: Hears) -> Ignored {
        if let State::Listening { hears, .. } | State::Confirming { hears, .. } = &mut self.state {
            *hears = now_hears;
        }
        None
    }

    /// Says once more what to press.
    pub(super) fn tell_keys(&mut self, turn: &mut Turn<'_>) -> Ignored {
        let State::Listening { ae, .. } = &self.state else { return NOT_ASKED };
        let leg = ae.leg;
        if turn.settings.accept == AcceptBy::Answer {
            return self.accept(turn, "answer");
        }
        let say = self.say_to_ae(leg, keys(turn));
        self.listens(Hears::Speech { say, until: turn.now.mono + SPEECH_MAX })
    }

    /// A speech has been said.
    pub(super) fn said(&mut self, turn: &mut Turn<'_>, say: crate::SayId) -> Ignored {
        if let State::Parting { .. } = &self.state {
            return self.parting_said(turn, say);
        }
        if let State::Listening { hears, .. } | State::Confirming { hears, .. } = &self.state
            && matches!(hears, Hears::Speech { say: on, .. } if *on == say)
        {
            return self.heard(turn);
        }
        OLD_SPEECH
    }

    /// What is being said has come to its end.
    pub(super) fn heard(&mut self, turn: &mut Turn<'_>) -> Ignored {
        if matches!(self.state, State::Listening { .. }) && turn.settings.accept == AcceptBy::Answer {
            return self.accept(turn, "answer");
        }
        if matches!(self.state, State::Confirming { .. }) && turn.rules().confirm == ConfirmBy::Speech {
            self.act(CallbackAction::Listen { longest: ANSWER_MAX, silence_max: ANSWER_SILENCE });
            return self.listens(Hears::Listened { until: turn.now.mono + ANSWER_MAX + TEXT_MAX });
        }
        self.listens(Hears::Nothing { until: turn.now.mono + REMIND_EVERY })
    }

    pub(super) fn accept(&mut self, turn: &mut Turn<'_>, by: &str) -> Ignored {
        let State::Listening { ae, answered, .. } = &self.state else { return NOT_ASKED };
        let (ae, accept_ms) = (ae.clone(), millis(turn.now.mono.since(*answered)));
        if let Some(view) = self.ae_view() {
            view.outcome = Some(AttemptOutcome::Accepted);
            view.accept_ms = Some(accept_ms);
        }
        self.report_attempt(EventKind::Accepted, json!({"ae": ae.id, "leg": ae.leg, "by": by, "after_ms": accept_ms}));
        self.call_them(turn, ae);
        None
    }

    pub(super) fn decline(&mut self, turn: &mut Turn<'_>, reason: &str) -> Ignored {
        let (State::Inviting { ae, .. } | State::Ringing { ae, .. } | State::Listening { ae, .. }) = &self.state else {
            return NOT_ASKED;
        };
        let ae = ae.clone();
        self.ae_failed(turn, &ae, AttemptOutcome::Declined, None, reason, Some(Cause::Declined));
        None
    }

    /// An INVITE was refused.
    pub(super) fn refused(&mut self, turn: &mut Turn<'_>, leg: LegId, status: u16, phrase: &str) -> Ignored {
        let phrase: String = phrase.chars().filter(|sign| !sign.is_control()).take(REASON_CHARS_MAX).collect();
        let reason = format!("refused: {status} {phrase}");
        let rang = matches!(self.state, State::Ringing { .. });
        if let State::Inviting { ae, .. } | State::Ringing { ae, .. } = &self.state
            && ae.leg == leg
        {
            let ae = ae.clone();
            self.ae_failed(turn, &ae, outcome::of_refusal(status, rang), Some(status), &reason, None);
            return None;
        }
        self.caller_refused(turn, leg, status, &reason)
    }

    /// A leg that was up has ended.
    pub(super) fn gone(&mut self, turn: &mut Turn<'_>, leg: LegId, why: LegEnd) -> Ignored {
        let words = match why {
            LegEnd::HungUp => "hung up without accepting",
            LegEnd::Lost => "the AE's leg was lost",
        };
        match &self.state {
            State::Listening { ae, .. } if ae.leg == leg => {
                let ae = ae.clone();
                let cause = (why == LegEnd::Lost).then_some(Cause::Lost);
                self.ae_failed(turn, &ae, AttemptOutcome::NotAccepted, None, words, cause);
                None
            }
            State::Calling { .. } | State::Confirming { .. } => self.gone_while_calling(turn, leg),
            State::Keeping { .. } | State::Switching { .. } => self.hung_up(turn, leg),
            State::Parting { .. } => self.parting_gone(turn, leg),
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
            | State::Kept { .. }
            | State::Settling { .. }
            | State::Over => ANOTHER_LEG,
        }
    }

    /// The AE was not to be had: the next one.
    pub(super) fn ae_failed(
        &mut self,
        turn: &mut Turn<'_>,
        ae: &Ae,
        outcome: AttemptOutcome,
        status: Option<u16>,
        reason: &str,
        cause: Option<Cause>,
    ) {
        if let Some(cause) = cause {
            self.act(CallbackAction::HangUp { leg: ae.leg, cause });
        }
        if let State::Inviting { invited, .. } | State::Ringing { invited, .. } = self.state
            && let Some(view) = self.ae_view()
        {
            view.ring_ms = Some(millis(turn.now.mono.since(invited)));
        }
        if let Some(view) = self.ae_view() {
            view.outcome = Some(outcome);
            view.sip_status = view.sip_status.or(status);
            view.reason = Some(reason.to_owned());
        }
        let data = json!({"ae": ae.id, "leg": ae.leg, "outcome": outcome, "sip_status": status, "reason": reason});
        self.report_attempt(EventKind::AttemptFailed, data);
        self.release(turn, ae, Duration::ZERO);
        self.next_ae(turn);
    }

    /// The AE is free again.
    pub(super) fn release(&mut self, turn: &mut Turn<'_>, ae: &Ae, wrap_up: Duration) {
        let Some(transfer) = self.row.progress.attempts.last().map(|attempt| attempt.transfer) else { return };
        if turn.roster.release(turn.now, &ae.id, transfer, ae.epoch, wrap_up) {
            self.case.commits += 1;
            let records = vec![Record::Release { ae: ae.id.clone(), epoch: ae.epoch }];
            self.act(CallbackAction::Commit { number: self.case.commits, level: CommitLevel::Process, records });
        }
    }
}

/// How much of a phrase from outside is kept, in characters.
const REASON_CHARS_MAX: usize = 200;

/// What to press, where anything must be.
fn keys(turn: &Turn<'_>) -> Vec<Said> {
    let keys = turn.settings.keys;
    match turn.settings.accept {
        AcceptBy::Key | AcceptBy::Spoken => {
            lines([Line::ToAcceptPress, Line::Key(keys.accept), Line::ToDeclinePress, Line::Key(keys.decline)])
        }
        AcceptBy::Answer => Vec::new(),
    }
}

const fn why_not(state: Option<AeState>) -> &'static str {
    match state {
        None => "unknown",
        Some(AeState::Available) => "available",
        Some(AeState::Dnd) => "not to be disturbed",
        Some(AeState::Away) => "away",
        Some(AeState::OffHours) => "off hours",
        Some(AeState::Offered) => "being rung",
        Some(AeState::OnCall) => "on a call",
        Some(AeState::WrapUp) => "wrapping up",
    }
}
