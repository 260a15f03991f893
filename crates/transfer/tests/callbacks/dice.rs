//! Chance, from a seed.

use baton_contract::IdSource;

pub(crate) struct Dice(IdSource);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(IdSource::seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.bits() % end.max(1)
    }

    pub(crate) fn between(&mut self, first: u64, end: u64) -> u64 {
        first + self.below(end - first)
    }

    /// True so many times of a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.bits()
    }
}
