use bytes::Bytes;

use super::{INVITE, lines};
use crate::wire::{Frame, Framer, Message, Rule, limits};

fn drain(framer: &mut Framer) -> Result<Vec<Frame>, Rule> {
    let mut frames = Vec::new();
    while let Some(frame) = framer.next().map_err(|fault| fault.rule)? {
        frames.push(frame);
    }
    Ok(frames)
}

fn frames(bytes: &[u8]) -> Result<Vec<Frame>, Rule> {
    let mut framer = Framer::new();
    framer.push(bytes);
    drain(&mut framer)
}

fn options(length: &str) -> Vec<u8> {
    lines(&format!(
        "OPTIONS sip:b@h SIP/2.0\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\nFrom: <sip:a@h>;tag=1\nTo: <sip:b@h>\nCall-ID: 1\nCSeq: 1 OPTIONS\n{length}\n"
    ))
}

#[test]
fn a_stream_gives_the_same_frames_wherever_it_is_cut() {
    let one = lines(INVITE);
    let two = [options("Content-Length : 184\n"), vec![b'x'; 184]].concat();
    let three = options("L:0\n");
    let stream = [b"\r\n\r\n".as_slice(), &one, &two, b"\r\n\r\n", b"\r\n", &three, b"\r\n\r\n"].concat();
    let message = |bytes: &[u8]| Frame::Message(Bytes::copy_from_slice(bytes));
    let whole = vec![Frame::Ping, message(&one), message(&two), Frame::Ping, message(&three), Frame::Ping];
    for cut in 0..=stream.len() {
        let mut framer = Framer::new();
        framer.push(&stream[..cut]);
        let mut got = drain(&mut framer).expect("no fault");
        framer.push(&stream[cut..]);
        got.extend(drain(&mut framer).expect("no fault"));
        assert_eq!(got, whole, "cut at {cut}");
        assert!(framer.is_empty(), "cut at {cut}");
    }
    let mut framer = Framer::new();
    let mut got = Vec::new();
    for byte in &stream {
        framer.push(&[*byte]);
        got.extend(drain(&mut framer).expect("no fault"));
    }
    assert_eq!(got, whole);
}

#[test]
fn every_frame_is_a_message_that_can_be_read() {
    let stream = [lines(INVITE), options("Content-Length: 0\n")].concat();
    for frame in frames(&stream).expect("no fault") {
        match frame {
            Frame::Message(bytes) => assert_eq!(Message::parse(bytes.clone()).expect("a message").raw(), &bytes),
            Frame::Ping => panic!("no ping was sent"),
        }
    }
}

#[test]
fn a_length_that_can_be_read_in_two_ways_ends_the_stream() {
    let smuggled = options("Content-Length: 0\n");
    let hidden = smuggled.len();
    let cases: [(String, Rule); 12] = [
        (String::new(), Rule::Unframed),
        ("Content-Length: 0\nContent-Length: 40\n".into(), Rule::Twice(crate::wire::Name::ContentLength)),
        (format!("Content-Length: {hidden}\nl: 0\n"), Rule::Twice(crate::wire::Name::ContentLength)),
        ("Content-Length: 0, 40\n".into(), Rule::Value(crate::wire::Name::ContentLength)),
        ("Content-Length: +4\n".into(), Rule::Value(crate::wire::Name::ContentLength)),
        ("Content-Length: -1\n".into(), Rule::Value(crate::wire::Name::ContentLength)),
        ("Content-Length: 0x10\n".into(), Rule::Value(crate::wire::Name::ContentLength)),
        ("Content-Length:\n".into(), Rule::Value(crate::wire::Name::ContentLength)),
        ("Content-Length: 99999999999999999999999\n".into(), Rule::Value(crate::wire::Name::ContentLength)),
        ("Content\u{a0}Length: 40\nContent-Length: 0\n".into(), Rule::HeaderName),
        ("Content-Length\u{b}: 40\nContent-Length: 0\n".into(), Rule::Control),
        ("Content-Length: 70000\n".into(), Rule::TooLong),
    ];
    for (length, rule) in cases {
        let stream = [options(&length), smuggled.clone()].concat();
        let mut framer = Framer::new();
        framer.push(&stream);
        assert_eq!(drain(&mut framer), Err(rule), "{length:?}");
        framer.push(&smuggled);
        assert_eq!(drain(&mut framer), Err(rule), "nothing more after {length:?}");
        assert!(framer.is_empty());
    }
}

#[test]
fn a_bare_line_end_does_not_end_a_line() {
    let bare =
        String::from_utf8(options("Content-Length: 0\n")).expect("text").replace("CSeq: 1 OPTIONS\r\n", "CSeq: 1 OPTIONS\n");
    assert_eq!(frames(bare.as_bytes()), Err(Rule::LineEnd));
    assert_eq!(frames(b"\n\nOPTIONS"), Err(Rule::LineEnd));
    assert_eq!(frames(b"\rOPTIONS"), Err(Rule::LineEnd));
}

#[test]
fn identical_lengths_and_folded_ones_are_one_length() {
    assert_eq!(frames(&options("Content-Length: 0\nl:0\n")).map(|all| all.len()), Ok(1));
    assert_eq!(frames(&[options("Content-Length:\n  4\n"), b"abcd".to_vec()].concat()).map(|all| all.len()), Ok(1));
}

#[test]
fn a_peer_that_sends_no_message_is_given_up() {
    assert_eq!(frames(&vec![b'A'; limits::HEAD_MAX + 1]), Err(Rule::TooLong));
}

#[test]
fn keep_alives_may_go_on_for_ever() {
    let mut framer = Framer::new();
    for _ in 0..20_000 {
        framer.push(b"\r\n\r\n");
        assert_eq!(drain(&mut framer), Ok(vec![Frame::Ping]));
    }
}

#[test]
fn a_refusal_on_a_stream_can_still_be_answered() {
    let mut framer = Framer::new();
    framer.push(&options(""));
    let fault = framer.next().expect_err("a fault");
    assert_eq!(fault.status(), Some(400));
    assert_eq!(fault.via().and_then(|via| via.branch()), Some("z9hG4bK1"));
}

#[test]
fn a_line_end_that_is_awaited_is_a_pong_and_never_part_of_a_message() {
    let mut framer = Framer::new();
    framer.push(b"\r\n");
    assert_eq!(drain(&mut framer), Ok(vec![]));
    assert!(framer.is_empty() && framer.take_pong() && !framer.take_pong());
    framer.push(b"\r\n");
    assert!(framer.take_pong(), "the next one is no second half of a ping");
    let one = lines(INVITE);
    framer.push(&one[..10]);
    assert!(!framer.is_empty() && !framer.take_pong());
    framer.push(&one[10..]);
    assert_eq!(drain(&mut framer), Ok(vec![Frame::Message(Bytes::from(one))]));
}
