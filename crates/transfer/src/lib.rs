//! The rules of a transfer: how a caller comes from the AI to a human, and what happens when that does not work out.
//!
//! Nothing in here knows SIP, RTP or a disk. A [`Transfer`] is told what happened and answers with [`Action`]s and with the
//! time at which it wants to be woken, and why.
#![forbid(unsafe_code)]

mod action;
pub mod briefing;
mod budget;
pub mod callback;
mod choice;
mod event;
mod hours;
mod key;
mod line;
mod outcome;
#[cfg(test)]
mod page;
mod phrases;
pub mod plan;
mod roster;
mod settings;
mod transfer;
mod why;

pub use action::{Action, AeSpeech, Cause, Phrase, Progress, Purpose, SayId, SceneName};
pub use callback::{
    CallbackAction, CallbackEvent, CallbackRun, CallbackSettings, CallbackWhy, Change, ConfirmBy, NoBriefing, Said, Unchanged,
};
pub use choice::{Choice, Choices, Preference, Urgency};
pub use event::{AcceptedBy, Event, Fact, HandBackBy, LegEnd, Message};
pub use hours::{Hours, HoursError, Zone, ZoneError};
pub use key::{Key, KeyError};
pub use line::{Hour, Line, Minute, Weekday};
pub use phrases::{Language, LanguageError, Phrasebook, Phrases, TemplateError};
pub use roster::{Callee, Held, Lease, Roster, Target};
pub use settings::{
    AcceptBy, AeSettings, AfterAe, BriefingBy, BudgetSettings, ColdBy, GroupSettings, KeyPair, Keys, Limits, Options, Settings,
    WhileDialing,
};
pub use transfer::{Begin, TakeOver, Transfer};
pub use why::Why;
