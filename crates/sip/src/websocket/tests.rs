use bytes::Bytes;

use super::{Frame, FrameFault, Frames, Mask, Opcode, Opening, OpeningFault, Refusal, Upgrade, write};
use crate::wire::limits;

const KEY: Mask = Mask::Client([1, 2, 3, 4]);
const ASK: &str = "GET /sip HTTP/1.1\r\nHost: baton.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://desk.example\r\nSec-WebSocket-Protocol: sip\r\n\
                   Sec-WebSocket-Version: 13\r\n\r\n";

fn all(frames: &mut Frames) -> Result<Vec<Frame>, FrameFault> {
    let mut found = Vec::new();
    while let Some(frame) = frames.next()? {
        found.push(frame);
    }
    Ok(found)
}

fn from_client(bytes: &[u8]) -> Result<Vec<Frame>, FrameFault> {
    let mut frames = Frames::from_client();
    frames.push(bytes);
    all(&mut frames)
}

/// The frame with other bits in its first byte.
fn first(frame: &Bytes, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    bytes[0] = change(bytes[0]);
    bytes
}

#[test]
fn the_answer_of_rfc_6455_comes_out_for_its_key() {
    let response = Upgrade::read(ASK.as_bytes()).expect("a request").response();
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{response}");
    assert!(response.contains("\r\nSec-WebSocket-Protocol: sip\r\n") && response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn a_request_that_is_none_for_sip_is_refused_with_a_reason() {
    for (from, to, refusal) in [
        ("GET ", "POST ", Refusal::Method),
        ("HTTP/1.1", "HTTP/1.0", Refusal::Malformed),
        ("Host: baton.example\r\n", "", Refusal::Malformed),
        ("Host:", "Host :", Refusal::Malformed),
        ("Origin:", " folded:", Refusal::Malformed),
        ("Origin: ", "Content-Length: 5\r\nOrigin: ", Refusal::Malformed),
        ("Origin: ", "Sec-WebSocket-Version: 13\r\nOrigin: ", Refusal::Malformed),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", Refusal::Malformed),
        ("Upgrade: websocket", "Upgrade: h2c", Refusal::NoUpgrade),
        ("keep-alive, Upgrade", "keep-alive", Refusal::NoUpgrade),
        ("Version: 13", "Version: 8", Refusal::Version),
        ("Protocol: sip", "Protocol: mqtt", Refusal::Protocol),
        ("Sec-WebSocket-Protocol: sip\r\n", "", Refusal::Protocol),
    ] {
        let asked = ASK.replacen(from, to, 1);
        assert_eq!(Upgrade::read(asked.as_bytes()), Err(refusal), "{asked}");
        assert!(refusal.response().ends_with("\r\n\r\n"));
    }
    assert!(Upgrade::read(ASK.replace("Protocol: sip", "Protocol: msrp, SIP").as_bytes()).is_ok());
    for garbage in [&b""[..], b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"] {
        assert_eq!(Upgrade::read(garbage), Err(Refusal::Malformed));
    }
}

#[test]
fn frames_come_out_as_they_went_in_wherever_the_stream_is_cut() {
    let text = "x".repeat(300);
    let long = vec![0xff; limits::MESSAGE_MAX];
    let stream = [
        write(Opcode::Text, b"short", KEY),
        write(Opcode::Ping, b"hello", KEY),
        write(Opcode::Text, text.as_bytes(), KEY),
        write(Opcode::Pong, b"", KEY),
        write(Opcode::Binary, &long, KEY),
        write(Opcode::Close, &1_000_u16.to_be_bytes(), KEY),
    ];
    let message = |bytes: &[u8]| Frame::Message(Bytes::copy_from_slice(bytes));
    let ping = Frame::Ping(Bytes::from_static(b"hello"));
    let whole = vec![message(b"short"), ping, message(text.as_bytes()), Frame::Pong, message(&long), Frame::Close];
    let stream = stream.concat();
    for cut in (0..600).chain([stream.len() - 1, stream.len()]) {
        let mut frames = Frames::from_client();
        frames.push(&stream[..cut]);
        let mut got = all(&mut frames).expect("no fault");
        frames.push(&stream[cut..]);
        got.extend(all(&mut frames).expect("no fault"));
        assert!(got == whole && frames.is_empty(), "cut at {cut}");
    }
}

#[test]
fn a_message_in_pieces_is_one_and_a_ping_may_come_between_them() {
    let begin = first(&write(Opcode::Text, b"INVITE ", KEY), |byte| byte & 0x7f);
    let more = first(&write(Opcode::Continuation, b"sip:a@", KEY), |byte| byte & 0x7f);
    let pieces =
        [begin.clone(), more.clone(), write(Opcode::Ping, b"", KEY).to_vec(), write(Opcode::Continuation, b"b", KEY).to_vec()];
    let whole = [Frame::Ping(Bytes::new()), Frame::Message(Bytes::from_static(b"INVITE sip:a@b"))];
    assert_eq!(from_client(&pieces.concat()).expect("no fault"), whole);
    assert_eq!(from_client(&more), Err(FrameFault::Protocol), "nothing has begun");
    assert_eq!(from_client(&[begin.clone(), begin].concat()), Err(FrameFault::Protocol), "something has begun");
}

#[test]
fn what_breaks_a_rule_ends_the_stream() {
    let unmasked = write(Opcode::Text, b"x", Mask::Server);
    let masked = write(Opcode::Text, b"x", KEY);
    let mut server = Frames::from_server();
    server.push(&masked);
    assert_eq!(server.next(), Err(FrameFault::Protocol), "a server does not mask");
    let piece_of_control = first(&write(Opcode::Ping, b"x", KEY), |byte| byte & 0x7f);
    let long_control = [0x89, 0x80 | 126, 0, 126, 0, 0, 0, 0];
    let endless = [0x82, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for (bytes, fault) in [
        (unmasked.to_vec(), FrameFault::Protocol),
        (first(&masked, |byte| byte | 0x40), FrameFault::Protocol),
        (first(&masked, |byte| byte & 0xf0 | 3), FrameFault::Protocol),
        (piece_of_control, FrameFault::Protocol),
        (long_control.to_vec(), FrameFault::Protocol),
        (endless.to_vec(), FrameFault::TooLong),
        (write(Opcode::Binary, &vec![0; limits::MESSAGE_MAX + 1], KEY)[..14].to_vec(), FrameFault::TooLong),
        (write(Opcode::Text, b"\xff\xfe", KEY).to_vec(), FrameFault::NoText),
    ] {
        assert_eq!(from_client(&bytes), Err(fault), "{:?}", &bytes[..bytes.len().min(16)]);
        let mut frames = Frames::from_client();
        frames.push(&bytes);
        assert!(frames.next().is_err());
        frames.push(&masked);
        assert_eq!(frames.next(), Err(fault), "and stays ended");
    }
    let half = first(&write(Opcode::Text, &vec![b'x'; 40_000], KEY), |byte| byte & 0x7f);
    assert_eq!(
        from_client(&[half, write(Opcode::Continuation, &vec![b'x'; 40_000], KEY).to_vec()].concat()),
        Err(FrameFault::TooLong)
    );
}

mod anything {
    use proptest::prelude::*;

    use super::{Frames, Upgrade};

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_hold_more_than_a_message(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..20)) {
            let (mut client, mut server) = (Frames::from_client(), Frames::from_server());
            for chunk in &chunks {
                for frames in [&mut client, &mut server] {
                    frames.push(chunk);
                    while let Ok(Some(_)) = frames.next() {}
                }
            }
            let head = [chunks.concat(), b"\r\n\r\n".to_vec()].concat();
            prop_assert!(Upgrade::read(&head).is_err());
        }
    }
}

#[test]
fn our_own_request_is_one_that_we_would_answer_and_our_answer_is_taken() {
    let opening = Opening::new(*b"the sample nonce");
    let request = opening.request("ai.example:8443");
    assert!(
        request.contains("\r\nHost: ai.example:8443\r\n") && request.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    );
    let answer = Upgrade::read(request.as_bytes()).expect("a request for a WebSocket").response();
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "the example of RFC 6455 §1.3: {answer}");
    assert_eq!(opening.check(answer.as_bytes()), Ok(()));
    assert_eq!(opening.check(answer.replace("sip", "SIP").replace("upgrade", "keep-alive, UPGRADE").as_bytes()), Ok(()));
}

#[test]
fn an_answer_that_makes_no_websocket_is_not_taken_for_one() {
    let opening = Opening::new(*b"the sample nonce");
    let right = Upgrade::read(opening.request("h").as_bytes()).expect("a request").response();
    let wrong = [
        (right.replace("101", "200"), OpeningFault::Status(200)),
        (right.replace("101 Switching Protocols", "404"), OpeningFault::Status(404)),
        (right.replace("HTTP/1.1", "SIP/2.0"), OpeningFault::Malformed),
        (right.replace("101", "one"), OpeningFault::Malformed),
        (right.replace("Upgrade: websocket", "Upgrade : websocket"), OpeningFault::Malformed),
        (right.trim_end().to_owned(), OpeningFault::Malformed),
        (right.replace("s3pPL", "t3pPL"), OpeningFault::NotOurs),
        (right.replace("Upgrade: websocket", "Upgrade: h2c"), OpeningFault::NotOurs),
        (right.replace("Connection: Upgrade", "Connection: close"), OpeningFault::NotOurs),
        (right.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), OpeningFault::NotOurs),
        (right.replace("Protocol: sip", "Protocol: chat"), OpeningFault::Protocol),
        (right.replace("Sec-WebSocket-Protocol: sip\r\n", ""), OpeningFault::Protocol),
    ];
    for (answer, fault) in wrong {
        assert_eq!(opening.check(answer.as_bytes()), Err(fault), "{answer}");
    }
    assert_eq!(opening.check(b"\xff\r\n\r\n"), Err(OpeningFault::Malformed));
}
