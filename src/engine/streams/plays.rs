//! Connections over the loopback, with a queue in place of the engine.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{Receiver, sync_channel};

use baton_switchboard::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const OPTIONS: &[u8] =
    b"OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
    Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

/// Somebody who listens, and what the engine would hear of it.
struct Stage {
    runtime: Runtime,
    at: SocketAddr,
    heard: Receiver<Request>,
    streams: Streams,
    _poll: mio::Poll,
}

impl Stage {
    fn of(transport: Transport) -> Stage {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let poll = mio::Poll::new().expect("a poll");
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker"));
        let (queue, heard) = sync_channel(64);
        let streams = Streams::new(Door::new(queue, waker), None, Known::default());
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let at = listener.local_addr().expect("it is bound");
        runtime.spawn(streams.clone().listen(StreamListener { transport, listener, local: at }));
        Stage { runtime, at, heard, streams, _poll: poll }
    }

    fn next(&self) -> Request {
        self.heard.recv_timeout(PATIENCE).expect("the engine hears of it")
    }

    /// Sends all of it and reads until as much has come back as is expected.
    fn says(&self, stream: &mut TcpStream, bytes: &[u8], back: usize) -> Vec<u8> {
        self.runtime.block_on(async {
            stream.write_all(bytes).await.expect("it is read");
            let mut heard = vec![0; back];
            tokio::time::timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("in time").expect("it comes");
            heard
        })
    }

    fn connect(&self) -> TcpStream {
        self.runtime.block_on(TcpStream::connect(self.at)).expect("somebody listens")
    }

    /// Everything until the far side closes.
    fn rest(&self, stream: &mut TcpStream) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await });
        assert!(read.is_ok(), "it is closed");
        rest
    }
}

#[test]
fn a_stream_is_opened_heard_answered_and_closed() {
    let stage = Stage::of(Transport::Tcp);
    let mut stream = stage.connect();
    assert_eq!(stage.says(&mut stream, b"\r\n\r\n", 2), b"\r\n", "a ping gets its pong");
    let Request::StreamOpened(opened) = stage.next() else { panic!("first of all it is open") };
    assert_eq!(opened.transport, Transport::Tcp);
    opened.queue.try_send(Bytes::from_static(b"SIP/2.0 200 OK\r\n")).expect("there is room");
    assert_eq!(stage.says(&mut stream, OPTIONS, 16), b"SIP/2.0 200 OK\r\n");
    let Request::Stream(incoming) = stage.next() else { panic!("then it is heard") };
    assert_eq!((incoming.transport, incoming.connection, &incoming.bytes[..]), (Transport::Tcp, Some(opened.id), OPTIONS));
    drop(stream);
    let Request::StreamClosed(id, heard) = stage.next() else { panic!("then it is closed") };
    assert_eq!((id, heard), (opened.id, Heard::Something));
}

#[test]
fn a_stream_that_cannot_be_understood_is_closed() {
    let stage = Stage::of(Transport::Tcp);
    let mut stream = stage.connect();
    stage.says(&mut stream, b"OPTIONS sip:b@h SIP/2.0\r\nContent-Length: many\r\n\r\n", 0);
    assert_eq!(stage.rest(&mut stream), b"");
    assert!(matches!(stage.next(), Request::StreamOpened(_)));
    assert!(matches!(stage.next(), Request::StreamClosed(_, Heard::Nothing)));
}

#[test]
fn a_websocket_carries_messages_both_ways_and_a_web_page_gets_none() {
    let stage = Stage::of(Transport::Ws);
    let url = format!("ws://{}/", stage.at);
    let mut request = tungstenite::client::IntoClientRequest::into_client_request(&url).expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().expect("a value"));
    let plain = std::net::TcpStream::connect(stage.at).expect("somebody listens");
    plain.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
    let (mut socket, response) = tungstenite::client(request, plain).expect("it becomes a WebSocket");
    assert_eq!(response.headers().get("Sec-WebSocket-Protocol").map(|value| value.as_bytes()), Some(&b"sip"[..]));
    let Request::StreamOpened(opened) = stage.next() else { panic!("first of all it is open") };
    let text = String::from_utf8(OPTIONS.to_vec()).expect("a text");
    socket.send(tungstenite::Message::text(text.clone())).expect("it is read");
    socket.send(tungstenite::Message::binary(OPTIONS)).expect("it is read");
    socket.send(tungstenite::Message::text("\r\n\r\n")).expect("it is read");
    assert_eq!(socket.read().expect("a pong"), tungstenite::Message::text("\r\n"));
    for _ in 0..2 {
        let Request::Stream(incoming) = stage.next() else { panic!("then it is heard") };
        assert_eq!((incoming.transport, &incoming.bytes[..]), (Transport::Ws, OPTIONS));
    }
    for (sent, read) in [
        (Bytes::from(text.clone()), tungstenite::Message::text(text)),
        (Bytes::from_static(b"\xff\xfe"), tungstenite::Message::binary(&b"\xff\xfe"[..])),
    ] {
        opened.queue.try_send(sent).expect("there is room");
        assert_eq!(socket.read().expect("a message"), read);
    }
    socket.send(tungstenite::Message::Ping("are you there".into())).expect("it is read");
    assert_eq!(socket.read().expect("a pong"), tungstenite::Message::Pong("are you there".into()));
    socket.close(None).expect("it closes");
    while socket.read().is_ok() {}
    assert!(matches!(stage.next(), Request::StreamClosed(_, Heard::Something)));

    let mut page = stage.connect();
    stage.says(&mut page, b"GET / HTTP/1.1\r\nHost: baton\r\n\r\n", 0);
    assert!(stage.rest(&mut page).starts_with(b"HTTP/1.1 426 "));
}

/// Calls a peer by WebSocket, with this to be said; gives the peer's end of the connection.
fn called_by_web_socket(stage: &Stage, said: &'static [u8]) -> std::net::TcpStream {
    let accepted = stage.runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let remote = listener.local_addr().expect("it is bound");
        let (queue, outgoing) = mpsc::channel(4);
        queue.try_send(Bytes::from_static(said)).expect("there is room");
        let call = Call { id: ConnectionId(7), transport: Transport::Ws, local: stage.at, remote, server: None };
        let streams = stage.streams.clone();
        tokio::spawn(async move {
            streams.call(call, outgoing).await;
            drop(queue);
        });
        tokio::time::timeout(PATIENCE, listener.accept()).await.expect("in time").expect("it is called").0
    });
    let plain = accepted.into_std().expect("a stream");
    plain.set_nonblocking(false).expect("it can wait");
    plain.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
    plain
}

#[test]
fn whoever_is_called_by_websocket_is_asked_for_one_that_speaks_sip_and_answers_by_it() {
    let stage = Stage::of(Transport::Ws);
    let peer = called_by_web_socket(&stage, OPTIONS);
    #[expect(clippy::result_large_err, reason = "the type is that of the server's library")]
    let sip = |request: &tungstenite::handshake::server::Request, mut response: tungstenite::handshake::server::Response| {
        let asked = request.headers().get("Sec-WebSocket-Protocol").map(|value| value.as_bytes());
        assert_eq!(asked, Some(&b"sip"[..]));
        response.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().expect("a value"));
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(peer, sip).expect("it becomes a WebSocket");
    // A server's library refuses what a client has not masked.
    assert_eq!(socket.read().expect("a message").into_data(), OPTIONS);
    socket.send(tungstenite::Message::text("SIP/2.0 200 OK\r\n\r\n")).expect("it is read");
    let Request::Stream(incoming) = stage.next() else { panic!("it is heard") };
    assert_eq!((incoming.transport, incoming.connection), (Transport::Ws, Some(ConnectionId(7))));
    assert_eq!(&incoming.bytes[..], b"SIP/2.0 200 OK\r\n\r\n");
    socket.close(None).expect("it closes");
    while socket.read().is_ok() {}
    assert!(matches!(stage.next(), Request::StreamClosed(ConnectionId(7), Heard::Something)));
}

#[test]
fn a_peer_that_answers_with_a_web_page_cannot_be_called_by_websocket() {
    let stage = Stage::of(Transport::Ws);
    let mut peer = called_by_web_socket(&stage, OPTIONS);
    std::io::Write::write_all(&mut peer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("it is read");
    assert!(matches!(stage.next(), Request::StreamClosed(ConnectionId(7), Heard::Nothing)));
}

#[test]
fn frames_that_break_the_rules_get_a_reason_and_the_end() {
    let stage = Stage::of(Transport::Ws);
    let mut stream = stage.connect();
    let ask = b"GET / HTTP/1.1\r\nHost: baton\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n\x81\x01x";
    stage.says(&mut stream, ask, 0);
    let rest = stage.rest(&mut stream);
    assert!(
        rest.starts_with(b"HTTP/1.1 101 ") && rest.ends_with(&[0x88, 2, 0x03, 0xea]),
        "{:?}",
        rest.escape_ascii().to_string()
    );
}

#[test]
fn one_network_has_so_many_places_and_leaves_room_for_others() {
    let known: Network = "192.0.2.0/24".parse().expect("a network");
    let guests = Arc::new(Guests::new(Known(vec![known])));
    let from = |last: u8| IpAddr::from([198, 51, 100, last]);
    let mut places: Vec<Place> = (0..16).map(|_| Guests::admit(&guests, from(7)).expect("there is room")).collect();
    let refused = |address| Guests::admit(&guests, address).err().map(guests::Refusal::name);
    assert_eq!(refused(from(7)), Some("connections"), "too many have said nothing yet");
    assert_eq!(refused(from(8)), None, "that is somebody else");
    places.iter().for_each(Place::proven);
    places.extend((0..16).map(|_| Guests::admit(&guests, from(7)).expect("those have spoken")));
    drop(places);
    assert_eq!(guests.counts(), (0, 0, 2));
    let six = |tail: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, tail]);
    let subscriber: Vec<Place> = (0..16).map(|tail| Guests::admit(&guests, six(tail)).expect("there is room")).collect();
    assert_eq!(refused(six(99)), Some("connections"), "a /64 is one subscriber");
    drop(subscriber);
    let trunk: Vec<Place> = (0..300).map(|_| Guests::admit(&guests, [192, 0, 2, 1].into()).expect("it is known")).collect();
    assert_eq!(guests.counts().0, 300);
    assert_eq!(guests.counts().1, 256, "the oldest of those who say nothing make room");
    drop(trunk);
    assert_eq!((guests.counts().0, guests.counts().1), (0, 0));
}

#[test]
fn whoever_comes_too_often_has_to_wait() {
    let guests = Arc::new(Guests::new(Known::default()));
    let address = IpAddr::from([203, 0, 113, 9]);
    let admitted = (0..200).filter(|_| Guests::admit(&guests, address).is_ok()).count();
    // What comes back in the meantime depends on how slow this machine is.
    assert!((40..200).contains(&admitted), "{admitted}");
}
