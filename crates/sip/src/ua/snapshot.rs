//! What of a session outlives the process: its dialogs, what it waits for, and the transactions that belong to it, as plain values.
//!
//! Whoever keeps them must give them back to a user agent on the same clock: points in time are kept as they are.

use std::collections::BTreeSet;

use baton_time::Mono;
use serde::{Deserialize, Serialize};

use super::session::{Cancel, Exchange, ReferStage, Session, Stage};
use super::tables::{Asked, Served};
use super::{SessionId, UserAgent};
use crate::digest::Credentials;
use crate::transaction::{ClientKey, ClientMachine, ServerKey, ServerMachine};

/// How far CSeq is moved on when a session comes back: requests that left after the last snapshot have lower numbers.
const SEQ_RESERVED: u32 = 64;

/// How far names of sessions and REFERs are moved on: those that were given after the last snapshot are not given again.
const NAMES_RESERVED: u64 = 1 << 20;

/// A session with its transactions, to be written.
#[derive(Debug, Serialize)]
pub struct SessionSnapshot<'a> {
    session: &'a Session,
    clients: Vec<(ClientKey, &'a ClientMachine, &'a Asked)>,
    servers: Vec<(ServerKey, &'a ServerMachine, &'a Served)>,
}

/// A session with its transactions, as it was read.
#[derive(Debug, Deserialize)]
pub struct SessionRecord {
    session: Box<Session>,
    clients: Vec<(ClientKey, ClientMachine, Asked)>,
    servers: Vec<(ServerKey, ServerMachine, Served)>,
}

/// What all sessions have in common: how transactions of far sides are found, and which names are spoken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSnapshot {
    secret: [u64; 2],
    last_session: u64,
    last_refer: u64,
}

impl SessionRecord {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.session.id
    }
}

impl UserAgent {
    /// A session as it stands; none where there is no such session.
    pub fn snapshot(&self, id: SessionId) -> Option<SessionSnapshot<'_>> {
        let session = self.sessions.get(&id)?;
        let clients = session.client_keys().into_iter();
        let clients = clients.filter_map(|key| self.transactions.find_client(key).map(|(machine, asked)| (key, machine, asked)));
        let servers = session.server_keys().into_iter();
        let servers =
            servers.filter_map(|key| self.transactions.find_server(key).map(|(machine, served)| (key, machine, served)));
        Some(SessionSnapshot { session, clients: clients.collect(), servers: servers.collect() })
    }

    /// What all sessions have in common.
    pub fn common_snapshot(&self) -> AgentSnapshot {
        AgentSnapshot { secret: self.secret, last_session: self.last_session, last_refer: self.last_refer }
    }

    /// Takes over what the sessions of an earlier process had in common; to be done before the first message.
    pub fn restore_common(&mut self, common: &AgentSnapshot) {
        self.secret = common.secret;
        self.last_session = self.last_session.max(common.last_session) + NAMES_RESERVED;
        self.last_refer = self.last_refer.max(common.last_refer) + NAMES_RESERVED;
    }

    /// Takes a session back, under its old name: what was due meanwhile is due now. Streams of the old process are gone.
    /// `credentials` answer challenges from here on; they are not part of a snapshot.
    pub fn restore(&mut self, now: Mono, record: SessionRecord, credentials: Option<Credentials>) -> SessionId {
        let SessionRecord { mut session, clients, servers } = record;
        session.credentials = credentials;
        let id = session.id;
        for dialog in session.dialogs_mut() {
            dialog.connection = None;
            dialog.local_seq += SEQ_RESERVED;
        }
        if let Some(later) = &mut session.elsewhere.later {
            later.phones.retain(|phone| phone.flow.is_none());
        }
        if let Some(caller) = session.caller {
            self.shares.open_session(caller);
        }
        self.tags.insert(session.tag, id);
        self.last_session = self.last_session.max(id.0);
        for (key, machine, asked) in clients {
            // Whoever has answered since the last line has had their ACK, and says it no more; asked again, they do. For whoever still rings it changes nothing.
            if let ClientMachine::Invite(invite) = &machine
                && matches!(&session.stage, Stage::Dialing(dialing) if dialing.runs(key) && !dialing.is_cancelled())
            {
                self.transmits.extend(invite.rung_as().cloned());
            }
            self.transactions.add_client(key, machine, asked);
        }
        for (key, machine, served) in servers {
            if let Some(name) = served.merging {
                self.merging.insert(name, key);
            }
            if let Some(source) = served.source {
                self.shares.open_transaction(source);
            }
            self.transactions.add_server(key, machine, served);
        }
        self.put(now, session);
        id
    }

    /// Whether the far side of a session has been told anything by us: before that it would come again by itself (RFC 3261 §17.1.1.2).
    pub fn has_spoken(&self, session: SessionId) -> bool {
        let Some(Stage::Called(called)) = self.sessions.get(&session).map(|session| &session.stage) else { return true };
        self.transactions.find_server(called.key).is_none_or(|(machine, _)| machine.has_spoken())
    }

    /// The sessions that have made a step since this was asked last.
    pub fn take_stepped(&mut self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.stepped)
    }
}

impl Session {
    /// The transactions of ours that it still waits for.
    fn client_keys(&self) -> Vec<ClientKey> {
        let mut keys: BTreeSet<ClientKey> = self.invites.iter().map(|invite| invite.key).collect();
        let taken_back = self.invites.iter().filter(|invite| invite.ending != Cancel::No).map(|invite| invite.key);
        keys.extend(taken_back.map(|key| ClientKey { is_cancel: true, ..key }));
        match &self.stage {
            Stage::Dialing(dialing) => {
                keys.insert(ClientKey { is_cancel: true, ..dialing.key });
            }
            Stage::Ending(ending) => keys.extend(ending.bye),
            Stage::Called(_) | Stage::Up(_) | Stage::Over => {}
        }
        match &self.exchange {
            Exchange::Ours { key, .. } | Exchange::AnswerDue { key } => {
                keys.insert(*key);
            }
            Exchange::None | Exchange::Theirs { .. } => {}
        }
        keys.into_iter().collect()
    }

    /// The transactions of the far side that it still owes something to.
    fn server_keys(&self) -> Vec<ServerKey> {
        let mut keys: BTreeSet<ServerKey> = self.unacked.iter().map(|unacked| unacked.key).collect();
        match &self.stage {
            Stage::Called(called) => {
                keys.insert(called.key);
            }
            Stage::Up(up) => keys.extend(up.refers.iter().filter_map(|refer| match &refer.stage {
                ReferStage::Asked { key, .. } => Some(*key),
                ReferStage::Accepted { .. } | ReferStage::Deaf => None,
            })),
            Stage::Dialing(_) | Stage::Ending(_) | Stage::Over => {}
        }
        if let Exchange::Theirs { key, .. } = &self.exchange {
            keys.insert(*key);
        }
        keys.into_iter().collect()
    }
}

/// A method, which lives as long as the program, in a value that is read.
pub(crate) mod method {
    use serde::{Deserialize, Deserializer, Serializer};

    /// One of the names below.
    pub(crate) type Static = &'static str;

    pub(crate) fn serialize<S: Serializer>(method: &Static, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Static, D::Error> {
        let name = String::deserialize(deserializer)?;
        let all = [
            "INVITE",
            "ACK",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "REGISTER",
            "INFO",
            "MESSAGE",
            "PRACK",
            "UPDATE",
            "REFER",
            "NOTIFY",
            "SUBSCRIBE",
        ];
        let known = all.into_iter().find(|known| *known == name);
        known.ok_or_else(|| serde::de::Error::custom(format!("no method of ours: {name}")))
    }
}
