//! All transactions of a user agent, by key and by the time of their next timer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use baton_time::{Mono, Timers};

use super::{Client, ClientInvite, Leaves, Server, ServerInvite, Wake};
use crate::timing::{Timing, Why};
use crate::transport::{ConnectionId, Transmit, Transport};
use serde::{Deserialize, Serialize};

/// What is forgotten within such a span is forgotten at its end.
const FORGOTTEN_TOGETHER: Duration = Duration::from_millis(250);
/// Answers that have waited leave at multiples of this, so that one waking is for several.
const SPOKEN_TOGETHER: Duration = Duration::from_millis(10);

/// Names a client transaction: the number in our branch, and whether it is the CANCEL, which shares its INVITE's branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ClientKey {
    pub(crate) branch: u64,
    pub(crate) is_cancel: bool,
}

/// Names a server transaction: a keyed digest of what RFC 3261 §17.2.3 matches by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ServerKey(pub(crate) u128);

/// A client machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

/// A server machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

/// The table. `C` and `S` are what its owner remembers of each client and server transaction.
#[derive(Debug)]
pub(crate) struct Transactions<C, S> {
    clients: BTreeMap<ClientKey, (ClientMachine, C)>,
    servers: BTreeMap<ServerKey, (ServerMachine, S)>,
    timers: Timers<Key>,
    max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Client(ClientKey),
    Server(ServerKey),
}

/// A transaction whose time has come.
#[derive(Debug)]
pub(crate) enum Expired<C, S> {
    /// Only something to be sent again.
    Send(Transmit),
    /// An INVITE of the far side gets its 100.
    Speak(ServerKey, Transmit),
    /// Nobody has answered a request of ours.
    Unanswered(ClientKey, C),
    /// A client transaction is forgotten.
    ClientOver(ClientKey, C),
    /// A server transaction is forgotten; whether for want of an ACK or of our own answer does not matter any more.
    ServerOver(ServerKey, S),
}

impl<C: Clone, S> Transactions<C, S> {
    pub(crate) fn new(max: usize) -> Self {
        Transactions { clients: BTreeMap::new(), servers: BTreeMap::new(), timers: Timers::default(), max }
    }

    /// Whether no transaction of the far side is taken any more. Our own requests may fill the last eighth, so that what is up can be ended.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.max - self.max / 8
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    pub(crate) fn add_client(&mut self, key: ClientKey, machine: ClientMachine, user: C) {
        self.clients.insert(key, (machine, user));
        self.rearm_client(key);
    }

    pub(crate) fn add_server(&mut self, key: ServerKey, machine: ServerMachine, user: S) {
        self.servers.insert(key, (machine, user));
        self.rearm_server(key);
    }

    pub(crate) fn client(&mut self, key: ClientKey) -> Option<&mut (ClientMachine, C)> {
        self.clients.get_mut(&key)
    }

    pub(crate) fn server(&mut self, key: ServerKey) -> Option<&mut (ServerMachine, S)> {
        self.servers.get_mut(&key)
    }

    /// A client transaction with what is remembered of it.
    pub(crate) fn find_client(&self, key: ClientKey) -> Option<(&ClientMachine, &C)> {
        self.clients.get(&key).map(|(machine, user)| (machine, user))
    }

    /// A server transaction with what is remembered of it.
    pub(crate) fn find_server(&self, key: ServerKey) -> Option<(&ServerMachine, &S)> {
        self.servers.get(&key).map(|(machine, user)| (machine, user))
    }

    /// Gives an INVITE up before its time.
    pub(crate) fn forsake(&mut self, now: Mono, key: ClientKey) {
        if let Some((ClientMachine::Invite(machine), _)) = self.clients.get_mut(&key) {
            machine.forsake(now);
            self.rearm_client(key);
        }
    }

    /// Repeats an INVITE no more.
    pub(crate) fn hush(&mut self, key: ClientKey) {
        if let Some((ClientMachine::Invite(machine), _)) = self.clients.get_mut(&key) {
            machine.hush();
            self.rearm_client(key);
        }
    }

    /// Repeats an INVITE that cannot be sent no more; true if one is there, and it goes on listening.
    pub(crate) fn silence(&mut self, key: ClientKey) -> bool {
        let Some((ClientMachine::Invite(machine), _)) = self.clients.get_mut(&key) else { return false };
        machine.silence();
        self.rearm_client(key);
        true
    }

    /// Takes a client transaction out before its time.
    pub(crate) fn drop_client(&mut self, key: ClientKey) -> Option<C> {
        self.timers.clear(&Key::Client(key));
        self.clients.remove(&key).map(|(_, user)| user)
    }

    /// Client transactions that still wait for an answer and were sent to where `matches` says.
    pub(crate) fn unanswered(&self, matches: impl Fn(&Transmit) -> bool) -> Vec<ClientKey> {
        let waits = |machine: &ClientMachine| match machine {
            ClientMachine::Invite(machine) => machine.request().is_some_and(&matches),
            ClientMachine::Other(machine) => machine.request().is_some_and(&matches),
        };
        self.clients.iter().filter(|(_, (machine, _))| waits(machine)).map(|(key, _)| *key).collect()
    }

    /// Requests that were sent by this stream, or by whatever stream there was to `remote`, and that nobody has said anything to: they are to
    /// be sent by another one.
    pub(crate) fn reroute(&mut self, connection: ConnectionId, remote: Option<SocketAddr>) -> Vec<Transmit> {
        let requests = self.clients.values_mut().filter_map(|(machine, _)| match machine {
            ClientMachine::Invite(machine) => machine.unheard_mut(),
            ClientMachine::Other(machine) => machine.unheard_mut(),
        });
        let lost = requests.filter(|request| match request.connection {
            Some(named) => named == connection,
            None => request.transport == Transport::Tcp && Some(request.remote) == remote,
        });
        lost.map(|request| {
            request.connection = None;
            request.clone()
        })
        .collect()
    }

    /// Sets the timer of a client transaction after a step of its machine.
    pub(crate) fn rearm_client(&mut self, key: ClientKey) {
        let next = self.clients.get(&key).and_then(|(machine, _)| machine.poll_timeout());
        self.rearm(Key::Client(key), next);
    }

    /// Sets the timer of a server transaction after a step of its machine.
    pub(crate) fn rearm_server(&mut self, key: ServerKey) {
        let next = self.servers.get(&key).and_then(|(machine, _)| machine.poll_timeout());
        self.rearm(Key::Server(key), next);
    }

    fn rearm(&mut self, key: Key, next: Option<(Mono, Why)>) {
        match next {
            // Nobody minds when something is forgotten: those of a quarter of a second go together, and nobody is woken for each.
            Some((at, Why::Forget)) => self.timers.set(key, at.rounded_up(FORGOTTEN_TOGETHER)),
            Some((at, Why::Trying)) => self.timers.set(key, at.rounded_up(SPOKEN_TOGETHER)),
            Some((at, _)) => self.timers.set(key, at),
            None => {
                self.timers.clear(&key);
            }
        }
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        let (at, why) = match self.timers.next()? {
            (at, Key::Client(key)) => (at, self.clients.get(key)?.0.poll_timeout()),
            (at, Key::Server(key)) => (at, self.servers.get(key)?.0.poll_timeout()),
        };
        Some((at, why?.1))
    }

    /// The next transaction whose time has come by `now`; call until it yields none.
    pub(crate) fn pop_due(&mut self, now: Mono) -> Option<Expired<C, S>> {
        while let Some((_, key)) = self.timers.pop_due(now) {
            let expired = match key {
                Key::Client(key) => self.expire_client(now, key),
                Key::Server(key) => self.expire_server(now, key),
            };
            if expired.is_some() {
                return expired;
            }
        }
        None
    }

    fn expire_client(&mut self, now: Mono, key: ClientKey) -> Option<Expired<C, S>> {
        let wake = self.clients.get_mut(&key)?.0.on_timeout(now);
        match wake {
            Wake::Nothing | Wake::Send(_) | Wake::Speak(_) | Wake::GaveUp => self.rearm_client(key),
            Wake::Over => {}
        }
        match wake {
            Wake::Nothing => None,
            Wake::Send(transmit) | Wake::Speak(transmit) => Some(Expired::Send(transmit)),
            Wake::GaveUp => self.give_up(key),
            Wake::Over => self.clients.remove(&key).map(|(_, user)| Expired::ClientOver(key, user)),
        }
    }

    /// An INVITE is remembered for a while after it was given up, any other request is not.
    fn give_up(&mut self, key: ClientKey) -> Option<Expired<C, S>> {
        match self.clients.get(&key)? {
            (ClientMachine::Invite(_), user) => Some(Expired::Unanswered(key, user.clone())),
            (ClientMachine::Other(_), _) => self.clients.remove(&key).map(|(_, user)| Expired::Unanswered(key, user)),
        }
    }

    fn expire_server(&mut self, now: Mono, key: ServerKey) -> Option<Expired<C, S>> {
        let wake = self.servers.get_mut(&key)?.0.on_timeout(now);
        match wake {
            Wake::Nothing => {
                self.rearm_server(key);
                None
            }
            Wake::Send(transmit) => {
                self.rearm_server(key);
                Some(Expired::Send(transmit))
            }
            Wake::Speak(transmit) => {
                self.rearm_server(key);
                Some(Expired::Speak(key, transmit))
            }
            Wake::GaveUp | Wake::Over => self.servers.remove(&key).map(|(_, user)| Expired::ServerOver(key, user)),
        }
    }
}

impl ClientMachine {
    /// The machine of a request that is being sent now.
    pub(crate) fn new(now: Mono, method: &str, request: Transmit, timing: Timing) -> ClientMachine {
        match method {
            "INVITE" => ClientMachine::Invite(ClientInvite::new(now, request, timing)),
            _ => ClientMachine::Other(Client::new(now, request, timing)),
        }
    }

    fn poll_timeout(&self) -> Option<(Mono, Why)> {
        match self {
            ClientMachine::Invite(machine) => machine.poll_timeout(),
            ClientMachine::Other(machine) => machine.poll_timeout(),
        }
    }

    fn on_timeout(&mut self, now: Mono) -> Wake {
        match self {
            ClientMachine::Invite(machine) => machine.on_timeout(now),
            ClientMachine::Other(machine) => machine.on_timeout(now),
        }
    }
}

impl ServerMachine {
    /// Whether a final response has yet to be sent.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            ServerMachine::Invite(machine) => machine.is_open(),
            ServerMachine::Other(machine) => machine.is_open(),
        }
    }

    /// Whether anything has been answered.
    pub(crate) fn has_spoken(&self) -> bool {
        match self {
            ServerMachine::Invite(machine) => machine.has_spoken(),
            ServerMachine::Other(_) => true,
        }
    }

    /// The request has come again: what to send, if anything.
    pub(crate) fn on_repetition(&self) -> Option<&Transmit> {
        match self {
            ServerMachine::Invite(machine) => machine.on_repetition(),
            ServerMachine::Other(machine) => machine.on_repetition(),
        }
    }

    /// This is the response; says when it leaves.
    pub(crate) fn respond(&mut self, now: Mono, status: u16, response: Transmit) -> Leaves {
        match self {
            ServerMachine::Invite(machine) => machine.respond(now, status, response),
            ServerMachine::Other(machine) => {
                machine.respond(now, status, response);
                Leaves::Now
            }
        }
    }

    fn poll_timeout(&self) -> Option<(Mono, Why)> {
        match self {
            ServerMachine::Invite(machine) => machine.poll_timeout(),
            ServerMachine::Other(machine) => machine.poll_timeout(),
        }
    }

    fn on_timeout(&mut self, now: Mono) -> Wake {
        match self {
            ServerMachine::Invite(machine) => machine.on_timeout(now),
            ServerMachine::Other(machine) => machine.on_timeout(now),
        }
    }
}
