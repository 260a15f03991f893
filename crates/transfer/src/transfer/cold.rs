//! A cold transfer by REFER: the caller's trunk is asked to take the call on.

use std::time::Duration;

use baton_contract::{AttemptOutcome, EventKind, Outcome, Stage, TransferState};
use baton_time::Mono;

use super::attempt::{Attempt, Failure};
use super::case::Turn;
use super::dialling::Dialing;
use super::ending;
use super::state::{Ignored, State, Step, any_event};
use crate::{Action, ColdBy, Event, Why, outcome};
use serde::{Deserialize, Serialize};

/// The caller's trunk is asked to take the call on.
///
/// Entry: a cold transfer whose attempt is on record, from a trunk that takes REFER. The original call is kept: the caller hears
/// a ringback tone, and nobody is let go before the trunk says that they are connected.
/// Out: a NOTIFY with 2xx, or the trunk's BYE after it has taken the REFER: `referred`, `Over`; the REFER is refused or not answered within
/// 5 s: we dial, `Dialing`; a NOTIFY with a failure, or none within `ring_max`: the next step; the caller hangs up or somebody cancels: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Referring {
    pub(crate) attempt: Attempt,
    stands: Stands,
}

/// How far the REFER is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stands {
    /// Sent.
    Asked { until: Mono },
    /// The trunk has it.
    Taken { at: Mono },
    /// The far end rings.
    Rings { at: Mono },
    /// The caller's leg has ended after the trunk had taken the REFER; its last word may still come.
    Left { until: Mono },
}

/// The trunk must have answered the REFER by then; else we dial.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The last NOTIFY may come this long after the caller's leg has ended.
const LAST_WORD_MAX: Duration = Duration::from_secs(2);

impl Referring {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt) -> State {
        turn.case.budget.close(turn.now.mono);
        turn.act(Action::ReferCaller { to: attempt.to.clone() });
        Referring { attempt, stands: Stands::Asked { until: turn.now.mono + ANSWER_MAX } }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match (event, self.stands) {
            (Event::ReferAccepted, Stands::Asked { .. }) => {
                Referring { stands: Stands::Taken { at: turn.now.mono }, ..self }.into()
            }
            (Event::ReferAccepted, Stands::Taken { .. } | Stands::Rings { .. } | Stands::Left { .. }) => {
                Step::ignore(self, Ignored::Twice)
            }
            (Event::ReferProgress(status), stands) => self.progress(turn, status, stands),
            (Event::ReferDone, _) if baton_time::bug!(93) => Step::ignore(self, Ignored::Twice),
            (Event::ReferDone, _) => self.done(turn, "connected by the trunk").into(),
            (Event::ReferFailed { status }, Stands::Asked { .. }) => self.we_dial(turn, Some(status)).into(),
            (Event::ReferFailed { .. }, Stands::Left { .. }) => self.abandoned(turn).into(),
            (Event::ReferFailed { status }, Stands::Taken { .. } | Stands::Rings { .. }) => self.failed(turn, status).into(),
            (Event::CallerGone, Stands::Asked { .. }) => self.abandoned(turn).into(),
            (Event::CallerGone, Stands::Taken { .. } | Stands::Rings { .. }) => {
                turn.drop_ai();
                Referring { stands: Stands::Left { until: turn.now.mono + LAST_WORD_MAX }, ..self }.into()
            }
            (Event::CallerGone | Event::Cancel, Stands::Left { .. }) => Step::ignore(self, Ignored::Twice),
            (Event::Cancel, Stands::Asked { .. } | Stands::Taken { .. } | Stands::Rings { .. }) => self.cancelled(turn).into(),
            (other @ (any_event!()), _) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        match self.stands {
            Stands::Asked { .. } => self.we_dial(turn, None),
            // The trunk has taken the REFER and then ended the caller's leg: that is how many of them say that it has worked.
            Stands::Left { .. } => self.done(turn, "the trunk took the REFER and ended the caller's leg"),
            Stands::Taken { .. } | Stands::Rings { .. } => self.not_in_time(turn, why),
        }
    }

    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        match self.stands {
            Stands::Asked { until } => Some((until, Why::ReferMustBeAnswered)),
            Stands::Taken { at } | Stands::Rings { at } => self.attempt.answer_deadline(at),
            Stands::Left { until } => Some((until, Why::ReferMustEnd)),
        }
    }

    pub(crate) fn shown(&self) -> TransferState {
        match self.stands {
            Stands::Asked { .. } | Stands::Taken { .. } | Stands::Left { .. } => TransferState::Dialing,
            Stands::Rings { .. } => TransferState::Ringing,
        }
    }

    fn progress(self, turn: &mut Turn<'_>, status: u16, stands: Stands) -> Step {
        match stands {
            // Some trunks notify before they answer the REFER itself (RFC 3515 §2.4.4).
            Stands::Asked { .. } | Stands::Taken { .. } if (180..200).contains(&status) => {
                turn.progress(180, "Ringing");
                let mut data = self.attempt.named();
                data["sip_status"] = status.into();
                turn.report(EventKind::Ringing, data);
                Referring { stands: Stands::Rings { at: turn.now.mono }, ..self }.into()
            }
            Stands::Asked { .. } => Referring { stands: Stands::Taken { at: turn.now.mono }, ..self }.into(),
            Stands::Taken { .. } | Stands::Rings { .. } | Stands::Left { .. } => Step::ignore(self, Ignored::Twice),
        }
    }

    /// The trunk has the caller: everybody else is let go.
    fn done(self, turn: &mut Turn<'_>, how: &str) -> State {
        let wrap_up = turn.settings.wrap_up;
        if let Some(view) = turn.case.attempt() {
            view.outcome = Some(AttemptOutcome::Accepted);
            view.reason = Some(how.to_owned());
        }
        turn.finish(Outcome::Referred);
        self.attempt.release(turn, wrap_up);
        turn.drop_ai();
        turn.act(Action::EndCall);
        State::Over
    }

    /// The trunk does not do it: from here on we dial, also for the attempts that may follow.
    fn we_dial(self, turn: &mut Turn<'_>, status: Option<u16>) -> State {
        if let Some(view) = turn.case.attempt() {
            view.reason = Some(match status {
                Some(status) => format!("the trunk refused the REFER: {status}; dialled instead"),
                None => "the trunk did not answer the REFER; dialled instead".to_owned(),
            });
        }
        turn.case.begin.cold_by = ColdBy::Bridge;
        turn.case.budget.open(turn.now.mono, Stage::Start);
        Dialing::begin(turn, self.attempt)
    }

    /// The trunk cannot be told to stop; the caller goes on with us.
    fn not_in_time(self, turn: &mut Turn<'_>, why: Why) -> State {
        let outcome = if why == Why::AeMustAnswer { AttemptOutcome::NoAnswer } else { AttemptOutcome::BudgetExceeded };
        let reason = format!("referred, then nothing in time: {why}");
        self.attempt.fail(turn, Failure::new(outcome, None, reason))
    }

    /// The trunk has tried, and the far end did not answer or did not want to.
    fn failed(self, turn: &mut Turn<'_>, status: u16) -> State {
        let rang = matches!(self.stands, Stands::Rings { .. });
        let outcome = outcome::of_refusal(status, rang);
        let failure = Failure { outcome, status: Some(status), reason: format!("referred, then {status}"), hang_up: None };
        self.attempt.fail(turn, failure)
    }

    fn abandoned(self, turn: &mut Turn<'_>) -> State {
        self.attempt.close(turn, Failure::new(AttemptOutcome::CallerGone, None, "the caller hung up"));
        ending::abandoned(turn)
    }

    fn cancelled(self, turn: &mut Turn<'_>) -> State {
        self.attempt.close(turn, Failure::new(AttemptOutcome::NotAccepted, None, "the transfer was cancelled"));
        ending::to_the_ai(turn, Outcome::Cancelled)
    }
}
