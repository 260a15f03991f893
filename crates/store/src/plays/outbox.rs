//! Events on their way to webhooks.

use baton_contract::CommitLevel::{Power, Process};
use baton_contract::OutboxStep;

use super::*;
use crate::Refusal;

fn due(hook: &str, seq: u64, call: Option<CallId>) -> Record {
    Record::Outbox(OutboxStep::Due { hook: hook.to_owned(), seq, call, at: at(20) })
}

fn later(seq: u64, tries: u32, due: At) -> Record {
    Record::Outbox(OutboxStep::Later { hook: "crm".to_owned(), seq, tries, due })
}

fn done(seq: u64) -> Record {
    Record::Outbox(OutboxStep::Done { hook: "crm".to_owned(), seq })
}

fn at(seconds: i64) -> At {
    At(Wall::from_seconds(seconds))
}

async fn waiting(store: &Store, hook: &str, now: At) -> Vec<(u64, u32)> {
    let parcels = store.parcels(hook, now, 100).await.unwrap();
    parcels.iter().map(|parcel| (parcel.seq, parcel.tries)).collect()
}

#[tokio::test]
async fn an_event_and_its_delivery_are_written_together_and_outlive_a_restart() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let records = vec![audit(1, "e1"), due("crm", 1, None), due("desk", 1, None)];
    assert_eq!(commit(&store, &mut acks, Power, records).await.result, Ok(()));
    store.close().await;
    let (store, _acks) = open(&scratch).await;
    let [parcel] = &store.parcels("crm", at(20), 100).await.unwrap()[..] else { panic!("one parcel") };
    assert_eq!((parcel.seq, parcel.tries, parcel.since), (1, 0, at(20)));
    assert_eq!(serde_json::from_str::<Event>(&parcel.body).unwrap().id, "e1");
    assert_eq!(waiting(&store, "desk", at(20)).await, [(1, 0)]);
    assert_eq!(waiting(&store, "crm", at(19)).await, [], "not due yet");
}

#[tokio::test]
async fn an_event_that_is_refused_is_not_delivered_either() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    commit(&store, &mut acks, Power, vec![audit(1, "e1")]).await;
    let refused = commit(&store, &mut acks, Power, vec![due("crm", 1, None), audit(1, "another")]).await;
    assert_eq!(refused.result, Err(Refusal::Duplicate));
    assert_eq!(waiting(&store, "crm", at(99)).await, []);
}

#[tokio::test]
async fn events_of_a_call_wait_for_each_other_until_one_was_tried_three_times() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let (one, other) = (Some(ids().0), Some(CallId::new(&mut IdSource::seeded(9), Wall::from_seconds(5))));
    let mut records: Vec<Record> = (1..=6).map(|seq| audit(seq, &format!("e{seq}"))).collect();
    let of_calls = [(1, one), (2, one), (3, other), (4, None), (5, None), (6, one)];
    records.extend(of_calls.map(|(seq, call)| due("crm", seq, call)));
    commit(&store, &mut acks, Power, records).await;
    assert_eq!(waiting(&store, "crm", at(20)).await, [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)]);
    let calls = store.parcels("crm", at(20), 100).await.unwrap().into_iter().map(|parcel| parcel.before_next_of);
    assert_eq!(Vec::from_iter(calls), [one, one, other, None, None, one], "who waits for whom");
    commit(&store, &mut acks, Process, vec![later(1, 2, at(30)), done(3), done(4), done(5)]).await;
    assert_eq!(waiting(&store, "crm", at(20)).await, [], "the second of the call waits for the first");
    assert_eq!(store.next_parcel_at("crm", at(20)).await.unwrap(), Some(at(30)));
    commit(&store, &mut acks, Process, vec![later(1, 3, at(40))]).await;
    assert_eq!(waiting(&store, "crm", at(30)).await, [(2, 0), (6, 0)], "and overtakes it then");
    commit(&store, &mut acks, Process, vec![done(2)]).await;
    assert_eq!(waiting(&store, "crm", at(40)).await, [(6, 0), (1, 3)]);
    let calls = store.parcels("crm", at(40), 100).await.unwrap().into_iter().map(|parcel| parcel.before_next_of);
    assert_eq!(Vec::from_iter(calls), [one, None], "nobody waits for the first any more");
    assert_eq!(store.next_parcel_at("crm", at(40)).await.unwrap(), None);
}

#[tokio::test]
async fn an_event_that_is_due_before_the_one_before_it_waits_for_that() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let call = Some(ids().0);
    let set_back = OutboxStep::Due { hook: "crm".to_owned(), seq: 2, call, at: at(15) };
    let records = vec![audit(1, "e1"), audit(2, "e2"), due("crm", 1, call), Record::Outbox(set_back)];
    commit(&store, &mut acks, Power, records).await;
    assert_eq!(waiting(&store, "crm", at(20)).await, [(1, 0)], "the clock was set back between them");
    commit(&store, &mut acks, Process, vec![done(1)]).await;
    assert_eq!(waiting(&store, "crm", at(20)).await, [(2, 0)]);
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_gone_is_forgotten() {
    let scratch = Scratch::new();
    let (store, mut acks) = open(&scratch).await;
    let records = vec![audit(1, "e1"), due("crm", 1, None), due("old", 1, None)];
    commit(&store, &mut acks, Power, records).await;
    let only = Record::Outbox(OutboxStep::Only { hooks: vec!["crm".to_owned()] });
    commit(&store, &mut acks, Process, vec![only]).await;
    assert_eq!(waiting(&store, "old", at(99)).await, []);
    assert_eq!(waiting(&store, "crm", at(99)).await, [(1, 0)]);
}
