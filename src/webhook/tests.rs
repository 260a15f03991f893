//! Events on their way: a real store, and receivers that behave and misbehave.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_contract::{At, CallId, CommitLevel, EventKind, IdSource};
use baton_store::{Batch, Settings, Store, WhenLate};
use baton_time::Wall;

use super::*;
use crate::clock::Clock;
use crate::fetch::Fetch;
use crate::fetch::stage::{Act, Heard, Server};
use crate::metrics::Metrics;

/// A folder that is gone after the test.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A daemon without calls: a store, couriers, and somebody who writes events.
struct Stage {
    post: Post,
    hooks: Arc<Hooks>,
    couriers: Option<Couriers>,
    seq: u64,
    scratch: Scratch,
}

impl Stage {
    async fn new(hooks: Vec<Hook>) -> Stage {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("baton-webhook-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let scratch = Scratch(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&scratch.0).unwrap();
        Stage::at(scratch, hooks, 0).await
    }

    async fn at(scratch: Scratch, hooks: Vec<Hook>, seq: u64) -> Stage {
        let receipts = Arc::new(Receipts::default());
        let (acks, hooks) = (receipts.clone(), Arc::new(Hooks::new(hooks)));
        let bell = hooks.clone();
        let on_ack = Box::new(move |ack| {
            if !acks.take(&ack) {
                bell.ring();
            }
        });
        let url = format!("sqlite:{}", scratch.0.join("baton.db").display());
        let store = Arc::new(Store::open(&url, Settings::default(), on_ack).await.unwrap());
        let metrics = Arc::new(Mutex::new(Metrics::new()));
        let post = Post { store, receipts, fetch: Arc::new(Fetch::new()), metrics, clock: Clock::start() };
        let couriers = Some(Couriers::start(&hooks, &post, 7));
        Stage { post, hooks, couriers, seq, scratch }
    }

    /// Writes an event as the engine does.
    fn happen(&mut self, kind: EventKind, call: Option<CallId>) -> Event {
        self.seq += 1;
        let now = At(self.post.clock.now().wall);
        let event =
            Event { id: format!("e_{}", self.seq), seq: self.seq, at: now, kind, call, transfer: None, data: Default::default() };
        let mut records = vec![Record::Audit(Box::new(event.clone()))];
        records.extend(self.hooks.due(&records));
        self.post
            .store
            .submit(Batch { ticket: self.seq, level: CommitLevel::Power, when_late: WhenLate::Keep, records })
            .unwrap();
        event
    }

    async fn end(mut self) -> Scratch {
        self.couriers.take().unwrap().stop().await;
        let store = Arc::into_inner(self.post.store).expect("the couriers have let go of the store");
        store.close().await;
        self.scratch
    }

    /// Waits until nothing waits for any webhook.
    async fn emptied(&self) {
        let far = At(Wall::from_seconds(9_000_000_000));
        loop {
            let mut left = 0;
            for (name, ..) in &self.hooks.hooks {
                left += self.post.store.parcels(name, far, 100).await.unwrap().len();
            }
            if left == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn counted(&self, result: &str) -> bool {
        self.post.metrics.lock().render().contains(&format!("baton_webhooks_total{{result=\"{result}\"}}"))
    }
}

fn hook(target: Target) -> Hook {
    let key = SigningKey::new("hush").unwrap();
    Hook { target, key, events: vec![EventPattern::new("*")], reach: Reach::Anywhere }
}

fn call(number: u64) -> Option<CallId> {
    Some(CallId::new(&mut IdSource::seeded(number), Wall::from_seconds(5)))
}

fn told(heard: &Heard) -> Event {
    serde_json::from_slice(&heard.body).unwrap()
}

#[test]
fn a_pattern_describes_types_of_events() {
    for (pattern, kind, fits) in [
        ("*", "call.started", true),
        ("transfer.*", "transfer.bridged", true),
        ("transfer.*", "call.started", false),
        ("transfer.bridged", "transfer.bridged", true),
        ("transfer.bridged", "transfer.bridged2", false),
    ] {
        assert_eq!(EventPattern::new(pattern).fits(kind), fits, "{pattern} {kind}");
    }
}

#[tokio::test]
async fn an_event_arrives_once_and_signed() {
    let mut server = Server::saying(Act::answer(204, "", b"")).await;
    let mut stage = Stage::new(vec![hook(server.at("/baton"))]).await;
    let event = stage.happen(EventKind::Bridged, call(1));
    let heard = server.next().await;
    assert_eq!(told(&heard), event);
    assert_eq!((heard.path(), heard.header("webhook-id")), ("/baton", Some(event.id.as_str())));
    assert_eq!(heard.header("content-type"), Some("application/json"));
    let timestamp: i64 = heard.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((stage.post.clock.now().wall.as_micros() / 1_000_000 - timestamp).abs() < 60);
    let signature = SigningKey::new("hush").unwrap().sign(&event.id, timestamp, &heard.body);
    assert_eq!(heard.header("webhook-signature"), Some(signature.as_str()));
    stage.emptied().await;
    assert!(stage.counted("delivered") && !stage.counted("failed"));
    stage.end().await;
    assert!(server.heard.try_recv().is_err(), "once");
}

#[tokio::test]
async fn only_events_that_are_wanted_are_sent() {
    let mut server = Server::saying(Act::answer(200, "", b"ok")).await;
    let mut stage = Stage::new(vec![Hook { events: vec![EventPattern::new("transfer.*")], ..hook(server.at("/")) }]).await;
    stage.happen(EventKind::CallStarted, call(1));
    stage.happen(EventKind::Bridged, call(1));
    stage.happen(EventKind::CallEnded, call(1));
    assert_eq!(told(&server.next().await).kind, EventKind::Bridged);
    stage.emptied().await;
    assert!(server.heard.try_recv().is_err());
    stage.end().await;
}

#[tokio::test]
async fn events_of_a_call_come_in_their_order() {
    let mut server = Server::saying(Act::answer(200, "", b"")).await;
    let mut stage = Stage::new(vec![hook(server.at("/"))]).await;
    for number in 0..60 {
        stage.happen(EventKind::Ringing, call(number % 3));
    }
    let mut last = std::collections::BTreeMap::new();
    for _ in 0..60 {
        let event = told(&server.next().await);
        let before = last.insert(event.call, event.seq);
        assert!(before < Some(event.seq), "{before:?} before {}", event.seq);
    }
    stage.emptied().await;
    stage.end().await;
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again() {
    for status in [500, 503, 404, 302, 401] {
        let headers = "location: http://127.0.0.1:1/\r\n";
        let script = move |number: usize, _: &Heard| Act::answer(if number == 0 { status } else { 200 }, headers, b"");
        let mut server = Server::start(script).await;
        let mut stage = Stage::new(vec![hook(server.at("/"))]).await;
        let event = stage.happen(EventKind::Bridged, call(1));
        let (first, second) = (server.next().await, server.next().await);
        assert_eq!((told(&first).id, told(&second).id), (event.id.clone(), event.id));
        stage.emptied().await;
        assert!(stage.counted("delivered") && stage.counted("failed"), "{status}");
        stage.end().await;
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_for_good_is_left_alone() {
    let mut server = Server::saying(Act::answer(410, "", b"")).await;
    let mut stage = Stage::new(vec![hook(server.at("/"))]).await;
    stage.happen(EventKind::Bridged, call(1));
    server.next().await;
    stage.emptied().await;
    assert!(stage.counted("given_up"));
    stage.end().await;
}

#[tokio::test]
async fn a_huge_answer_is_a_delivery_like_any_other() {
    let mut server = Server::saying(Act::answer(200, "", &[b'x'; 4 << 20])).await;
    let mut stage = Stage::new(vec![hook(server.at("/"))]).await;
    stage.happen(EventKind::Bridged, None);
    server.next().await;
    stage.emptied().await;
    assert!(stage.counted("delivered"));
    stage.end().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_keeps_no_other_one_waiting() {
    let stuck = Server::saying(Act::Hang(Vec::new())).await;
    let mut server = Server::saying(Act::answer(200, "", b"")).await;
    let mut stage = Stage::new(vec![hook(stuck.at("/")), hook(server.at("/"))]).await;
    for number in 0..50 {
        stage.happen(EventKind::Bridged, call(number));
    }
    for _ in 0..50 {
        server.next().await;
    }
    stage.end().await;
    let under_way = stuck.heard.len();
    assert!(under_way <= super::load::SIDE_BY_SIDE, "no more than sixteen are under way: {under_way}");
}

#[tokio::test]
async fn a_private_address_is_refused_unless_it_is_allowed() {
    let mut server = Server::saying(Act::answer(200, "", b"")).await;
    let mut stage = Stage::new(vec![Hook { reach: Reach::Public, ..hook(server.at("/")) }]).await;
    stage.happen(EventKind::Bridged, None);
    while !stage.counted("refused") {
        tokio::task::yield_now().await;
    }
    stage.end().await;
    assert!(server.heard.try_recv().is_err(), "nobody came");
}

#[tokio::test]
async fn what_was_not_delivered_is_delivered_after_a_restart_and_nothing_twice() {
    let script = |number: usize, _: &Heard| if number == 0 { Act::answer(200, "", b"") } else { Act::Hang(Vec::new()) };
    let mut server = Server::start(script).await;
    let target = server.at("/");
    let mut stage = Stage::new(vec![hook(target.clone())]).await;
    stage.happen(EventKind::CallStarted, call(1));
    assert_eq!(told(&server.next().await).seq, 1);
    stage.emptied().await;
    stage.happen(EventKind::CallEnded, call(1));
    assert_eq!(told(&server.next().await).seq, 2);
    let scratch = stage.end().await;

    let mut well = Server::saying(Act::answer(200, "", b"")).await;
    // The name of a webhook is its URL: another port is another webhook, so the rows are read under the old one.
    let mut hooks = Hooks::new(vec![hook(target)]);
    hooks.hooks[0].1.target = well.at("/");
    let receipts = Arc::new(Receipts::default());
    let acks = receipts.clone();
    let on_ack = Box::new(move |ack| assert!(acks.take(&ack)));
    let url = format!("sqlite:{}", scratch.0.join("baton.db").display());
    let store = Arc::new(Store::open(&url, Settings::default(), on_ack).await.unwrap());
    let metrics = Arc::new(Mutex::new(Metrics::new()));
    let post = Post { store, receipts, fetch: Arc::new(Fetch::new()), metrics, clock: Clock::start() };
    let couriers = Couriers::start(&hooks, &post, 7);
    assert_eq!(told(&well.next().await).seq, 2);
    let stage = Stage { post, hooks: Arc::new(hooks), couriers: Some(couriers), seq: 2, scratch };
    stage.emptied().await;
    stage.end().await;
    assert!(well.heard.try_recv().is_err(), "the first one was delivered before");
}

#[tokio::test]
async fn a_local_receiver_hears_of_an_event_soon() {
    let mut server = Server::saying(Act::answer(200, "", b"")).await;
    let mut stage = Stage::new(vec![hook(server.at("/"))]).await;
    let mut delays = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    for number in 0..200 {
        pace.tick().await;
        let event = stage.happen(EventKind::Bridged, call(number));
        let heard = server.next().await;
        assert_eq!(told(&heard).seq, event.seq);
        delays.push((stage.post.clock.now().wall.as_micros() - event.at.0.as_micros()) as f64 / 1_000.0);
    }
    delays.sort_by(f64::total_cmp);
    println!("webhook after the change: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", delays[100], delays[197], delays[199]);
    stage.emptied().await;
    stage.end().await;
}
