//! Webhooks: events that are posted to other people's servers, from an outbox that outlives a crash.

mod courier;
mod load;
mod schedule;
mod sign;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use baton_contract::{Event, OutboxStep, Record};
use baton_store::Ack;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, oneshot};

pub(crate) use courier::{Couriers, Post};
pub(crate) use sign::SigningKey;

use crate::fetch::{Reach, Target};

/// A server that wants to hear of events.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// Where.
    pub(crate) target: Target,
    /// What requests are signed with.
    pub(crate) key: SigningKey,
    /// Of which events.
    pub(crate) events: Vec<EventPattern>,
    /// Which addresses it may have.
    pub(crate) reach: Reach,
}

/// Describes events by their type: `transfer.bridged`, `transfer.*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventPattern(String);

impl EventPattern {
    /// A pattern that was looked at before.
    pub(crate) fn new(text: &str) -> EventPattern {
        EventPattern(text.to_owned())
    }

    /// Whether an event of this type is meant.
    pub(crate) fn fits(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => kind == self.0,
        }
    }
}

impl Hook {
    /// The name under which its events wait: it stays the same as long as the URL does.
    fn name(&self) -> String {
        let digest = Sha256::digest(self.target.to_string().as_bytes());
        digest[..8].iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn wants(&self, event: &Event) -> bool {
        self.events.iter().any(|pattern| pattern.fits(event.kind.name()))
    }
}

/// All webhooks, as whoever writes events sees them.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    hooks: Vec<(String, Hook, Arc<Notify>)>,
}

impl Hooks {
    /// Those of the configuration.
    pub(crate) fn new(hooks: Vec<Hook>) -> Hooks {
        Hooks { hooks: hooks.into_iter().map(|hook| (hook.name(), hook, Arc::default())).collect() }
    }

    /// What is to be written along with the audit lines among `records`.
    pub(crate) fn due(&self, records: &[Record]) -> Vec<Record> {
        let mut due = Vec::new();
        for record in records {
            let Record::Audit(event) = record else { continue };
            for (name, ..) in self.hooks.iter().filter(|(_, hook, _)| hook.wants(event)) {
                let (seq, call, at) = (event.seq, event.call, event.at);
                due.push(Record::Outbox(OutboxStep::Due { hook: name.clone(), seq, call, at }));
            }
        }
        due
    }

    /// Says that something new may be due.
    pub(crate) fn ring(&self) {
        self.hooks.iter().for_each(|(_, _, bell)| bell.notify_one());
    }
}

/// Tickets of commits that couriers wait for begin here: above all others.
pub(crate) const TICKETS_FROM: u64 = 0b11 << 62;

/// Commits that tasks wait for: couriers, and whoever forgets.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    waiting: Mutex<(u64, std::collections::BTreeMap<u64, oneshot::Sender<bool>>)>,
}

impl Receipts {
    /// A ticket, and what tells whether its commit was written.
    pub(crate) fn ticket(&self) -> (u64, oneshot::Receiver<bool>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        waiting.0 += 1;
        let ticket = TICKETS_FROM + waiting.0;
        waiting.1.insert(ticket, sender);
        (ticket, receiver)
    }

    /// Nobody waits for this commit any more.
    pub(crate) fn forget(&self, ticket: u64) {
        self.waiting.lock().1.remove(&ticket);
    }

    /// Takes an answer of the store that is for a courier; says whether it was.
    pub(crate) fn take(&self, ack: &Ack) -> bool {
        let is_ours = ack.ticket >= TICKETS_FROM;
        if is_ours {
            let asker = self.waiting.lock().1.remove(&ack.ticket);
            if asker.is_some_and(|asker| asker.send(ack.result.is_ok()).is_err()) {
                tracing::trace!(ticket = ack.ticket, "a courier has gone");
            }
        }
        is_ours
    }
}
