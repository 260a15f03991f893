//! SIP by TCP, with Baton as the one that opens the connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::scratch::{Ports, Scratch, now};

const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon whose only AI is called by TCP, and who calls it.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) sip: SocketAddr,
    caller: UdpSocket,
    scratch: Scratch,
}

impl Daemon {
    fn start(ai: SocketAddr) -> Daemon {
        Daemon::with(Scratch::new(), &format!("sip:ai@{ai};transport=tcp"), |_, text| text)
    }

    /// A daemon with this AI, and whatever else `more` makes of its configuration.
    pub(crate) fn with(scratch: Scratch, ai: &str, more: impl FnOnce(&Ports, String) -> String) -> Daemon {
        let ports = Ports::free();
        let caller = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the caller");
        caller.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let trunk = caller.local_addr().expect("it is bound");
        let text =
            ports.configuration("sqlite:baton.db").replacen("uri = \"sip:127.0.0.1:9\"", &format!("uri = \"sip:{trunk}\""), 1);
        let text = text.replacen("sip:ai@127.0.0.1:9", ai, 1);
        // A caller whom no AI takes is refused, instead of being taken to a human.
        let text = text.replacen("ai = \"agent\"", "ai = \"agent\"\nrescue = \"none\"", 1);
        scratch.write("baton.toml", &more(&ports, text));
        let log = std::fs::File::create(scratch.path().join("log")).expect("a file for the log");
        let mut command = scratch.baton();
        command.args(["serve", "--config", "baton.toml"]).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the binary runs");
        let daemon = Daemon { child, sip: (Ipv4Addr::LOCALHOST, ports.sip).into(), caller, scratch };
        daemon.is_up(&ports);
        daemon
    }

    fn is_up(&self, ports: &Ports) {
        let until = now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, ports.http)).is_err() {
            assert!(now() < until, "the daemon does not come up");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn call(&self, number: u32) {
        let from = self.caller.local_addr().expect("it is bound");
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let text = format!(
            "INVITE sip:100@{} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:jamie@{from}>;tag=c{number}\r\nTo: <sip:100@{}>\r\nCall-ID: {number}@caller\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:jamie@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            self.sip,
            self.sip,
            sdp.len()
        );
        self.caller.send_to(text.as_bytes(), self.sip).expect("a datagram leaves");
    }

    /// The next final answer to the caller.
    pub(crate) fn answered(&self) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let length = self.caller.recv(&mut buffer).expect("an answer comes");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The AI's end of a connection.
pub(crate) struct Stream {
    stream: Box<dyn ReadWrite>,
    here: SocketAddr,
    transport: &'static str,
    read: String,
    /// What was heard last: the same bytes once more are a repetition, which a transaction takes no notice of (RFC 3261 §17.2.1).
    last: String,
}

/// Both directions of a stream.
pub(crate) trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

impl Stream {
    pub(crate) fn new(stream: Box<dyn ReadWrite>, here: SocketAddr, transport: &'static str) -> Stream {
        Stream { stream, here, transport, read: String::new(), last: String::new() }
    }

    fn accept(listener: &TcpListener) -> Stream {
        listener.set_nonblocking(true).expect("a listener can be asked");
        let until = now() + PATIENCE;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(fault) => assert!(now() < until, "Baton does not connect: {fault}"),
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        stream.set_nonblocking(false).expect("a stream can wait");
        stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
        let here = stream.local_addr().expect("it is connected");
        Stream::new(Box::new(stream), here, "tcp")
    }

    /// The next message, which must be this request; a call that went down with an earlier connection may say its BYE first.
    pub(crate) fn hears(&mut self, method: &str) -> String {
        loop {
            if let Some(end) = self.read.find("\r\n\r\n") {
                let length: usize = header(&self.read, "Content-Length").parse().expect("a number");
                if self.read.len() >= end + 4 + length {
                    let message: String = self.read.drain(..end + 4 + length).collect();
                    if message.starts_with("BYE ") || message == self.last {
                        continue;
                    }
                    self.last.clone_from(&message);
                    assert!(message.starts_with(method), "{method}: {message}");
                    return message;
                }
            }
            let mut buffer = [0; 4_096];
            let length = self.stream.read(&mut buffer).expect("Baton says something");
            assert!(length > 0, "Baton has closed the connection");
            self.read.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    fn answers(&mut self, request: &str, status: u16, sdp: &str) {
        let header = |name| format!("{name}: {}\r\n", header(request, name));
        let (via, from, to) = (header("Via"), header("From"), header("To").replace("\r\n", ";tag=ai\r\n"));
        let (here, transport) = (self.here, self.transport);
        let text = format!(
            "SIP/2.0 {status} Fine\r\n{via}{from}{to}{}{}Contact: <sip:ai@{here};transport={transport}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            header("Call-ID"),
            header("CSeq"),
            sdp.len()
        );
        self.stream.write_all(text.as_bytes()).expect("Baton reads");
    }

    pub(crate) fn takes_a_call(&mut self) -> String {
        let invite = self.hears("INVITE");
        let sdp = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4002 RTP/AVP 0\r\n";
        self.answers(&invite, 200, sdp);
        self.hears("ACK");
        invite
    }
}

impl Stream {
    /// The AI ends the call that it was asked for by `invite`.
    pub(crate) fn says_bye(&mut self, invite: &str) {
        let (from, to) = (header(invite, "To"), header(invite, "From"));
        let target = header(invite, "Contact").trim_matches(['<', '>']);
        let text = format!(
            "BYE {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\nFrom: {from};tag=ai\r\nTo: {to}\r\n\
             Call-ID: {}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
            self.transport.to_ascii_uppercase(),
            self.here,
            header(invite, "Call-ID"),
        );
        self.stream.write_all(text.as_bytes()).expect("Baton reads");
    }
}

pub(crate) fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let lines = message.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name} in {message}")).1
}

#[test]
fn an_ai_is_called_by_tcp_and_all_calls_share_its_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the AI");
    let daemon = Daemon::start(listener.local_addr().expect("it is bound"));
    daemon.call(1);
    let mut stream = Stream::accept(&listener);
    let invite = stream.takes_a_call();
    assert!(
        header(&invite, "Via").starts_with("SIP/2.0/TCP ") && header(&invite, "Contact").contains(";transport=tcp"),
        "{invite}"
    );
    assert!(daemon.answered().starts_with("SIP/2.0 200"));
    daemon.call(2);
    stream.takes_a_call();
    assert!(listener.accept().is_err(), "one connection is enough");
}

#[test]
fn a_connection_that_is_gone_is_opened_again_and_a_peer_that_is_gone_is_503() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the AI");
    let daemon = Daemon::start(listener.local_addr().expect("it is bound"));
    daemon.call(1);
    let mut stream = Stream::accept(&listener);
    stream.takes_a_call();
    assert!(daemon.answered().starts_with("SIP/2.0 200"));
    drop(stream);
    daemon.call(2);
    let mut stream = Stream::accept(&listener);
    stream.takes_a_call();
    drop((stream, listener));
    let begun = now();
    loop {
        daemon.call(3);
        let answer = daemon.answered();
        if header(&answer, "Call-ID").starts_with('3') {
            assert!(answer.starts_with("SIP/2.0 503"), "{answer}");
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "a refusal is noticed at once, not when the AI's time is over");
}
