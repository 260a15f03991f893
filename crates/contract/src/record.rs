//! What is written to the store.

use serde::{Deserialize, Serialize};

use crate::{AeId, At, CallId, CallView, CallbackView, Event, NewCall, TransferId, TransferView};

/// How much a commit must survive before anybody hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitLevel {
    /// A crash of the process.
    Process,
    /// A loss of power: promises to people.
    Power,
}

/// One row to be written. Records of one commit are written together or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A step of a call, opaque to the store.
    Journal {
        /// Whose.
        call: CallId,
        /// Rises by one within the call.
        seq: u64,
        /// What kind of step.
        kind: String,
        /// Of the encoding.
        version: u16,
        /// The step.
        bytes: Vec<u8>,
    },
    /// A call as it stands now: written over the one before.
    Call(Box<CallView>),
    /// A transfer with its attempts, written over the one before.
    Transfer(Box<TransferView>),
    /// A callback, written over the one before.
    Callback(Box<CallbackView>),
    /// A callback as it stands once this node has claimed or changed it: refused unless the row on record still has this epoch.
    Claim {
        /// The epoch that must stand.
        from: u64,
        /// The row, with a higher one.
        callback: Box<CallbackView>,
    },
    /// A lease taken: refused where another one with the same or a higher epoch stands.
    Lease(LeaseRow),
    /// A lease given back.
    Release {
        /// Whose.
        ae: AeId,
        /// Under which epoch.
        epoch: u64,
    },
    /// A line of the audit trail; appended, never changed.
    Audit(Box<Event>),
    /// A step of the delivery of an event to a webhook.
    Outbox(OutboxStep),
    /// Which call was placed under an idempotency key; written together with that call. The first one under a key stays.
    Placed(Box<PlacedRow>),
    /// What has long been over is forgotten.
    Forget(Forget),
}

/// A call that was placed under an idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlacedRow {
    /// The key, as its user made it.
    pub key: String,
    /// The call.
    pub call: CallId,
    /// When.
    pub at: At,
    /// What was asked for: another request under the same key is a mistake of its user.
    pub request: NewCall,
}

/// What may be forgotten. The audit trail is never shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    /// Calls that are over and began before this, with all that belongs to them, and callbacks that are over and were due before it;
    /// absent: none.
    pub calls_before: Option<At>,
    /// Idempotency keys that are older.
    pub keys_before: At,
    /// So many calls, callbacks and keys at most, so that nobody waits for long.
    pub limit: u32,
}

/// How far the delivery of an event to one webhook has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutboxStep {
    /// An event is to be delivered; written together with its line of the audit trail.
    Due {
        /// The stable name of the webhook.
        hook: String,
        /// The event's number.
        seq: u64,
        /// Whose event it is: those of one call go in order.
        call: Option<CallId>,
        /// When it happened, and so when it is due.
        at: At,
    },
    /// It did not work out and is tried again.
    Later {
        /// The webhook.
        hook: String,
        /// The event's number.
        seq: u64,
        /// How often it was tried.
        tries: u32,
        /// When next.
        due: At,
    },
    /// It was delivered, or given up.
    Done {
        /// The webhook.
        hook: String,
        /// The event's number.
        seq: u64,
    },
    /// Whatever waits for webhooks other than these is forgotten.
    Only {
        /// The webhooks that there are.
        hooks: Vec<String>,
    },
}

/// An AE is held for one transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Who is held.
    pub ae: AeId,
    /// For which transfer.
    pub transfer: TransferId,
    /// Rises with every lease of this AE.
    pub epoch: u64,
    /// When it lapses by itself.
    pub until: At,
}
