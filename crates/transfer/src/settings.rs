//! What the configuration says about transfers, as checked values.

use std::time::Duration;

use baton_contract::{AeId, Stage};

use crate::{CallbackSettings, Hours, Key, Zone};

/// Everything that a transfer obeys. The defaults are those of the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The latency budget.
    pub budget: BudgetSettings,
    /// INVITE to answer, where the AE says nothing else.
    pub ring_max: Duration,
    /// What counts as acceptance.
    pub accept: AcceptBy,
    /// Which key does what.
    pub keys: Keys,
    /// How many AEs are dialled for one transfer at most.
    pub attempts: u8,
    /// What the caller hears meanwhile.
    pub while_dialing: WhileDialing,
    /// What follows when the AE hangs up after the bridge.
    pub after_ae: AfterAe,
    /// How long an AE is left in peace after a call.
    pub wrap_up: Duration,
    /// The longest briefing.
    pub briefing_max: Duration,
    /// How callbacks are carried out.
    pub callback: CallbackSettings,
}

/// Target and worst case of every stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Decision to consult INVITE sent.
    pub start: Limits,
    /// INVITE sent to any 18x, or the answer.
    pub ringing: Limits,
    /// Ringing to acceptance.
    pub accept: Limits,
    /// Decision to the human on the line.
    pub total: Limits,
}

/// A target, and the worst case at which something else is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Missing it is told.
    pub target: Duration,
    /// Missing it ends the stage.
    pub worst: Duration,
}

/// What counts as acceptance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AcceptBy {
    /// The accept key, or an accept through the API.
    #[default]
    Key,
    /// The answer: the AE is connected when the briefing has ended.
    Answer,
}

/// Which key does what, on the AE's phone before the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Takes the caller.
    pub accept: Key,
    /// Does not.
    pub decline: Key,
    /// Says the briefing (or, to the caller, the slots) again.
    pub repeat: Key,
    /// Ends the briefing; what must be pressed is said at once.
    pub skip: Key,
    /// "Call me back in a few minutes".
    pub later: Key,
}

/// What the caller hears while AEs are dialled and briefed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhileDialing {
    /// Music.
    #[default]
    Music,
    /// The AI goes on talking with them.
    Ai,
    /// A ringback tone.
    Ringback,
}

/// What follows when the AE hangs up after the bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AfterAe {
    /// The call ends.
    #[default]
    End,
    /// The caller goes back to the AI.
    Ai,
}

/// An AE, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AeSettings {
    /// Their id.
    pub id: AeId,
    /// Their name.
    pub name: String,
    /// Their SIP URI.
    pub uri: String,
    /// Numbers that mean them, in a REFER, a `tel:` URI or a request.
    pub numbers: Vec<String>,
    /// Who is tried after them.
    pub backup: Option<AeId>,
    /// Their time zone.
    pub timezone: Zone,
    /// Their hours, in their time zone.
    pub hours: Hours,
    /// What they know.
    pub skills: Vec<String>,
    /// The trunk that carries calls to them.
    pub trunk: Option<String>,
    /// Whether the payload's headers are sent to them.
    pub trusted: bool,
    /// INVITE to answer; absent: as for everybody.
    pub ring_max: Option<Duration>,
    /// INVITE sent to any 18x, where the way to their phone is slower than usual; absent: as for everybody.
    pub ringing: Option<Limits>,
}

/// A group of AEs, tried in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its name.
    pub name: String,
    /// Its members.
    pub aes: Vec<AeId>,
    /// Numbers that mean it.
    pub numbers: Vec<String>,
}

impl Limits {
    /// Limits in milliseconds.
    pub const fn millis(target: u64, worst: u64) -> Limits {
        Limits { target: Duration::from_millis(target), worst: Duration::from_millis(worst) }
    }
}

impl BudgetSettings {
    /// The limits of `stage`.
    pub const fn of(&self, stage: Stage) -> Limits {
        match stage {
            Stage::Start => self.start,
            Stage::Ringing => self.ringing,
            Stage::Accept => self.accept,
            Stage::Total => self.total,
        }
    }
}

impl Default for BudgetSettings {
    fn default() -> BudgetSettings {
        BudgetSettings {
            start: Limits::millis(500, 1_000),
            ringing: Limits::millis(2_000, 5_000),
            accept: Limits::millis(20_000, 60_000),
            total: Limits::millis(30_000, 90_000),
        }
    }
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { accept: Key::ONE, decline: Key::TWO, repeat: Key::STAR, skip: Key::HASH, later: Key::THREE }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            budget: BudgetSettings::default(),
            ring_max: Duration::from_secs(18),
            accept: AcceptBy::default(),
            keys: Keys::default(),
            attempts: 2,
            while_dialing: WhileDialing::default(),
            after_ae: AfterAe::default(),
            wrap_up: Duration::ZERO,
            briefing_max: Duration::from_secs(30),
            callback: CallbackSettings::default(),
        }
    }
}
