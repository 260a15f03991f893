//! REGISTER as a server (RFC 3261 §10.3): a small registrar for phones and AIs, with passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;
use serde::{Deserialize, Serialize};

use super::door::Request;
use super::outside::Errand;
use super::tables::Reply;
use super::{Event, InviteRequest, Rejected, SessionId, UserAgent, VerbError};
use crate::digest::{Algorithms, Guard, Known, Verdict};
use crate::transaction::ServerKey;
use crate::transport::{ConnectionId, Hop, Transport};
use crate::wire::{Header, Message, Name, NameAddr, Uri};

/// How many phones may be registered for one account.
const BINDINGS_MAX: usize = 8;
/// How long a binding lasts where nobody says it.
const EXPIRES_USUAL: Duration = Duration::from_secs(3_600);
/// The longest that is granted.
const EXPIRES_MAX: Duration = Duration::from_secs(600);
/// The longest that is granted to a phone behind a NAT over datagrams: most of them forget an address that nobody sends to.
const EXPIRES_BEHIND_NAT: Duration = Duration::from_secs(120);
/// The shortest that may be asked for (423).
const EXPIRES_MIN: Duration = Duration::from_secs(60);

/// Who may register, or prove who they are, and with which password.
#[derive(Clone, Default)]
pub struct Accounts {
    /// The realm of the challenges.
    pub realm: String,
    /// By user name.
    pub users: BTreeMap<String, Account>,
}

/// One account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The password.
    pub password: String,
    /// What it is good for.
    pub use_for: AccountUse,
    /// By which algorithms the password may be proved.
    pub algorithms: Algorithms,
}

/// What an account is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountUse {
    /// A phone registers with it, and calls.
    Phone,
    /// Somebody calls with it who does not register.
    Calls,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Accounts({:?}, {:?})", self.realm, self.users.keys())
    }
}

/// Where somebody can be reached who has registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The URI in their Contact: the Request-URI of calls to them.
    pub contact: Uri,
    /// Where requests to them are sent: where the REGISTER came from, which reaches them behind a NAT, too.
    pub hop: Hop,
    /// The stream that they came by.
    pub connection: Option<ConnectionId>,
    /// The elements between, nearest first (RFC 3327), as values of Route.
    pub path: Vec<String>,
    /// What they call themselves.
    pub user_agent: Option<String>,
    /// How much they want to be the one, in thousandths.
    pub q: u16,
    /// When it ends unless it is refreshed.
    #[serde(skip)]
    pub until: Mono,
    call_id: String,
    seq: u32,
}

/// Everybody who has registered.
#[derive(Debug)]
pub(crate) struct Registrar {
    accounts: Accounts,
    guard: Guard,
    bindings: BTreeMap<String, Vec<Binding>>,
    /// Accounts whose bindings have changed since somebody asked for them.
    rebound: BTreeSet<String>,
}

impl Registrar {
    pub(crate) fn new(accounts: Accounts, seed: u64) -> Registrar {
        let guard = Guard::new(&accounts.realm, seed);
        Registrar { accounts, guard, bindings: BTreeMap::new(), rebound: BTreeSet::new() }
    }

    /// The challenges for somebody who has not proved that they are one of these.
    fn challenges<'n>(&mut self, now: Mono, accounts: impl Iterator<Item = &'n str>, verdict: &Verdict) -> Vec<Header> {
        let known = accounts.filter_map(|name| self.accounts.users.get(name)).map(|account| account.algorithms);
        let algorithms = known.reduce(Algorithms::or).unwrap_or_default();
        self.guard.challenge(now, verdict, algorithms)
    }

    /// Whether anybody may register.
    pub(crate) fn is_open(&self) -> bool {
        self.accounts.users.values().any(|account| account.use_for == AccountUse::Phone)
    }
}

impl UserAgent {
    /// Where somebody can be reached, the best first: the highest `q`, then whoever registered last.
    pub fn bindings(&self, account: &str) -> &[Binding] {
        self.registrar.bindings.get(account).map(Vec::as_slice).unwrap_or_default()
    }

    /// Who has registered from there.
    pub fn account_at(&self, source: SocketAddr) -> Option<&str> {
        let mut all = self.registrar.bindings.iter();
        let is_there = |bindings: &[Binding]| bindings.iter().any(|binding| binding.hop.addr == source);
        all.find(|(_, bindings)| is_there(bindings)).map(|(account, _)| account.as_str())
    }

    /// Everybody who has registered, to be written down: what is left of each binding at `now` stands beside it.
    pub fn all_bindings(&self, now: Mono) -> Vec<(String, Duration, Binding)> {
        let all = self.registrar.bindings.iter().flat_map(|(account, bindings)| bindings.iter().map(move |one| (account, one)));
        all.map(|(account, binding)| (account.clone(), binding.until.since(now), binding.clone())).collect()
    }

    /// The accounts whose bindings have changed since this was asked last, with what is left of each binding at `now`: to be written down.
    pub fn take_rebound(&mut self, now: Mono) -> Vec<(String, Vec<(Duration, Binding)>)> {
        let changed = std::mem::take(&mut self.registrar.rebound);
        let left = |account: &str| self.bindings(account).iter().map(|one| (one.until.since(now), one.clone())).collect();
        changed
            .into_iter()
            .map(|account| {
                let bindings = left(&account);
                (account, bindings)
            })
            .collect()
    }

    /// Puts a binding back that was written down. A stream of the past leads nowhere: such a binding is left out.
    pub fn restore_binding(&mut self, now: Mono, account: &str, left: Duration, binding: Binding) {
        let is_known = self.registrar.accounts.users.contains_key(account);
        if !is_known || left.is_zero() || binding.connection.is_some() {
            return;
        }
        let binding = Binding { until: now + left.min(EXPIRES_MAX), ..binding };
        let bindings = self.registrar.bindings.entry(account.to_owned()).or_default();
        if bindings.len() < BINDINGS_MAX && !bindings.iter().any(|known| known.contact.is_same(&binding.contact)) {
            bindings.push(binding);
            bindings.sort_by_key(|binding| std::cmp::Reverse(binding.q));
            let count = bindings.len();
            self.arm_bindings();
            self.tell(Event::Bound { account: account.to_owned(), bindings: count });
        }
    }

    /// Other accounts from now on. Bindings of those that are no longer there are forgotten.
    pub fn set_accounts(&mut self, accounts: Accounts) {
        self.registrar.bindings.retain(|account, _| accounts.users.contains_key(account));
        self.registrar.rebound.retain(|account| accounts.users.contains_key(account));
        self.registrar.guard = Guard::new(&accounts.realm, self.random.draw());
        self.registrar.accounts = accounts;
    }

    /// Whether a call proves whose it is.
    pub fn verify(&mut self, now: Mono, invite: &InviteRequest) -> Verdict {
        self.verify_message(now, &invite.message)
    }

    fn verify_message(&mut self, now: Mono, message: &Message) -> Verdict {
        let users = &self.registrar.accounts.users;
        let known = |account: &Account| Known { password: account.password.clone(), algorithms: account.algorithms };
        self.registrar.guard.check(now, message, |user| users.get(user).map(known))
    }

    /// Asks a caller, who may be one of these accounts, for their password: 401 with a challenge for each algorithm. The call is refused; it comes
    /// again with the answer.
    ///
    /// # Errors
    /// When the session is not one that waits for our answer.
    pub fn challenge<'n>(
        &mut self,
        now: Mono,
        session: SessionId,
        accounts: impl Iterator<Item = &'n str>,
        verdict: &Verdict,
    ) -> Result<(), VerbError> {
        let headers = self.registrar.challenges(now, accounts, verdict);
        self.refuse(now, session, 401, None, headers)
    }

    /// A REGISTER has come.
    pub(crate) fn on_register(&mut self, now: Mono, key: ServerKey, request: &Request) {
        if !self.registrar.is_open() {
            return self.bad_method(now, key, request);
        }
        let wanted = request.message.to().uri().user_plain().unwrap_or_default().into_owned();
        let verdict = self.verify_message(now, &request.message);
        match &verdict {
            Verdict::Missing | Verdict::Stale => {
                let mut reply = Reply::new(401);
                reply.headers = self.registrar.challenges(now, std::iter::once(wanted.as_str()), &verdict);
                self.respond(now, key, request, reply);
                return;
            }
            Verdict::Wrong => return self.reject(now, key, request, Reply::new(403), Rejected::WrongPassword),
            Verdict::Proved(user) => {
                let may = self.registrar.accounts.users.get(user).is_some_and(|account| account.use_for == AccountUse::Phone);
                // Nobody takes calls for somebody else (RFC 3261 §10.3, step 4).
                if !may || *user != wanted {
                    return self.reject(now, key, request, Reply::new(403), Rejected::WrongPassword);
                }
            }
        }
        self.sources.befriend(now, request.source);
        let before = self.bindings(&wanted).len();
        let reply = match self.bind(now, &wanted, request) {
            Ok(()) => self.bound(now, &wanted, request),
            Err(reply) => *reply,
        };
        self.registrar.rebound.insert(wanted.clone());
        let after = self.bindings(&wanted).len();
        self.respond(now, key, request, reply);
        self.arm_bindings();
        if before != after {
            self.tell(Event::Bound { account: wanted, bindings: after });
        }
    }

    /// Adds, refreshes and removes what the request says: all of it, or nothing (RFC 3261 §10.3, step 7).
    fn bind(&mut self, now: Mono, account: &str, request: &Request) -> Result<(), Box<Reply>> {
        let message = &request.message;
        let known = self.registrar.bindings.get(account).cloned().unwrap_or_default();
        let mut bindings: Vec<Binding> = known.into_iter().filter(|binding| binding.until > now).collect();
        let in_order = |binding: &Binding| binding.call_id != request.call_id() || binding.seq < request.seq();
        if message.headers(Name::Contact).any(|value| value.trim() == "*") {
            let alone = message.headers(Name::Contact).count() == 1 && message.expires() == Some(0);
            if !alone {
                return Err(Box::new(Reply::new(400)));
            }
            if !bindings.iter().all(in_order) {
                return Err(Box::new(Reply::new(500)));
            }
            self.registrar.bindings.remove(account);
            return Ok(());
        }
        for contact in message.contacts() {
            let place = bindings.iter().position(|binding| binding.contact.is_same(&contact.uri));
            let span = span(message, &contact);
            if span.is_zero() {
                if let Some(binding) = place.map(|place| bindings.remove(place))
                    && !in_order(&binding)
                {
                    return Err(Box::new(Reply::new(500)));
                }
                continue;
            }
            if span < EXPIRES_MIN {
                return Err(Box::new(Reply::new(423).with(Header::new("Min-Expires", EXPIRES_MIN.as_secs().to_string()))));
            }
            if !contact.uri.is_sip() {
                return Err(Box::new(Reply::new(416)));
            }
            if let Some(old) = place.map(|place| bindings.remove(place))
                && !in_order(&old)
            {
                return Err(Box::new(Reply::new(500)));
            }
            if bindings.len() >= BINDINGS_MAX {
                return Err(Box::new(Reply::retry_after(self.settings.limits.retry_after)));
            }
            bindings.insert(0, binding(now, request, &contact, span));
        }
        // The sort keeps the order of equals: whoever registered last comes first.
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        match bindings.is_empty() {
            true => self.registrar.bindings.remove(account),
            false => self.registrar.bindings.insert(account.to_owned(), bindings),
        };
        Ok(())
    }

    /// 200 with all bindings there are.
    fn bound(&self, now: Mono, account: &str, request: &Request) -> Reply {
        let line = |binding: &Binding| {
            let seconds = binding.until.since(now).as_secs();
            Header::new("Contact", format!("<{}>;expires={seconds}", binding.contact))
        };
        let mut reply = self.bindings(account).iter().map(line).fold(Reply::new(200), Reply::with);
        // RFC 3327 §5.3: who supports it is told the way.
        if request.message.has_token(Name::Supported, "path") {
            reply = request.message.headers(Name::Path).fold(reply, |reply, path| reply.with(Header::new("Path", path)));
        }
        reply
    }

    /// Bindings whose time has come are forgotten.
    pub(crate) fn bindings_due(&mut self, now: Mono) {
        let mut changed = Vec::new();
        self.registrar.bindings.retain(|account, bindings| {
            let before = bindings.len();
            bindings.retain(|binding| binding.until > now);
            if bindings.len() != before {
                changed.push((account.clone(), bindings.len()));
            }
            !bindings.is_empty()
        });
        self.arm_bindings();
        for (account, bindings) in changed {
            self.registrar.rebound.insert(account.clone());
            self.tell(Event::Bound { account, bindings });
        }
    }

    fn arm_bindings(&mut self) {
        let next = self.registrar.bindings.values().flatten().map(|binding| binding.until).min();
        match next {
            Some(at) => self.errands.set(Errand::Bindings, at),
            None => {
                self.errands.clear(&Errand::Bindings);
            }
        }
    }

    /// A phone whose stream has ended cannot be reached any more: there is no other way to it.
    pub(crate) fn binding_stream_closed(&mut self, now: Mono, connection: ConnectionId) {
        for binding in self.registrar.bindings.values_mut().flatten() {
            if binding.connection == Some(connection) {
                binding.until = now;
            }
        }
        self.bindings_due(now);
    }
}

/// How long a contact shall be bound: its own word, else that of the request, within our limits.
fn span(message: &Message, contact: &NameAddr) -> Duration {
    let own = contact.params.value("expires").map(|text| text.parse().unwrap_or(EXPIRES_USUAL.as_secs()));
    let said = own.or(message.expires().map(u64::from)).map_or(EXPIRES_USUAL, Duration::from_secs);
    said.min(EXPIRES_MAX)
}

fn binding(now: Mono, request: &Request, contact: &NameAddr, span: Duration) -> Binding {
    let message = &request.message;
    let path: Vec<String> = message.headers(Name::Path).map(str::to_owned).collect();
    let is_direct = path.is_empty() && message.headers(Name::Via).nth(1).is_none();
    let is_datagram = request.way.transport == Transport::Udp;
    let said = contact.uri.ip().map(|ip| SocketAddr::new(ip, contact.uri.port().unwrap_or(request.way.transport.default_port())));
    // Whoever does not ask for `rport` listens where they say; if that is where they are, they are believed.
    let listens_there = said.filter(|said| is_datagram && said.ip() == request.source.ip() && request.via.rport().is_none());
    let addr = listens_there.unwrap_or(request.source);
    let is_behind_nat = is_direct && is_datagram && said.is_some_and(|said| said != addr);
    let granted = if is_behind_nat { span.min(EXPIRES_BEHIND_NAT) } else { span };
    let q = contact.params.value("q").and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000")]
    let q = (q * 1_000.0) as u16;
    Binding {
        contact: contact.uri.detached(),
        hop: Hop::new(request.way.transport, addr),
        connection: request.way.connection,
        path,
        user_agent: request.header(Name::UserAgent).map(|text| text.chars().take(64).collect()),
        q,
        until: now + granted,
        call_id: request.call_id().to_owned(),
        seq: request.seq(),
    }
}
