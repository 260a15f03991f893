//! The socket under the application: what does not come in time, and what is too much.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::serve::{Limits, serve_within};

/// A served application with narrow limits.
async fn served(connections_max: usize) -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let limits = Limits { connections_max, head_within: Duration::from_millis(200) };
    let router = Stage::new().will_answer(Reply::Context(Box::default())).router;
    tokio::spawn(serve_within(limits, listener, router, async move { drop(ended.await) }));
    (address, end)
}

/// What is answered to these bytes until the connection ends.
async fn say(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), client.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is not left open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let (address, _end) = served(8).await;
    for begun in [&b""[..], b"GET /heal", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"] {
        let answer = say(address, begun).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    let answer = say(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "and a connection without a next request is closed: {answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (address, _end) = served(8).await;
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(400 * 1024));
    let answer = say(address, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away_and_room_comes_back() {
    let (address, _end) = served(2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(client);
    }
    assert!(say(address, b"").await.starts_with("HTTP/1.1 503"));
    drop(held);
    let close = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut tries = 0;
    while !say(address, close).await.starts_with("HTTP/1.1 200") {
        tries += 1;
        assert!(tries < 1_000, "room comes back");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stage = Stage::with(|settings| settings.body_within = Duration::from_millis(100));
    tokio::spawn(crate::serve(listener, stage.router, std::future::pending()));
    let head = format!("PUT /v1/calls/{}/context HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", ids().0);
    let answer = say(address, format!("{head}content-length: 20\r\n\r\n{{\"summary").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}
