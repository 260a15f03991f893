//! What a key has placed, and what is forgotten.

use baton_contract::CommitLevel::Process;
use baton_contract::{Forget, NewCall, PlacedRow};

use super::*;

fn at(seconds: i64) -> At {
    At(Wall::from_seconds(seconds))
}

fn placed(key: &str, seed: u64, seconds: i64) -> Record {
    let call = CallId::new(&mut IdSource::seeded(seed), Wall::from_seconds(1));
    let request: NewCall = serde_json::from_str(r#"{"to": "+15550177", "ai": "agent"}"#).unwrap();
    Record::Placed(Box::new(PlacedRow { key: key.to_owned(), call, at: at(seconds), request }))
}

fn forget(calls_before: Option<At>, keys_before: At, limit: u32) -> Vec<Record> {
    vec![Record::Forget(Forget { calls_before, keys_before, limit })]
}

#[tokio::test]
async fn a_key_stands_for_its_first_call_after_a_restart_too() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    for (seed, seconds) in [(1, 20), (2, 30)] {
        assert_eq!(commit(&store, &mut acks, Process, vec![placed("k", seed, seconds)]).await.result, Ok(()));
    }
    store.close().await;
    let (store, _acks) = open(&scratch).await;
    let Record::Placed(first) = placed("k", 1, 20) else { panic!("it is one") };
    assert_eq!(store.placed("k").await.unwrap(), Some(*first));
    assert_eq!(store.placed("another").await.unwrap(), None);
}

#[tokio::test]
async fn keys_are_forgotten_when_they_are_old_and_not_before() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    commit(&store, &mut acks, Process, vec![placed("old", 1, 20), placed("new", 2, 30)]).await;
    commit(&store, &mut acks, Process, forget(None, at(30), 10)).await;
    assert_eq!(store.placed("old").await.unwrap(), None);
    assert!(store.placed("new").await.unwrap().is_some());
}

#[tokio::test]
async fn a_call_that_is_over_is_forgotten_with_all_that_belongs_to_it_and_the_trail_is_kept() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let (id, of, _) = ids();
    let records = vec![
        Record::Call(Box::new(call(id, CallState::Ended))),
        Record::Transfer(Box::new(transfer())),
        journal(1, 5),
        audit(1, "e1"),
        Record::Callback(Box::new(callback(CallbackState::Kept))),
    ];
    commit(&store, &mut acks, CommitLevel::Power, records).await;
    commit(&store, &mut acks, Process, forget(Some(at(10)), at(0), 10)).await;
    assert!(store.call(id).await.unwrap().is_some(), "it began at that very second");
    commit(&store, &mut acks, Process, forget(None, at(99), 10)).await;
    assert!(store.call(id).await.unwrap().is_some(), "for ever");
    commit(&store, &mut acks, Process, forget(Some(at(11)), at(0), 10)).await;
    assert_eq!((store.call(id).await.unwrap(), store.transfer(of).await.unwrap()), (None, None));
    assert!(store.journal(id).await.unwrap().is_empty());
    assert_eq!(store.callbacks(9).await.unwrap().len(), 1, "it was due later");
    commit(&store, &mut acks, Process, forget(Some(at(90_001)), at(0), 10)).await;
    assert!(store.callbacks(9).await.unwrap().is_empty());
    assert_eq!(store.last_event_seq().await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_not_over_is_never_forgotten() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let records = vec![
        Record::Call(Box::new(call(ids().0, CallState::Active))),
        Record::Callback(Box::new(callback(CallbackState::Scheduled))),
    ];
    commit(&store, &mut acks, CommitLevel::Power, records).await;
    commit(&store, &mut acks, Process, forget(Some(at(1_000_000)), at(0), 10)).await;
    assert!(store.call(ids().0).await.unwrap().is_some());
    assert_eq!(store.callbacks(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_more_is_forgotten_at_a_time_than_was_said_and_the_oldest_first() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let calls: Vec<CallView> = (0..5)
        .map(|seed| {
            let id = CallId::new(&mut IdSource::seeded(seed), Wall::from_seconds(9));
            CallView { started_at: at(100 - seed as i64), ..call(id, CallState::Ended) }
        })
        .collect();
    commit(&store, &mut acks, Process, calls.iter().cloned().map(|call| Record::Call(Box::new(call))).collect()).await;
    for left in [3, 1, 0] {
        commit(&store, &mut acks, Process, forget(Some(at(1_000)), at(0), 2)).await;
        let mut held = Vec::new();
        for call in &calls {
            held.extend(store.call(call.id).await.unwrap().map(|call| call.started_at));
        }
        assert_eq!(held.len(), left);
        assert!(held.iter().all(|began| *began >= at(100 - left as i64 + 1)), "{held:?}");
    }
}
