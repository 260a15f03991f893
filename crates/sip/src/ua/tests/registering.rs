//! We register.

use std::time::Duration;

use super::desk::*;
use crate::digest::Credentials;
use crate::{ConnectionId, Hop, Registration, RegistrationId, RegistrationState, Transport, Why};

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256\n";

fn registration(hops: &[&str]) -> Registration {
    Registration {
        registrar: uri("sip:carrier.example"),
        account: uri("sip:4711@carrier.example"),
        user: "4711".to_owned(),
        hops: hops.iter().map(|hop| Hop::new(Transport::Udp, addr(hop))).collect(),
        expires: Duration::from_secs(600),
        credentials: Some(Credentials::new("4711", "secret")),
    }
}

fn begin(desk: &mut Desk) -> (RegistrationId, String) {
    let id = desk.ua.register(desk.now, registration(&[PEER]));
    (id, desk.only())
}

#[test]
fn a_registration_is_proved_kept_and_taken_back() {
    let mut desk = Desk::new();
    let (id, first) = begin(&mut desk);
    assert!(first.starts_with("REGISTER sip:carrier.example SIP/2.0\r\n"), "{first}");
    assert_eq!(value(&first, "Contact"), "<sip:4711@192.0.2.1:5060>;expires=600");
    assert_eq!(value(&first, "Supported"), "path");
    assert_eq!(desk.ua.registration(id), Some(&RegistrationState::Trying));
    desk.hear(&reply(&first, 401, "r", CHALLENGE, ""));
    let second = desk.only();
    assert_eq!((value(&second, "CSeq"), value(&second, "Call-ID")), ("2 REGISTER".to_owned(), value(&first, "Call-ID")));
    assert!(value(&second, "Authorization").contains("username=\"4711\""), "{second}");
    desk.hear(&reply(
        &second,
        200,
        "r",
        "Contact: <sip:4711@192.0.2.1:5060>;expires=300\nService-Route: <sip:edge.example;lr>\n",
        "",
    ));
    assert_eq!(desk.told(), ["Registered"]);
    assert_eq!(desk.ua.service_route(id), ["<sip:edge.example;lr>"]);
    let before = desk.now;
    desk.wait_until(Why::Errand);
    let waited = desk.now.since(before).as_secs();
    assert!((210..=240).contains(&waited), "refreshed after {waited} s of 300");
    let third = desk.only();
    let counted = value(&third, "Authorization");
    assert!(
        counted.contains("nc=00000002") && counted.contains("nonce=\"n1\""),
        "the known challenge is answered unasked: {counted}"
    );
    desk.hear(&reply(&third, 200, "r", "Contact: <sip:4711@192.0.2.1:5060>;expires=300\n", ""));
    assert!(desk.told().is_empty(), "nothing has changed");
    desk.ua.unregister(desk.now, id);
    let last = desk.only();
    assert_eq!(value(&last, "Expires"), "0");
    assert_eq!(desk.ua.registration(id), Some(&RegistrationState::Ended));
    desk.hear(&reply(&last, 200, "r", "", ""));
    desk.wait_ms(4_000_000);
    assert!(desk.said().is_empty() && desk.told().is_empty());
}

#[test]
fn a_nonce_that_has_become_old_is_replaced_and_a_wrong_password_is_not_tried_again_at_once() {
    let mut desk = Desk::new();
    let (_, first) = begin(&mut desk);
    desk.hear(&reply(&first, 401, "r", CHALLENGE, ""));
    let second = desk.only();
    desk.hear(&reply(&second, 200, "r", "Expires: 100\n", ""));
    assert_eq!(desk.told(), ["Registered"]);
    desk.wait_until(Why::Errand);
    let third = desk.only();
    desk.hear(&reply(&third, 401, "r", &CHALLENGE.replace("n1", "n2").replace("algorithm", "stale=true, algorithm"), ""));
    let fourth = desk.only();
    assert!(value(&fourth, "Authorization").contains("nonce=\"n2\""), "{fourth}");
    desk.hear(&reply(&fourth, 401, "r", &CHALLENGE.replace("n1", "n3"), ""));
    assert!(desk.said().is_empty(), "the password was said, and it is wrong");
    assert_eq!(desk.told(), ["Not registered 401"]);
    desk.wait_until(Why::Errand);
    assert_eq!(desk.brief(), ["REGISTER"], "after a pause it is tried again");
}

#[test]
fn a_registrar_that_wants_longer_spans_gets_them_and_one_that_refuses_is_asked_ever_less_often() {
    let mut desk = Desk::new();
    let (_, first) = begin(&mut desk);
    desk.hear(&reply(&first, 423, "r", "Min-Expires: 1800\n", ""));
    let second = desk.only();
    assert_eq!(value(&second, "Expires"), "1800");
    let (mut last, mut pauses) = (second, Vec::new());
    for _ in 0..9 {
        desk.hear(&reply(&last, 403, "r", "", ""));
        assert_eq!(desk.told(), ["Not registered 403"]);
        let before = desk.now;
        desk.wait_until(Why::Errand);
        pauses.push(desk.now.since(before).as_secs());
        last = desk.only();
    }
    assert!(pauses[0] >= 15 && pauses[0] <= 30, "{pauses:?}");
    assert!(pauses[8] >= 900 && pauses[8] <= 1_800, "{pauses:?}");
    desk.hear(&reply(&last, 503, "r", "Retry-After: 7200\n", ""));
    let before = desk.now;
    desk.wait_until(Why::Errand);
    assert!(desk.now.since(before).as_secs() >= 7_200, "Retry-After is kept");
}

#[test]
fn a_silent_registrar_makes_room_for_the_next_one() {
    let mut desk = Desk::new();
    desk.ua.register(desk.now, registration(&[PEER, "192.0.2.10:5060"]));
    desk.said();
    desk.wait_ms(33_000);
    let second: Vec<_> = desk.transmits().into_iter().filter(|transmit| transmit.remote == addr("192.0.2.10:5060")).collect();
    assert!(!second.is_empty(), "the second server is asked");
    let text = String::from_utf8(second[0].bytes.to_vec()).unwrap();
    desk.hear_by(Transport::Udp, None, "192.0.2.10:5060", &reply(&text, 200, "r", "Expires: 300\n", ""));
    assert_eq!(desk.told(), ["Registered"]);
}

#[test]
fn the_end_of_the_stream_that_calls_come_by_is_a_reason_to_register_again() {
    let mut desk = Desk::new();
    let hops = vec![Hop::new(Transport::Tcp, addr(PEER))];
    desk.ua.register(desk.now, Registration { registrar: uri("sip:carrier.example;transport=tcp"), hops, ..registration(&[]) });
    let first = desk.only();
    assert_eq!(value(&first, "Contact"), "<sip:4711@192.0.2.1:5060;transport=tcp>;expires=600");
    desk.hear_by(Transport::Tcp, Some(ConnectionId(5)), PEER, &reply(&first, 200, "r", "", ""));
    assert_eq!(desk.told(), ["Registered"]);
    desk.ua.connection_closed(desk.now, ConnectionId(5), Some(addr(PEER)));
    desk.wait_ms(1_000);
    assert_eq!(desk.brief(), ["REGISTER"]);
}

#[test]
fn a_registrar_whose_name_leads_nowhere_is_registered_with_once_it_does() {
    let mut desk = Desk::new();
    let id = desk.ua.register(desk.now, registration(&[]));
    assert!(desk.said().is_empty());
    assert_eq!(desk.told(), ["Not registered 503"]);
    desk.ua.move_registration(desk.now, id, vec![Hop::new(Transport::Udp, addr(PEER))]);
    let first = desk.only();
    desk.hear(&reply(&first, 200, "r", "", ""));
    assert_eq!(desk.told(), ["Registered"]);
}
