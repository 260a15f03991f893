//! Callbacks: which times can be offered, how they are told, and how a promised one is carried out.

mod answer;
mod run;
mod settings;
mod slots;

pub use run::{CallbackAction, CallbackEvent, CallbackRun, CallbackWhy, Change, NoBriefing, Said, Unchanged};
pub use settings::{CallbackSettings, ConfirmBy};
pub(crate) use slots::has_slots;
pub use slots::{ics, local, slots, spoken};
