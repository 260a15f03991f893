//! Callbacks: which times can be offered, how they are told, and how a promised one is carried out.

mod settings;
mod slots;

pub use settings::CallbackSettings;
pub(crate) use slots::slots_within;
pub use slots::{ics, local, slots, spoken};
