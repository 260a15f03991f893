//! What is true of a transfer in every state, and what every step may do.

use std::collections::VecDeque;

use baton_contract::{
    AeId, At, AttemptView, CallbackId, CommitLevel, Driver, EventKind, IdSource, LegId, MessageView, Mode, Outcome, OutcomeClass,
    Record, Stage, StagesMs, TransferState, TransferView,
};
use baton_time::{Mono, Now};
use serde_json::{Map, Value, json};

use super::Begin;
use crate::budget::{Budget, millis};
use crate::plan::Plan;
use crate::{Action, AeSpeech, Fact, Key, Language, Line, Progress, Roster, SayId, SceneName, Settings, WhileDialing, outcome};
use serde::{Deserialize, Serialize};

/// Facts that only grow, and the actions that wait to be handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) begin: Begin,
    pub(crate) decided: Now,
    /// Everybody who could be tried, in order, those who were included.
    pub(crate) plan: Plan,
    /// How many of the plan have been tried or passed over.
    pub(crate) plan_done: usize,
    /// Those who were passed over since the last attempt, and why.
    #[serde(skip)]
    pub(crate) passed_over: Vec<(AeId, Why)>,
    pub(crate) attempts: Vec<AttemptView>,
    pub(crate) ai: Ai,
    pub(crate) briefing: Rendering,
    /// The language in which the briefing is spoken, or will be.
    pub(crate) spoken_in: Option<Language>,
    pub(crate) budget: Budget,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) bridged_at: Option<Mono>,
    pub(crate) ai_drop_ms: Option<u64>,
    pub(crate) callback: Option<(CallbackId, String)>,
    pub(crate) message: Option<MessageView>,
    pub(crate) scene: SceneName,
    pub(crate) driver: Driver,
    /// When the caller is told that it goes on.
    pub(crate) comfort_at: Option<Mono>,
    /// Whether the store has failed us: somebody should look into it.
    pub(crate) store_failed: bool,
    pub(crate) ids: IdSource,
    said: u32,
    last_press: Option<((Option<LegId>, Key), Mono)>,
    stages: StagesMs,
    last_word: LastWord,
    /// Handed out before a step has ended.
    #[serde(skip)]
    actions: VecDeque<Action>,
}

/// Why an AE was passed over, one word.
type Why = &'static str;

/// The AI that the caller came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ai {
    /// Its leg is up.
    Up,
    /// Its leg has ended; another one may be dialled.
    Gone,
    /// It could not be had again.
    Failed,
}

/// How far the briefing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rendering {
    Pending,
    Ready { full: std::time::Duration, short: std::time::Duration },
    Failed,
}

/// Whether whoever asked by REFER has been told the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum LastWord {
    Owed,
    Given,
}

/// The same key within this time is one press.
const SAME_PRESS: std::time::Duration = std::time::Duration::from_millis(200);

/// How often the caller is told that it goes on.
const COMFORT_EVERY: std::time::Duration = std::time::Duration::from_secs(20);

impl Case {
    pub(crate) fn new(now: Now, begin: Begin, plan: Plan, settings: &Settings, ids: &mut IdSource) -> Case {
        Case {
            ai: if begin.ai_up { Ai::Up } else { Ai::Gone },
            begin,
            decided: now,
            plan,
            plan_done: 0,
            passed_over: Vec::new(),
            attempts: Vec::new(),
            briefing: Rendering::Pending,
            spoken_in: None,
            budget: Budget::begin(now.mono, settings.budget.clone()),
            outcome: None,
            bridged_at: None,
            ai_drop_ms: None,
            callback: None,
            message: None,
            scene: SceneName::Conversation,
            driver: Driver::Ai,
            comfort_at: None,
            store_failed: false,
            ids: IdSource::seeded(ids.bits()),
            said: 0,
            last_press: None,
            stages: StagesMs::default(),
            last_word: LastWord::Owed,
            actions: VecDeque::new(),
        }
    }

    /// Caller and AE hear each other since now, and that was asked for at `asked`; nobody is owed any word about it.
    pub(crate) fn begins_bridged(&mut self, now: Now, asked: At, settings: &Settings) {
        self.decided = Now { mono: now.mono, wall: asked.0 };
        self.budget = Budget::unspent(now.mono, settings.budget.clone());
        self.last_word = LastWord::Given;
        self.bridged_at = Some(now.mono);
        self.scene = SceneName::Human;
        self.driver = Driver::Human;
        self.outcome = Some(Outcome::Bridged);
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Those who were passed over since this was last told, as events tell it.
    pub(crate) fn passed_over(&mut self) -> Vec<Value> {
        self.passed_over.drain(..).map(|(ae, why)| json!({"ae": ae, "why": why})).collect()
    }

    /// Whether this key was pressed on this leg (absent: the caller's) a moment ago: RFC 4733 and INFO may both tell of it.
    pub(crate) fn is_same_press(&mut self, now: Mono, leg: Option<LegId>, key: Key) -> bool {
        let press = (leg, key);
        let again = self.last_press.is_some_and(|(last, at)| last == press && now.since(at) < SAME_PRESS);
        if !again {
            self.last_press = Some((press, now));
        }
        again
    }

    pub(crate) fn last_attempt(&self) -> Option<baton_contract::AttemptOutcome> {
        self.attempts.last().and_then(|attempt| attempt.outcome)
    }

    /// The transfer as the API shows it, while it stands at `state`.
    pub(crate) fn view(&self, state: TransferState) -> TransferView {
        let last = self.last_attempt();
        TransferView {
            id: self.begin.id,
            call: self.begin.call,
            mode: self.begin.mode,
            state: match self.outcome {
                Some(Outcome::Bridged) => TransferState::Bridged,
                Some(
                    Outcome::Referred
                    | Outcome::ReturnedToAi
                    | Outcome::Voicemail
                    | Outcome::CallbackScheduled
                    | Outcome::CallerAbandoned
                    | Outcome::Cancelled
                    | Outcome::Failed,
                ) => TransferState::Ended,
                None => state,
            },
            outcome: self.outcome,
            class: match self.outcome {
                Some(Outcome::ReturnedToAi) if self.store_failed => Some(OutcomeClass::Incident),
                outcome => outcome.and_then(|outcome| outcome::class(outcome, last)),
            },
            say_to_caller: self
                .outcome
                .and_then(|outcome| outcome::say(outcome, last, self.callback.as_ref().map(|(_, local)| local.as_str()))),
            reason: self.begin.reason.clone(),
            requested_at: At(self.decided.wall),
            stages_ms: if self.outcome.is_some() { self.stages } else { self.budget.spent() },
            ai_drop_ms: self.ai_drop_ms,
            attempts: self.attempts.clone(),
            callback: self.callback.as_ref().map(|(id, _)| *id),
            message: self.message.clone(),
        }
    }

    /// The attempt that runs, or the last one.
    pub(crate) fn attempt(&mut self) -> Option<&mut AttemptView> {
        self.attempts.last_mut()
    }
}

/// One step of a transfer: the time, what is known, and what the step may touch.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) case: &'a mut Case,
    pub(crate) settings: &'a Settings,
    pub(crate) roster: &'a mut Roster,
}

impl Turn<'_> {
    pub(crate) fn act(&mut self, action: Action) {
        self.case.act(action);
    }

    /// Swaps the scene, unless it is on already.
    pub(crate) fn scene(&mut self, scene: SceneName) {
        if self.case.scene != scene {
            self.case.scene = scene;
            self.act(Action::Scene(scene));
        }
    }

    /// Says the scene once more, because the leg that it means has changed.
    pub(crate) fn show(&mut self, scene: SceneName) {
        self.case.scene = scene;
        self.act(Action::Scene(scene));
    }

    /// The scene in which AEs are dialled and briefed.
    pub(crate) fn consult_scene(&mut self) {
        let scene = match (self.case.begin.options.while_dialing, self.case.ai) {
            (_, _) if self.case.begin.mode == Mode::Cold => SceneName::PassingOn,
            (WhileDialing::Music, _) | (WhileDialing::Ai, Ai::Gone | Ai::Failed) => SceneName::ConsultMusic,
            (WhileDialing::Ai, Ai::Up) => SceneName::ConsultAi,
            (WhileDialing::Ringback, _) => SceneName::ConsultRingback,
        };
        self.scene(scene);
    }

    pub(crate) fn driver(&mut self, driver: Driver) {
        self.drives(driver, json!({}));
    }

    /// Changes the driver, and says what there is to say about it.
    pub(crate) fn drives(&mut self, driver: Driver, mut why: Value) {
        if self.case.driver != driver {
            self.case.driver = driver;
            why["driver"] = json!(driver);
            self.report(EventKind::DriverChanged, why);
        }
    }

    pub(crate) fn report(&mut self, kind: EventKind, data: Value) {
        let data = match data {
            Value::Object(data) => data,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        self.act(Action::Report(kind, data));
    }

    pub(crate) fn commit(&mut self, fact: Fact, level: CommitLevel, records: Vec<Record>) {
        self.act(Action::Commit { fact, level, records });
    }

    pub(crate) fn say_to_caller(&mut self, lines: Vec<Line>) -> SayId {
        let say = self.ticket();
        self.act(Action::SayToCaller { say, lines });
        self.comfort_later();
        say
    }

    pub(crate) fn say_to_ae(&mut self, leg: LegId, speech: AeSpeech) -> SayId {
        let say = self.ticket();
        self.act(Action::SayToAe { leg, say, speech });
        say
    }

    fn ticket(&mut self) -> SayId {
        self.case.said += 1;
        SayId(self.case.said)
    }

    /// The caller has just been told something; the next comfort is some time off.
    pub(crate) fn comfort_later(&mut self) {
        self.case.comfort_at = Some(self.now.mono + COMFORT_EVERY);
    }

    /// Tells the caller that it goes on, unless they are talking with the AI.
    pub(crate) fn comfort(&mut self) {
        match self.case.scene {
            SceneName::ConsultMusic | SceneName::ConsultRingback => {
                self.say_to_caller(vec![Line::StillTrying]);
            }
            SceneName::ConsultAi
            | SceneName::Conversation
            | SceneName::ConsultLive
            | SceneName::PassingOn
            | SceneName::Introduction
            | SceneName::Human
            | SceneName::AeHolds
            | SceneName::Offering
            | SceneName::Voicemail
            | SceneName::Rescue
            | SceneName::CallingBack => self.comfort_later(),
        }
    }

    pub(crate) fn progress(&mut self, status: u16, phrase: &'static str) {
        if self.case.last_word == LastWord::Owed {
            self.act(Action::Progress(Progress { status, phrase, outcome: None, last: false }));
        }
    }

    /// Tells whoever asked by REFER how it ended; only once.
    pub(crate) fn last_word(&mut self, outcome: Outcome) {
        if self.case.last_word == LastWord::Owed {
            self.case.last_word = LastWord::Given;
            let last = self.case.last_attempt();
            self.act(Action::Progress(outcome::progress(outcome, last)));
        }
    }

    /// The transfer has its outcome: exactly one, whatever comes later. What whoever asked by REFER is told goes first.
    pub(crate) fn finish(&mut self, outcome: Outcome) {
        // A bridge has stopped it already.
        if self.case.outcome.is_some() || outcome != Outcome::Bridged {
            self.case.budget.stop(self.now.mono);
        }
        if self.case.outcome.is_some() {
            return;
        }
        self.last_word(outcome);
        self.case.stages = self.case.budget.spent();
        self.case.outcome = Some(outcome);
        let view = self.case.view(TransferState::Ended);
        self.report(EventKind::TransferEnded, serde_json::to_value(&view).unwrap_or_default());
        self.commit(Fact::Outcome, CommitLevel::Process, vec![Record::Transfer(Box::new(view))]);
        self.act(Action::Finished(outcome));
    }

    /// Ends the AI leg, if it is up.
    pub(crate) fn drop_ai(&mut self) {
        if self.case.ai == Ai::Up {
            self.act(Action::DropAi);
        }
    }

    /// The AI leg has ended; answers whether it was up.
    pub(crate) fn ai_gone(&mut self) -> bool {
        if self.case.ai != Ai::Up {
            return false;
        }
        self.case.ai = Ai::Gone;
        if let Some(bridged) = self.case.bridged_at.filter(|_| self.case.ai_drop_ms.is_none()) {
            self.case.ai_drop_ms = Some(millis(self.now.mono.since(bridged)));
        }
        self.ai_silent();
        true
    }

    /// Nothing comes from the AI: a caller who should hear it hears music.
    pub(crate) fn ai_silent(&mut self) {
        if self.case.scene == SceneName::ConsultAi {
            self.scene(SceneName::ConsultMusic);
            self.say_to_caller(vec![Line::OneMoment]);
        }
    }

    /// Publishes a missed limit of the budget.
    pub(crate) fn miss(&mut self, why: crate::Why) {
        let Some(missed) = self.case.budget.miss(self.now.mono, why) else { return };
        let stage: Stage = missed.stage;
        let data = json!({"stage": stage.name(), "limit": missed.limit.name(), "after_ms": millis(missed.after)});
        self.report(EventKind::BudgetMissed, data);
    }
}
