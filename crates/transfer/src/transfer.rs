//! The state machine of one transfer.

use std::collections::VecDeque;

use baton_contract::{CallId, Context, Driver, IdSource, Mode, Outcome, TransferId, TransferView};
use baton_time::{Deadline, Now};

use crate::{Action, Event, Roster, SceneName, Settings, Target, Why};

/// What a transfer begins with.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Its id.
    pub id: TransferId,
    /// The call that it belongs to.
    pub call: CallId,
    /// Its kind; only warm ones so far.
    pub mode: Mode,
    /// Whom it is to reach.
    pub target: Target,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// What is known about the caller.
    pub context: Context,
    /// The caller's number or URI: where a callback would go.
    pub from: String,
    /// The words with which the AE is to be briefed; absent: composed from the context.
    pub briefing: Option<String>,
    /// How fast the voice speaks.
    pub words_per_second: f64,
    /// Whether the AI leg is up.
    pub ai_up: bool,
}

/// One transfer.
#[derive(Debug, Clone)]
pub struct Transfer {
    begin: Begin,
    actions: VecDeque<Action>,
}

impl Transfer {
    /// Begins a transfer; its first actions are waiting.
    pub fn begin(_now: Now, begin: Begin, _settings: &Settings, _roster: &mut Roster, _ids: &mut IdSource) -> Transfer {
        Transfer { begin, actions: VecDeque::new() }
    }

    /// Takes in what has happened.
    pub fn on(&mut self, _now: Now, _event: Event, _settings: &Settings, _roster: &mut Roster) {}

    /// The next thing to be done; call until there is none.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When it must be given [`Event::Wake`], and why.
    pub fn poll_timeout(&self) -> Option<(Deadline, Why)> {
        None
    }

    /// The transfer as the API shows it.
    pub fn view(&self) -> TransferView {
        TransferView {
            id: self.begin.id,
            call: self.begin.call,
            mode: self.begin.mode,
            state: baton_contract::TransferState::Requested,
            outcome: None,
            class: None,
            say_to_caller: None,
            reason: self.begin.reason.clone(),
            requested_at: baton_time::Wall::from_seconds(0).into(),
            stages_ms: baton_contract::StagesMs::default(),
            ai_drop_ms: None,
            attempts: Vec::new(),
            callback: None,
        }
    }

    /// Who hears whom.
    pub fn scene(&self) -> SceneName {
        SceneName::Conversation
    }

    /// Who may speak to the caller.
    pub fn driver(&self) -> Driver {
        Driver::Ai
    }

    /// How it came out.
    pub fn outcome(&self) -> Option<Outcome> {
        None
    }

    /// Whether it has nothing more to do: it can be forgotten, the call goes on without it (or has ended).
    pub fn is_over(&self) -> bool {
        false
    }
}
