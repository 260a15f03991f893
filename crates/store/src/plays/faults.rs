//! The disk is full, slow, locked or broken: what is refused is not there, and the store gets well by itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_contract::{CallbackState, CommitLevel, Record};
use parking_lot::Mutex;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, advance};

use super::*;
use crate::flusher::Flusher;
use crate::ledger::{Flush, Ledger, Undo};
use crate::writer::{Desk, Pen, Work};
use crate::{Refusal, sqlite};
use CommitLevel::{Power, Process};

/// What the scripted database does next, and what it was asked to do.
#[derive(Default)]
pub(super) struct Script {
    pub(super) write_fails: Mutex<Option<Refusal>>,
    /// A batch that no database takes.
    pub(super) poison: Mutex<Option<u64>>,
    pub(super) flush_fails: Mutex<Option<Refusal>>,
    /// While set, writes wait.
    pub(super) write_hangs: Mutex<Option<Arc<Notify>>>,
    /// While set, flushes wait.
    pub(super) flush_hangs: Mutex<Option<Arc<Notify>>>,
    pub(super) written: Mutex<Vec<u64>>,
    pub(super) undone: Mutex<Vec<Undo>>,
}

struct Scripted(Arc<Script>);

#[async_trait]
impl Ledger for Scripted {
    async fn write(&mut self, batches: &[Batch]) -> Result<Vec<Result<Vec<Undo>, Refusal>>, Refusal> {
        let hang = self.0.write_hangs.lock().clone();
        if let Some(hang) = hang {
            hang.notified().await;
        }
        if let Some(refusal) = *self.0.write_fails.lock() {
            return Err(refusal);
        }
        if batches.iter().any(|batch| Some(batch.ticket) == *self.0.poison.lock()) {
            return Err(Refusal::Broken);
        }
        self.0.written.lock().extend(batches.iter().map(|batch| batch.ticket));
        Ok(batches.iter().map(|batch| Ok(vec![undo(batch.ticket)])).collect())
    }

    async fn undo(&mut self, undos: &[Undo]) -> Result<(), Refusal> {
        let hang = self.0.write_hangs.lock().clone();
        if let Some(hang) = hang {
            hang.notified().await;
        }
        if let Some(refusal) = *self.0.write_fails.lock() {
            return Err(refusal);
        }
        self.0.undone.lock().extend_from_slice(undos);
        Ok(())
    }

    async fn probe(&mut self) -> Result<(), Refusal> {
        self.0.write_fails.lock().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Flush for Scripted {
    async fn flush(&mut self) -> Result<(), Refusal> {
        let hang = self.0.flush_hangs.lock().clone();
        if let Some(hang) = hang {
            hang.notified().await;
        }
        self.0.flush_fails.lock().map_or(Ok(()), Err)
    }
}

pub(super) fn undo(ticket: u64) -> Undo {
    Undo { id: ids().2, written: ticket.to_string(), before: None }
}

/// The two tasks over a scripted database, in virtual time.
pub(super) struct Bench {
    pub(super) script: Arc<Script>,
    desk: Arc<Desk>,
    work: Sender<Work>,
    pub(super) acks: Receiver<Ack>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let script = Arc::new(Script::default());
        let (on_ack, acks) = bell();
        let stall_max = Duration::from_millis(250);
        let desk = Arc::new(Desk::new(on_ack, stall_max));
        let (work, to_write) = channel(1_000);
        let (to_flush, written) = channel(1_000);
        let (undone, to_undo) = channel(1_000);
        let pen = Pen::new(Scripted(Arc::clone(&script)), Arc::clone(&desk), to_flush);
        let flusher = Flusher::new(Scripted(Arc::clone(&script)), Arc::clone(&desk), undone);
        tokio::spawn(pen.run(to_write, to_undo));
        tokio::spawn(flusher.run(written));
        Bench { script, desk, work, acks }
    }

    pub(super) fn submit(&self, ticket: u64, level: CommitLevel) {
        self.hand_in(ticket, level, WhenLate::Refuse);
    }

    /// Hands in a fact, which nobody waits for.
    pub(super) fn tell(&self, ticket: u64, level: CommitLevel) {
        self.hand_in(ticket, level, WhenLate::Keep);
    }

    fn hand_in(&self, ticket: u64, level: CommitLevel, when_late: WhenLate) {
        let batch = Batch { ticket, level, when_late, records: Vec::new() };
        self.work.try_send(Work { batch, since: Instant::now() }).unwrap();
    }

    /// Nothing more is handed in.
    pub(super) fn shut(&mut self) {
        let (work, _) = channel(1);
        drop(std::mem::replace(&mut self.work, work));
    }

    pub(super) async fn expect(&mut self, ticket: u64, result: Result<(), Refusal>) -> Ack {
        let ack = self.acks.recv().await.unwrap();
        assert_eq!((ack.ticket, ack.result), (ticket, result));
        ack
    }

    /// Lets both tasks do what they can do at this instant.
    pub(super) async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn trouble(&self) -> Option<Refusal> {
        self.desk.gauges.health(0).trouble
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_hangs_is_refused_in_time_and_taken_back_when_it_comes_through() {
    let mut bench = Bench::new();
    let hang = Arc::new(Notify::new());
    *bench.script.write_hangs.lock() = Some(Arc::clone(&hang));
    bench.submit(1, Process);
    bench.settle().await;
    let ack = bench.expect(1, Err(Refusal::Stalled)).await;
    assert!((250..=251).contains(&ack.took.as_millis()), "{:?}", ack.took);
    assert_eq!(bench.trouble(), Some(Refusal::Stalled));
    bench.submit(2, Power);
    bench.expect(2, Err(Refusal::Stalled)).await;
    assert_eq!(bench.script.undone.lock().len(), 0);

    *bench.script.write_hangs.lock() = None;
    hang.notify_one();
    bench.settle().await;
    assert_eq!(*bench.script.undone.lock(), [undo(1)], "what was refused does not stand");
    advance(Duration::from_secs(1)).await;
    bench.settle().await;
    assert_eq!(bench.trouble(), None);
    bench.submit(3, Process);
    bench.expect(3, Ok(())).await;
    assert_eq!(*bench.script.written.lock(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_hangs_holds_up_promises_and_nothing_else() {
    let mut bench = Bench::new();
    let hang = Arc::new(Notify::new());
    *bench.script.flush_hangs.lock() = Some(Arc::clone(&hang));
    bench.submit(1, Power);
    bench.submit(2, Process);
    assert_eq!(bench.expect(2, Ok(())).await.took, Duration::ZERO, "an INVITE never waits for a flush");
    bench.expect(1, Err(Refusal::Stalled)).await;
    assert_eq!(bench.trouble(), Some(Refusal::Stalled));
    bench.submit(3, Process);
    bench.expect(3, Ok(())).await;

    *bench.script.flush_hangs.lock() = None;
    hang.notify_one();
    bench.settle().await;
    assert_eq!(*bench.script.undone.lock(), [undo(1)]);
    advance(Duration::from_secs(1)).await;
    bench.settle().await;
    assert_eq!(bench.trouble(), None);
    bench.submit(4, Power);
    bench.expect(4, Ok(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_fails_refuses_its_promises_and_takes_them_back() {
    let mut bench = Bench::new();
    *bench.script.flush_fails.lock() = Some(Refusal::FlushFailed);
    bench.submit(1, Power);
    bench.submit(2, Process);
    bench.expect(2, Ok(())).await;
    bench.expect(1, Err(Refusal::FlushFailed)).await;
    assert_eq!(bench.trouble(), Some(Refusal::FlushFailed));
    bench.settle().await;
    assert_eq!(*bench.script.undone.lock(), [undo(1)]);
    *bench.script.flush_fails.lock() = None;
    advance(Duration::from_secs(1)).await;
    bench.settle().await;
    assert_eq!(bench.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_taken_back_as_soon_as_the_disk_lets_it() {
    let mut bench = Bench::new();
    *bench.script.flush_fails.lock() = Some(Refusal::FlushFailed);
    bench.submit(1, Power);
    bench.settle().await;
    bench.expect(1, Err(Refusal::FlushFailed)).await;
    *bench.script.write_fails.lock() = Some(Refusal::ReadOnly);
    bench.submit(2, Process);
    bench.expect(2, Err(Refusal::ReadOnly)).await;
    assert_eq!(bench.trouble(), Some(Refusal::ReadOnly));
    *bench.script.write_fails.lock() = None;
    *bench.script.flush_fails.lock() = None;
    advance(Duration::from_secs(1)).await;
    bench.settle().await;
    assert_eq!(*bench.script.undone.lock(), [undo(1)]);
    assert_eq!(bench.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_while_a_promise_is_taken_back_keeps_nobody_waiting() {
    let mut bench = Bench::new();
    *bench.script.flush_fails.lock() = Some(Refusal::FlushFailed);
    let (hang, flushing) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    *bench.script.flush_hangs.lock() = Some(Arc::clone(&flushing));
    bench.submit(1, Power);
    bench.settle().await;
    *bench.script.write_hangs.lock() = Some(Arc::clone(&hang));
    *bench.script.flush_hangs.lock() = None;
    flushing.notify_one();
    bench.expect(1, Err(Refusal::FlushFailed)).await;
    bench.settle().await;
    bench.submit(2, Process);
    let ack = bench.expect(2, Err(Refusal::Stalled)).await;
    assert!(ack.took <= Duration::from_millis(251), "{:?}", ack.took);
    *bench.script.write_hangs.lock() = None;
    *bench.script.flush_fails.lock() = None;
    hang.notify_one();
    advance(Duration::from_secs(1)).await;
    bench.settle().await;
    assert_eq!(*bench.script.undone.lock(), [undo(1)]);
    assert_eq!(bench.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn everything_that_waits_is_answered_before_the_end() {
    let mut bench = Bench::new();
    for ticket in 0..90 {
        bench.submit(ticket, if ticket % 2 == 0 { Process } else { Power });
    }
    bench.shut();
    let mut answered = 0;
    while answered < 90 {
        assert_eq!(bench.acks.recv().await.unwrap().result, Ok(()));
        answered += 1;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_the_store_goes_on_when_space_returns() {
    let scratch = Scratch::new();
    let (on_ack, mut acks) = bell();
    let mut opened = sqlite::open(&scratch.url()).await.unwrap();
    opened.writer.limit_pages(60).await;
    let settings = Settings { stall_max: Duration::from_secs(5), ..Settings::default() };
    let store =
        Store::start((opened.writer, opened.disk, opened.house), Arc::new(opened.reader), opened.secret, settings, on_ack)
            .unwrap();
    let mut kept = Vec::new();
    for seq in 0..100 {
        match commit(&store, &mut acks, Process, vec![journal(seq, 8_000)]).await.result {
            Ok(()) => kept.push(seq),
            Err(refusal) => assert_eq!(refusal, Refusal::DiskFull),
        }
    }
    assert!((1..100).contains(&kept.len()), "{kept:?}");
    assert_eq!(store.health().trouble, Some(Refusal::DiskFull));
    let promise = vec![Record::Callback(Box::new(callback(CallbackState::Scheduled))), journal(200, 8_000)];
    assert_eq!(commit(&store, &mut acks, Power, promise).await.result, Err(Refusal::DiskFull));
    assert_eq!(store.callbacks(10).await.unwrap(), []);
    let there: Vec<u64> = store.journal(ids().0).await.unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(there, kept, "what was acknowledged is there, what was refused is not");

    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("DELETE FROM journal WHERE seq < 10").execute(&mut raw).await.unwrap();
    assert_eq!(commit(&store, &mut acks, Power, vec![journal(300, 8_000)]).await.result, Ok(()));
    assert!(store.health().is_well());
}

#[tokio::test]
async fn a_store_that_another_process_holds_refuses_until_it_is_let_go() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
    let refused = commit(&store, &mut acks, Process, vec![journal(1, 1)]).await.result.unwrap_err();
    assert!(matches!(refused, Refusal::Locked | Refusal::Stalled), "{refused:?}");
    assert!(!store.health().is_well());
    sqlx::query("ROLLBACK").execute(&mut raw).await.unwrap();
    while commit(&store, &mut acks, Process, vec![journal(2, 1)]).await.result.is_err() {}
    assert!(store.health().is_well());
}

#[tokio::test]
async fn a_promise_is_taken_back_only_where_nobody_wrote_since() {
    let scratch = Scratch::new();
    let mut opened = sqlite::open(&scratch.url()).await.unwrap();
    let write = |state| Batch {
        ticket: 1,
        level: Power,
        when_late: WhenLate::Refuse,
        records: vec![Record::Callback(Box::new(callback(state)))],
    };
    let mut undos = Vec::new();
    for state in [CallbackState::Scheduled, CallbackState::Cancelled] {
        undos.push(opened.writer.write(&[write(state)]).await.unwrap().remove(0).unwrap());
    }
    let reader = &opened.reader as &dyn crate::ledger::Archive;
    opened.writer.undo(&undos[0]).await.unwrap();
    assert_eq!(reader.callbacks(9).await.unwrap(), [callback(CallbackState::Cancelled)]);
    opened.writer.undo(&undos[1]).await.unwrap();
    assert_eq!(reader.callbacks(9).await.unwrap(), [callback(CallbackState::Scheduled)]);
    opened.writer.undo(&undos[0]).await.unwrap();
    assert_eq!(reader.callbacks(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_full_queue_is_said_at_once() {
    let scratch = Scratch::new();
    let (on_ack, mut acks) = bell();
    let settings = Settings { queue_max: 2, ..Settings::default() };
    let store = Store::open(&scratch.url(), settings, on_ack).await.unwrap();
    let refused = (0..200).filter(|seq| {
        let batch = Batch { ticket: *seq, level: Power, when_late: WhenLate::Refuse, records: vec![journal(*seq, 10)] };
        store.submit(batch).is_err_and(|refusal| refusal == Refusal::QueueFull)
    });
    let refused = refused.count();
    assert!(refused > 0);
    for _ in refused..200 {
        acks.recv().await.unwrap();
    }
    assert_eq!(store.health().queued, 0);
}
