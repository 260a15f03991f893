//! What a user agent is told once, at its birth.

use std::time::Duration;

use super::Accounts;
use crate::timing::Timing;
use crate::transport::Listen;

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
    /// How many times a call of ours follows a 3xx (RFC 3261 §8.1.3.4); 0: a 3xx is a refusal. Whom it leads to is not known beforehand, and only
    /// contacts with an address in figures are followed.
    pub redirects: u8,
    /// How often a session of ours shall be refreshed (RFC 4028: twice in this span); none asked for if it is zero.
    pub session_expires: Duration,
    /// The shortest such span that we let others ask for.
    pub min_se: Duration,
    /// Who may register with us, and prove whose calls are theirs.
    pub accounts: Accounts,
    /// Who is answered who asks by OPTIONS whether we are there.
    pub options: OptionsFor,
    /// How long a server of several may be silent before the next one is tried (RFC 3263 §4.3).
    pub server_patience: Duration,
    /// Who is told a Session-ID.
    pub session_ids: SessionIds,
}

impl Settings {
    /// Settings with the intervals of the RFC and the default limits.
    pub fn new(listen: Vec<Listen>, seed: u64) -> Settings {
        Settings {
            listen,
            user_agent: "Baton".to_owned(),
            seed,
            timing: Timing::default(),
            limits: Limits::default(),
            redirects: 0,
            session_expires: Duration::from_secs(1_800),
            min_se: Duration::from_secs(90),
            accounts: Accounts::default(),
            options: OptionsFor::Everybody,
            server_patience: Duration::from_millis(1_200),
            session_ids: SessionIds::default(),
        }
    }
}

/// Who is answered who asks by OPTIONS, outside of calls, whether we are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionsFor {
    /// Everybody.
    Everybody,
    /// Whom the owner says: [`Event::Options`](super::Event) asks.
    WhomOwnerSays,
}

/// Who is told a Session-ID (RFC 7989).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionIds {
    /// Who says theirs. Others save the 86 bytes, which may be what makes a datagram too long.
    #[default]
    Answered,
    /// Everybody, from the first INVITE on.
    Always,
}

/// Ends of the tables; what comes when one is full gets 503 with Retry-After.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions that are up, coming up or going down; one that we began is remembered for 32 s after its answer at least.
    pub sessions: usize,
    /// Transactions of both sides; each answered one is remembered for 32 s.
    pub transactions: usize,
    /// How much of the transactions may be one source's, whoever it is; what belongs to nothing that is up may fill seven eighths of it.
    pub source_transactions: usize,
    /// How much of the sessions may be one source's calls to us.
    pub source_sessions: usize,
    /// Early dialogs of one forked INVITE; more branches than these are not told apart.
    pub forks: usize,
    /// REFERs in one session whose NOTIFYs are still due.
    pub refers: usize,
    /// Requests a second, outside of what we have with anybody, that are taken from a source whose INVITEs the owner has forbidden (403) or not seen
    /// yet; four times as many at once. What is more is dropped without a word.
    pub stranger_rate: u32,
    /// The same for all such sources together.
    pub strangers_rate: u32,
    /// What Retry-After says when a table is full.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            sessions: 200_000,
            transactions: 800_000,
            source_transactions: 500_000,
            source_sessions: 120_000,
            forks: 16,
            refers: 8,
            stranger_rate: 50,
            strangers_rate: 500,
            retry_after: Duration::from_secs(5),
        }
    }
}
