//! OPTIONS both ways.

use std::time::Duration;

use super::desk::*;
use crate::digest::Credentials;
use crate::{Event, Hop, OptionsAnswer, OptionsFor, Ping, Settings, Transport};

fn question(branch: &str) -> String {
    format!(
        "OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch={branch}\nMax-Forwards: 70\nFrom: <sip:x@192.0.2.9>;tag=o\n\
         To: <sip:192.0.2.1>\nCall-ID: o-{branch}\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
    )
}

fn ping(desk: &mut Desk) -> String {
    let ping = Ping {
        target: uri("sip:192.0.2.9:5070"),
        route: Hop::new(Transport::Udp, addr(PEER)),
        from: name("<sip:baton@192.0.2.1>"),
        credentials: Some(Credentials::new("u", "p")),
        patience: Duration::from_secs(4),
    };
    desk.ua.ping(desk.now, ping).unwrap();
    desk.only()
}

#[test]
fn whoever_answers_is_there_whatever_they_say() {
    let mut desk = Desk::new();
    for status in [200, 404, 481, 501] {
        let asked = ping(&mut desk);
        assert!(asked.starts_with("OPTIONS sip:192.0.2.9:5070 SIP/2.0"), "{asked}");
        desk.wait_ms(30);
        desk.hear(&reply(&asked, status, "far", "", ""));
        let Some(Event::Pong { status: said, took, message: Some(_), .. }) = desk.events().pop() else { panic!("a pong") };
        assert_eq!((said, took), (status, Duration::from_millis(30)));
    }
    let asked = ping(&mut desk);
    desk.hear(&reply(&asked, 401, "far", "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\n", ""));
    let again = desk.only();
    assert!(value(&again, "Authorization").contains("username=\"u\""));
    desk.hear(&reply(&again, 200, "far", "", ""));
    assert_eq!(desk.told(), ["Pong 200"]);
}

#[test]
fn whoever_is_silent_is_not_there_and_an_answer_afterwards_is_too_late() {
    let mut desk = Desk::new();
    let asked = ping(&mut desk);
    desk.wait_ms(3_999);
    assert!(desk.told().is_empty());
    desk.wait_ms(1);
    assert_eq!(desk.told(), ["No pong 408"]);
    desk.said();
    desk.hear(&reply(&asked, 200, "far", "", ""));
    desk.wait_ms(60_000);
    assert!(desk.told().is_empty() && desk.said().is_empty());
    ping(&mut desk);
    desk.ua.send_failed(desk.now, Transport::Udp, addr(PEER));
    assert_eq!(desk.told(), ["No pong 503"]);
}

#[test]
fn the_owner_says_who_is_answered() {
    let mut desk = Desk::with(Settings { options: OptionsFor::WhomOwnerSays, ..settings() });
    for (branch, answer, said) in [
        ("z9hG4bK1", OptionsAnswer::Abilities, vec!["200"]),
        ("z9hG4bK2", OptionsAnswer::Forbidden, vec!["403"]),
        ("z9hG4bK3", OptionsAnswer::Silence, vec![]),
    ] {
        desk.hear(&question(branch));
        let Some(Event::Options { question: asked, source }) = desk.events().pop() else { panic!("a question") };
        assert_eq!(source, addr(PEER));
        assert!(desk.said().is_empty());
        desk.ua.answer_options(desk.now, asked, answer);
        assert_eq!(desk.brief(), said);
        desk.ua.answer_options(desk.now, asked, OptionsAnswer::Abilities);
        assert!(desk.said().is_empty(), "one answer each");
    }
}
