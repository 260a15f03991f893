//! Who comes in, and what is there at all.

use super::*;

fn locked() -> Stage {
    Stage::with(|settings| settings.token = Some("hush".to_owned())).will_answer(Reply::Calls(Vec::new()))
}

#[tokio::test]
async fn with_a_token_only_those_who_show_it_come_in() {
    let stage = locked();
    for shown in [None, Some("Bearer"), Some("Bearer hus"), Some("Bearer hush2"), Some("Basic hush"), Some("hush"), Some("")] {
        let mut request = Request::get("/v1/calls");
        if let Some(shown) = shown {
            request = request.header("Authorization", shown);
        }
        let answer = stage.send(request.body(Body::empty()).unwrap()).await;
        answer.expect_problem(401, None);
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    assert_eq!(stage.asked(), []);
    for shown in ["Bearer hush", "bearer hush"] {
        let request = Request::get("/v1/calls").header("Authorization", shown).body(Body::empty()).unwrap();
        assert_eq!(stage.send(request).await.status, 200);
    }
}

#[tokio::test]
async fn everything_but_the_vital_signs_and_signed_links_is_behind_the_token() {
    let stage = locked();
    for operation in crate::api::operations() {
        let path = operation.path.replace("{id}", "x");
        let status = stage.ask(&operation.method.to_uppercase(), &path, "").await.status;
        assert_eq!(status == 401, !operation.is_open, "{} {path}", operation.method);
        let must_be_open = path == "/healthz" || path == "/readyz" || path.starts_with("/pop/");
        assert_eq!(operation.is_open, must_be_open, "{path}");
    }
}

#[tokio::test]
async fn another_site_s_page_cannot_use_the_api() {
    let stage = Stage::new().will_answer(Reply::Call(Box::new(call())));
    let path = format!("/v1/calls/{}", ids().0);
    for (name, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("origin", "http://127.0.0.1:8080", 200),
    ] {
        let request = Request::delete(&path).header("host", "127.0.0.1:8080").header(name, value).body(Body::empty()).unwrap();
        assert_eq!(stage.send(request).await.status, status, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems_too() {
    let stage = Stage::new();
    for path in ["/v2/calls", "/v1/calls/", "/v1", "/etc/passwd", "/pop"] {
        stage.get(path).await.expect_problem(404, None);
    }
    let answer = stage.ask("PATCH", "/v1/calls", "{}").await;
    answer.expect_problem(405, None);
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    stage.ask("DELETE", "/healthz", "").await.expect_problem(405, None);
    stage.ask("PUT", &format!("/v1/transfers/{}", ids().1), "{}").await.expect_problem(405, None);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let stage = Stage::new();
    let body = format!("{{\"summary\":\"{}\"}}", "x".repeat(1 << 20));
    stage.ask("PUT", &format!("/v1/calls/{}/context", ids().0), &body).await.expect_problem(413, None);
    assert_eq!(stage.asked(), []);
    let stage = Stage::new().will_answer(Reply::Context(Box::default()));
    let body = format!("{{\"summary\":\"{}\"}}", "x".repeat((1 << 20) - 14));
    assert_eq!(stage.ask("PUT", &format!("/v1/calls/{}/context", ids().0), &body).await.status, 200);
}

#[tokio::test]
async fn vital_signs_are_told() {
    let stage = Stage::new();
    assert_eq!(stage.get("/healthz").await.json(), serde_json::json!({"status": "alive"}));
    assert_eq!(stage.get("/readyz").await.json(), serde_json::json!({"status": "ready"}));
    for readiness in [Readiness::Starting, Readiness::Draining, Readiness::StoreIll] {
        *stage.engine.readiness.lock() = readiness;
        stage.get("/readyz").await.expect_problem(503, None);
        assert_eq!(stage.get("/healthz").await.status, 200);
    }
    let metrics = stage.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(metrics.body, "baton_draining 0\n");
}

#[tokio::test]
async fn a_served_application_answers_on_its_socket_and_ends_when_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(ended.await) };
    let serving = tokio::spawn(crate::serve(listener, Stage::new().router, shutdown));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    end.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
