//! What has happened is not forgotten because the disk was slow, full or locked when it was to be written.

use std::sync::Arc;
use std::time::Duration;

use baton_contract::CommitLevel::{Power, Process};
use baton_contract::{OutboxStep, Record};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Notify;
use tokio::time::advance;

use super::faults::{Bench, undo};
use super::*;
use crate::{Refusal, sqlite};

/// Long enough for an ill store to be tried again.
const A_WHILE: Duration = Duration::from_secs(1);

impl Bench {
    /// Makes writes wait; yields what lets them go.
    fn hang_writes(&self) -> Arc<Notify> {
        let hang = Arc::new(Notify::new());
        *self.script.write_hangs.lock() = Some(Arc::clone(&hang));
        hang
    }

    fn let_writes_go(&self, hang: &Notify) {
        *self.script.write_hangs.lock() = None;
        hang.notify_one();
    }

    async fn a_while(&self) {
        advance(A_WHILE).await;
        self.settle().await;
    }

    /// Nothing is answered for now.
    async fn expect_silence(&mut self) {
        self.settle().await;
        assert!(self.acks.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn facts_outlast_a_disk_that_hangs_and_are_written_before_what_comes_later() {
    let mut bench = Bench::new();
    let hang = bench.hang_writes();
    bench.tell(1, Process);
    bench.submit(2, Process);
    bench.settle().await;
    bench.expect(2, Err(Refusal::Stalled)).await;
    bench.tell(3, Process);
    bench.submit(4, Process);
    bench.expect(4, Err(Refusal::Stalled)).await;
    bench.tell(5, Process);
    bench.expect_silence().await;

    bench.let_writes_go(&hang);
    bench.expect(1, Ok(())).await;
    bench.submit(6, Process);
    for fact in [3, 5] {
        bench.expect(fact, Ok(())).await;
    }
    bench.expect(6, Ok(())).await;
    assert_eq!(*bench.script.written.lock(), [1, 2, 3, 5, 6], "2 came through late");
    bench.a_while().await;
    assert_eq!(bench.trouble(), None);
    assert_eq!(*bench.script.undone.lock(), [undo(2)], "and was taken back; facts are not");
}

#[tokio::test(start_paused = true)]
async fn facts_wait_for_a_disk_that_is_full_and_nobody_has_to_remind_it() {
    let mut bench = Bench::new();
    *bench.script.write_fails.lock() = Some(Refusal::DiskFull);
    for fact in 1..=200 {
        bench.tell(fact, Power);
    }
    bench.submit(201, Power);
    bench.expect(201, Err(Refusal::DiskFull)).await;
    bench.a_while().await;
    bench.expect_silence().await;
    assert_eq!(bench.trouble(), Some(Refusal::DiskFull));
    *bench.script.write_fails.lock() = None;
    bench.a_while().await;
    for fact in 1..=200 {
        bench.expect(fact, Ok(())).await;
    }
    assert_eq!(*bench.script.written.lock(), Vec::from_iter(1..=200), "in their order, each once");
    assert_eq!(bench.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_fact_is_acknowledged_after_a_flush_that_began_when_it_was_written() {
    let mut bench = Bench::new();
    let hang = Arc::new(Notify::new());
    *bench.script.flush_hangs.lock() = Some(Arc::clone(&hang));
    bench.tell(1, Power);
    bench.submit(2, Power);
    bench.expect(2, Err(Refusal::Stalled)).await;
    bench.tell(3, Power);
    bench.submit(4, Power);
    bench.expect(4, Err(Refusal::Stalled)).await;
    hang.notify_one();
    bench.expect(1, Ok(())).await;
    bench.expect_silence().await;
    *bench.script.flush_hangs.lock() = None;
    hang.notify_one();
    bench.a_while().await;
    bench.expect(3, Ok(())).await;
    assert_eq!(bench.trouble(), None);
    assert_eq!(*bench.script.undone.lock(), [undo(2), undo(4)], "promises are taken back, facts are not");
}

#[tokio::test(start_paused = true)]
async fn facts_wait_while_flushes_fail() {
    let mut bench = Bench::new();
    *bench.script.flush_fails.lock() = Some(Refusal::FlushFailed);
    bench.tell(1, Power);
    bench.submit(2, Power);
    bench.expect(2, Err(Refusal::FlushFailed)).await;
    bench.a_while().await;
    bench.expect_silence().await;
    *bench.script.flush_fails.lock() = None;
    bench.a_while().await;
    bench.expect(1, Ok(())).await;
    assert_eq!(*bench.script.undone.lock(), [undo(2)]);
}

#[tokio::test(start_paused = true)]
async fn one_fact_that_is_itself_at_fault_holds_the_others_up_for_a_moment_only() {
    let mut bench = Bench::new();
    *bench.script.poison.lock() = Some(2);
    for fact in 1..=3 {
        bench.tell(fact, Process);
    }
    bench.settle().await;
    bench.a_while().await;
    bench.expect(1, Ok(())).await;
    bench.expect(2, Err(Refusal::Broken)).await;
    bench.expect(3, Ok(())).await;
    assert_eq!(bench.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_answered_before_the_end() {
    let mut bench = Bench::new();
    *bench.script.write_fails.lock() = Some(Refusal::ReadOnly);
    bench.tell(1, Process);
    bench.tell(2, Power);
    bench.settle().await;
    bench.expect_silence().await;
    bench.shut();
    bench.expect(1, Err(Refusal::ReadOnly)).await;
    bench.expect(2, Err(Refusal::ReadOnly)).await;
}

#[tokio::test]
async fn a_store_keeps_so_many_facts_and_says_when_there_are_more() {
    let scratch = Scratch::new();
    let (on_ack, mut acks) = bell();
    let settings = Settings { kept_max: 2, ..Settings::default() };
    let store = Store::open(&scratch.url(), settings, on_ack).await.unwrap();
    let mut raw = locked(&scratch).await;
    let tell = |seq| store.submit(fact(seq, vec![audit(seq, &format!("e{seq}"))]));
    assert_eq!((tell(1), tell(2), tell(3)), (Ok(()), Ok(()), Err(Refusal::QueueFull)));
    assert_eq!(store.health().queued, 2);
    sqlx::query("ROLLBACK").execute(&mut raw).await.unwrap();
    for ticket in [1, 2] {
        let ack = acks.recv().await.unwrap();
        assert_eq!((ack.ticket, ack.result), (ticket, Ok(())));
    }
    assert_eq!(store.health().queued, 0);
}

#[tokio::test]
async fn events_and_their_deliveries_are_on_record_once_another_process_lets_go_of_the_store() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let mut raw = locked(&scratch).await;
    for seq in 1..=5 {
        let due = OutboxStep::Due { hook: "crm".to_owned(), seq, call: None, at: At(Wall::from_seconds(20)) };
        store.submit(fact(seq, vec![audit(seq, &format!("e{seq}")), Record::Outbox(due)])).unwrap();
    }
    let promise = vec![Record::Callback(Box::new(callback(CallbackState::Scheduled)))];
    let refused = commit(&store, &mut acks, Power, promise).await;
    assert!(matches!(refused.result, Err(Refusal::Locked | Refusal::Stalled)), "{refused:?}");
    sqlx::query("ROLLBACK").execute(&mut raw).await.unwrap();
    for ticket in 1..=5 {
        let ack = acks.recv().await.unwrap();
        assert_eq!((ack.ticket, ack.result), (ticket, Ok(())));
    }
    let seqs = |events: Vec<Event>| Vec::from_iter(events.into_iter().map(|event| event.seq));
    assert_eq!(seqs(store.audit(0, 99).await.unwrap()), [1, 2, 3, 4, 5]);
    let parcels = store.parcels("crm", At(Wall::from_seconds(99)), 99).await.unwrap();
    assert_eq!(Vec::from_iter(parcels.iter().map(|parcel| parcel.seq)), [1, 2, 3, 4, 5]);
    assert_eq!(store.callbacks(9).await.unwrap(), [], "what was refused is not there");
}

#[tokio::test]
async fn facts_outlast_a_full_disk() {
    let scratch = Scratch::new();
    let (on_ack, mut acks) = bell();
    let mut opened = sqlite::open(&scratch.url()).await.unwrap();
    opened.writer.limit_pages(60).await;
    let settings = Settings { stall_max: Duration::from_secs(5), ..Settings::default() };
    let parts = (opened.writer, opened.disk, opened.house);
    let store = Store::start(parts, Arc::new(opened.reader), opened.secret, settings, on_ack).unwrap();
    for seq in 0..100 {
        store.submit(fact(seq, vec![journal(seq, 8_000)])).unwrap();
    }
    let promise = vec![journal(200, 8_000)];
    assert_eq!(commit_after(&store, &mut acks, promise).await.result, Err(Refusal::DiskFull));
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    // The limit holds for the writer's own connection only; rows that it wrote make room for those that it keeps.
    while store.journal(ids().0).await.unwrap().last().is_none_or(|row| row.seq < 99) {
        sqlx::query("DELETE FROM journal WHERE seq < 99").execute(&mut raw).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Hands in a promise while facts are being written; yields its answer.
async fn commit_after(store: &Store, acks: &mut Receiver<Ack>, records: Vec<Record>) -> Ack {
    store.submit(Batch { ticket: 777, level: Process, when_late: WhenLate::Refuse, records }).unwrap();
    loop {
        let ack = acks.recv().await.unwrap();
        if ack.ticket == 777 {
            return ack;
        }
    }
}

fn fact(ticket: u64, records: Vec<Record>) -> Batch {
    Batch { ticket, level: Power, when_late: WhenLate::Keep, records }
}

/// Locks the store from another connection.
async fn locked(scratch: &Scratch) -> SqliteConnection {
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
    raw
}
