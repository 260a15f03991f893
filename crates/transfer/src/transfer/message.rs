//! Voicemail: the caller leaves a message, and it is put on record before they are told that it is kept.

use std::time::Duration;

use baton_contract::{CommitLevel, MessageView, Outcome, Record, TransferState};
use baton_time::Mono;

use super::case::{Ai, Turn};
use super::ending::{self, Farewell};
use super::state::{Ignored, State, Step, any_event};
use crate::budget::millis;
use crate::{Action, Event, Fact, Key, Line, Message, SayId, SceneName, Why};
use serde::{Deserialize, Serialize};

/// The caller leaves a message.
///
/// Entry: a transfer of the mode voicemail was asked for. The caller is told to speak after the tone; nobody hears them, and the AI, if it
/// is up, waits.
/// Out: they press `#`, fall silent, or have said enough, and the recording is there: `Keeping`; they have said nothing: back to the AI; there
/// is no recording: the same, and so where somebody cancels: back to the AI. A caller who hangs up keeps what they have said, if it is a second or more:
/// `Keeping`; else `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recording {
    stands: Stands,
    caller: Caller,
}

/// How far the message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stands {
    /// The caller is told to speak after the tone.
    Asked { say: SayId, until: Mono },
    /// They speak.
    Speaks { until: Mono },
    /// The recording is being ended.
    Ends { until: Mono },
}

/// Whether anybody waits to hear that the message is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Caller {
    Waits,
    Gone,
}

/// The message is being put on record.
///
/// Entry: the recording has ended and there is something on it. Out: it survives a loss of power: the caller is told and the call ends,
/// `Farewell`, or, where they have left, `Over`; the store refuses or does not answer: nothing is promised, back to the AI.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Keeping {
    pub(crate) until: Mono,
    caller: Caller,
}

/// Less speech than this is no message.
const SPEECH_MIN: Duration = Duration::from_secs(1);

/// A recording ends by itself; this long after it should have, it is ended.
const END_SLACK: Duration = Duration::from_secs(1);

/// Whoever records may take this long to close a recording.
const CLOSE_MAX: Duration = Duration::from_secs(3);

/// The store may take this long with a promise.
const STORE_MAX: Duration = Duration::from_secs(3);

impl Recording {
    pub(crate) fn begin(turn: &mut Turn<'_>) -> State {
        turn.case.budget.stop(turn.now.mono);
        turn.scene(SceneName::Voicemail);
        let say = turn.say_to_caller(vec![Line::LeaveMessage, Line::Beep]);
        let stands = Stands::Asked { say, until: turn.now.mono + super::listening::LINES_MAX };
        Recording { stands, caller: Caller::Waits }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match (event, self.stands) {
            (Event::SpeechEnded(said), Stands::Asked { say, .. }) if said == say => self.records(turn).into(),
            (Event::SpeechStarted(said), Stands::Asked { say, .. }) if said == say => Step::ignore(self, Ignored::Twice),
            (Event::CallerKey(Key::HASH), Stands::Asked { .. }) => {
                turn.act(Action::HushCaller);
                self.records(turn).into()
            }
            (Event::CallerKey(Key::HASH), Stands::Speaks { .. }) => self.stops(turn).into(),
            (Event::CallerKey(_), _) => Step::ignore(self, Ignored::AnotherKey),
            (Event::Recorded(message), Stands::Speaks { .. } | Stands::Ends { .. }) => self.recorded(turn, message).into(),
            (Event::RecordFailed, Stands::Speaks { .. } | Stands::Ends { .. }) => self.failed(turn).into(),
            (Event::CallerGone, Stands::Asked { .. }) => ending::abandoned(turn).into(),
            (Event::CallerGone, Stands::Speaks { .. } | Stands::Ends { .. }) => self.caller_gone(turn),
            (Event::Cancel, _) if self.caller == Caller::Waits => {
                if !matches!(self.stands, Stands::Asked { .. }) {
                    turn.act(Action::StopRecording);
                }
                ending::to_the_ai(turn, Outcome::Cancelled).into()
            }
            (other @ (any_event!()), _) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        match self.stands {
            Stands::Asked { .. } => self.records(turn).into(),
            Stands::Speaks { .. } => self.stops(turn).into(),
            Stands::Ends { .. } => self.failed(turn),
        }
    }

    pub(crate) fn deadline(&self) -> (Mono, Why) {
        match self.stands {
            Stands::Asked { until, .. } => (until, Why::SpeechMustEnd),
            Stands::Speaks { until } => (until, Why::MessageMustEnd),
            Stands::Ends { until } => (until, Why::RecordingMustBeKept),
        }
    }

    fn records(self, turn: &mut Turn<'_>) -> Recording {
        let (max, silence_max) = (turn.settings.message_max, turn.settings.message_silence_max);
        turn.act(Action::Record { max, silence_max });
        Recording { stands: Stands::Speaks { until: turn.now.mono + max + END_SLACK }, ..self }
    }

    fn stops(self, turn: &mut Turn<'_>) -> Recording {
        turn.act(Action::StopRecording);
        Recording { stands: Stands::Ends { until: turn.now.mono + CLOSE_MAX }, ..self }
    }

    /// The AI is let go at once; only the outcome waits for the recording.
    fn caller_gone(self, turn: &mut Turn<'_>) -> Step {
        if self.caller == Caller::Gone {
            return Step::ignore(self, Ignored::Twice);
        }
        turn.drop_ai();
        let ended = if matches!(self.stands, Stands::Speaks { .. }) { self.stops(turn) } else { self };
        Recording { caller: Caller::Gone, ..ended }.into()
    }

    fn recorded(self, turn: &mut Turn<'_>, message: Message) -> State {
        if message.speech < SPEECH_MIN && !baton_time::bug!(95) {
            return match self.caller {
                Caller::Waits => ending::to_the_ai(turn, Outcome::ReturnedToAi),
                Caller::Gone => ending::abandoned(turn),
            };
        }
        turn.case.message = Some(MessageView {
            file: message.file,
            duration_ms: millis(message.duration),
            speech_ms: millis(message.speech),
            transcript: None,
        });
        turn.act(Action::HushCaller);
        turn.scene(SceneName::Offering);
        let view = turn.case.view(TransferState::Recording);
        turn.commit(Fact::Message, CommitLevel::Power, vec![Record::Transfer(Box::new(view))]);
        Keeping { until: turn.now.mono + STORE_MAX, caller: self.caller }.into()
    }

    fn failed(self, turn: &mut Turn<'_>) -> State {
        not_kept(turn, self.caller)
    }
}

impl Keeping {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Committed(Fact::Message) => self.kept(turn).into(),
            Event::CommitRefused(Fact::Message) => self.not_kept(turn).into(),
            Event::CallerGone if self.caller == Caller::Waits => {
                turn.drop_ai();
                Keeping { caller: Caller::Gone, ..self }.into()
            }
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>) -> State {
        self.not_kept(turn)
    }

    fn kept(self, turn: &mut Turn<'_>) -> State {
        turn.finish(Outcome::Voicemail);
        match self.caller {
            Caller::Waits => Farewell::begin(turn, vec![Line::MessageKept, Line::Goodbye]),
            Caller::Gone => {
                turn.act(Action::EndCall);
                State::Over
            }
        }
    }

    fn not_kept(self, turn: &mut Turn<'_>) -> State {
        turn.case.store_failed = true;
        turn.case.message = None;
        not_kept(turn, self.caller)
    }
}

/// There is no message, though the caller has left one.
fn not_kept(turn: &mut Turn<'_>, caller: Caller) -> State {
    match (caller, turn.case.ai) {
        (Caller::Gone, _) => ending::abandoned(turn),
        (Caller::Waits, Ai::Up | Ai::Gone) => {
            let state = ending::to_the_ai(turn, Outcome::ReturnedToAi);
            if turn.case.ai == Ai::Gone {
                turn.say_to_caller(vec![Line::MessageNotKept]);
            }
            state
        }
        (Caller::Waits, Ai::Failed) => ending::give_up(turn),
    }
}
