//! Events as other programs hear them: a stream that survives a restart, and webhooks.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::scratch::{Ports, Scratch, now};

const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that can be ended and started again over the same store.
pub(crate) struct Daemon<'a> {
    child: Child,
    ports: &'a Ports,
}

impl<'a> Daemon<'a> {
    pub(crate) fn start(scratch: &Scratch, ports: &'a Ports) -> Daemon<'a> {
        let log = fs::File::options().create(true).append(true).open(scratch.path().join("log")).expect("a file for the log");
        let mut command = scratch.baton();
        let child = command.args(["serve", "--config", "baton.toml"]).stdout(Stdio::null()).stderr(log).spawn();
        let daemon = Daemon { child: child.expect("the binary runs"), ports };
        let begun = now();
        while !daemon.is_ready() {
            let log = fs::read_to_string(scratch.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "never ready: {log}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        daemon
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.http)) else { return false };
        let mut answer = String::new();
        stream.set_read_timeout(Some(PATIENCE)).is_ok()
            && stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: baton\r\nConnection: close\r\n\r\n").is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// Makes one event: Michael is there, or is not.
    fn happen(&self, presence: &str) {
        let body = format!("{{\"presence\":\"{presence}\"}}");
        let mut stream = self.connect();
        let length = body.len();
        let head = "PATCH /v1/aes/michael HTTP/1.1\r\nHost: baton\r\nConnection: close\r\nContent-Type: application/json\r\n";
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").expect("a request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer comes");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.http)).expect("HTTP is there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
        stream
    }

    /// The numbers of the next `count` events after `last`.
    fn follow(&self, last: u64, count: usize) -> Vec<u64> {
        let mut stream = self.connect();
        write!(stream, "GET /v1/events HTTP/1.1\r\nHost: baton\r\nLast-Event-ID: {last}\r\n\r\n").expect("a request is taken");
        let lines = BufReader::new(stream).lines();
        let numbers = lines.filter_map(|line| line.expect("the stream goes on").strip_prefix("id: ")?.parse().ok());
        numbers.take(count).collect()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_subscriber_misses_nothing_over_a_crash_and_hears_nothing_twice() {
    let (scratch, ports) = (Scratch::new(), Ports::free());
    scratch.write("baton.toml", &ports.configuration("sqlite:baton.db"));
    let daemon = Daemon::start(&scratch, &ports);
    ["dnd", "available", "away"].into_iter().for_each(|presence| daemon.happen(presence));
    let heard = daemon.follow(0, 3);
    assert_eq!(heard, [1, 2, 3]);
    ["dnd", "available"].into_iter().for_each(|presence| daemon.happen(presence));
    assert_eq!(daemon.follow(3, 2), [4, 5], "what is on record");
    daemon.kill();
    let daemon = Daemon::start(&scratch, &ports);
    daemon.happen("dnd");
    assert_eq!(daemon.follow(3, 3), [4, 5, 6], "the past of the last run, then the present");
}

/// A receiver of webhooks that answers 204 to everything.
struct Receiver(TcpListener);

impl Receiver {
    fn new() -> Receiver {
        Receiver(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"))
    }

    fn next(&self) -> TcpStream {
        self.0.set_nonblocking(true).expect("a listener has options");
        let begun = now();
        loop {
            match self.0.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a stream has options");
                    return stream;
                }
                Err(fault) => assert!(begun.elapsed() < PATIENCE, "nobody connects: {fault}"),
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The heads and the bodies of so many requests and when they were there, one connection after the other.
    fn hear(&self, count: usize) -> Vec<Heard> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let mut reader = reader(self.next());
            while heard.len() < count
                && let Some(request) = answer(&mut reader)
            {
                heard.push(request);
            }
        }
        heard
    }

    /// The same with all connections side by side, as servers do it.
    fn hear_side_by_side(self, count: usize) -> Vec<Heard> {
        let (tell, heard) = std::sync::mpsc::sync_channel(count);
        self.0.set_nonblocking(true).expect("a listener has options");
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ended);
        let door = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok((stream, _)) = self.0.accept() {
                    stream.set_nonblocking(false).expect("a stream has options");
                    let (mut reader, tell) = (reader(stream), tell.clone());
                    std::thread::spawn(move || while answer(&mut reader).is_some_and(|request| tell.send(request).is_ok()) {});
                }
                std::thread::park_timeout(Duration::from_millis(1)); // until the next look
            }
        });
        let next = || heard.recv_timeout(PATIENCE * 3).expect("a request comes");
        let all = (0..count).map(|_| next()).collect();
        ended.store(true, Ordering::Relaxed);
        door.join().expect("the door can be closed");
        all
    }
}

/// A request: its head, its body, and when it was there.
type Heard = (String, serde_json::Value, Instant);

fn reader(stream: TcpStream) -> BufReader<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
    stream.set_nodelay(true).expect("a stream has options");
    BufReader::new(stream)
}

/// Reads a request and answers 204; nothing once the connection has ended or says nothing any more.
fn answer(reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    if !head.ends_with("\r\n\r\n") {
        return None;
    }
    for line in head.lines() {
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = text.parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body is whole");
    let at = now();
    reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer is taken");
    Some((head, serde_json::from_slice(&body).expect("a body is JSON"), at))
}

fn with_webhook(ports: &Ports, receiver: &Receiver) -> String {
    let at = receiver.0.local_addr().expect("it is bound");
    let store = ports.configuration("sqlite:baton.db");
    format!(
        "{store}[[webhook]]\nurl = \"http://{at}/baton\"\nsecret = \"hush-hush\"\nevents = [\"ae.*\"]\nallow_private = true\n"
    )
}

#[test]
fn a_webhook_hears_of_what_happened_while_nobody_listened_and_the_daemon_was_killed() {
    let (scratch, ports, receiver) = (Scratch::new(), Ports::free(), Receiver::new());
    let configuration = with_webhook(&ports, &receiver);
    scratch.write("baton.toml", &configuration);
    let daemon = Daemon::start(&scratch, &ports);
    ["dnd", "available", "away"].into_iter().for_each(|presence| daemon.happen(presence));
    assert_eq!(daemon.follow(0, 3), [1, 2, 3], "they are on record");
    daemon.kill();
    let daemon = Daemon::start(&scratch, &ports);
    // What was under way when the daemon was killed comes twice: `webhook-id` says so.
    let mut seqs = std::collections::BTreeSet::new();
    while seqs.len() < 3 {
        let (head, body, _) = receiver.hear(1).remove(0);
        assert!(head.starts_with("POST /baton HTTP/1.1\r\n"), "{head}");
        for header in ["webhook-id: ", "webhook-timestamp: ", "webhook-signature: v1,"] {
            assert!(head.contains(header), "{header} in {head}");
        }
        assert_eq!(body["type"], "ae.presence_changed");
        seqs.extend(body["seq"].as_u64());
    }
    assert_eq!(seqs.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    drop(daemon);
}

/// `cargo test --release -p baton --test it -- --ignored webhook --nocapture` on a machine that does nothing else.
#[test]
#[ignore = "a figure, for a quiet machine"]
fn a_webhook_to_a_local_receiver_is_there_50_ms_after_the_change_in_99_of_100_cases() {
    let (scratch, ports, receiver) = (Scratch::new(), Ports::free(), Receiver::new());
    scratch.write("baton.toml", &with_webhook(&ports, &receiver));
    let daemon = Daemon::start(&scratch, &ports);
    const COUNT: usize = 1_000;
    let hearing = std::thread::spawn(move || receiver.hear_side_by_side(COUNT));
    let mut asked = Vec::new();
    for number in 0..COUNT {
        asked.push(now());
        daemon.happen(["dnd", "available"][number % 2]);
    }
    let mut delays: Vec<Duration> = Vec::new();
    for (_, body, at) in hearing.join().expect("all are heard") {
        let seq = usize::try_from(body["seq"].as_u64().expect("an event has a number")).expect("a small number");
        delays.push(at.saturating_duration_since(asked[seq - 1]));
    }
    delays.sort();
    println!("from the request that changes something to the webhook, {COUNT} times:");
    println!("p50 {:?}, p99 {:?}, longest {:?}", delays[COUNT / 2], delays[COUNT * 99 / 100], delays[COUNT - 1]);
    assert!(delays[COUNT * 99 / 100] <= Duration::from_millis(50));
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused_in_one_sentence() {
    let (scratch, ports, other) = (Scratch::new(), Ports::free(), Ports::free());
    scratch.write("baton.toml", &ports.configuration("sqlite:baton.db"));
    let daemon = Daemon::start(&scratch, &ports);
    scratch.write("other.toml", &other.configuration("sqlite:baton.db"));
    let ended = scratch.run(&["serve", "--config", "other.toml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let pid = daemon.child.id();
    let sentence =
        format!("baton: the store baton.db is in use by another baton (process {pid}); each needs a store of its own\n");
    assert_eq!(ended.err, sentence);
    daemon.kill();
    drop(Daemon::start(&scratch, &ports));
}
