//! Reliable provisional answers (RFC 3262), both ways.

use super::desk::*;
use crate::{SessionId, VerbError, Why};

fn reliable(rseq: u32) -> String {
    format!("{CONTACT}Require: 100rel\nRSeq: {rseq}\n")
}

/// The far side's INVITE with this header.
fn called(desk: &mut Desk, extra: &str, body: &str) -> SessionId {
    desk.hear(&invite("z9hG4bKa", 1, body).replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}{extra}"))));
    let session = desk.invited();
    assert_eq!(desk.brief(), ["100"]);
    session
}

fn prack(answer: &str, rseq: u32, seq: u32, body: &str) -> String {
    request("PRACK", answer, seq, &format!("z9hG4bKp{seq}"), &format!("RAck: {rseq} 1 INVITE\n"), body)
}

fn rseq(answer: &str) -> u32 {
    value(answer, "RSeq").parse().unwrap()
}

#[test]
fn our_invite_says_that_it_takes_them_if_it_makes_the_offer() {
    let mut desk = Desk::new();
    assert!(value(&desk.dial(Some(OFFER)).1, "Supported").contains("100rel"));
    assert!(!value(&desk.dial(None).1, "Supported").contains("100rel"));
}

#[test]
fn each_reliable_answer_gets_its_prack_once_and_in_order() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 183, "far", &reliable(7), ANSWER));
    let prack = desk.only();
    assert_eq!((value(&prack, "RAck").as_str(), value(&prack, "CSeq").as_str()), ("7 1 INVITE", "2 PRACK"));
    assert_eq!((tag(&value(&prack, "To")).as_str(), prack.split(' ').nth(1)), ("far", Some("sip:far@192.0.2.9:5070")));
    assert_eq!(desk.told(), ["Trying", "Ringing 183"]);
    desk.hear(&reply(&prack, 200, "", "", ""));
    desk.hear(&reply(&invite, 183, "far", &reliable(7), ANSWER));
    desk.hear(&reply(&invite, 180, "far", &reliable(9), ""));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec![]), "a repetition, and one that has overtaken another");
    desk.hear(&reply(&invite, 180, "far", &reliable(8), ""));
    let prack = desk.only();
    assert_eq!((value(&prack, "RAck").as_str(), value(&prack, "CSeq").as_str()), ("8 1 INVITE", "3 PRACK"));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    let ack = desk.only();
    assert_eq!(value(&ack, "CSeq"), "1 ACK");
    assert_eq!(desk.told(), ["Ringing 180", "Answered"]);
}

#[test]
fn forks_count_for_themselves_and_the_next_request_goes_on_from_the_prack() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "a", &reliable(1), ""));
    desk.hear(&reply(&invite, 180, "b", &reliable(500), ""));
    let said = desk.said();
    assert_eq!(said.iter().map(|text| value(text, "RAck")).collect::<Vec<_>>(), ["1 1 INVITE", "500 1 INVITE"]);
    desk.hear(&reply(&invite, 200, "b", CONTACT, ANSWER));
    desk.said();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(value(&desk.only(), "CSeq"), "3 BYE");
}

#[test]
fn what_is_not_reliable_gets_no_prack() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    for extra in ["RSeq: 5\n", "Require: 100rel\n", "Require: 100rel\nRSeq: many\n", "Require: 100rel\nRSeq: 99999999999\n"] {
        desk.hear(&reply(&invite, 180, "far", &format!("{CONTACT}{extra}"), ""));
    }
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.told().len(), 5, "rung all the same");
}

#[test]
fn who_requires_it_gets_reliable_answers_until_the_prack() {
    let mut desk = Desk::new();
    let session = called(&mut desk, "Require: 100rel\n", OFFER);
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ringing = desk.only();
    assert_eq!(value(&ringing, "Require"), "100rel");
    assert!(rseq(&ringing) > 0);
    desk.wait_ms(3_500);
    assert_eq!(desk.said(), [ringing.clone(), ringing.clone(), ringing.clone()], "after 0.5, 1.5 and 3.5 s");
    desk.hear(&prack(&ringing, rseq(&ringing), 2, ""));
    assert_eq!(desk.brief(), ["200"]);
    desk.wait_ms(20_000);
    assert_eq!(desk.brief(), [""; 0]);
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    assert_eq!(desk.brief(), ["200"]);
}

#[test]
fn the_next_one_and_the_answer_wait_for_the_prack_of_the_one_before() {
    let mut desk = Desk::new();
    let session = called(&mut desk, "Supported: 100rel\n", OFFER);
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    assert!(!desk.only().contains("RSeq"), "nothing hangs on it");
    for _ in 0..2 {
        desk.ua.ring(desk.now, session, 183, Some(sdp(ANSWER)), Vec::new()).unwrap();
    }
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    assert_eq!(desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()), Err(VerbError::WrongState));
    assert_eq!(desk.ua.ring(desk.now, session, 180, None, Vec::new()), Err(VerbError::WrongState));
    let first = desk.only();
    desk.hear(&prack(&first, rseq(&first), 2, ""));
    let said = desk.said();
    assert_eq!((brief(&said[0]).as_str(), brief(&said[1]).as_str(), said.len()), ("200", "183", 2));
    assert_eq!(rseq(&said[1]), rseq(&first) + 1);
    desk.hear(&prack(&first, rseq(&first) + 1, 3, ""));
    let said = desk.said();
    assert_eq!((value(&said[0], "CSeq").as_str(), value(&said[1], "CSeq").as_str(), said.len()), ("3 PRACK", "1 INVITE", 2));
    desk.hear(&request("ACK", &first, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.told(), ["Confirmed"]);
}

#[test]
fn a_prack_that_is_about_nothing_is_refused() {
    let mut desk = Desk::new();
    let session = called(&mut desk, "Require: 100rel\n", OFFER);
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ringing = desk.only();
    let known = rseq(&ringing);
    let wrong =
        [format!("RAck: {} 1 INVITE\n", known + 1), format!("RAck: {known} 2 INVITE\n"), format!("RAck: {known} 1 BYE\n")];
    for (at, extra) in wrong.iter().map(String::as_str).chain(["RAck: \n", "RAck: 1\n", ""]).enumerate() {
        let seq = u32::try_from(at).unwrap() + 2;
        desk.hear(&request("PRACK", &ringing, seq, &format!("z9hG4bKw{at}"), extra, ""));
        assert_eq!(desk.brief(), ["481"], "{extra}");
    }
    desk.hear(&prack(&ringing, known, 20, ""));
    desk.hear(&prack(&ringing, known, 21, ""));
    assert_eq!(desk.brief(), ["200", "481"], "once");
}

#[test]
fn an_invite_whose_prack_never_comes_is_refused() {
    let mut desk = Desk::new();
    let session = called(&mut desk, "Require: 100rel\n", OFFER);
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    desk.wait_ms(31_999);
    desk.said();
    desk.wait_for(Why::PrackNeverCame);
    assert_eq!((desk.brief(), desk.told()), (vec!["504".to_owned()], vec!["Gone TimedOut".to_owned()]));
    assert_eq!(desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()), Err(VerbError::NoSession));
    desk.settle();
}

#[test]
fn a_cancel_ends_the_waiting() {
    let mut desk = Desk::new();
    let session = called(&mut desk, "Require: 100rel\n", OFFER);
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let ringing = desk.only();
    desk.hear(&invite("z9hG4bKa", 1, "").replace("INVITE", "CANCEL"));
    assert_eq!(desk.brief(), ["200", "487"]);
    assert_eq!(desk.told(), ["Gone Cancelled { reason: None }"]);
    desk.hear(&prack(&ringing, rseq(&ringing), 2, ""));
    assert_eq!(desk.brief(), ["481"]);
    desk.settle();
}

#[test]
fn an_offer_of_ours_is_answered_by_the_prack_and_not_made_again() {
    let mut desk = Desk::new();
    let session = called(&mut desk, "Supported: 100rel\n", "");
    desk.ua.ring(desk.now, session, 183, Some(sdp(OFFER)), Vec::new()).unwrap();
    let ringing = desk.only();
    desk.hear(&prack(&ringing, rseq(&ringing), 2, ANSWER));
    assert_eq!((desk.brief(), desk.told()), (vec!["200".to_owned()], vec!["OfferAnswered".to_owned()]));
    desk.ua.answer(desk.now, session, sdp(OFFER), Vec::new()).unwrap();
    let answer = desk.only();
    assert_eq!((brief(&answer).as_str(), body(&answer)), ("200", ""));
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.told(), ["Confirmed"]);
}

#[test]
fn a_prack_may_make_the_next_offer() {
    for accepted in [true, false] {
        let mut desk = Desk::new();
        let session = called(&mut desk, "Supported: 100rel\n", OFFER);
        desk.ua.ring(desk.now, session, 183, Some(sdp(ANSWER)), Vec::new()).unwrap();
        let ringing = desk.only();
        desk.hear(&prack(&ringing, rseq(&ringing), 2, OFFER));
        assert_eq!((desk.brief(), desk.told()), (vec![], vec!["Offered".to_owned()]));
        if accepted {
            desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
        } else {
            desk.ua.refuse_offer(desk.now, session, 488).unwrap();
        }
        assert_eq!(desk.brief(), [if accepted { "200" } else { "488" }]);
        desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
        assert_eq!(desk.brief(), ["200"]);
    }
}
