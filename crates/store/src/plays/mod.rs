//! Plays: the store seen from its door, over a real file and over scripted faults.

mod facts;
mod faults;
mod opening;
mod outbox;
mod past;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use baton_contract::{
    AeId, At, CallDirection, CallId, CallState, CallView, CallbackId, CallbackState, CallbackView, CommitLevel, Context, Driver,
    Event, EventKind, IdSource, LeaseRow, Mode, Record, TransferId, TransferState, TransferView,
};
use baton_time::Wall;
use tokio::sync::mpsc::{Receiver, channel};

use crate::{Ack, Batch, OnAck, Settings, Store, WhenLate};

/// A folder that is gone after the test.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("baton-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("baton.db")
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Where acks arrive.
pub(super) fn bell() -> (OnAck, Receiver<Ack>) {
    let (ring, acks) = channel(10_000);
    (Box::new(move |ack| ring.try_send(ack).unwrap()), acks)
}

pub(super) async fn open(scratch: &Scratch) -> (Store, Receiver<Ack>) {
    let (on_ack, acks) = bell();
    // Longer than any machine stands still: what a stall does is played in virtual time.
    let settings = Settings { stall_max: std::time::Duration::from_secs(60), ..Settings::default() };
    (Store::open(&scratch.url(), settings, on_ack).await.unwrap(), acks)
}

/// Submits a batch and waits for its ack; nothing else may be under way.
pub(super) async fn commit(store: &Store, acks: &mut Receiver<Ack>, level: CommitLevel, records: Vec<Record>) -> Ack {
    store.submit(Batch { ticket: 7, level, when_late: WhenLate::Refuse, records }).unwrap();
    acks.recv().await.unwrap()
}

pub(super) fn ids() -> (CallId, TransferId, CallbackId) {
    let mut ids = IdSource::seeded(5);
    let now = Wall::from_seconds(1_700_000_000);
    (CallId::new(&mut ids, now), TransferId::new(&mut ids, now), CallbackId::new(&mut ids, now))
}

pub(super) fn call(id: CallId, state: CallState) -> CallView {
    CallView {
        id,
        state,
        driver: Driver::Ai,
        from: "+15550123".to_owned(),
        to: "+15550100".to_owned(),
        started_at: At(Wall::from_seconds(10)),
        ended_at: None,
        legs: Vec::new(),
        transfer: None,
        direction: CallDirection::Inbound,
        end: None,
    }
}

pub(super) fn transfer() -> TransferView {
    let (call, id, _) = ids();
    TransferView {
        id,
        call,
        mode: Mode::Warm,
        state: TransferState::Requested,
        outcome: None,
        class: None,
        say_to_caller: None,
        reason: Some("pricing".to_owned()),
        requested_at: At(Wall::from_seconds(11)),
        stages_ms: Default::default(),
        ai_drop_ms: None,
        attempts: Vec::new(),
        callback: None,
        message: None,
    }
}

pub(super) fn callback(state: CallbackState) -> CallbackView {
    let (call, transfer, id) = ids();
    CallbackView {
        id,
        state,
        call: Some(call),
        transfer: Some(transfer),
        ae: AeId::from("michael"),
        caller: "+15550123".to_owned(),
        at: At(Wall::from_seconds(90_000)),
        timezone: "America/Chicago".to_owned(),
        context: Context::default(),
        created_at: At(Wall::from_seconds(12)),
        progress: Default::default(),
    }
}

pub(super) fn lease(epoch: u64, transfer: TransferId) -> Record {
    Record::Lease(LeaseRow { ae: AeId::from("michael"), transfer, epoch, until: At(Wall::from_seconds(60)) })
}

pub(super) fn audit(seq: u64, id: &str) -> Record {
    Record::Audit(Box::new(event(seq, id, None)))
}

pub(super) fn audit_of(seq: u64, transfer: Option<TransferId>) -> Record {
    Record::Audit(Box::new(event(seq, &format!("e{seq}"), transfer)))
}

fn event(seq: u64, id: &str, transfer: Option<TransferId>) -> Event {
    Event {
        id: id.to_owned(),
        seq,
        at: At(Wall::from_seconds(20)),
        kind: EventKind::CallStarted,
        call: Some(ids().0),
        transfer,
        data: Default::default(),
    }
}

pub(super) fn journal(seq: u64, length: usize) -> Record {
    Record::Journal { call: ids().0, seq, kind: "step".to_owned(), version: 1, bytes: vec![9; length] }
}
