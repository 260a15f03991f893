//! Faults that are put in on purpose, so that the simulator can be seen to find them. Only builds with the feature `seeded-bugs` have any.

/// How many faults there are, counted from 1.
pub const COUNT: u32 = 100;

/// Whether this build has any.
pub const ARE_IN: bool = cfg!(feature = "seeded-bugs");

/// Whether the fault of this number is chosen. Without the feature `seeded-bugs` it is `false` before the program is built.
#[cfg(not(feature = "seeded-bugs"))]
#[macro_export]
macro_rules! bug {
    ($number:literal) => {
        false
    };
}

/// Whether the fault of this number is chosen.
#[cfg(feature = "seeded-bugs")]
#[macro_export]
macro_rules! bug {
    ($number:literal) => {
        $crate::seeded::is($number)
    };
}

#[cfg(feature = "seeded-bugs")]
mod choice {
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<u32> = const { Cell::new(0) };
    }

    /// Chooses the one fault that this thread has from now on; 0: none.
    pub fn choose(number: u32) {
        CHOSEN.set(number);
    }

    /// Whether the fault of this number is chosen.
    pub fn is(number: u32) -> bool {
        CHOSEN.get() == number
    }
}

#[cfg(feature = "seeded-bugs")]
pub use choice::{choose, is};
