//! Addresses that something was learnt about a short while ago.

use std::net::SocketAddr;
use std::time::Duration;

use baton_time::{Mono, Timers};

/// How many addresses are remembered; the oldest one makes room.
const ADDRESSES_MAX: usize = 1_024;
/// How long one is remembered: peers are repaired now and then.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A set of addresses that forgets.
#[derive(Debug, Default)]
pub(crate) struct Recent(Timers<SocketAddr>);

impl Recent {
    pub(crate) fn insert(&mut self, now: Mono, addr: SocketAddr) {
        if self.0.len() >= ADDRESSES_MAX
            && let Some(oldest) = self.0.next().map(|(_, addr)| *addr)
        {
            self.0.clear(&oldest);
        }
        self.0.set(addr, now + REMEMBERED);
    }

    pub(crate) fn remove(&mut self, addr: SocketAddr) {
        self.0.clear(&addr);
    }

    pub(crate) fn contains(&self, addr: SocketAddr) -> bool {
        self.0.get(&addr).is_some()
    }

    /// Time has gone by.
    pub(crate) fn forget(&mut self, now: Mono) {
        while self.0.pop_due(now).is_some() {}
    }
}
