//! The callback: two slots are offered, one is picked, put on record, and only then promised.

use std::time::Duration;

use baton_contract::{At, CallbackId, CallbackState, CallbackView, CommitLevel, EventKind, Mode, Outcome, Record, Slot};
use baton_time::Mono;

use super::case::{Ai, Turn};
use super::ending::{self, Farewell, Recall};
use super::state::{Ignored, State, Step, any_event};
use crate::{Event, Fact, Key, Line, SayId, SceneName, Why, Zone, callback};
use serde::{Deserialize, Serialize};

/// The caller is offered times at which they are called back.
///
/// Entry: no AE could be had, or the transfer is a scheduled one, and there is somebody with room in their hours. The caller hears the slots and what to press.
/// Out: a slot is picked, by key or through the API: `Promising`; nothing is picked after one repetition: back to the AI, and without
/// one the first slot is booked, so that nobody is dropped cold; it is called off: back to the AI, and without one a goodbye; the
/// caller hangs up: `Over`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Offering {
    slots: Vec<Slot>,
    /// How often they have been told.
    told: u8,
    hears: Hears,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Hears {
    Slots { say: SayId, until: Mono },
    Nothing { until: Mono },
}

/// A callback is being put on record; nothing is promised yet.
///
/// Entry: a slot is picked. Out: it survives a loss of power: it is said, and the call ends: `Farewell`; the store refuses or does not
/// answer: nothing is promised, back to the AI. A caller who hangs up meanwhile keeps the callback if it can be kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Promising {
    callback: Box<CallbackView>,
    pub(crate) until: Mono,
    caller: Caller,
}

/// Whether anybody waits for the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Caller {
    Waits,
    Gone,
}

/// The slots are told once more to a caller who picks none.
const TOLD_UNASKED_MAX: u8 = 2;

/// However often the caller asks for it, the slots are not told more often than this.
const TOLD_MAX: u8 = 5;

/// A caller who has heard the slots has this long to press a key.
const CHOICE_MAX: Duration = Duration::from_secs(6);

/// Telling both slots takes less than this.
const SLOTS_TAKE: Duration = Duration::from_secs(30);

/// The store may take this long with a promise.
const STORE_MAX: Duration = Duration::from_secs(3);

/// Offers slots of the first AE of the plan who has any; where nobody has, the caller goes back to the AI, or is told to call again.
pub(crate) fn begin(turn: &mut Turn<'_>) -> State {
    turn.case.budget.stop(turn.now.mono);
    let slots = free_slots(turn);
    match (slots.is_empty(), turn.case.ai) {
        (false, _) => {
            turn.scene(SceneName::Offering);
            tell(turn, slots, 1)
        }
        (true, Ai::Up | Ai::Gone) => ending::to_the_ai(turn, Outcome::ReturnedToAi),
        (true, Ai::Failed) => ending::give_up(turn),
    }
}

/// Books the first slot for a caller who has picked none and has no AI to go back to.
pub(crate) fn book_first(turn: &mut Turn<'_>) -> State {
    match free_slots(turn).into_iter().next() {
        Some(slot) => {
            turn.scene(SceneName::Offering);
            Promising::begin(turn, slot)
        }
        None => ending::give_up(turn),
    }
}

/// Slots of the first AE of the plan who has any; none for a caller who cannot be called.
fn free_slots(turn: &Turn<'_>) -> Vec<Slot> {
    if number(turn).is_none() {
        return Vec::new();
    }
    let zone = caller_zone(turn);
    let slots = |ae| callback::slots(turn.roster, turn.now, ae, zone.as_ref(), &turn.settings.callback.window);
    turn.case.plan.aes.iter().map(slots).find(|slots| !slots.is_empty()).unwrap_or_default()
}

/// Where the caller can be called: the number that the context knows, or the one that they called from, unless it is withheld.
fn number(turn: &Turn<'_>) -> Option<String> {
    let known = turn.case.begin.context.caller.as_ref().and_then(|caller| caller.number.as_deref());
    let number = known.filter(|number| !number.trim().is_empty()).unwrap_or(&turn.case.begin.from);
    let user = number.trim().trim_start_matches("sip:").split('@').next().unwrap_or_default().to_ascii_lowercase();
    (!WITHHELD.contains(&user.as_str())).then(|| number.to_owned())
}

/// What a From header says in place of a number.
const WITHHELD: [&str; 6] = ["", "anonymous", "unknown", "restricted", "private", "unavailable"];

/// The zone in which the caller is told times, where it is known.
fn caller_zone(turn: &Turn<'_>) -> Option<Zone> {
    turn.case.begin.context.caller.as_ref()?.timezone.as_deref()?.parse().ok()
}

fn tell(turn: &mut Turn<'_>, slots: Vec<Slot>, told: u8) -> State {
    let opener = if turn.case.begin.mode == Mode::Scheduled { Line::WhenToCall } else { Line::NobodyFree };
    let mut lines = if told == 1 { vec![opener] } else { Vec::new() };
    for (slot, press) in slots.iter().zip([Line::PressOneFor, Line::PressTwoFor]) {
        lines.push(press);
        lines.extend(time_of(turn, slot));
    }
    lines.extend([Line::ToHearAgainPress, Line::Key(turn.settings.keys.repeat)]);
    let say = turn.say_to_caller(lines);
    Offering { slots, told, hears: Hears::Slots { say, until: turn.now.mono + SLOTS_TAKE } }.into()
}

/// The slot as it is said; nothing where it cannot be: slots on offer always can.
fn time_of(turn: &Turn<'_>, slot: &Slot) -> Vec<Line> {
    let zone = slot.timezone.parse().unwrap_or(Zone::UTC);
    callback::spoken(turn.now, slot.at, &zone).unwrap_or_default()
}

impl Offering {
    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::CallerKey(key) => self.key(turn, key),
            Event::SlotPicked(at) => self.picked(turn, at),
            Event::SpeechEnded(say) if self.hears.is(say) => self.waits(turn).into(),
            Event::CallerGone => ending::abandoned(turn).into(),
            Event::Cancel => ending::withdrawn(turn).into(),
            Event::SpeechStarted(say) if self.hears.is(say) => Step::ignore(self, Ignored::Twice),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    pub(crate) fn due(self, turn: &mut Turn<'_>, why: Why) -> State {
        if why == Why::SpeechMustEnd { self.waits(turn).into() } else { self.nothing_picked(turn) }
    }

    pub(crate) fn deadline(&self) -> (Mono, Why) {
        match self.hears {
            Hears::Slots { until, .. } => (until, Why::SpeechMustEnd),
            Hears::Nothing { until } => (until, Why::CallerMustChoose),
        }
    }

    /// What is on offer, soonest first.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn key(mut self, turn: &mut Turn<'_>, key: Key) -> Step {
        let choice = [Key::ONE, Key::TWO].iter().position(|choice| *choice == key).filter(|at| *at < self.slots.len());
        match choice {
            Some(at) => Promising::begin(turn, self.slots.swap_remove(at)).into(),
            None if key == turn.settings.keys.repeat && self.told < TOLD_MAX => tell(turn, self.slots, self.told + 1).into(),
            None => Step::ignore(self, Ignored::AnotherKey),
        }
    }

    fn picked(self, turn: &mut Turn<'_>, at: At) -> Step {
        let Some(slot) = self.slots.iter().find(|slot| slot.at == at).cloned() else {
            return Step::ignore(self, Ignored::NoTime);
        };
        Promising::begin(turn, slot).into()
    }

    fn waits(self, turn: &mut Turn<'_>) -> Offering {
        Offering { hears: Hears::Nothing { until: turn.now.mono + CHOICE_MAX }, ..self }
    }

    fn nothing_picked(self, turn: &mut Turn<'_>) -> State {
        if self.told < TOLD_UNASKED_MAX {
            return tell(turn, self.slots, self.told + 1);
        }
        match turn.case.ai {
            Ai::Up => ending::to_the_ai(turn, Outcome::ReturnedToAi),
            Ai::Gone | Ai::Failed => Recall::Offer.begin(turn),
        }
    }
}

impl Hears {
    fn is(self, asked: SayId) -> bool {
        match self {
            Hears::Slots { say, .. } => say == asked,
            Hears::Nothing { .. } => false,
        }
    }
}

impl Promising {
    fn begin(turn: &mut Turn<'_>, slot: Slot) -> State {
        let callback = CallbackView {
            id: CallbackId::new(&mut turn.case.ids, turn.now.wall),
            state: CallbackState::Scheduled,
            call: Some(turn.case.begin.call),
            transfer: Some(turn.case.begin.id),
            ae: slot.ae,
            caller: number(turn).unwrap_or_default(),
            at: slot.at,
            timezone: slot.timezone,
            context: turn.case.begin.context.clone(),
            created_at: At(turn.now.wall),
            progress: Default::default(),
        };
        turn.roster.book(&callback.ae, callback.at);
        if baton_time::bug!(48) {
            turn.report(EventKind::CallbackScheduled, serde_json::to_value(&callback).unwrap_or_default());
        }
        turn.act(crate::Action::HushCaller);
        turn.commit(Fact::Callback, CommitLevel::Power, vec![Record::Callback(Box::new(callback.clone()))]);
        Promising { callback: Box::new(callback), until: turn.now.mono + STORE_MAX, caller: Caller::Waits }.into()
    }

    pub(crate) fn on(self, turn: &mut Turn<'_>, event: Event) -> Step {
        match event {
            Event::Committed(Fact::Callback) => self.promised(turn).into(),
            Event::CommitRefused(Fact::Callback) => self.not_promised(turn).into(),
            Event::CallerGone => match self.caller {
                Caller::Waits => {
                    // The legs are let go at once; only the outcome waits for the store.
                    turn.last_word(Outcome::CallerAbandoned);
                    turn.drop_ai();
                    Promising { caller: Caller::Gone, ..self }.into()
                }
                Caller::Gone => Step::ignore(self, Ignored::Twice),
            },
            Event::CallerKey(_) | Event::SlotPicked(_) | Event::Cancel => Step::ignore(self, Ignored::Twice),
            other @ (any_event!()) => Step::unfit(self, &other),
        }
    }

    /// The store is silent. Should the row come after all, it says that nothing was promised.
    pub(crate) fn due(self, turn: &mut Turn<'_>, _why: Why) -> State {
        let withdrawn = CallbackView { state: CallbackState::Cancelled, ..(*self.callback).clone() };
        turn.commit(Fact::Withdrawn, CommitLevel::Process, vec![Record::Callback(Box::new(withdrawn))]);
        self.not_promised(turn)
    }

    fn promised(self, turn: &mut Turn<'_>) -> State {
        let zone: Zone = self.callback.timezone.parse().unwrap_or(Zone::UTC);
        turn.case.callback = Some((self.callback.id, callback::local(self.callback.at.0, &zone)));
        turn.report(EventKind::CallbackScheduled, serde_json::to_value(&*self.callback).unwrap_or_default());
        turn.finish(Outcome::CallbackScheduled);
        if self.caller == Caller::Gone {
            turn.act(crate::Action::EndCall);
            return State::Over;
        }
        let lines = match callback::spoken(turn.now, self.callback.at, &zone) {
            Some(time) => [vec![Line::WeWillCallYou], time, vec![Line::Goodbye]].concat(),
            None => vec![Line::CallbackNoted, Line::Goodbye],
        };
        Farewell::begin(turn, lines)
    }

    fn not_promised(self, turn: &mut Turn<'_>) -> State {
        turn.case.store_failed = true;
        turn.roster.unbook(&self.callback.ae, self.callback.at);
        if self.caller == Caller::Gone {
            return ending::abandoned(turn);
        }
        match turn.case.ai {
            Ai::Up | Ai::Gone => {
                let state = ending::to_the_ai(turn, Outcome::ReturnedToAi);
                if turn.case.ai == Ai::Gone {
                    turn.say_to_caller(vec![Line::NotBooked]);
                }
                state
            }
            Ai::Failed => ending::give_up(turn),
        }
    }
}
