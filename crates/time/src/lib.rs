//! Words for time. There is no clock in here: whoever owns one tells the others what time it is.
#![forbid(unsafe_code)]

mod instant;
pub mod seeded;
mod timers;

pub use instant::{Deadline, Mono, Now, Wall, soonest};
pub use timers::Timers;
