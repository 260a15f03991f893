//! The operator's tools against a running daemon: what they print, and how they end.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::scratch::{Ended, Ports, Scratch};

const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "hush";

/// A phone or an AI without a voice: it says yes or no to whoever calls, and can call.
struct Peer(UdpSocket);

impl Peer {
    fn new() -> Peer {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        Peer(socket)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("it has an address").port()
    }

    fn description(&self) -> String {
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n".to_owned()
    }

    /// Answers each request of a call with `verdict` until the socket is silent for long.
    fn says(self, verdict: u16) {
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((length, from)) = self.0.recv_from(&mut buffer) {
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let status = if request.starts_with("INVITE") { verdict } else { 200 };
                if !request.starts_with("ACK") && !request.starts_with("SIP/2.0") {
                    self.0.send_to(self.response(&request, status).as_bytes(), from).expect("it is sent");
                }
            }
        });
    }

    fn response(&self, request: &str, status: u16) -> String {
        let mut answer = format!("SIP/2.0 {status} Said\r\n");
        for line in request.lines().take_while(|line| !line.is_empty()) {
            let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
            let tag = if line.starts_with("To:") && !line.contains("tag=") { ";tag=them" } else { "" };
            if kept {
                write!(answer, "{line}{tag}\r\n").expect("a text takes a text");
            }
        }
        let body = if status == 200 && request.starts_with("INVITE") { self.description() } else { String::new() };
        let (port, length) = (self.port(), body.len());
        format!(
            "{answer}Contact: <sip:them@127.0.0.1:{port}>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Sends a request and returns the first response that is final.
    fn ask(&self, to: u16, method: &str, id: &str) -> String {
        let (port, body) = (self.port(), self.description());
        let request = format!(
            "{method} sip:+15550100@127.0.0.1:{to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+15550123@127.0.0.1>;tag={id}\r\nTo: <sip:+15550100@127.0.0.1>\r\nCall-ID: {id}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:+15550123@127.0.0.1:{port}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let daemon = SocketAddr::from((Ipv4Addr::LOCALHOST, to));
        self.0.send_to(request.as_bytes(), daemon).expect("it is sent");
        let mut buffer = [0; 4_096];
        loop {
            let (length, _) = self.0.recv_from(&mut buffer).expect("an answer in time");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(&format!("Call-ID: {id}\r\n")) && !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }

    /// Calls and confirms; stays on the line and says yes to everything.
    fn calls(self, to: u16) {
        let answer = self.ask(to, "INVITE", "one");
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        let tag = answer.lines().find(|line| line.starts_with("To:")).expect("a To").to_owned();
        let port = self.port();
        let ack = format!(
            "ACK sip:127.0.0.1:{to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKack\r\nMax-Forwards: 70\r\n\
             From: <sip:+15550123@127.0.0.1>;tag=one\r\n{tag}\r\nCall-ID: one\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        );
        self.0.send_to(ack.as_bytes(), (Ipv4Addr::LOCALHOST, to)).expect("it is sent");
        self.says(200);
    }
}

/// A daemon whose AI says yes and whose AE is busy.
struct Place {
    scratch: Scratch,
    ports: Ports,
    daemon: Child,
}

impl Place {
    fn open() -> Place {
        let (scratch, ports) = (Scratch::new(), Ports::free());
        let (ai, michael) = (Peer::new(), Peer::new());
        let configuration = ports
            .configuration("sqlite:baton.db")
            .replace("[store]", &format!("token = \"{TOKEN}\"\n[store]"))
            .replace("sip:ai@127.0.0.1:9", &format!("sip:ai@127.0.0.1:{}", ai.port()))
            .replace("sip:michael@127.0.0.1:9", &format!("sip:michael@127.0.0.1:{}", michael.port()));
        scratch.write("baton.toml", &format!("{configuration}name = \"Michael\"\nhours = \"Mon-Sun 00:00-24:00\"\n"));
        ai.says(200);
        michael.says(486);
        let log = std::fs::File::create(scratch.path().join("log")).expect("a file for the log");
        let mut command = scratch.baton();
        command.args(["serve", "--config", "baton.toml"]).stdout(Stdio::null()).stderr(log);
        let place = Place { daemon: command.spawn().expect("the binary runs"), ports, scratch };
        let is_up = (0..200).any(|_| {
            let told = place.tool(&["aes"]);
            told.code == Some(0) || !place.waits()
        });
        assert!(is_up, "{}", std::fs::read_to_string(place.scratch.path().join("log")).unwrap_or_default());
        place
    }

    /// Lets a moment go by.
    fn waits(&self) -> bool {
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        nobody.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket has a timeout");
        nobody.recv(&mut [0]).is_err()
    }

    /// Runs a tool that knows the daemon by its configuration.
    fn tool(&self, words: &[&str]) -> Ended {
        self.scratch.run(&[words, &["--config", "baton.toml"]].concat())
    }

    /// What a tool says with exit 0.
    fn says(&self, words: &[&str]) -> String {
        let told = self.tool(words);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{words:?}: {told:?}");
        told.out
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[words, &["--json"]].concat())).expect("JSON")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}

/// One sentence on stderr that says all of `words`, nothing on stdout, and exit 1.
fn complains(told: &Ended, words: &[&str]) {
    assert_eq!((told.code, told.out.as_str(), told.err.lines().count()), (Some(1), "", 1), "{told:?}");
    assert!(words.iter().all(|word| told.err.contains(word)), "{words:?}: {told:?}");
}

#[test]
fn a_call_is_seen_transferred_and_explained_and_baton_is_emptied() {
    let place = Place::open();
    assert_eq!(place.says(&["calls"]), "There are no calls.\n");
    assert_eq!(place.says(&["callbacks"]), "There are no callbacks.\n");
    let aes = place.says(&["aes"]);
    assert!(aes.starts_with("AE       NAME     NOW   SAYS"), "{aes}");
    assert!(aes.contains("\nmichael  Michael  free  available"), "{aes}");

    Peer::new().calls(place.ports.sip);
    let calls = place.json(&["calls"]);
    let call = calls["items"][0]["id"].as_str().expect("a call").to_owned();
    let listed = place.says(&["calls"]);
    assert!(listed.contains(&call) && listed.contains("+15550123  +15550100") && listed.contains("the AI"), "{listed}");
    let shown = place.says(&["call", &call]);
    assert!(shown.contains("\n  speaks    the AI\n") && shown.contains("\nAI      up"), "{shown}");
    complains(&place.tool(&["transfer", &call, "--to", "nobody"]), &["No such target: \"nobody\"", "(to)"]);

    let asked = place.says(&["transfer", &call, "--to", "michael"]);
    let id = asked.split_once(':').expect("an id and a sentence").0;
    let busy = "Michael was busy (SIP 486 Said).";
    let explained = (0..100).map(|_| place.says(&["explain", id])).find(|text| text.contains(busy) || !place.waits());
    let explained = explained.expect("explained in time");
    assert!(explained.contains("A warm transfer to Michael was asked for at "), "{explained}");
    assert!(explained.contains(" s  Michael is dialled\n"), "{explained}");
    let json = place.json(&["explain", id]);
    assert_eq!(json["transfer"]["attempts"][0]["outcome"], "busy");
    assert_eq!(json["sentences"][1], busy);
    assert_eq!(json["events"][0]["type"], "transfer.requested");

    emptied(&place, &call);
}

/// No new calls from outside, the one that is up goes on, and `--wait` returns when it has gone.
fn emptied(place: &Place, call: &str) {
    assert_eq!(place.says(&["drain"]), "New calls are refused; 1 call is left.\n");
    let stranger = Peer::new();
    let refused = stranger.ask(place.ports.sip, "OPTIONS", "two");
    assert!(refused.starts_with("SIP/2.0 503") && refused.contains("Retry-After: 30"), "{refused}");
    let refused = stranger.ask(place.ports.sip, "INVITE", "three");
    assert!(refused.starts_with("SIP/2.0 503") && refused.contains("Retry-After: 30"), "{refused}");
    assert!(request(place, "GET", "/readyz").starts_with("HTTP/1.1 503"));
    assert!(request(place, "GET", "/metrics").contains("\nbaton_draining 1\n"));
    let mut waiting = place.scratch.baton();
    waiting.args(["drain", "--wait", "--config", "baton.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = waiting.spawn().expect("the binary runs");
    place.waits();
    assert_eq!(waiting.try_wait().expect("it is ours"), None, "a call is left");
    assert!(request(place, "DELETE", &format!("/v1/calls/{call}")).starts_with("HTTP/1.1 200"));
    let told = Ended::from(waiting.wait_with_output().expect("it ends"));
    assert_eq!((told.code, told.out.as_str()), (Some(0), "New calls are refused; no call is left.\n"), "{told:?}");
    assert_eq!(place.json(&["drain", "--off"]), serde_json::json!({"draining": false, "calls": 0}));
    assert!(request(place, "GET", "/readyz").starts_with("HTTP/1.1 200"));
    assert!(stranger.ask(place.ports.sip, "OPTIONS", "four").starts_with("SIP/2.0 200"));
}

fn request(place: &Place, method: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, place.ports.http)).expect("HTTP is there");
    stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: baton\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}

#[test]
fn what_is_wrong_is_one_sentence_that_names_the_url() {
    let place = Place::open();
    let url = format!("http://127.0.0.1:{}", place.ports.http);
    let ghost = "00000000000070008000000000000000";
    let (call, transfer) = (format!("c_{ghost}"), format!("t_{ghost}"));
    let commands: [&[&str]; 7] =
        [&["calls"], &["call", &call], &["transfer", &call], &["aes"], &["callbacks"], &["explain", &transfer], &["drain"]];
    for words in commands {
        let with = |more: &[&str]| place.scratch.run(&[words, more].concat());
        complains(&with(&["--url", "http://127.0.0.1:1"]), &["http://127.0.0.1:1 cannot be reached: nobody listens there"]);
        complains(&with(&["--url", &url]), &[&url, "Token needed", "BATON_TOKEN"]);
        complains(&with(&["--url", &url, "--token", "loud", "--json"]), &[&url, "Token needed"]);
    }
    for words in [&commands[1], &commands[2], &commands[5]] {
        complains(&place.tool(words), &[&url, "No such thing: there is no", ghost]);
    }
    let mut surroundings = place.scratch.baton();
    surroundings.arg("calls").env("BATON_URL", &url).env("BATON_TOKEN", TOKEN);
    assert_eq!(Ended::from(surroundings.output().expect("the binary runs")).out, "There are no calls.\n");
    complains(&place.tool(&["calls", "--url", "https://127.0.0.1"]), &["https://127.0.0.1", "https is not spoken"]);
    assert_eq!(place.tool(&["call", "nonsense"]).code, Some(2), "that is no id");
    assert_eq!(place.tool(&["drain", "--off", "--wait"]).code, Some(2), "one or the other");
}
