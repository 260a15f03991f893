//! From the answer to the acceptance: the AE alone hears the briefing, and what to press.

use std::time::Duration;

use baton_contract::{AttemptOutcome, EventKind, TransferState};
use baton_time::Mono;

use super::attempt::{Attempt, Failure, earlier};
use super::case::{Ai, Rendering, Turn};
use super::ending::Parting;
use super::state::{Ignored, State, Step, any_event};
use crate::budget::millis;
use crate::{AcceptBy, AcceptedBy, AeSpeech, BriefingBy, Cause, Event, Key, LegEnd, Line, SayId, SceneName, Why};
use serde::{Deserialize, Serialize};

/// The AE has answered.
///
/// Entry: the 200 of the consult INVITE. The AE hears the briefing and then the keys; where it is not rendered yet, first a line that
/// says who is waiting; where the AI is to brief them, they and the AI hear each other, and the caller hears music. Nobody else hears any
/// of it. Keys act from here on, also into the briefing.
/// Out: accepted: `Accepting`; declined, later, hung up, or no key by the worst case of the acceptance: the next step; the caller
/// hangs up or somebody cancels: `Parting`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) attempt: Attempt,
    answered: Mono,
    /// When the first sound was sent to the AE.
    sounded: Option<Mono>,
    hears: Hears,
}

/// What the AE hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Hears {
    /// Who is waiting; the briefing may follow.
    Opener { say: SayId, until: Mono },
    /// The briefing, whole or shortened, with the keys.
    Briefing { say: SayId, until: Mono },
    /// What to press.
    Keys { say: SayId, until: Mono },
    /// Nothing, until they are told once more what to press.
    Nothing { until: Mono },
    /// The AI, and the AI hears them.
    Ai { until: Mono },
}

/// Longer than any of the shipped lines together; then they count as said.
pub(crate) const LINES_MAX: Duration = Duration::from_secs(20);

/// A speech that has not ended this long after its reckoned end counts as said.
const SPEECH_SLACK: Duration = Duration::from_secs(5);

/// What telling the keys takes, reckoned.
const KEYS_TAKE: Duration = Duration::from_secs(4);

/// The pause before the AE is told the keys once more.
const REMIND_EVERY: Duration = Duration::from_secs(5);

impl Listening {
    pub(crate) fn begin(turn: &mut Turn<'_>, attempt: Attempt) -> State {
        if turn.case.begin.options.briefing == BriefingBy::Ai && turn.case.ai == Ai::Up {
            return Listening::live(turn, attempt).into();
        }
        let hears = Hears::begin(turn, &attempt);
        Listening { attempt, answered: turn.now.mono, sounded: None, hears }.into()
    }

    /// The AI tells the AE, and hears what they say; the caller hears music.
    fn live(turn: &mut Turn<'_>, attempt: Attempt) -> Listening {
        let waits = turn.case.scene == SceneName::ConsultAi;
        turn.scene(SceneName::ConsultLive);
        if waits {
            turn.say_to_caller(vec![Line::OneMoment]);
        }
        let mut data = attempt.named();
        data["after_answer_ms"] = 0.into();
        data["by"] = "ai".into();
        turn.report(EventKind::BriefingStarted, data);
        let now = turn.now.mono;
        Listening { attempt, answered: now, sounded: Some(now), hears: Hears::Ai { until: now + turn.settings.briefing_max } }
    }

    /// Whether the AI is telling them.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.hears, Hears::Ai { .. })
    }

    /// The AI has told all, or has taken too long: the AE is told what to press.
    fn live_ends(self, turn: &mut Turn<'_>) -> State {
        turn.consult_scene();
        match turn.case.begin.options.accept {
            AcceptBy::Answer => self.accept(turn, AcceptedBy::Answer),
            AcceptBy::Key | AcceptBy::Spoken => self.tell_keys(turn),
        }
    }

    /// The AI has gone, or is silent: the AE is briefed as if it had never begun.
    pub(crate) fn live_lost(self, turn: &mut Turn<'_>) -> State {
        turn.scene(SceneName::ConsultMusic);
        let hears = Hears::begin(turn, &self.attempt);
        Listening { hears, ..self }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Key { key, .. } => self.key(turn, key),
            Event::Accept => self.accept_spoken(turn).into(),
            Event::Decline { reason, retry_after } => self.decline(turn, reason, retry_after).into(),
            Event::LegGone { why, .. } => self.lost(turn, why).into(),
            Event::SpeechStarted(say) if self.hears.is(say) => self.sounds(turn),
            Event::SpeechEnded(say) if self.hears.is(say) => self.heard(turn).into(),
            Event::CallerGone => self.caller_gone(turn).into(),
            Event::Cancel => self.cancelled(turn).into(),
            Event::AiDone if self.is_live() => self.live_ends(turn).into(),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        if why == Why::SpeechMustEnd {
            return self.heard(turn);
        }
        if why == Why::AeIsReminded {
            return self.tell_keys(turn);
        }
        if why == Why::BriefingMustEnd {
            return self.live_ends(turn);
        }
        self.listened(turn);
        let reason = format!("not accepted in time: {why}");
        self.attempt.fail(turn, Failure::new(AttemptOutcome::NotAccepted, Some(Cause::NotAccepted), reason))
    }

    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        let own = match self.hears {
            Hears::Opener { until, .. } | Hears::Briefing { until, .. } | Hears::Keys { until, .. } => {
                (until, Why::SpeechMustEnd)
            }
            Hears::Nothing { until } => (until, Why::AeIsReminded),
            Hears::Ai { until } => (until, Why::BriefingMustEnd),
        };
        earlier(self.attempt.deadline(), Some(own))
    }

    pub(crate) fn shown(&self) -> TransferState {
        if self.sounded.is_some() { TransferState::Briefing } else { TransferState::Answered }
    }

    fn key(self, turn: &mut Turn<'_>, key: Key) -> Step {
        let keys = turn.settings.keys;
        if key == keys.accept || (baton_time::bug!(46) && key == Key::HASH) {
            self.accept(turn, AcceptedBy::Key).into()
        } else if key == keys.decline && !baton_time::bug!(47) {
            self.decline(turn, Some("declined by key".to_owned()), None).into()
        } else if key == keys.later {
            self.decline(turn, Some("asked for later by key".to_owned()), Some(Duration::ZERO)).into()
        } else if key == keys.repeat {
            self.again(turn).into()
        } else if key == keys.skip {
            self.skip(turn).into()
        } else {
            Step::ignore(self, Ignored::AnotherKey)
        }
    }

    fn again(self, turn: &mut Turn<'_>) -> State {
        if self.is_live() {
            turn.consult_scene();
        }
        let hears = match turn.case.briefing {
            Rendering::Ready { full, short } => brief(turn, &self.attempt, full, short),
            Rendering::Pending | Rendering::Failed => {
                let lines = std::iter::once(Line::CallerWaiting).chain(keys(turn)).collect();
                let say = turn.say_to_ae(self.attempt.leg, AeSpeech::Lines(lines));
                Hears::Briefing { say, until: turn.now.mono + LINES_MAX }
            }
        };
        Listening { hears, ..self }.into()
    }

    fn skip(self, turn: &mut Turn<'_>) -> State {
        match turn.case.begin.options.accept {
            AcceptBy::Key | AcceptBy::Spoken => self.tell_keys(turn),
            AcceptBy::Answer => self.accept(turn, AcceptedBy::Answer),
        }
    }

    fn tell_keys(self, turn: &mut Turn<'_>) -> State {
        if self.is_live() {
            turn.consult_scene();
        }
        let lines = keys(turn);
        let say = turn.say_to_ae(self.attempt.leg, AeSpeech::Lines(lines));
        Listening { hears: Hears::Keys { say, until: turn.now.mono + LINES_MAX }, ..self }.into()
    }

    /// The first sound of a speech.
    fn sounds(self, turn: &mut Turn<'_>) -> Step {
        if self.sounded.is_some() {
            return Step::ignore(self, Ignored::Twice);
        }
        let after_answer_ms = millis(turn.now.mono.since(self.answered));
        let mut data = self.attempt.named();
        data["after_answer_ms"] = after_answer_ms.into();
        turn.report(EventKind::BriefingStarted, data);
        Listening { sounded: Some(turn.now.mono), ..self }.into()
    }

    /// What the AE was hearing has been said to its end.
    fn heard(self, turn: &mut Turn<'_>) -> State {
        match (self.hears, turn.case.briefing, turn.case.begin.options.accept) {
            (Hears::Opener { .. }, Rendering::Ready { full, short }, _) => {
                let hears = brief(turn, &self.attempt, full, short);
                Listening { hears, ..self }.into()
            }
            (Hears::Opener { .. } | Hears::Briefing { .. }, _, AcceptBy::Answer) => self.accept(turn, AcceptedBy::Answer),
            (Hears::Opener { .. }, Rendering::Pending | Rendering::Failed, AcceptBy::Key | AcceptBy::Spoken) => {
                self.tell_keys(turn)
            }
            (Hears::Briefing { .. } | Hears::Keys { .. } | Hears::Nothing { .. } | Hears::Ai { .. }, _, _) => {
                Listening { hears: Hears::Nothing { until: turn.now.mono + REMIND_EVERY }, ..self }.into()
            }
        }
    }

    /// The AE has stopped listening: what they heard of the briefing is on record.
    fn listened(&self, turn: &mut Turn<'_>) {
        let briefing = self.sounded.map(|sounded| millis(turn.now.mono.since(sounded)));
        if let Some(view) = turn.case.attempt() {
            view.briefing_ms = briefing;
        }
    }

    /// Accepted without a key: by the AE through the API, or, where that counts, by the AI to which they have said it.
    fn accept_spoken(self, turn: &mut Turn<'_>) -> State {
        let by = match turn.case.begin.options.accept {
            AcceptBy::Spoken => AcceptedBy::Spoken,
            AcceptBy::Key | AcceptBy::Answer => AcceptedBy::Api,
        };
        self.accept(turn, by)
    }

    fn accept(self, turn: &mut Turn<'_>, by: AcceptedBy) -> State {
        self.listened(turn);
        self.attempt.accepted(turn, by, self.answered)
    }

    fn decline(self, turn: &mut Turn<'_>, reason: Option<String>, retry_after: Option<Duration>) -> State {
        self.listened(turn);
        self.attempt.declined(turn, reason, retry_after)
    }

    fn lost(self, turn: &mut Turn<'_>, why: LegEnd) -> State {
        self.listened(turn);
        let failure = match why {
            LegEnd::HungUp => Failure::new(AttemptOutcome::NotAccepted, None, "hung up without accepting"),
            LegEnd::Lost => Failure::new(AttemptOutcome::NotAccepted, Some(Cause::Lost), "the AE's leg was lost"),
        };
        self.attempt.fail(turn, failure)
    }

    fn caller_gone(self, turn: &mut Turn<'_>) -> State {
        self.listened(turn);
        self.attempt.failed(turn, Failure::new(AttemptOutcome::CallerGone, None, "the caller hung up"));
        Parting::caller_left(turn, self.attempt)
    }

    fn cancelled(self, turn: &mut Turn<'_>) -> State {
        self.listened(turn);
        if turn.case.ai != Ai::Up {
            return self.attempt.cancelled(turn);
        }
        self.attempt.failed(turn, Failure::new(AttemptOutcome::NotAccepted, None, "the transfer was cancelled"));
        Parting::cancelled(turn, self.attempt)
    }
}

impl Hears {
    /// What the AE hears first.
    fn begin(turn: &mut Turn<'_>, attempt: &Attempt) -> Hears {
        match turn.case.briefing {
            Rendering::Ready { full, short } => brief(turn, attempt, full, short),
            Rendering::Pending => {
                let say = turn.say_to_ae(attempt.leg, AeSpeech::Lines(vec![Line::CallerWaiting]));
                Hears::Opener { say, until: turn.now.mono + LINES_MAX }
            }
            Rendering::Failed => {
                let lines = std::iter::once(Line::CallerWaiting).chain(keys(turn)).collect();
                let say = turn.say_to_ae(attempt.leg, AeSpeech::Lines(lines));
                Hears::Briefing { say, until: turn.now.mono + LINES_MAX }
            }
        }
    }

    fn is(self, asked: SayId) -> bool {
        match self {
            Hears::Opener { say, .. } | Hears::Briefing { say, .. } | Hears::Keys { say, .. } => say == asked,
            Hears::Nothing { .. } | Hears::Ai { .. } => false,
        }
    }
}

/// Says the briefing: whole if it ends, keys included, before the attempt must; else its first sentence.
fn brief(turn: &mut Turn<'_>, attempt: &Attempt, full: Duration, short: Duration) -> Hears {
    let worst = turn.case.budget.worst_at();
    let end = attempt.must_end.map_or(worst, |must_end| must_end.min(worst));
    let lines = keys(turn);
    let fits = turn.now.mono + full + KEYS_TAKE <= end;
    let (speech, takes) = if fits { (AeSpeech::Briefing(lines), full) } else { (AeSpeech::Short(lines), short) };
    let say = turn.say_to_ae(attempt.leg, speech);
    Hears::Briefing { say, until: turn.now.mono + takes + LINES_MAX + SPEECH_SLACK }
}

/// What to press, where anything must be.
fn keys(turn: &Turn<'_>) -> Vec<Line> {
    let keys = turn.settings.keys;
    match turn.case.begin.options.accept {
        AcceptBy::Key | AcceptBy::Spoken => {
            vec![Line::ToAcceptPress, Line::Key(keys.accept), Line::ToDeclinePress, Line::Key(keys.decline)]
        }
        AcceptBy::Answer => Vec::new(),
    }
}
