//! How much of the tables each source has: one that runs wild must leave room for the others, even if it is a friend.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::sources::{Source, source};

/// What every source has of the tables.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    held: BTreeMap<Source, Share>,
}

/// What one source has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Its requests that are being served, or remembered.
    pub(crate) transactions: usize,
    /// Its calls.
    pub(crate) sessions: usize,
}

impl Shares {
    /// What this source has.
    pub(crate) fn of(&self, addr: SocketAddr) -> Share {
        self.held.get(&source(addr)).copied().unwrap_or_default()
    }

    /// One more transaction; gives whose it is.
    pub(crate) fn open_transaction(&mut self, source: Source) -> Source {
        self.held.entry(source).or_default().transactions += 1;
        source
    }

    /// A transaction is forgotten.
    pub(crate) fn close_transaction(&mut self, source: Source) {
        self.give_back(source, |share| share.transactions = share.transactions.saturating_sub(1));
    }

    /// One more session; gives whose it is.
    pub(crate) fn open_session(&mut self, source: Source) -> Source {
        self.held.entry(source).or_default().sessions += 1;
        source
    }

    /// A session is forgotten.
    pub(crate) fn close_session(&mut self, source: Source) {
        self.give_back(source, |share| share.sessions = share.sessions.saturating_sub(1));
    }

    /// How many sources have anything: what is remembered of them ends with their last transaction.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    fn give_back(&mut self, source: Source, change: impl FnOnce(&mut Share)) {
        let Some(share) = self.held.get_mut(&source) else { return };
        change(share);
        if *share == Share::default() {
            self.held.remove(&source);
        }
    }
}
