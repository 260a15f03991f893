//! OPTIONS of ours: whether somebody is there, and what they can do.

use std::time::Duration;

use baton_time::Mono;

use super::outside::Errand;
use super::tables::{AskAgain, Purpose};
use super::{Event, UserAgent, VerbError};
use crate::digest::Credentials;
use crate::transaction::ClientKey;
use crate::transport::Hop;
use crate::wire::{Header, Message, NameAddr, Uri};
use serde::{Deserialize, Serialize};

/// Names one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PingId(pub u64);

/// A question whether somebody is there (RFC 3261 §11).
#[derive(Debug, Clone)]
pub struct Ping {
    /// The Request-URI.
    pub target: Uri,
    /// Where it is sent.
    pub route: Hop,
    /// Who asks; the tag is ours to add.
    pub from: NameAddr,
    /// What to answer 401 and 407 with. Without any such an answer is one, too: somebody is there.
    pub credentials: Option<Credentials>,
    /// How long an answer is waited for.
    pub patience: Duration,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asking {
    half: crate::dialog::Dialog,
    key: ClientKey,
    hop: Hop,
    credentials: Option<Credentials>,
    since: Mono,
}

impl UserAgent {
    /// Asks whether somebody is there. One [`Event::Pong`] follows.
    ///
    /// # Errors
    /// When nothing listens on the transport, or a table is full.
    pub fn ping(&mut self, now: Mono, ping: Ping) -> Result<PingId, VerbError> {
        let to = NameAddr::new(None, ping.target.clone());
        let mut half = self.half(now, ping.route.clone(), &ping.target, &ping.from.to_string(), &to.to_string())?;
        self.last_errand += 1;
        let id = PingId(self.last_errand);
        let ask = AskAgain::new(vec![Header::new("Accept", "application/sdp")], None);
        let key = self.ask_outside(now, &mut half, Purpose::Ping(id), ask);
        let asking = Asking { half, key, hop: ping.route, credentials: ping.credentials, since: now };
        self.pings.insert(id, asking);
        self.errands.set(Errand::Ping(id), now + ping.patience);
        Ok(id)
    }

    /// An answer, or none (`message` is missing then).
    pub(crate) fn pinged(&mut self, now: Mono, id: PingId, again: Option<Box<AskAgain>>, status: u16, message: Option<&Message>) {
        let Some(mut asking) = self.pings.remove(&id) else { return };
        let credentials = asking.credentials.clone();
        if let (Some(message), Some(credentials), Some(again)) = (message, credentials, again)
            && matches!(status, 401 | 407)
            && let Some(ask) = self.answer_challenges(&credentials, &asking.half.remote_target, *again, "OPTIONS", message)
        {
            asking.key = self.ask_outside(now, &mut asking.half, Purpose::Ping(id), ask);
            self.pings.insert(id, asking);
            return;
        }
        self.errands.clear(&Errand::Ping(id));
        match message {
            Some(_) => self.shunned.remove(asking.hop.addr),
            None => self.shunned.insert(now, asking.hop.addr),
        }
        let took = now.since(asking.since);
        self.tell(Event::Pong { ping: id, hop: asking.hop, status, took, message: message.cloned() });
    }

    /// Nobody has answered in time.
    pub(crate) fn ping_late(&mut self, now: Mono, id: PingId) {
        if let Some(key) = self.pings.get(&id).map(|asking| asking.key) {
            self.transactions.drop_client(key);
        }
        self.pinged(now, id, None, 408, None);
    }
}
