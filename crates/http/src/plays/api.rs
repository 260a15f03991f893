//! Each call of the API: what the engine is asked, and what comes back.

use baton_contract::{Author, NewText, TextView};
use serde_json::json;

use super::*;

fn path_of(id: impl std::fmt::Display, rest: &str) -> String {
    format!("/v1/{}{rest}", id)
}

#[tokio::test]
async fn a_transfer_is_asked_for_with_everything_that_was_said() {
    let stage = Stage::new().will_answer(Reply::Transfer(Box::new(transfer())));
    let (call, id, _) = ids();
    let body =
        r#"{"mode":"attended","to":"sales","reason":"vip","context":{"summary":"Hi.","mood":3},"briefing":{"text":"Hello."}}"#;
    let request =
        Request::post(format!("/v1/calls/{call}/transfers")).header("Idempotency-Key", "k-1").body(Body::from(body)).unwrap();
    let answer = stage.send(request).await;
    assert_eq!((answer.status, answer.header("location")), (202, format!("/v1/transfers/{id}").as_str()));
    assert_eq!(answer.json(), serde_json::to_value(transfer()).unwrap());
    let request = Box::new(serde_json::from_str(body).unwrap());
    assert_eq!(stage.asked(), [Command::RequestTransfer { call, request, idempotency_key: Some("k-1".to_owned()) }]);
}

#[tokio::test]
async fn a_transfer_may_be_asked_for_without_a_word() {
    for body in ["", "{}"] {
        let stage = Stage::new().will_answer(Reply::Transfer(Box::new(transfer())));
        let call = ids().0;
        assert_eq!(stage.ask("POST", &format!("/v1/calls/{call}/transfers"), body).await.status, 202);
        assert_eq!(stage.asked(), [Command::RequestTransfer { call, request: Box::default(), idempotency_key: None }]);
    }
}

#[tokio::test]
async fn every_question_reaches_the_engine_as_one_command() {
    let (_, transfer_id, callback_id) = ids();
    let (transfers, callbacks) =
        (path_of(format!("transfers/{transfer_id}"), ""), path_of(format!("callbacks/{callback_id}"), ""));
    let one_transfer = Reply::Transfer(Box::new(transfer()));
    let one_callback = Reply::Callback(Box::new(callback()));
    let ae_id = AeId::from("michael");
    let decline = Command::Decline { transfer: transfer_id, reason: Some("busy".to_owned()), retry_after: Some(10) };
    let plain_decline = Command::Decline { transfer: transfer_id, reason: None, retry_after: None };
    let slots_in = Command::Slots { ae: ae_id.clone(), timezone: Some("Europe/Berlin".to_owned()) };
    let new = r#"{"ae":"michael","caller":"+15550123","at":"2026-03-02T10:00:00-06:00"}"#;
    let update: baton_contract::UpdateCallback = serde_json::from_str(r#"{"ae":"sara"}"#).unwrap();
    let plays = [
        ("GET", transfers.clone(), "", Command::Transfer(transfer_id), one_transfer.clone(), 200),
        ("DELETE", transfers.clone(), "", Command::CancelTransfer(transfer_id), one_transfer.clone(), 200),
        ("POST", format!("{transfers}/proceed"), "", Command::Proceed(transfer_id), one_transfer.clone(), 200),
        ("POST", format!("{transfers}/accept"), "", Command::Accept(transfer_id), one_transfer.clone(), 200),
        ("POST", format!("{transfers}/decline"), r#"{"reason":"busy","retry_after":10}"#, decline, one_transfer.clone(), 200),
        ("POST", format!("{transfers}/decline"), "", plain_decline, one_transfer, 200),
        ("GET", "/v1/aes".to_owned(), "", Command::Aes, Reply::Aes(vec![ae()]), 200),
        (
            "PATCH",
            "/v1/aes/michael".to_owned(),
            r#"{"presence":"dnd"}"#,
            Command::SetPresence { ae: ae_id, presence: Presence::Dnd },
            Reply::Ae(Box::new(ae())),
            200,
        ),
        ("GET", "/v1/aes/michael/slots?timezone=Europe/Berlin".to_owned(), "", slots_in, Reply::Slots(vec![slot()]), 200),
        ("GET", "/v1/callbacks".to_owned(), "", Command::Callbacks, Reply::Callbacks(vec![callback()]), 200),
        (
            "POST",
            "/v1/callbacks".to_owned(),
            new,
            Command::NewCallback(Box::new(serde_json::from_str(new).unwrap())),
            one_callback.clone(),
            201,
        ),
        ("GET", callbacks.clone(), "", Command::Callback(callback_id), one_callback.clone(), 200),
        (
            "PATCH",
            callbacks.clone(),
            r#"{"ae":"sara"}"#,
            Command::UpdateCallback { id: callback_id, update },
            one_callback.clone(),
            200,
        ),
        ("DELETE", callbacks.clone(), "", Command::CancelCallback(callback_id), one_callback, 200),
        ("GET", format!("{callbacks}.ics"), "", Command::CallbackCalendar(callback_id), Reply::Calendar("BEGIN".to_owned()), 200),
    ];
    for play in plays {
        asked_once(play).await;
    }
}

#[tokio::test]
async fn every_question_about_a_call_reaches_the_engine_as_one_command() {
    let (call, ..) = ids();
    let calls = path_of(format!("calls/{call}"), "");
    let one_call = Reply::Call(Box::new(call_view()));
    let context = Reply::Context(Box::default());
    let put = Command::PutContext { call, context: Box::new(serde_json::from_str(r#"{"intent":"a\u0000b"}"#).unwrap()) };
    let hand_back = Command::HandBack { call, note: Some("Wants a quote.".to_owned()) };
    let text = TextView { at: baton_contract::At(NOW), author: Author::Human, text: "Sara here.".to_owned() };
    let pause = Command::SetDriver { call, driver: baton_contract::Driver::Paused };
    let plays = [
        ("GET", calls.clone(), "", Command::Call(call), one_call.clone(), 200),
        ("DELETE", calls.clone(), "", Command::HangUp(call), one_call.clone(), 200),
        ("POST", format!("{calls}/handback"), r#"{"note":"Wants a quote."}"#, hand_back, one_call.clone(), 200),
        ("POST", format!("{calls}/handback"), "", Command::HandBack { call, note: None }, one_call.clone(), 200),
        ("PUT", format!("{calls}/driver"), r#"{"driver":"paused"}"#, pause, one_call, 200),
        ("GET", format!("{calls}/messages"), "", Command::Texts(call), Reply::Texts(vec![text.clone()]), 200),
        (
            "POST",
            format!("{calls}/messages"),
            r#"{"author":"human","text":"Sara here."}"#,
            Command::SendText { call, text: NewText { author: Author::Human, text: "Sara here.".to_owned() } },
            Reply::Text(text),
            201,
        ),
        ("GET", format!("{calls}/context"), "", Command::Context(call), context.clone(), 200),
        ("PUT", format!("{calls}/context"), r#"{"intent":"a\u0000b"}"#, put, context, 200),
        (
            "PUT",
            format!("{calls}/recording"),
            r#"{"state":"paused"}"#,
            Command::SetRecording { call, state: baton_contract::RecordingState::Paused },
            Reply::Recording(baton_contract::RecordingView { call, state: baton_contract::RecordingState::Paused }),
            200,
        ),
    ];
    for play in plays {
        asked_once(play).await;
    }
}

/// The question is answered with `status`, and the engine was asked that one thing.
async fn asked_once((method, path, body, command, reply, status): (&str, String, &str, Command, Reply, u16)) {
    let stage = Stage::new().will_answer(reply);
    let answer = stage.ask(method, &path, body).await;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    assert_eq!(stage.asked(), [command], "{method} {path}");
}

fn call_view() -> CallView {
    super::call()
}

#[tokio::test]
async fn a_calendar_is_sent_as_one() {
    let stage = Stage::new().will_answer(Reply::Calendar("BEGIN:VCALENDAR\r\n".to_owned()));
    let answer = stage.get(&format!("/v1/callbacks/{}.ics", ids().2)).await;
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(answer.body, "BEGIN:VCALENDAR\r\n");
}

#[tokio::test]
async fn lists_come_in_pages_and_each_item_once() {
    let mut source = IdSource::seeded(1);
    let calls: Vec<CallView> = (0..5)
        .map(|second| CallView { id: CallId::new(&mut source, Wall::from_seconds(100 - second)), ..super::call() })
        .collect();
    let mut stage = Stage::new().will_answer(Reply::Calls(calls.clone()));
    let first = stage.get("/v1/calls?limit=2").await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["next"].as_str().unwrap().to_owned();
    // Meanwhile a call has begun, and the one that the cursor names has gone from the list.
    let fresh = CallView { id: CallId::new(&mut source, Wall::from_seconds(200)), ..super::call() };
    let later = std::iter::once(fresh).chain(calls.iter().filter(|call| call.id.to_string() != cursor).cloned()).collect();
    stage = stage.will_answer(Reply::Calls(later));
    let second = stage.get(&format!("/v1/calls?limit=3&cursor={cursor}")).await.json();
    assert_eq!(second["items"], serde_json::to_value(&calls[2..]).unwrap());
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn callbacks_of_the_same_minute_are_told_apart_by_the_cursor() {
    let mut source = IdSource::seeded(1);
    let mut both = [(); 2].map(|()| CallbackView { id: CallbackId::new(&mut source, NOW), ..callback() });
    both.sort_by_key(|callback| callback.id);
    let stage = Stage::new().will_answer(Reply::Callbacks(both.to_vec()));
    let first = stage.get("/v1/callbacks?limit=1").await.json();
    let second = stage.get(&format!("/v1/callbacks?limit=1&cursor={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!((&first["items"][0]["id"], &second["items"][0]["id"]), (&json!(both[0].id), &json!(both[1].id)));
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=xyz", "limit=1&limit=2"] {
        let stage = Stage::new().will_answer(Reply::Calls(vec![super::call()]));
        stage.get(&format!("/v1/calls?{query}")).await.expect_problem(400, None);
    }
}

#[tokio::test]
async fn an_invalid_body_names_its_member() {
    let (call, transfer, callback) = ids();
    let transfers = format!("/v1/calls/{call}/transfers");
    let context = format!("/v1/calls/{call}/context");
    let plays = [
        ("POST", transfers.as_str(), "not json", "body"),
        ("POST", &transfers, "{} {}", "body"),
        ("POST", &transfers, "[1,2,3,4,5,6]", "body"),
        ("POST", &transfers, r#"{"to":7}"#, "to"),
        ("POST", &transfers, r#"{"mode":"lukewarm"}"#, "mode"),
        ("POST", &transfers, r#"{"tp":"sara"}"#, "tp"),
        ("POST", &transfers, r#"{"context":{"caller":{"name":1}}}"#, "context.caller.name"),
        (
            "POST",
            &transfers,
            r#"{"context":{"transcript":[{"who":"ai","text":"x"},{"who":"ai"}]}}"#,
            "context.transcript[1].text",
        ),
        ("PUT", &context, "", "body"),
        ("PUT", &context, "\"text\"", "body"),
        ("PUT", &context, r#"{"confidence":"high"}"#, "confidence"),
        ("POST", &format!("/v1/transfers/{transfer}/decline"), r#"{"retry_after":-1}"#, "retry_after"),
        ("POST", &format!("/v1/transfers/{transfer}/accept"), r#"{"by":"me"}"#, "by"),
        ("POST", &format!("/v1/calls/{call}/messages"), r#"{"author":"sara","text":"Hello."}"#, "author"),
        ("POST", &format!("/v1/calls/{call}/messages"), r#"{"author":"ai"}"#, "text"),
        ("PATCH", "/v1/aes/michael", "{}", "presence"),
        ("PATCH", "/v1/aes/michael", r#"{"presence":"asleep"}"#, "presence"),
        ("POST", "/v1/callbacks", r#"{"ae":"michael","caller":"+1555"}"#, "at"),
        ("POST", "/v1/callbacks", r#"{"ae":"michael","caller":"+1555","at":"tomorrow"}"#, "at"),
        ("POST", "/v1/callbacks", r#"{"ae":"michael","caller":"+1555","at":"2026-03-02T10:00:00Z","call":"c_1"}"#, "call"),
        ("PATCH", &format!("/v1/callbacks/{callback}"), r#"{"caller":"+1666"}"#, "caller"),
    ];
    for (method, path, body, field) in plays {
        let stage = Stage::new();
        stage.ask(method, path, body).await.expect_problem(422, Some(field));
        assert_eq!(stage.asked(), [], "{method} {path} {body}");
    }
}

#[tokio::test]
async fn a_nest_too_deep_is_refused() {
    let body = format!("{{\"x\":{}", "[".repeat(100_000));
    Stage::new().ask("PUT", &format!("/v1/calls/{}/context", ids().0), &body).await.expect_problem(422, Some("body"));
}

#[tokio::test]
async fn an_id_that_names_nothing_is_not_found() {
    let (call, transfer, callback) = ids();
    let elsewhere = [
        "/v1/calls/c_1".to_owned(),
        format!("/v1/calls/{transfer}"),
        format!("/v1/transfers/{call}"),
        "/v1/callbacks/x.ics".to_owned(),
        format!("/v1/callbacks/{callback}.txt"),
        "/v1/calls/%FF".to_owned(),
        "/v1/calls/%0d%0aSet-Cookie:x".to_owned(),
        "/v1/calls/%2e%2e%2f".to_owned(),
    ];
    for path in elsewhere {
        let stage = Stage::new();
        stage.get(&path).await.expect_problem(404, None);
        assert_eq!(stage.asked(), [], "{path}");
    }
    Stage::new().get(&format!("/v1/calls/{call}")).await.expect_problem(404, None);
}

#[tokio::test]
async fn what_the_engine_refuses_is_told_as_it_said_it() {
    let call = ids().0;
    for (problem, field) in [
        (Problem::unknown_target("nobody"), Some("to")),
        (Problem::conflict("the call has ended"), None),
        (Problem::unavailable("the store takes no promises"), None),
    ] {
        let status = problem.status;
        let stage = Stage::new().will_refuse(problem);
        let answer = stage.ask("POST", &format!("/v1/calls/{call}/transfers"), "{}").await;
        answer.expect_problem(status, field);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_our_fault() {
    let stage = Stage::new().will_answer(Reply::Aes(Vec::new()));
    stage.get(&format!("/v1/calls/{}", ids().0)).await.expect_problem(500, None);
}

#[tokio::test]
async fn a_strange_idempotency_key_is_refused() {
    for key in [Vec::new(), vec![b'k'; 256], vec![0xff]] {
        let request =
            Request::post(format!("/v1/calls/{}/transfers", ids().0)).header("Idempotency-Key", key).body(Body::empty()).unwrap();
        Stage::new().send(request).await.expect_problem(400, None);
    }
}

#[tokio::test]
async fn baton_is_emptied_and_opened_again_by_whoever_has_the_token() {
    let view = baton_contract::DrainView { draining: true, calls: 3 };
    for (method, command) in [("GET", Command::Draining), ("POST", Command::Drain(true)), ("DELETE", Command::Drain(false))] {
        let stage = Stage::new().will_answer(Reply::Drain(view));
        let answer = stage.ask(method, "/v1/drain", "").await;
        assert_eq!((answer.status, answer.json()), (200, serde_json::json!({"draining": true, "calls": 3})), "{method}");
        assert_eq!(stage.asked(), [command], "{method}");
    }
    let stage = Stage::new().will_refuse(Problem::conflict("Baton is being started or shut down"));
    stage.ask("DELETE", "/v1/drain", "").await.expect_problem(409, None);
    stage.ask("POST", "/v1/drain", r#"{"at":"noon"}"#).await.expect_problem(422, Some("at"));
}

#[tokio::test]
async fn calls_of_former_runs_are_listed_behind_those_of_this_one_and_are_over() {
    let mut source = IdSource::seeded(2);
    let mut call =
        |seconds, state| CallView { id: CallId::new(&mut source, Wall::from_seconds(seconds)), state, ..super::call() };
    let up = call(300, CallState::Active);
    let (ended, crashed) = (call(200, CallState::Ended), call(100, CallState::Active));
    // The record has all of them; the engine knows those of this run.
    let recorded = vec![CallView { state: CallState::Connecting, ..up.clone() }, ended.clone(), crashed.clone()];
    let stage = Stage::new().will_answer(Reply::Calls(vec![up.clone()])).with_recorded(recorded);
    let all = stage.get("/v1/calls").await.json();
    let states: Vec<(&str, &str)> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["id"].as_str().unwrap(), call["state"].as_str().unwrap()))
        .collect();
    let ids = [up.id, ended.id, crashed.id].map(|id| id.to_string());
    assert_eq!(states, [(ids[0].as_str(), "active"), (ids[1].as_str(), "ended"), (ids[2].as_str(), "ended")]);
    assert_eq!(all["items"][2]["end"]["outcome"], "failed");
    let first = stage.get("/v1/calls?limit=1").await.json();
    let second = stage.get(&format!("/v1/calls?limit=1&cursor={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!((&first["items"][0]["id"], &second["items"][0]["id"]), (&json!(ids[0]), &json!(ids[1])));
    let live = stage.get("/v1/calls?live=true").await.json();
    assert_eq!((live["items"].as_array().unwrap().len(), &live["items"][0]["id"]), (1, &json!(ids[0])));
    stage.get("/v1/calls?live=perhaps").await.expect_problem(400, None);
}
