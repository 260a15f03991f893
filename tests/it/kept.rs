//! What is still known when the daemon has been ended and started again.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::events::Daemon;
use crate::scratch::{Ports, Scratch};

/// Asks with a JSON body; gives the status and the JSON of the answer.
fn ask(daemon: &Daemon<'_>, method: &str, path: &str, body: &Value, more: &str) -> (u16, Value) {
    let mut stream: TcpStream = daemon.connect();
    let (body, kind) = (body.to_string(), "Content-Type: application/json\r\nConnection: close\r\n");
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: baton\r\n{kind}{more}Content-Length: {length}\r\n\r\n{body}")
        .expect("a request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn callbacks_of_any_day_are_listed_after_a_restart() {
    let (scratch, ports) = (Scratch::new(), Ports::free());
    scratch.write("baton.toml", &ports.configuration("sqlite:baton.db"));
    let daemon = Daemon::start(&scratch, &ports);
    let mut promised = Vec::new();
    for at in ["2037-03-04T15:00:00Z", "2036-03-05T15:00:00Z"] {
        let wanted = json!({"ae": "michael", "caller": "+15550123", "at": at, "timezone": "America/Chicago"});
        let (status, callback) = ask(&daemon, "POST", "/v1/callbacks", &wanted, "");
        assert_eq!(status, 201, "{callback}");
        promised.push(callback["id"].clone());
    }
    promised.reverse();
    let listed = |daemon: &Daemon<'_>| {
        let (status, page) = ask(daemon, "GET", "/v1/callbacks", &Value::Null, "");
        let items = page["items"].as_array().cloned().unwrap_or_default();
        (status, items.iter().map(|callback| callback["id"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(listed(&daemon), (200, promised.clone()), "the soonest first");
    daemon.kill();
    let daemon = Daemon::start(&scratch, &ports);
    assert_eq!(listed(&daemon), (200, promised));
}

#[test]
fn an_idempotency_key_places_one_call_over_a_crash() {
    let (scratch, ports) = (Scratch::new(), Ports::free());
    scratch.write("baton.toml", &ports.configuration("sqlite:baton.db"));
    let daemon = Daemon::start(&scratch, &ports);
    let place = |daemon: &Daemon<'_>, to: &str| {
        let wanted = json!({"to": to, "ai": "agent"});
        ask(daemon, "POST", "/v1/calls", &wanted, "Idempotency-Key: renewal-7\r\n")
    };
    let (status, first) = place(&daemon, "+15550177");
    assert_eq!(status, 201, "{first}");
    assert_eq!(place(&daemon, "+15550177").1["id"], first["id"], "while the daemon is up");
    daemon.kill();
    let daemon = Daemon::start(&scratch, &ports);
    let (status, again) = place(&daemon, "+15550177");
    assert_eq!((status, &again["id"]), (201, &first["id"]), "{again}");
    let (status, other) = place(&daemon, "+15550178");
    assert_eq!(status, 422, "{other}");
}
