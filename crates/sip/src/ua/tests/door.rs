//! What comes in from outside of all dialogs, and what is not let in.

use std::time::Duration;

use bytes::Bytes;

use super::desk::*;
use crate::random::Random;
use crate::{Incoming, Limits, SessionId, Settings, Transport};

fn outside(method: &str, extra: &str) -> String {
    invite("z9hG4bKo", 1, "").replace("INVITE", method).replace("Contact", &format!("{}Contact", crlf(extra)))
}

#[test]
fn options_tell_what_we_can_do_and_whether_we_take_calls() {
    let mut desk = Desk::new();
    desk.hear(&outside("OPTIONS", ""));
    let answer = desk.only();
    assert_eq!(brief(&answer), "200");
    assert!(value(&answer, "Allow").contains("REFER"));
    assert!(value(&answer, "Accept").contains("application/sdp"));
    desk.ua.set_accepting(false, Duration::from_millis(1_500));
    desk.hear(&outside("OPTIONS", "").replace("z9hG4bKo", "z9hG4bKp").replace("call-1", "call-2"));
    let answer = desk.only();
    assert_eq!((brief(&answer).as_str(), value(&answer, "Retry-After").as_str()), ("503", "2"));
    desk.settle();
}

#[test]
fn requests_that_make_no_sense_outside_are_refused_by_rule() {
    let rows = [
        ("BYE", "", "481", "unknown_dialog"),
        ("INFO", "", "481", "unknown_dialog"),
        ("NOTIFY", "", "481", "unknown_dialog"),
        ("REFER", "Refer-To: <sip:a@b>\n", "403", "outside_dialog"),
        ("REGISTER", "", "405", "method"),
        ("SUBSCRIBE", "", "405", "method"),
        ("MESSAGE", "", "405", "method"),
        ("UPDATE", "", "481", "unknown_dialog"),
        ("PRACK", "", "481", "unknown_dialog"),
        ("NEWMETHOD", "", "405", "method"),
        ("INVITE", "Require: 100rel, foo\n", "420", "extension"),
        ("OPTIONS", "Require: foo\n", "420", "extension"),
        ("INVITE", "Content-Type: text/plain\n", "415", "content_type"),
        ("INVITE", "Content-Encoding: gzip\n", "415", "content_type"),
    ];
    for (method, extra, status, reason) in rows {
        let mut desk = Desk::new();
        let mut text = outside(method, extra);
        if status == "415" {
            text = text.replace("Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nhello");
        }
        desk.hear(&text);
        let answer = desk.only();
        assert_eq!(brief(&answer), status, "{method} {extra}");
        assert!(!tag(&value(&answer, "To")).is_empty());
        assert_eq!(desk.told(), [format!("Stranger {reason}")], "{method} {extra}");
        assert_eq!(values(&answer, "Allow").len(), usize::from(status == "405"));
        if status == "420" {
            assert!(value(&answer, "Unsupported").ends_with("foo"));
        }
        desk.hear(&text);
        assert_eq!(desk.only(), answer);
        desk.settle();
    }
}

#[test]
fn a_call_that_has_passed_too_many_elements_goes_no_further() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKo", 1, OFFER).replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(desk.brief(), ["483"]);
    desk.hear(&outside("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 0").replace("z9hG4bKo", "z9hG4bKp"));
    assert_eq!(desk.brief(), ["200"]);
}

#[test]
fn the_same_request_by_another_way_is_merged() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    desk.hear(&invite("z9hG4bKb", 1, OFFER));
    assert_eq!(desk.brief(), ["100", "482"]);
    assert_eq!(desk.told(), ["Invite", "Stranger merged"]);
    // A new try of the same call, with its number raised, is not the same request.
    desk.hear(&invite("z9hG4bKc", 2, OFFER));
    assert_eq!(desk.brief(), ["100"]);
}

#[test]
fn an_ack_for_nothing_is_dropped_without_a_word() {
    let mut desk = Desk::new();
    desk.hear(&outside("ACK", ""));
    desk.hear(&outside("ACK", "").replace("To: <sip:agent@192.0.2.1>", "To: <sip:agent@192.0.2.1>;tag=0123456789abcdef"));
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.told(), [""; 0]);
    assert_eq!(desk.ua.transactions(), 0);
    assert_eq!(desk.ua.counts().rejected(), [("stray_ack", 2)]);
}

#[test]
fn a_stray_response_is_dropped_without_a_word() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER).replace("branch=z9hG4bK", "branch=z9hG4bK0"));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER).replace("1 INVITE", "1 BYE"));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER).replace("branch=z9hG4bK", "branch="));
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.ua.counts().rejected(), [("stray_response", 3)]);
}

#[test]
fn requests_in_dialogs_that_we_do_not_have_get_481() {
    let mut desk = Desk::new();
    for (at, method) in ["BYE", "INVITE", "INFO", "REFER", "OPTIONS"].into_iter().enumerate() {
        let text = outside(method, "").replace("To: <sip:agent@192.0.2.1>", "To: <sip:agent@192.0.2.1>;tag=0123456789abcdef");
        desk.hear(&text.replace("z9hG4bKo", &format!("z9hG4bKo{at}")));
        assert_eq!(desk.brief(), ["481"], "{method}");
    }
    desk.settle();
}

#[test]
fn malformed_requests_are_answered_where_they_can_be_and_never_remembered() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace("CSeq: 1 INVITE", "CSeq: nonsense"));
    assert_eq!(desk.brief(), ["400"]);
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace("From: ", "Frm: "));
    assert_eq!(desk.brief(), ["400"]);
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace("Contact: ", "X-Contact: "));
    assert_eq!(desk.brief(), ["400"]);
    for silent in
        ["", "\r\n\r\n", "nonsense", "ACK sip:a SIP/2.0\n\n", "SIP/2.0 200 OK\n\n", "INVITE sip:a SIP/2.0\nVia: nonsense\n\n"]
    {
        desk.hear(silent);
        assert_eq!(desk.brief(), [""; 0], "{silent}");
    }
    desk.settle();
}

#[test]
fn responses_go_where_rfc_3261_and_3581_say() {
    let via = "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKo;rport";
    let rows = [
        (via, "203.0.113.5:40000", "203.0.113.5:40000"),
        ("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKo", "203.0.113.5:40000", "203.0.113.5:5070"),
        ("SIP/2.0/UDP phone.example;branch=z9hG4bKo", "203.0.113.5:40000", "203.0.113.5:5060"),
        ("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKo;maddr=192.0.2.77", "203.0.113.5:40000", "192.0.2.77:5070"),
    ];
    for (written, from, to) in rows {
        let mut desk = Desk::new();
        desk.hear_by(Transport::Udp, None, from, &outside("OPTIONS", "").replace(via, written));
        let answer = desk.transmits().remove(0);
        assert_eq!(answer.remote, addr(to), "{written}");
        let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
        assert!(value(&text, "Via").contains("received=203.0.113.5"), "{text}");
    }
}

#[test]
fn an_old_peer_without_cookie_is_matched_by_the_whole_request() {
    let mut desk = Desk::new();
    desk.hear(&invite("1", 1, OFFER));
    desk.hear(&invite("1", 1, OFFER));
    assert_eq!(desk.told(), ["Invite"]);
    assert_eq!(desk.brief(), ["100", "100"]);
    desk.hear(&invite("1", 1, OFFER).replace("call-1@far", "call-2@far"));
    assert_eq!(desk.told(), ["Invite"]);
}

#[test]
fn when_the_table_of_transactions_is_full_requests_get_503_and_are_not_remembered() {
    let mut desk = Desk::with(Settings { limits: Limits { transactions: 8, ..Limits::default() }, ..settings() });
    for at in 0..9 {
        desk.hear(&outside("OPTIONS", "").replace("z9hG4bKo", &format!("z9hG4bKo{at}")).replace("call-1", &format!("call-{at}")));
    }
    let brief = desk.brief();
    assert_eq!((brief.iter().filter(|status| *status == "200").count(), brief.last().map(String::as_str)), (7, Some("503")));
    assert_eq!(desk.ua.transactions(), 7);
    desk.settle();
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let play = |seed| {
        let mut desk = Desk::with(Settings { seed, ..settings() });
        let (_, text) = desk.dial(Some(OFFER));
        text
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}

#[test]
fn messages_are_counted_by_method_code_and_direction() {
    let mut desk = Desk::new();
    desk.up();
    let counts = desk.ua.counts().messages();
    let told = counts.iter().map(|(kind, count)| format!("{} {} {} {count}", kind.direction.name(), kind.method, kind.code));
    assert_eq!(told.collect::<Vec<_>>(), ["out ACK 0 1", "out INVITE 0 1", "in INVITE 200 1"]);
}

#[test]
fn a_response_with_a_second_via_is_not_for_us() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    let answer = reply(&invite, 200, "far", CONTACT, ANSWER).replace("From:", "Via: SIP/2.0/UDP 192.0.2.77\r\nFrom:");
    desk.hear(&answer);
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.told(), [""; 0]);
}

/// A copy of a message with a few bytes changed, doubled, dropped or taken from another one.
fn mutant(random: &mut Random, text: &str, other: &str) -> Bytes {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64) as usize;
        let span = (random.below(12) as usize).min(bytes.len() - at);
        let from = random.below(other.len() as u64) as usize;
        let piece = &other.as_bytes()[from..(from + span).min(other.len())];
        match random.below(5) {
            0 => bytes[at] = random.below(256) as u8,
            1 => drop(bytes.drain(at..at + span)),
            2 => drop(bytes.splice(at..at, piece.iter().copied())),
            3 => drop(bytes.splice(at..at + span, piece.iter().copied())),
            _ => bytes[at] = b";,<>:@\r\n\" "[random.below(10) as usize],
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    Bytes::from(bytes)
}

#[test]
fn no_mutant_of_a_message_does_harm() {
    let mut random = Random::new(99);
    for _ in 0..150 {
        let mut desk = Desk::new();
        let (_, invite_of_ours) = desk.up();
        let (_, answer) = desk.up_from_far();
        let (session, ringing) = desk.dial(None);
        let texts = [
            invite("z9hG4bKx", 1, OFFER).replace("call-1", "call-2"),
            request("INVITE", &answer, 2, "z9hG4bKy", "", OFFER),
            request("REFER", &answer, 3, "z9hG4bKz", "Refer-To: <sip:michael@baton.example?X-Baton-Summary=a>\n", ""),
            request("BYE", &answer, 9, "z9hG4bKw", "Reason: SIP;cause=200\n", ""),
            back(
                "NOTIFY",
                &invite_of_ours,
                "far",
                2,
                "z9hG4bKv",
                "Event: refer\nSubscription-State: active\n",
                "SIP/2.0 100 Trying\n",
            ),
            back("ACK", &invite_of_ours, "far", 1, "z9hG4bKu", "", ""),
            reply(&ringing, 180, "far", CONTACT, ""),
            reply(&ringing, 200, "far", CONTACT, OFFER),
            reply(&ringing, 407, "far", "Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\"\n", ""),
        ];
        for _ in 0..60 {
            let (text, other) = (random.below(9) as usize, random.below(9) as usize);
            let bytes = mutant(&mut random, &texts[text], &texts[other]);
            desk.ua.receive(
                desk.now,
                Incoming { transport: Transport::Udp, connection: None, local: addr(US), remote: addr(PEER), bytes },
            );
            desk.wait_ms(random.below(700));
        }
        for id in 1..=desk.ua.sessions() as u64 + 70 {
            // Whatever state they are in: they end.
            desk.ua.hang_up(desk.now, SessionId(id), None).unwrap_or_default();
        }
        assert!(desk.ua.hang_up(desk.now, session, None).is_err());
        desk.settle();
    }
}
