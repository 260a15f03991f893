//! How many calls a trunk carries: channels, calls per second, and a reserve so that at full load a human can still be reached.

use std::collections::VecDeque;
use std::time::Duration;

use baton_time::Mono;

use crate::settings::Capacity;

/// In which span calls per second are counted.
const SECOND: Duration = Duration::from_secs(1);

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A call that comes in, or that we place for an AI.
    Ordinary,
    /// A consult, a callback, somebody to whom a caller is passed on: may take the reserve, and is held back by no rate.
    Reserved,
}

/// Why a trunk takes no more calls for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Full {
    /// All its channels are taken, but for the reserve perhaps.
    Channels,
    /// As many calls as it may take have begun within the last second.
    Rate,
}

impl Full {
    /// The name in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Full::Channels => "channels",
            Full::Rate => "cps",
        }
    }
}

/// What a trunk carries now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    pub(crate) used: u32,
    /// When calls began, within the last second.
    recent: VecDeque<Mono>,
    pub(crate) full_channels: u64,
    pub(crate) full_rate: u64,
}

impl Load {
    /// Whether a channel is to be had.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, now: Mono, capacity: &Capacity, claim: Claim) -> Result<(), Full> {
        let kept = match claim {
            Claim::Ordinary => capacity.reserve,
            Claim::Reserved => 0,
        };
        if capacity.channels.is_some_and(|channels| self.used >= channels.saturating_sub(kept)) {
            return Err(Full::Channels);
        }
        let begun = self.recent.iter().filter(|at| **at + SECOND > now).count();
        match (capacity.cps, claim) {
            (Some(cps), Claim::Ordinary) if begun >= cps as usize => Err(Full::Rate),
            (_, _) => Ok(()),
        }
    }

    /// Takes a channel, or counts that there was none.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn claim(&mut self, now: Mono, capacity: &Capacity, claim: Claim) -> Result<(), Full> {
        if let Err(full) = self.check(now, capacity, claim) {
            match full {
                Full::Channels => self.full_channels += 1,
                Full::Rate => self.full_rate += 1,
            }
            return Err(full);
        }
        self.used += 1;
        if let Some(cps) = capacity.cps {
            while self.recent.front().is_some_and(|at| *at + SECOND <= now) || self.recent.len() > 2 * cps as usize {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
        }
        Ok(())
    }

    /// Gives a channel back.
    pub(crate) fn release(&mut self) {
        self.used = self.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    #[test]
    fn the_reserve_is_for_consults_and_callbacks_only() {
        let capacity = Capacity { channels: Some(3), reserve: 1, cps: None };
        let mut load = Load::default();
        assert_eq!(load.claim(at(0), &capacity, Claim::Ordinary), Ok(()));
        assert_eq!(load.claim(at(0), &capacity, Claim::Ordinary), Ok(()));
        assert_eq!(load.claim(at(0), &capacity, Claim::Ordinary), Err(Full::Channels));
        assert_eq!(load.claim(at(0), &capacity, Claim::Reserved), Ok(()));
        assert_eq!(load.claim(at(0), &capacity, Claim::Reserved), Err(Full::Channels));
        load.release();
        assert_eq!(load.claim(at(0), &capacity, Claim::Ordinary), Err(Full::Channels));
        load.release();
        assert_eq!(load.claim(at(0), &capacity, Claim::Ordinary), Ok(()));
        assert_eq!((load.used, load.full_channels), (2, 3));
    }

    #[test]
    fn no_more_calls_begin_in_a_second_than_the_trunk_may_take() {
        let capacity = Capacity { channels: None, reserve: 0, cps: Some(2) };
        let mut load = Load::default();
        assert_eq!(load.claim(at(0), &capacity, Claim::Ordinary), Ok(()));
        assert_eq!(load.claim(at(400), &capacity, Claim::Ordinary), Ok(()));
        assert_eq!(load.claim(at(900), &capacity, Claim::Ordinary), Err(Full::Rate));
        assert_eq!(load.claim(at(900), &capacity, Claim::Reserved), Ok(()));
        assert_eq!(load.claim(at(1_000), &capacity, Claim::Ordinary), Err(Full::Rate));
        assert_eq!(load.claim(at(1_400), &capacity, Claim::Ordinary), Ok(()));
    }

    #[test]
    fn a_trunk_without_limits_takes_everything() {
        let mut load = Load::default();
        assert!((0..10_000).all(|_| load.claim(at(0), &Capacity::default(), Claim::Ordinary).is_ok()));
        assert!(load.recent.is_empty());
    }
}
