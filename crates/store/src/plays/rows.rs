//! What is written is read back, and only that.

use baton_contract::{
    AeId, AttemptOutcome, AttemptView, CallId, CallState, CallbackState, CommitLevel, IdSource, LegId, Record, TransferId,
};
use baton_time::Wall;
use futures_util::StreamExt;
use sqlx::{Connection, Row, SqliteConnection};

use super::*;
use crate::{Refusal, past_events};
use CommitLevel::{Power, Process};

#[tokio::test]
async fn everything_that_was_acknowledged_is_there_after_a_crash() {
    let (scratch, after) = (Scratch::new(), Scratch::new());
    let (store, mut acks) = open(&scratch).await;
    let (id, transfer_id, callback_id) = ids();
    let mut wanted = transfer();
    let leg = LegId::new(&mut IdSource::seeded(9), Wall::from_seconds(5));
    wanted.attempts.push(AttemptView {
        ae: AeId::from("michael"),
        leg,
        outcome: Some(AttemptOutcome::NoAnswer),
        sip_status: Some(487),
        reason: Some("not answered".to_owned()),
        ring_ms: Some(4_003),
        briefing_ms: None,
        accept_ms: None,
    });
    let process = vec![
        Record::Call(Box::new(call(id, CallState::Active))),
        Record::Transfer(Box::new(wanted.clone())),
        journal(1, 3),
        lease(4, transfer_id),
    ];
    let power = vec![Record::Callback(Box::new(callback(CallbackState::Scheduled))), audit(1, "e1"), audit(2, "e2")];
    assert_eq!(commit(&store, &mut acks, Process, process).await.result, Ok(()));
    assert_eq!(commit(&store, &mut acks, Power, power).await.result, Ok(()));

    // What a crash leaves: the files as they are, without a word of farewell.
    for name in ["baton.db", "baton.db-wal"] {
        std::fs::copy(scratch.folder().join(name), after.folder().join(name)).unwrap();
    }
    let (store_again, _) = open(&after).await;
    assert_eq!(store_again.call(id).await.unwrap(), Some(call(id, CallState::Active)));
    assert_eq!(store_again.transfer(transfer_id).await.unwrap(), Some(wanted));
    assert_eq!(store_again.callback(callback_id).await.unwrap(), Some(callback(CallbackState::Scheduled)));
    assert_eq!(store_again.open_callbacks().await.unwrap().len(), 1);
    assert_eq!(store_again.journal(id).await.unwrap()[0].bytes, vec![9; 3]);
    assert_eq!(store_again.leases().await.unwrap()[0].epoch, 4);
    assert_eq!(store_again.audit(1, 10).await.unwrap()[0].id, "e2");
    assert_eq!(store_again.last_event_seq().await.unwrap(), 2);
    assert_eq!(store_again.secret(), store.secret());
    assert_ne!(store.secret(), [0; 32]);
}

#[tokio::test]
async fn a_later_view_is_written_over_the_one_before() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let (id, ..) = ids();
    for state in [CallState::Connecting, CallState::Ended] {
        commit(&store, &mut acks, Process, vec![Record::Call(Box::new(call(id, state)))]).await;
    }
    commit(&store, &mut acks, Power, vec![Record::Callback(Box::new(callback(CallbackState::Scheduled)))]).await;
    commit(&store, &mut acks, Power, vec![Record::Callback(Box::new(callback(CallbackState::Cancelled)))]).await;
    assert_eq!(store.call(id).await.unwrap().unwrap().state, CallState::Ended);
    assert_eq!(store.open_callbacks().await.unwrap(), []);
    assert_eq!(store.callbacks(10).await.unwrap(), [callback(CallbackState::Cancelled)]);
    store.close().await;
}

#[tokio::test]
async fn a_callback_is_claimed_by_one_of_two_and_only_by_whoever_knows_its_last_change() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let at_epoch = |state, epoch| {
        let mut view = callback(state);
        view.progress.epoch = epoch;
        view
    };
    let claim = |from| vec![Record::Claim { from, callback: Box::new(at_epoch(CallbackState::Running, from + 1)) }];
    let nobody = commit(&store, &mut acks, Power, claim(0)).await;
    assert_eq!(nobody.result, Err(Refusal::ClaimTaken), "what is not on record cannot be claimed");
    commit(&store, &mut acks, Power, vec![Record::Callback(Box::new(at_epoch(CallbackState::Scheduled, 4)))]).await;
    assert_eq!(commit(&store, &mut acks, Power, claim(3)).await.result, Err(Refusal::ClaimTaken));
    assert_eq!(commit(&store, &mut acks, Power, claim(4)).await.result, Ok(()));
    assert_eq!(commit(&store, &mut acks, Power, claim(4)).await.result, Err(Refusal::ClaimTaken), "twice");
    let due = |seconds| store.callbacks_due(At(Wall::from_seconds(seconds)));
    assert_eq!(due(90_001).await.unwrap(), [at_epoch(CallbackState::Running, 5)]);
    assert_eq!(due(90_000).await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn nothing_is_found_where_nothing_was_written() {
    let scratch = Scratch::new();
    let (store, _acks) = open(&scratch).await;
    let (call, transfer, callback) = ids();
    assert_eq!(store.call(call).await.unwrap(), None);
    assert_eq!(store.transfer(transfer).await.unwrap(), None);
    assert_eq!(store.callback(callback).await.unwrap(), None);
    assert_eq!(store.last_event_seq().await.unwrap(), 0);
    assert_eq!(store.calls(None, 10).await.unwrap().items, []);
}

#[tokio::test]
async fn calls_come_in_pages_newest_first() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let mut source = IdSource::seeded(1);
    let ids: Vec<CallId> = (1..=5).map(|second| CallId::new(&mut source, Wall::from_seconds(second))).collect();
    let records = ids.iter().map(|id| Record::Call(Box::new(call(*id, CallState::Ended)))).collect();
    commit(&store, &mut acks, Process, records).await;
    let first = store.calls(None, 3).await.unwrap();
    assert_eq!(first.items.iter().map(|call| call.id).collect::<Vec<_>>(), [ids[4], ids[3], ids[2]]);
    let second = store.calls(first.next.map(|id| id.parse().unwrap()), 3).await.unwrap();
    assert_eq!(second.items.iter().map(|call| call.id).collect::<Vec<_>>(), [ids[1], ids[0]]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn acks_come_in_order_and_many_batches_share_a_transaction() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let store = std::sync::Arc::new(store);
    let engine = std::sync::Arc::clone(&store);
    // The engine's thread knows nothing of any runtime.
    let submitted = std::thread::spawn(move || {
        for ticket in 0..600 {
            let level = if ticket % 3 == 0 { Power } else { Process };
            engine.submit(Batch { ticket, level, when_late: WhenLate::Refuse, records: vec![journal(ticket, 100)] }).unwrap();
        }
    });
    let (mut process, mut power) = (Vec::new(), Vec::new());
    for _ in 0..600 {
        let ack = acks.recv().await.unwrap();
        assert_eq!(ack.result, Ok(()));
        match ack.level {
            Process => process.push(ack.ticket),
            Power => power.push(ack.ticket),
        }
    }
    submitted.join().unwrap();
    assert!(process.is_sorted() && power.is_sorted());
    assert_eq!((process.len(), power.len()), (400, 200));
    let health = store.health();
    assert!(health.commits < 300, "{health:?}");
    assert!(health.flushes < 200, "{health:?}");
    assert_eq!(store.journal(ids().0).await.unwrap().len(), 600);
}

#[tokio::test]
async fn only_promises_wait_for_the_disk() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    commit(&store, &mut acks, Process, vec![journal(1, 1)]).await;
    assert_eq!(store.health().flushes, 0);
    commit(&store, &mut acks, Power, vec![journal(2, 1)]).await;
    assert_eq!(store.health().flushes, 1);
    assert!(store.prometheus().contains("baton_store_commit_seconds_count{level=\"power\"} 1\n"));
}

#[tokio::test]
async fn a_lease_that_stands_is_not_given_to_another_transfer() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let mut source = IdSource::seeded(2);
    let [one, other] = [(); 2].map(|()| TransferId::new(&mut source, Wall::from_seconds(3)));
    assert_eq!(commit(&store, &mut acks, Process, vec![lease(4, one)]).await.result, Ok(()));
    for epoch in [3, 4] {
        let refused = commit(&store, &mut acks, Process, vec![journal(epoch, 1), lease(epoch, other)]).await;
        assert_eq!(refused.result, Err(Refusal::LeaseTaken));
    }
    assert_eq!(store.journal(ids().0).await.unwrap(), [], "a batch is written whole or not at all");
    assert!(store.health().is_well(), "that is no fault of the store's");
    assert_eq!(commit(&store, &mut acks, Process, vec![lease(4, one)]).await.result, Ok(()), "its own one is renewed");
    assert_eq!(commit(&store, &mut acks, Process, vec![lease(5, other)]).await.result, Ok(()));

    let release = |epoch| vec![Record::Release { ae: AeId::from("michael"), epoch }];
    commit(&store, &mut acks, Process, release(4)).await;
    assert_eq!(store.leases().await.unwrap().len(), 1, "a stale release gives nothing back");
    commit(&store, &mut acks, Process, release(5)).await;
    assert_eq!(store.leases().await.unwrap(), []);
    assert_eq!(store.epochs().await.unwrap(), [(AeId::from("michael"), 5)]);
    assert_eq!(commit(&store, &mut acks, Process, vec![lease(5, other)]).await.result, Err(Refusal::LeaseTaken));
}

#[tokio::test]
async fn a_refused_batch_takes_no_other_of_its_group_along() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    commit(&store, &mut acks, Process, vec![lease(4, ids().1)]).await;
    for ticket in 0..30 {
        let records = if ticket % 2 == 0 { vec![journal(ticket, 1)] } else { vec![journal(ticket, 1), lease(3, ids().1)] };
        store.submit(Batch { ticket, level: Process, when_late: WhenLate::Refuse, records }).unwrap();
    }
    for ticket in 0..30 {
        let ack = acks.recv().await.unwrap();
        assert_eq!((ack.ticket, ack.result.is_ok()), (ticket, ticket % 2 == 0));
    }
    assert_eq!(store.journal(ids().0).await.unwrap().len(), 15);
}

#[tokio::test]
async fn the_audit_trail_only_grows() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    assert_eq!(commit(&store, &mut acks, Power, vec![audit(1, "e1")]).await.result, Ok(()));
    assert_eq!(commit(&store, &mut acks, Power, vec![audit(1, "e1")]).await.result, Ok(()), "the same line twice is one line");
    assert_eq!(commit(&store, &mut acks, Power, vec![audit(1, "other")]).await.result, Err(Refusal::Duplicate));
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    assert!(sqlx::query("UPDATE audit SET id = 'x'").execute(&mut raw).await.is_err());
    assert!(sqlx::query("DELETE FROM audit").execute(&mut raw).await.is_err());
    let count: i64 = sqlx::query("SELECT COUNT(*) FROM audit").fetch_one(&mut raw).await.unwrap().get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn the_past_is_told_page_by_page_to_its_end() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let trail = (1..=7).map(|seq| audit(seq, &format!("e{seq}"))).collect();
    commit(&store, &mut acks, Power, trail).await;
    let store = std::sync::Arc::new(store);
    let told: Vec<u64> = past_events(std::sync::Arc::clone(&store), 2, 2).map(|event| event.seq).collect().await;
    assert_eq!(told, [3, 4, 5, 6, 7]);
    assert_eq!(past_events(store, 7, 2).count().await, 0);
}

#[tokio::test]
async fn the_events_of_one_transfer_are_told_in_their_order() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let (_, transfer, _) = ids();
    let other = TransferId::new(&mut IdSource::seeded(99), Wall::from_seconds(1));
    let owners = [None, Some(transfer), Some(other), Some(transfer), None, Some(transfer)];
    let trail = owners.into_iter().zip(1..).map(|(owner, seq)| audit_of(seq, owner)).collect();
    commit(&store, &mut acks, Power, trail).await;
    let seqs = async |of, limit| store.events_of(of, limit).await.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>();
    assert_eq!(seqs(transfer, 10).await, [2, 4, 6]);
    assert_eq!(seqs(transfer, 2).await, [2, 4]);
    assert_eq!(seqs(other, 10).await, [3]);
    assert_eq!(seqs(TransferId::new(&mut IdSource::seeded(98), Wall::from_seconds(1)), 10).await, [] as [u64; 0]);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_names_its_table() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let (id, ..) = ids();
    commit(&store, &mut acks, Process, vec![Record::Call(Box::new(call(id, CallState::Active)))]).await;
    let mut raw = SqliteConnection::connect(&scratch.url()).await.unwrap();
    sqlx::query("UPDATE calls SET body = '{'").execute(&mut raw).await.unwrap();
    assert!(store.call(id).await.unwrap_err().to_string().starts_with("a row of calls is damaged: "));
}
