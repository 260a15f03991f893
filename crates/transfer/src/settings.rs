//! What the configuration says about transfers, as checked values.

use std::time::Duration;

use baton_contract::{AeId, Stage};

use crate::{CallbackSettings, Choices, Hours, Key, Language, Phrasebook, Zone};
use serde::{Deserialize, Serialize};

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
    /// The language in which people are spoken to, where neither they nor the route of their call have one of their own.
    pub language: Language,
    /// The words of briefings, in the languages for which some were configured.
    pub phrases: Phrasebook,
    /// How callbacks are carried out.
    pub callback: CallbackSettings,
    /// Who briefs the AE.
    pub briefing: BriefingBy,
    /// Whether the AI introduces caller and AE to each other before it leaves.
    pub introduce: bool,
    /// The longest introduction.
    pub introduce_max: Duration,
    /// What the AE presses after the bridge to hand the caller back.
    pub handback_key: KeyPair,
    /// Whether somebody has chosen that pair, and so counts on it: a call that is let go can no longer hear it.
    pub handback_key_is_chosen: bool,
    /// The longest message.
    pub message_max: Duration,
    /// A silence of this length ends a message.
    pub message_silence_max: Duration,
    /// Which kind of transfer a request is that does not say.
    pub choices: Choices,
}

/// What of the settings one transfer may do otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// What the caller hears meanwhile.
    pub while_dialing: WhileDialing,
    /// What counts as acceptance.
    pub accept: AcceptBy,
    /// Who briefs the AE.
    pub briefing: BriefingBy,
    /// Whether the AI introduces caller and AE to each other before it leaves.
    pub introduce: bool,
    /// What follows when the AE hangs up after the bridge.
    pub after_ae: AfterAe,
}

/// Who briefs the AE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BriefingBy {
    /// A voice reads it.
    #[default]
    Voice,
    /// The AI tells it, live, while the caller hears music.
    Ai,
}

/// How a cold transfer is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColdBy {
    /// We dial, and stay in the middle.
    #[default]
    Bridge,
    /// The caller's trunk is asked by REFER; where it does not do it, we dial.
    Refer,
}

/// Two keys, one after the other: `*9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPair {
    /// The first.
    pub first: Key,
    /// The second.
    pub then: Key,
}

/// Target and worst case of every stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Missing it is told.
    pub target: Duration,
    /// Missing it ends the stage.
    pub worst: Duration,
}

/// What counts as acceptance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcceptBy {
    /// The accept key, or an accept through the API.
    #[default]
    Key,
    /// The answer: the AE is connected when the briefing has ended.
    Answer,
    /// The AE says so to the AI, which accepts for them; the keys and the API do, too.
    Spoken,
}

/// Which key does what, on the AE's phone before the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterAe {
    /// The call ends.
    #[default]
    End,
    /// The caller goes back to the AI.
    Ai,
}

/// An AE, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The language in which they are briefed and told what to press; absent: as everybody.
    pub language: Option<Language>,
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

impl Settings {
    /// The language in which an AE is spoken to.
    pub fn language_of(&self, ae: Option<&AeSettings>) -> Language {
        ae.and_then(|ae| ae.language).unwrap_or(self.language)
    }

    /// What a transfer does that asks for nothing else.
    pub const fn options(&self) -> Options {
        Options {
            while_dialing: self.while_dialing,
            accept: self.accept,
            briefing: self.briefing,
            introduce: self.introduce,
            after_ae: self.after_ae,
        }
    }
}

impl Default for KeyPair {
    fn default() -> KeyPair {
        KeyPair { first: Key::STAR, then: Key::NINE }
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
            language: Language::default(),
            phrases: Phrasebook::default(),
            callback: CallbackSettings::default(),
            briefing: BriefingBy::default(),
            introduce: false,
            introduce_max: Duration::from_secs(20),
            handback_key: KeyPair::default(),
            handback_key_is_chosen: false,
            message_max: Duration::from_secs(120),
            message_silence_max: Duration::from_secs(5),
            choices: Choices::default(),
        }
    }
}
