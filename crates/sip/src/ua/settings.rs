//! What a user agent is told once, at its birth.

use std::time::Duration;

use super::Listen;

/// The settings of a [`UserAgent`](super::UserAgent).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where SIP is listened for; the first one of a transport is the default for dialling over it.
    pub listen: Vec<Listen>,
    /// The value of User-Agent and Server; empty for none.
    pub user_agent: String,
    /// Where all tags, branches and Call-IDs come from.
    pub seed: u64,
    /// The base intervals of RFC 3261 §17.
    pub timing: Timing,
    /// Ends of the tables.
    pub limits: Limits,
}

impl Settings {
    /// Settings with the intervals of the RFC and the default limits.
    pub fn new(listen: Vec<Listen>, seed: u64) -> Settings {
        Settings { listen, user_agent: "Baton".to_owned(), seed, timing: Timing::default(), limits: Limits::default() }
    }
}

/// The base intervals of RFC 3261 §17.1.1.1 from which all timers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The estimated round trip: the first interval between two sendings.
    pub t1: Duration,
    /// The longest interval between two sendings of a non-INVITE request or of an INVITE's answer.
    pub t2: Duration,
    /// How long a message may live in the network.
    pub t4: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timing {
    /// 64 times T1: how long an unanswered message is repeated (timers B, F, H), and how long an answered one is remembered (J, L, M).
    pub fn patience(self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: how long the final answer of an INVITE may be repeated by the far side: 32 s or more over datagrams.
    pub(crate) fn timer_d(self) -> Duration {
        self.patience()
    }
}

/// Ends of the tables; what comes when one is full gets 503 with Retry-After.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions that are up, coming up or going down.
    pub sessions: usize,
    /// Transactions of both sides; each answered one is remembered for 32 s.
    pub transactions: usize,
    /// Early dialogs of one forked INVITE; more branches than these are not told apart.
    pub forks: usize,
    /// REFERs in one session whose NOTIFYs are still due.
    pub refers: usize,
    /// What Retry-After says when a table is full.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { sessions: 20_000, transactions: 200_000, forks: 16, refers: 8, retry_after: Duration::from_secs(5) }
    }
}
