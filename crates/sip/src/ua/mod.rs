//! The user agent: one value for the whole daemon. One file for each verb; this one has the door, the clock and the tables.

mod answer;
mod auth;
mod beside;
mod bye;
mod counts;
mod dial;
mod door;
mod event;
mod failover;
mod in_dialog;
mod info;
mod invite;
mod multipart;
mod offer;
mod options;
mod outside;
mod overload;
mod ping;
mod prack;
mod print;
mod recent;
mod refer;
mod register;
mod registrar;
mod replaces;
mod response;
mod ring;
mod session;
mod session_id;
mod settings;
mod shares;
mod snapshot;
mod sources;
mod subscribe;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod timer;
mod update;
mod verb;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use baton_time::{Mono, Timers};

use crate::random::Random;
use crate::timing::Why;
use crate::transaction::{ServerKey, Transactions};
use crate::transport::{ConnectionId, Transmit};

pub use counts::{Counts, Direction, MessageCount};
pub use event::{Event, Gone, InviteRequest, ReferId, Rejected, SessionId};
pub use options::{OptionsAnswer, QuestionId};
pub use ping::{Ping, PingId};
pub use register::{Registration, RegistrationId, RegistrationState};
pub use registrar::{Account, AccountUse, Accounts, Binding};
pub use settings::{Limits, OptionsFor, SessionIds, Settings};
pub use snapshot::{AgentSnapshot, SessionRecord, SessionSnapshot};
pub use sources::network_of;
pub use subscribe::{Subscribe, SubscriptionId};
pub use text::TEXT_BYTES_MAX;
pub use verb::{Beside, Dial, Reason, Redirects, VerbError};

use recent::Recent;
use session::Session;
use shares::Shares;
use sources::Sources;
use tables::{Asked, Served};

/// A SIP user agent (RFC 3261) for many calls at once: told the time and the bytes, it answers with messages, events and deadlines.
///
/// After each call of `receive`, `on_timeout` or a verb its owner drains `poll_transmit` and `poll_event`, then asks `poll_timeout`.
#[derive(Debug)]
pub struct UserAgent {
    settings: Settings,
    random: Random,
    /// Keys the digests by which server transactions are found, so that nobody can choose a request that is taken for another one's repetition.
    secret: [u64; 2],
    accepting: Accepting,
    crowd: Crowd,
    /// When something was heard last.
    heard_at: Mono,
    transactions: Transactions<Asked, Served>,
    /// Requests outside of dialogs that are being served, by From tag, Call-ID and CSeq: what finds merged requests (RFC 3261 §8.2.2.2).
    merging: BTreeMap<u128, ServerKey>,
    /// Boxed, because a session is taken out for each step and put back after it.
    sessions: BTreeMap<SessionId, Box<Session>>,
    /// Sessions by the number in our tag.
    tags: BTreeMap<u64, SessionId>,
    timers: Timers<SessionId>,
    sources: Sources,
    shares: Shares,
    /// Peers that have refused a stream.
    datagrams_only: Recent,
    /// Addresses that have not answered a short while ago: others of the same peer come first.
    shunned: Recent,
    /// Streams that have ended, the latest of them.
    ended_streams: BTreeSet<ConnectionId>,
    registrations: BTreeMap<RegistrationId, register::Registering>,
    pings: BTreeMap<PingId, ping::Asking>,
    subscriptions: BTreeMap<SubscriptionId, subscribe::Subscribing>,
    registrar: registrar::Registrar,
    /// OPTIONS that wait for the owner.
    questions: BTreeMap<QuestionId, (ServerKey, door::Request)>,
    errands: Timers<outside::Errand>,
    last_errand: u64,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counts: Counts,
    last_session: u64,
    last_refer: u64,
    /// Sessions that have made a step since somebody asked.
    stepped: BTreeSet<SessionId>,
}

/// Whether new calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    Yes,
    No { retry_after: Duration },
}

/// How much waits at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Not more than can be worked off.
    Few,
    /// More than that.
    TooMany,
}

impl UserAgent {
    /// A user agent without sessions. Two with the same settings that are told the same give the same bytes.
    pub fn new(settings: Settings) -> UserAgent {
        let mut random = Random::new(settings.seed);
        let secret = [random.draw(), random.draw()];
        let registrar = registrar::Registrar::new(settings.accounts.clone(), settings.seed);
        UserAgent {
            secret,
            random,
            transactions: Transactions::new(settings.limits.transactions),
            sources: Sources::new(&settings.limits),
            shares: Shares::default(),
            settings,
            accepting: Accepting::Yes,
            crowd: Crowd::Few,
            heard_at: Mono::default(),
            merging: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tags: BTreeMap::new(),
            timers: Timers::default(),
            datagrams_only: Recent::default(),
            shunned: Recent::default(),
            ended_streams: BTreeSet::new(),
            registrations: BTreeMap::new(),
            pings: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            registrar,
            questions: BTreeMap::new(),
            errands: Timers::default(),
            last_errand: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counts: Counts::default(),
            last_session: 0,
            last_refer: 0,
            stepped: BTreeSet::new(),
        }
    }

    /// The next message to be sent, in order.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call `on_timeout`, and why. Nothing happens by itself before that.
    pub fn poll_timeout(&self) -> Option<(Mono, Why)> {
        let transaction = self.transactions.poll_timeout();
        let session = self.timers.next().and_then(|(_, id)| self.sessions.get(id)?.poll_timeout());
        let errand = self.errands.next().map(|(at, _)| (at, Why::Errand));
        [transaction, session, errand].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Takes no new calls (drain) or takes them again. Calls that are up go on; INVITEs and OPTIONS from outside get 503 with this Retry-After.
    pub fn set_accepting(&mut self, accepting: bool, retry_after: Duration) {
        self.accepting = if accepting { Accepting::Yes } else { Accepting::No { retry_after } };
    }

    /// How much waits at the door from now on. While it is too many, new INVITEs get 503 with Retry-After, and so does OPTIONS (RFC 3261 §21.5.4);
    /// what belongs to calls that are up is served, and an INVITE that replaces one of them, too.
    /// Whoever takes part in overload control is told to send less (RFC 7339).
    pub fn set_crowd(&mut self, crowd: Crowd) {
        self.crowd = crowd;
    }

    /// Whether new calls are taken.
    pub fn is_accepting(&self) -> bool {
        matches!(self.accepting, Accepting::Yes)
    }

    /// The Call-ID of a session.
    pub fn call_id(&self, session: SessionId) -> Option<&str> {
        self.sessions.get(&session).map(|session| session.call_id.as_str())
    }

    /// Where the messages of a session go or come from: the next element, not necessarily the far side itself.
    pub fn remote_addr(&self, session: SessionId) -> Option<SocketAddr> {
        self.sessions.get(&session)?.hop().map(|hop| hop.addr)
    }

    /// Numbers for the metrics.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many sessions there are, those included that only wait for their last transactions to be forgotten.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many transactions there are, those included that only swallow repetitions.
    pub fn transactions(&self) -> usize {
        self.transactions.len()
    }
}
