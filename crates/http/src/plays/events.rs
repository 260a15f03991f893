//! Events as they are heard.

use futures_util::StreamExt;
use tokio::sync::broadcast;

use super::*;
use crate::follow;

#[tokio::test]
async fn an_event_is_one_frame_with_its_number_and_its_type() {
    let answer = Stage::new().get("/v1/events").await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let json = serde_json::to_string(&event(3)).unwrap();
    assert!(answer.body.starts_with(&format!("id: 3\nevent: transfer.ringing\ndata: {json}\n\n")), "{}", answer.body);
    assert!(answer.body.contains("id: 4\n"));
}

#[tokio::test]
async fn a_subscriber_who_comes_back_misses_nothing() {
    let stage = Stage::new();
    let request = Request::get("/v1/events?after=3").header("Last-Event-ID", "1").body(Body::empty()).unwrap();
    let answer = stage.send(request).await;
    assert!(answer.body.starts_with("id: 2\n"), "{}", answer.body);
    assert!(stage.get("/v1/events?after=3").await.body.starts_with("id: 4\n"));
}

#[tokio::test]
async fn a_number_that_is_none_is_refused() {
    let stage = Stage::new();
    let request = Request::get("/v1/events").header("Last-Event-ID", "yesterday").body(Body::empty()).unwrap();
    stage.send(request).await.expect_problem(400, None);
    stage.get("/v1/events?after=-1").await.expect_problem(400, None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_alive_by_comments() {
    struct Silent;
    #[async_trait]
    impl Control for Silent {
        async fn ask(&self, _: Command) -> Result<Reply, Problem> {
            Err(Problem::unavailable("no"))
        }
        fn events(&self, _: Option<u64>) -> EventStream {
            Box::pin(futures_util::stream::pending())
        }
        async fn events_of(&self, _: TransferId) -> Result<Vec<Event>, Problem> {
            Ok(Vec::new())
        }
        fn metrics(&self) -> String {
            String::new()
        }
        fn ready(&self) -> Readiness {
            Readiness::Ready
        }
        fn now(&self) -> Wall {
            NOW
        }
    }
    let app = router(Arc::new(Silent), HttpSettings::new(links()));
    let response = app.oneshot(Request::get("/v1/events").body(Body::empty()).unwrap()).await.unwrap();
    let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();
    assert!(first.starts_with(b":"), "{first:?}");
}

#[tokio::test]
async fn past_and_present_are_joined_without_a_seam() {
    let (sender, live) = broadcast::channel(8);
    for seq in 2..=4 {
        sender.send(event(seq)).unwrap();
    }
    let past = futures_util::stream::iter([event(1), event(2), event(3)]);
    drop(sender);
    let heard: Vec<u64> = follow(past, live).map(|event| event.seq).collect().await;
    assert_eq!(heard, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_subscriber_who_is_too_slow_is_let_go() {
    let (sender, live) = broadcast::channel(2);
    for seq in 1..=9 {
        sender.send(event(seq)).unwrap();
    }
    let heard: Vec<u64> = follow(futures_util::stream::empty(), live).map(|event| event.seq).collect().await;
    assert_eq!(heard, [] as [u64; 0], "a gap is never passed over");
}

#[tokio::test]
async fn what_has_happened_in_a_transfer_is_told_to_its_end() {
    let stage = Stage::new();
    let told = stage.get(&format!("/v1/transfers/{}/events", ids().1)).await.json();
    assert_eq!(told, serde_json::json!({"items": [event(3), event(4)], "next": null}));
    let stranger = TransferId::new(&mut IdSource::seeded(99), NOW);
    stage.get(&format!("/v1/transfers/{stranger}/events")).await.expect_problem(404, None);
    stage.get("/v1/transfers/yesterday/events").await.expect_problem(404, None);
}
