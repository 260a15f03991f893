//! Several servers of one peer, and where a 3xx leads.

use super::desk::*;
use crate::{Dial, Event, Hop, Redirects, Transport, VerbError, Why};

const SECOND: &str = "192.0.2.10:5060";

fn dial(desk: &mut Desk) -> crate::SessionId {
    let others = vec![Hop::new(Transport::Udp, addr(SECOND))];
    let target = uri("sip:far@carrier.example");
    desk.ua.dial(desk.now, Dial { target, others, ..call(Some(OFFER)) }).unwrap()
}

fn to(desk: &mut Desk) -> Vec<(String, String)> {
    let transmits = desk.transmits();
    transmits.iter().map(|one| (one.remote.to_string(), String::from_utf8(one.bytes.to_vec()).unwrap())).collect()
}

#[test]
fn a_silent_server_is_given_up_for_the_next_one_and_comes_last_from_then_on() {
    let mut desk = Desk::new();
    dial(&mut desk);
    let first = to(&mut desk).remove(0);
    assert_eq!(first.0, PEER);
    desk.wait_until(Why::NextServer);
    let second = to(&mut desk).into_iter().find(|(remote, _)| remote == SECOND).expect("the next server");
    assert_eq!((value(&second.1, "Call-ID"), value(&second.1, "CSeq")), (value(&first.1, "Call-ID"), "2 INVITE".to_owned()));
    assert_ne!(value(&second.1, "Via"), value(&first.1, "Via"));
    desk.hear_by(Transport::Udp, None, SECOND, &reply(&second.1, 180, "far", CONTACT, ""));
    desk.hear_by(Transport::Udp, None, SECOND, &reply(&second.1, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Answered"]);
    assert_eq!(desk.brief(), ["ACK"]);
    dial(&mut desk);
    assert_eq!(to(&mut desk)[0].0, SECOND, "who was silent a moment ago comes last");
    // The late answer of the first server rings for nobody.
    desk.hear(&reply(&first.1, 200, "late", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
    assert!(desk.told().is_empty());
}

#[test]
fn a_server_that_says_503_or_cannot_be_reached_is_passed_over_and_any_other_refusal_counts() {
    let mut desk = Desk::new();
    dial(&mut desk);
    let first = to(&mut desk).remove(0).1;
    desk.hear(&reply(&first, 503, "far", "", ""));
    let said = to(&mut desk);
    assert_eq!(said.iter().map(|(_, text)| brief(text)).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    desk.hear_by(Transport::Udp, None, SECOND, &reply(&said[1].1, 503, "far", "", ""));
    assert_eq!(desk.told(), ["Refused 503"], "there is no third server");
    desk.said();
    let mut desk = Desk::new();
    dial(&mut desk);
    desk.said();
    desk.ua.send_failed(desk.now, Transport::Udp, addr(PEER));
    let second = to(&mut desk).remove(0);
    assert_eq!(second.0, SECOND);
    desk.hear_by(Transport::Udp, None, SECOND, &reply(&second.1, 486, "far", "", ""));
    assert_eq!(desk.told(), ["Refused 486"]);
}

#[test]
fn a_call_that_is_taken_back_or_heard_of_goes_nowhere_else() {
    let mut desk = Desk::new();
    let session = dial(&mut desk);
    desk.said();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.wait_ms(5_000);
    assert!(to(&mut desk).iter().all(|(remote, _)| remote == PEER), "nobody else is called for a caller who has gone");
    let mut desk = Desk::new();
    dial(&mut desk);
    let first = to(&mut desk).remove(0).1;
    desk.hear(&reply(&first, 100, "", "", ""));
    desk.wait_ms(20_000);
    assert!(desk.said().is_empty());
}

#[test]
fn a_given_up_server_that_rings_after_all_is_told_to_stop() {
    let mut desk = Desk::new();
    dial(&mut desk);
    let first = to(&mut desk).remove(0).1;
    desk.wait_until(Why::NextServer);
    desk.said();
    desk.hear(&reply(&first, 180, "late", CONTACT, ""));
    assert_eq!(desk.brief(), ["CANCEL"]);
    desk.hear(&reply(&first, 180, "late", CONTACT, ""));
    assert!(desk.said().is_empty());
    desk.hear(&reply(&first, 487, "late", "", ""));
    assert_eq!(desk.brief(), ["ACK"]);
    assert!(desk.told().is_empty());
}

#[test]
fn the_owner_says_where_a_3xx_may_lead() {
    let mut desk = Desk::new();
    let session = desk.ua.dial(desk.now, Dial { redirects: Redirects::Asked(1), ..call(Some(OFFER)) }).unwrap();
    let first = desk.only();
    let moved = "Contact: <sip:b@192.0.2.50>;q=0.2, <sip:a@192.0.2.51>;q=0.9\n";
    desk.hear(&reply(&first, 302, "far", moved, ""));
    assert_eq!(desk.told(), ["Redirected sip:a@192.0.2.51 sip:b@192.0.2.50"]);
    desk.said();
    let target = uri("sip:a@192.0.2.9:5070");
    desk.ua.redirect(desk.now, session, Some((target, Hop::new(Transport::Udp, addr(PEER))))).unwrap();
    let second = desk.only();
    assert!(second.starts_with("INVITE sip:a@192.0.2.9:5070 SIP/2.0"), "{second}");
    desk.hear(&reply(&second, 302, "far", moved, ""));
    assert_eq!(desk.told(), ["Refused 302"], "once was allowed");
    assert_eq!(desk.ua.redirect(desk.now, session, None), Err(VerbError::WrongState));
}

#[test]
fn a_3xx_that_may_lead_nowhere_is_a_refusal_and_a_caller_may_leave_meanwhile() {
    let mut desk = Desk::new();
    let session = desk.ua.dial(desk.now, Dial { redirects: Redirects::Asked(3), ..call(Some(OFFER)) }).unwrap();
    let first = desk.only();
    desk.hear(&reply(&first, 301, "far", "Contact: <sip:b@192.0.2.50>\n", ""));
    assert!(matches!(desk.events()[..], [Event::Redirected { .. }]));
    desk.ua.redirect(desk.now, session, None).unwrap();
    assert_eq!(desk.told(), ["Refused 301"]);
    desk.said();
    desk.wait_ms(70_000);
    assert_eq!(desk.ua.sessions(), 0);
}
