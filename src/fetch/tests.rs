//! Asking servers that behave, and servers that do not.

use super::stage::{Act, Server};
use super::*;

fn question(target: Target, body: &'static str) -> Question {
    Question {
        target,
        reach: Reach::Anywhere,
        headers: vec![(HeaderName::from_static("x-one"), HeaderValue::from_static("1"))],
        body: Bytes::from_static(body.as_bytes()),
        within: Duration::from_millis(400),
        answer_max: Some(1_000),
    }
}

#[tokio::test]
async fn a_question_is_answered_and_the_connection_is_kept_for_the_next_one() {
    let mut server = Server::saying(Act::answer(201, "retry-after: 7\r\n", b"made")).await;
    let fetch = Fetch::new();
    for _ in 0..3 {
        let answer = fetch.post(question(server.at("/a?b=c"), "hello")).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (201, &b"made"[..]));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        let heard = server.next().await;
        assert!(heard.head.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{}", heard.head);
        assert_eq!(heard.header("host"), Some(server.address.to_string().as_str()));
        assert_eq!((heard.header("x-one"), heard.header("user-agent")), (Some("1"), Some(AGENT)));
        assert_eq!((heard.header("content-length"), &heard.body[..]), (Some("5"), &b"hello"[..]));
        assert!(heard.connection < 2);
    }
}

#[tokio::test]
async fn a_kept_connection_that_has_ended_is_no_fault() {
    let server = Server::saying(Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())).await;
    let fetch = Fetch::new();
    for number in 0..5 {
        assert_eq!(fetch.post(question(server.at("/"), "x")).await.map(|answer| answer.status), Ok(StatusCode::OK), "{number}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mut inner = Server::saying(Act::answer(200, "", b"secret")).await;
    let location = format!("location: http://{}/latest/meta-data\r\n", inner.address);
    for status in [301, 302, 303, 307, 308] {
        let server = Server::saying(Act::answer(status, &location, b"")).await;
        let answer = Fetch::new().post(question(server.at("/"), "x")).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    assert!(inner.heard.try_recv().is_err(), "nobody came");
}

#[tokio::test]
async fn a_server_that_is_slow_or_silent_is_left_at_the_deadline() {
    let late = Err(FetchError::Late(Duration::from_millis(400)));
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    for said in [Vec::new(), b"HTTP/1.1 200 OK\r\n".to_vec(), half] {
        let server = Server::saying(Act::Hang(said)).await;
        assert_eq!(Fetch::new().post(question(server.at("/"), "x")).await, late);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".iter().copied();
    let endless: Vec<u8> = endless.chain(b"100000\r\n".iter().copied()).chain(vec![b'x'; 0x10_0000]).collect();
    for act in [Act::answer(200, "", &[b'x'; 1_001]), Act::Hang(endless)] {
        let server = Server::saying(act).await;
        assert_eq!(Fetch::new().post(question(server.at("/"), "x")).await, Err(FetchError::TooLong(1_000)));
    }
    let server = Server::saying(Act::answer(200, "", &[b'x'; 1_000])).await;
    assert_eq!(Fetch::new().post(question(server.at("/"), "x")).await.unwrap().body.len(), 1_000);
    let unread = Question { answer_max: None, ..question(server.at("/"), "x") };
    assert_eq!(Fetch::new().post(unread).await.unwrap().status, StatusCode::OK);
    let heads = Server::saying(Act::answer(200, &format!("x-long: {}\r\n", "x".repeat(64 * 1024)), b"")).await;
    assert!(matches!(Fetch::new().post(question(heads.at("/"), "x")).await, Err(FetchError::Broken(_))));
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for said in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 9x9 No\r\n\r\n", b""] {
        let server = Server::saying(Act::Last(said.to_vec())).await;
        assert!(matches!(Fetch::new().post(question(server.at("/"), "x")).await, Err(FetchError::Broken(_))), "{said:?}");
    }
    let server = Server::saying(Act::answer(200, "", b"")).await;
    let over_tls: Target = format!("https://{}/", server.address).parse().unwrap();
    let over_tls = Fetch::new().post(question(over_tls, "x")).await;
    assert!(matches!(over_tls, Err(FetchError::Untrusted(_) | FetchError::Late(_))), "{over_tls:?}");
    let nobody: Target = "http://127.0.0.1:1/".parse().unwrap();
    let refused = Err(FetchError::Unreachable(io::ErrorKind::ConnectionRefused));
    assert_eq!(Fetch::new().post(question(nobody, "x")).await, refused);
}

#[tokio::test]
async fn our_own_networks_are_refused_however_they_are_spelled() {
    let mut server = Server::saying(Act::answer(200, "", b"secret")).await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::127.0.0.1]",
    ] {
        let target: Target = format!("http://{host}:{port}/").parse().expect(host);
        let asked = Question { reach: Reach::Public, ..question(target, "x") };
        let refused = Fetch::new().post(asked).await;
        assert!(matches!(refused, Err(FetchError::Forbidden(_) | FetchError::NoSuchHost)), "{host}: {refused:?}");
    }
    assert!(server.heard.try_recv().is_err(), "nobody came");
}

#[tokio::test]
async fn a_connection_that_was_made_under_another_reach_is_not_used() {
    let mut server = Server::saying(Act::answer(200, "", b"")).await;
    let fetch = Fetch::new();
    fetch.post(question(server.at("/"), "x")).await.unwrap();
    server.next().await;
    let asked = Question { reach: Reach::Public, ..question(server.at("/"), "x") };
    assert!(matches!(fetch.post(asked).await, Err(FetchError::Forbidden(_))));
}

#[tokio::test]
async fn a_body_that_nobody_wants_keeps_nobody_waiting() {
    let endless: Vec<u8> =
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n".iter().copied().chain(vec![b'x'; 1 << 20]).collect();
    for act in [Act::Hang(endless), Act::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec())] {
        let server = Server::saying(act).await;
        let asked = Question { answer_max: None, ..question(server.at("/"), "x") };
        assert_eq!(Fetch::new().post(asked).await.map(|answer| answer.status), Ok(StatusCode::OK));
    }
}
