//! What a burst of calls leaves behind is given back to the system: the allocator keeps pages that are free as soon as something above them lives on.

/// How many sessions must have been forgotten before it is worth looking for free pages.
const WORTH: usize = 200;

/// At so many looks in a row no more must have gone.
const STILL: u32 = 4;

/// The sessions that are known, as they come and go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tide {
    /// The most there were since pages were last given back.
    most: usize,
    /// As many as at the last look.
    last: usize,
    /// At so many looks no more had gone.
    still: u32,
}

impl Tide {
    /// Told how many there are now; true where it is time to give pages back: at least half of a crowd has gone, and no more are going.
    pub(crate) fn is_low(&mut self, sessions: usize) -> bool {
        self.most = self.most.max(sessions);
        self.still = if sessions < self.last { 0 } else { self.still.saturating_add(1) };
        self.last = sessions;
        let is_low = self.most - sessions >= WORTH.max(self.most / 2) && self.still >= STILL;
        if is_low {
            self.most = sessions;
        }
        is_low
    }
}

/// Has the allocator give back whatever whole pages are free. Takes some milliseconds, during which other threads may have to wait for memory.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        #[expect(unsafe_code, reason = "a call of the C library, for which there is no other way")]
        // SAFETY: malloc_trim(3) is MT-Safe and touches nothing that is in use.
        let given = unsafe { nix::libc::malloc_trim(0) } == 1;
        tracing::debug!(given, "memory-given-back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(sessions: &[usize]) -> Vec<bool> {
        let mut tide = Tide::default();
        sessions.iter().map(|sessions| tide.is_low(*sessions)).collect()
    }

    #[test]
    fn pages_are_given_back_once_when_a_crowd_has_gone() {
        let seen = looks(&[0, 900, 2_000, 700, 700, 5, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen.iter().position(|is_low| *is_low), Some(10), "when no more have gone for a second");
        assert_eq!(seen.iter().filter(|is_low| **is_low).count(), 1);
    }

    #[test]
    fn a_few_calls_and_a_steady_crowd_are_let_alone() {
        assert!(looks(&[0, 150, 0, 0, 0, 0, 0, 190, 0, 0, 0, 0, 0]).iter().all(|is_low| !is_low));
        assert!(
            looks(&[5_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_100, 3_000, 3_100, 3_100, 3_100, 3_100, 5_000])
                .iter()
                .all(|is_low| !is_low)
        );
    }
}
