//! The states of a transfer, and how an event reaches the one that is on.

use baton_contract::{LegId, TransferState};
use baton_time::Mono;

use super::bridge::{Accepting, Human, Switching};
use super::case::Turn;
use super::cold::Referring;
use super::dialling::{Dialing, Invited, Journalling, Ringing};
use super::ending::{Farewell, Parting, Recalling};
use super::handing::{HandingBack, MovingOn};
use super::introducing::Introducing;
use super::listening::Listening;
use super::message::{Keeping, Recording};
use super::offer::{Offering, Promising};
use crate::{Callee, Event, Why};
use serde::{Deserialize, Serialize};

/// Where a transfer stands. Each state is described where it is defined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum State {
    Journalling(Journalling),
    Dialing(Dialing),
    Invited(Invited),
    Ringing(Ringing),
    Referring(Referring),
    Listening(Listening),
    Accepting(Accepting),
    Introducing(Introducing),
    Switching(Switching),
    Human(Human),
    HandingBack(HandingBack),
    MovingOn(MovingOn),
    Recalling(Recalling),
    Offering(Offering),
    Promising(Promising),
    Recording(Recording),
    Keeping(Keeping),
    Farewell(Farewell),
    Parting(Parting),
    /// Nothing is left to do. Entry: from every state that ends. No way out.
    Over,
}

/// What an event led to.
pub(crate) struct Step {
    pub(crate) state: State,
    pub(crate) ignored: Option<Ignored>,
}

/// Why an event changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ignored {
    /// It happened before, and once is enough.
    Twice,
    /// It cannot have happened yet.
    TooEarly,
    /// No AE is being dialled or spoken to.
    NoAe,
    /// It belongs to a leg that this transfer has given up.
    AnotherLeg,
    /// That speech has ended, or was replaced by another.
    OldSpeech,
    /// The caller is not being asked anything.
    NotAsked,
    /// This key means nothing here.
    AnotherKey,
    /// The AE has accepted already.
    Accepted,
    /// Keys and words belong to caller and AE after the bridge.
    Conversation,
    /// The store is not being waited for, or for something else.
    NotAwaited,
    /// The AI is not being called back.
    NotRecalled,
    /// The trunk was not asked to take the call on.
    NotReferred,
    /// Nothing is being recorded.
    NotRecorded,
    /// The AI is not telling the AE anything.
    NothingToTell,
    /// The transfer has its outcome.
    Decided,
    /// That time has gone by, or cannot be told.
    NoTime,
    /// The time has not come.
    NotDue,
}

impl Ignored {
    /// The reason in words, for the table of states and events and for logs.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Ignored::Twice => "it has happened before",
            Ignored::TooEarly => "it cannot have happened yet",
            Ignored::NoAe => "no AE is being dialled or spoken to",
            Ignored::AnotherLeg => "that leg was given up",
            Ignored::OldSpeech => "that speech has ended or was replaced",
            Ignored::NotAsked => "the caller is not being asked anything",
            Ignored::AnotherKey => "this key means nothing here",
            Ignored::Accepted => "the AE has accepted already",
            Ignored::Conversation => "it belongs to the conversation of caller and AE",
            Ignored::NotAwaited => "the store is not being waited for, or for something else",
            Ignored::NotRecalled => "the AI is not being called back",
            Ignored::NotReferred => "the trunk was not asked to take the call on",
            Ignored::NotRecorded => "nothing is being recorded",
            Ignored::NothingToTell => "the AI is not telling the AE anything",
            Ignored::Decided => "the transfer has its outcome",
            Ignored::NoTime => "that time has gone by or cannot be booked",
            Ignored::NotDue => "the time has not come",
        }
    }
}

impl Step {
    pub(crate) fn ignore(state: impl Into<State>, why: Ignored) -> Step {
        Step { state: state.into(), ignored: Some(why) }
    }

    /// The event does not fit where the transfer stands.
    pub(crate) fn unfit(state: impl Into<State>, event: &Event) -> Step {
        let state = state.into();
        let why = unfit(state.phase(), event);
        Step { state, ignored: Some(why) }
    }
}

impl<S: Into<State>> From<S> for Step {
    fn from(state: S) -> Step {
        Step { state: state.into(), ignored: None }
    }
}

macro_rules! states {
    ($($name:ident),* $(,)?) => {
        $(impl From<$name> for State {
            fn from(state: $name) -> State {
                State::$name(state)
            }
        })*
    };
}

states!(
    Journalling,
    Dialing,
    Invited,
    Ringing,
    Referring,
    Listening,
    Accepting,
    Introducing,
    Switching,
    Human,
    HandingBack,
    MovingOn,
    Recalling,
    Offering,
    Promising,
    Recording,
    Keeping,
    Farewell,
    Parting
);

/// Events that mean the same in every state: they are dealt with before the state sees them.
macro_rules! everywhere {
    () => {
        Event::BriefingReady { .. } | Event::BriefingFailed | Event::AiGone | Event::AiSilent | Event::Wake
    };
}

/// What a consult INVITE can lead to.
macro_rules! of_the_invite {
    () => {
        Event::Dialed { .. } | Event::Trying { .. } | Event::Ringing { .. } | Event::Answered { .. } | Event::Refused { .. }
    };
}

/// What the AE can do once they have answered.
macro_rules! of_the_ae {
    () => {
        Event::Key { .. } | Event::Accept
    };
}

/// Answers of the store.
macro_rules! of_the_store {
    () => {
        Event::Committed(_) | Event::CommitRefused(_)
    };
}

/// How a speech goes.
macro_rules! of_speech {
    () => {
        Event::SpeechStarted(_) | Event::SpeechEnded(_)
    };
}

/// What belongs to the time after the bridge.
macro_rules! of_the_bridge {
    () => {
        Event::Switched | Event::AeHeld | Event::AeResumed
    };
}

/// What the caller can answer.
macro_rules! of_the_offer {
    () => {
        Event::CallerKey(_) | Event::SlotPicked(_)
    };
}

/// How the recall of the AI goes.
macro_rules! of_the_recall {
    () => {
        Event::AiBack | Event::AiFailed
    };
}

/// How a REFER of the caller goes.
macro_rules! of_the_refer {
    () => {
        Event::ReferAccepted | Event::ReferProgress(_) | Event::ReferDone | Event::ReferFailed { .. }
    };
}

/// How a recording ends.
macro_rules! of_the_recording {
    () => {
        Event::Recorded(_) | Event::RecordFailed
    };
}

/// What an AE who talks with the caller can do to end it.
macro_rules! of_the_human {
    () => {
        Event::HandBack { .. } | Event::AeRefers { .. } | Event::AeReplaced { .. }
    };
}

/// Every event: the last arm of a state, where it names those that mean nothing to it.
macro_rules! any_event {
    () => {
        $crate::transfer::state::of_the_store!()
            | $crate::transfer::state::of_the_invite!()
            | $crate::transfer::state::of_the_ae!()
            | $crate::transfer::state::of_speech!()
            | $crate::transfer::state::of_the_bridge!()
            | $crate::transfer::state::of_the_offer!()
            | $crate::transfer::state::of_the_recall!()
            | $crate::transfer::state::of_the_refer!()
            | $crate::transfer::state::of_the_recording!()
            | $crate::transfer::state::of_the_human!()
            | $crate::transfer::state::everywhere!()
            | Event::LegGone { .. }
            | Event::Decline { .. }
            | Event::AiDone
            | Event::CallerGone
            | Event::Cancel
    };
}

pub(crate) use {
    any_event, everywhere, of_speech, of_the_ae, of_the_bridge, of_the_human, of_the_invite, of_the_offer, of_the_recall,
    of_the_recording, of_the_refer, of_the_store,
};

/// How far a transfer has come with an AE, for the reasons why an event does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody is dialled yet.
    Before,
    /// An AE is being dialled.
    Dialling,
    /// An AE is on the line and has not accepted.
    Consult,
    /// The AE has accepted; the bridge is being made.
    Accepted,
    /// Caller and AE have been together, and the AE is still there, or somebody is to take their place.
    Bridged,
    /// There is no AE.
    Alone,
    /// The AE is told that they are not needed.
    Parting,
}

/// Why an event changes nothing in a phase, where the state itself does not know better.
fn unfit(phase: Phase, event: &Event) -> Ignored {
    match event {
        of_the_store!() => Ignored::NotAwaited,
        of_speech!() => Ignored::OldSpeech,
        of_the_offer!() => Ignored::NotAsked,
        of_the_recall!() => Ignored::NotRecalled,
        of_the_refer!() => Ignored::NotReferred,
        of_the_recording!() => Ignored::NotRecorded,
        Event::AiDone => Ignored::NothingToTell,
        of_the_invite!() => match phase {
            Phase::Before => Ignored::TooEarly,
            Phase::Dialling | Phase::Consult | Phase::Accepted | Phase::Bridged | Phase::Parting => Ignored::Twice,
            Phase::Alone => Ignored::NoAe,
        },
        Event::LegGone { .. } => match phase {
            Phase::Before | Phase::Dialling => Ignored::TooEarly,
            Phase::Consult | Phase::Accepted | Phase::Bridged | Phase::Parting => Ignored::Twice,
            Phase::Alone => Ignored::NoAe,
        },
        of_the_ae!() | Event::Decline { .. } | Event::Cancel => match (phase, event) {
            (Phase::Before | Phase::Dialling | Phase::Consult, _) => Ignored::TooEarly,
            (Phase::Accepted, _) => Ignored::Accepted,
            (Phase::Bridged, Event::Key { .. }) => Ignored::Conversation,
            (Phase::Alone, Event::Key { .. } | Event::Accept | Event::Decline { .. }) => Ignored::NoAe,
            (Phase::Bridged | Phase::Parting | Phase::Alone, _) => Ignored::Decided,
        },
        of_the_bridge!() => match phase {
            Phase::Before | Phase::Dialling | Phase::Consult | Phase::Accepted => Ignored::TooEarly,
            Phase::Bridged => Ignored::Twice,
            Phase::Alone => Ignored::NoAe,
            Phase::Parting => Ignored::Decided,
        },
        of_the_human!() => match phase {
            Phase::Before | Phase::Dialling | Phase::Consult | Phase::Accepted => Ignored::TooEarly,
            Phase::Bridged => Ignored::Twice,
            Phase::Alone => Ignored::NoAe,
            Phase::Parting => Ignored::Decided,
        },
        Event::CallerGone | everywhere!() => Ignored::Twice,
    }
}

impl State {
    /// Takes in an event that is none of those dealt with everywhere, and that is not about a leg given up.
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match self {
            State::Journalling(state) => state.on(turn, event),
            State::Dialing(state) => state.on(turn, event),
            State::Invited(state) => state.on(turn, event),
            State::Ringing(state) => state.on(turn, event),
            State::Referring(state) => state.on(turn, event),
            State::Listening(state) => state.on(turn, event),
            State::Accepting(state) => state.on(turn, event),
            State::Introducing(state) => state.on(turn, event),
            State::Switching(state) => state.on(turn, event),
            State::Human(state) => state.on(turn, event),
            State::HandingBack(state) => state.on(turn, event),
            State::MovingOn(state) => state.on(turn, event),
            State::Recalling(state) => state.on(turn, event),
            State::Offering(state) => state.on(turn, event),
            State::Promising(state) => state.on(turn, event),
            State::Recording(state) => state.on(turn, event),
            State::Keeping(state) => state.on(turn, event),
            State::Farewell(state) => state.on(turn, event),
            State::Parting(state) => state.on(turn, event),
            State::Over => Step::ignore(State::Over, Ignored::Decided),
        }
    }

    /// A deadline of this state, or of the budget, has come.
    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        match self {
            State::Journalling(state) => state.due(turn, why),
            State::Dialing(state) => state.due(turn, why),
            State::Invited(state) => state.due(turn, why),
            State::Ringing(state) => state.due(turn, why),
            State::Referring(state) => state.due(turn, why),
            State::Listening(state) => state.due(turn, why),
            State::Accepting(state) => state.due(turn, why),
            State::Introducing(state) => state.due(turn, why),
            State::Switching(state) => state.due(turn, why),
            State::HandingBack(state) => state.due(turn),
            State::MovingOn(state) => state.due(turn, why),
            State::Recalling(state) => state.due(turn, why),
            State::Offering(state) => state.due(turn, why),
            State::Promising(state) => state.due(turn, why),
            State::Recording(state) => state.due(turn, why),
            State::Keeping(state) => state.due(turn),
            State::Farewell(state) => state.due(turn, why),
            State::Parting(state) => state.due(turn, why),
            State::Human(_) | State::Over => self,
        }
    }

    /// The deadlines of the state itself; the budget has its own.
    pub(crate) fn deadline(&self) -> Option<(Mono, Why)> {
        match self {
            State::Journalling(state) => state.attempt.deadline(),
            State::Dialing(state) => state.attempt.deadline(),
            State::Invited(state) => state.deadline(),
            State::Ringing(state) => state.deadline(),
            State::Referring(state) => state.deadline(),
            State::Listening(state) => state.deadline(),
            State::Introducing(state) => Some((state.until, Why::IntroductionMustEnd)),
            State::HandingBack(state) => Some((state.until, Why::AiMustAnswer)),
            State::MovingOn(state) => state.deadline(),
            State::Recording(state) => Some(state.deadline()),
            State::Keeping(state) => Some((state.until, Why::StoreMustAnswer)),
            State::Accepting(state) => Some((state.store_until, Why::StoreMustAnswer)),
            State::Switching(state) => Some((state.until, Why::AudioMustSwitch)),
            State::Recalling(state) => Some((state.until, Why::AiMustAnswer)),
            State::Offering(state) => Some(state.deadline()),
            State::Promising(state) => Some((state.until, Why::StoreMustAnswer)),
            State::Farewell(state) => Some((state.until, Why::SpeechMustEnd)),
            State::Parting(state) => Some((state.until, Why::SpeechMustEnd)),
            State::Human(_) | State::Over => None,
        }
    }

    /// The AE leg that this transfer holds; a scene's AE is this one.
    pub(crate) fn leg(&self) -> Option<LegId> {
        match self {
            State::Journalling(state) => Some(state.attempt.leg),
            State::Dialing(state) => Some(state.attempt.leg),
            State::Invited(state) => Some(state.attempt.leg),
            State::Ringing(state) => Some(state.attempt.leg),
            State::Listening(state) => Some(state.attempt.leg),
            State::Accepting(state) => Some(state.attempt.leg),
            State::Introducing(state) => Some(state.attempt.leg),
            State::Switching(state) => Some(state.attempt.leg),
            State::Human(state) => Some(state.attempt.leg),
            State::HandingBack(state) => Some(state.attempt.leg),
            State::MovingOn(state) => state.ae_leg(),
            State::Parting(state) => Some(state.attempt.leg),
            State::Referring(_)
            | State::Recalling(_)
            | State::Offering(_)
            | State::Promising(_)
            | State::Recording(_)
            | State::Keeping(_)
            | State::Farewell(_)
            | State::Over => None,
        }
    }

    /// Who is about to be dialled.
    pub(crate) fn callee(&self) -> Option<Callee> {
        if let State::Journalling(state) = self { Some(state.attempt.to.clone()) } else { None }
    }

    /// The leg that is being dialled for somebody to whom an AE passes the caller on.
    pub(crate) fn third(&self) -> Option<LegId> {
        if let State::MovingOn(state) = self { Some(state.to.leg) } else { None }
    }

    /// The AI cannot be heard any more.
    pub(crate) fn ai_lost(self, turn: &mut Turn<'_>) -> State {
        match self {
            State::Listening(state) if state.is_live() => state.live_lost(turn),
            State::Introducing(state) => state.ends(turn),
            State::Journalling(_)
            | State::Dialing(_)
            | State::Invited(_)
            | State::Ringing(_)
            | State::Referring(_)
            | State::Listening(_)
            | State::Accepting(_)
            | State::Switching(_)
            | State::Human(_)
            | State::HandingBack(_)
            | State::MovingOn(_)
            | State::Recalling(_)
            | State::Offering(_)
            | State::Promising(_)
            | State::Recording(_)
            | State::Keeping(_)
            | State::Farewell(_)
            | State::Parting(_)
            | State::Over => self,
        }
    }

    fn phase(&self) -> Phase {
        match self {
            State::Journalling(_) | State::Referring(_) => Phase::Before,
            State::Dialing(_) | State::Invited(_) | State::Ringing(_) => Phase::Dialling,
            State::Listening(_) => Phase::Consult,
            State::Accepting(_) | State::Introducing(_) | State::Switching(_) => Phase::Accepted,
            State::Human(_) | State::HandingBack(_) | State::MovingOn(_) => Phase::Bridged,
            State::Recalling(_)
            | State::Offering(_)
            | State::Promising(_)
            | State::Recording(_)
            | State::Keeping(_)
            | State::Farewell(_)
            | State::Over => Phase::Alone,
            State::Parting(_) => Phase::Parting,
        }
    }

    /// Whether AEs are still being dialled and briefed, so that the caller waits.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            State::Journalling(_)
            | State::Dialing(_)
            | State::Invited(_)
            | State::Ringing(_)
            | State::Referring(_)
            | State::Listening(_) => true,
            State::Accepting(_)
            | State::Introducing(_)
            | State::Switching(_)
            | State::Human(_)
            | State::HandingBack(_)
            | State::MovingOn(_)
            | State::Recalling(_)
            | State::Offering(_)
            | State::Promising(_)
            | State::Recording(_)
            | State::Keeping(_)
            | State::Farewell(_)
            | State::Parting(_)
            | State::Over => false,
        }
    }

    /// What the API calls it.
    pub(crate) fn shown(&self) -> TransferState {
        match self {
            State::Journalling(state) if state.attempt.number == 1 => TransferState::Requested,
            State::Journalling(_) | State::Dialing(_) | State::Invited(_) => TransferState::Dialing,
            State::Ringing(_) => TransferState::Ringing,
            State::Referring(state) => state.shown(),
            State::Listening(state) => state.shown(),
            State::Introducing(_) => TransferState::Introducing,
            State::Recording(_) | State::Keeping(_) => TransferState::Recording,
            State::Accepting(_) | State::Switching(_) => TransferState::Accepted,
            State::Human(_) | State::HandingBack(_) | State::MovingOn(_) => TransferState::Bridged,
            State::Recalling(_) | State::Offering(_) | State::Promising(_) => TransferState::Offering,
            State::Farewell(_) | State::Parting(_) | State::Over => TransferState::Ended,
        }
    }

    /// The name in the table of states and events.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            State::Journalling(_) => "Journalling",
            State::Dialing(_) => "Dialing",
            State::Invited(_) => "Invited",
            State::Ringing(_) => "Ringing",
            State::Referring(_) => "Referring",
            State::Listening(_) => "Listening",
            State::Accepting(_) => "Accepting",
            State::Introducing(_) => "Introducing",
            State::Switching(_) => "Switching",
            State::Human(_) => "Human",
            State::HandingBack(_) => "HandingBack",
            State::MovingOn(_) => "MovingOn",
            State::Recalling(_) => "Recalling",
            State::Offering(_) => "Offering",
            State::Promising(_) => "Promising",
            State::Recording(_) => "Recording",
            State::Keeping(_) => "Keeping",
            State::Farewell(_) => "Farewell",
            State::Parting(_) => "Parting",
            State::Over => "Over",
        }
    }
}
