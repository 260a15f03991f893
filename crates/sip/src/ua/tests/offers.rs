//! re-INVITEs both ways.

use std::time::Duration;

use super::desk::*;
use crate::{VerbError, Why};

#[test]
fn our_offer_is_answered_and_acknowledged() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    assert_eq!((value(&offer, "CSeq").as_str(), body(&offer)), ("2 INVITE", OFFER));
    desk.hear(&reply(&offer, 100, "", "", ""));
    desk.hear(&reply(&offer, 200, "", "Contact: <sip:moved@192.0.2.9:5099>\n", ANSWER));
    desk.hear(&reply(&offer, 200, "", "Contact: <sip:moved@192.0.2.9:5099>\n", ANSWER));
    let acks = desk.said();
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0], acks[1]);
    assert!(acks[0].starts_with("ACK sip:moved@192.0.2.9:5099 SIP/2.0\r\n"));
    assert_eq!(value(&acks[0], "CSeq"), "2 ACK");
    assert_eq!(desk.told(), ["OfferAnswered"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert!(desk.only().starts_with("BYE sip:moved@192.0.2.9:5099 SIP/2.0\r\n"));
}

#[test]
fn one_offer_at_a_time() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    assert_eq!(desk.ua.offer(desk.now, session, Some(sdp(OFFER))), Err(VerbError::OfferPending));
    assert_eq!(desk.ua.answer_offer(desk.now, session, sdp(ANSWER)), Err(VerbError::WrongState));
    assert_eq!(desk.ua.refuse_offer(desk.now, session, 488), Err(VerbError::WrongState));
}

#[test]
fn a_refused_offer_leaves_the_session_as_it_was() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    desk.hear(&reply(&offer, 488, "", "", ""));
    assert_eq!(desk.brief(), ["ACK"]);
    assert_eq!(desk.told(), ["OfferRefused 488"]);
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    assert_eq!(value(&desk.only(), "CSeq"), "3 INVITE");
}

#[test]
fn an_offer_that_meets_no_dialog_ends_the_session() {
    for status in [481, 408] {
        let mut desk = Desk::new();
        let (session, _) = desk.up();
        desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
        let offer = desk.only();
        desk.hear(&reply(&offer, status, "", "", ""));
        assert_eq!(desk.brief(), ["ACK", "BYE"]);
        assert_eq!(desk.told(), ["Gone TimedOut"]);
        desk.settle();
    }
}

#[test]
fn an_offer_that_nobody_answers_ends_the_session() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    desk.wait_ms(32_000);
    assert_eq!(desk.told(), ["Gone TimedOut"]);
    desk.settle();
}

#[test]
fn offers_that_meet_are_both_refused_and_ours_is_tried_again() {
    for caller in [true, false] {
        let mut desk = Desk::new();
        let (session, invite) = if caller { desk.up() } else { desk.up_from_far() };
        desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
        let offer = desk.only();
        let theirs = |seq, branch| match caller {
            true => back("INVITE", &invite, "far", seq, branch, "", OFFER),
            false => request("INVITE", &invite, seq, branch, "", OFFER),
        };
        desk.hear(&theirs(11, "z9hG4bKg1"));
        assert_eq!(desk.brief(), ["491"]);
        desk.hear(&reply(&offer, 491, "", "", ""));
        assert_eq!(desk.brief(), ["ACK"]);
        assert_eq!(desk.told(), [""; 0]);
        let before = desk.now;
        while desk.ua.poll_timeout().is_some_and(|(_, why)| why != Why::OfferAgain) {
            let (at, _) = desk.ua.poll_timeout().unwrap();
            desk.now = at;
            desk.ua.on_timeout(at);
        }
        desk.said();
        desk.wait_for(Why::OfferAgain);
        let pause = desk.now.since(before);
        let range = if caller { 2_100..=4_000 } else { 0..=2_000 };
        assert!(range.contains(&pause.as_millis()), "{pause:?}");
        let again = desk.only();
        assert_eq!((brief(&again).as_str(), body(&again)), ("INVITE", OFFER));
        desk.hear(&reply(&again, 200, "", CONTACT, ANSWER));
        assert_eq!(desk.told(), ["OfferAnswered"]);
    }
}

#[test]
fn while_ours_waits_theirs_goes_first() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    desk.hear(&reply(&offer, 491, "", "", ""));
    desk.said();
    desk.hear(&back("INVITE", &invite, "far", 1, "z9hG4bKg1", "", OFFER));
    assert_eq!(desk.told(), ["Offered"]);
    assert_eq!(desk.brief(), ["100"]);
    desk.wait(Duration::from_secs(5));
    assert_eq!(desk.brief(), [""; 0]);
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    let answer = desk.only();
    assert_eq!(brief(&answer), "200");
    desk.hear(&back("ACK", &invite, "far", 1, "z9hG4bKg2", "", ""));
    assert_eq!(desk.brief(), ["INVITE"]);
}

#[test]
fn their_offer_is_answered_and_its_answer_repeated() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    let offer = request("INVITE", &answer, 2, "z9hG4bKr", "", OFFER);
    desk.hear(&offer);
    desk.hear(&offer);
    assert_eq!(desk.brief(), ["100", "100"]);
    assert_eq!(desk.told(), ["Offered"]);
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    let accepted = desk.only();
    assert_eq!((brief(&accepted).as_str(), body(&accepted)), ("200", ANSWER));
    desk.wait_for(Why::AnswerAgain);
    assert_eq!(desk.only(), accepted);
    desk.hear(&request("ACK", &answer, 2, "z9hG4bKs", "", ""));
    desk.wait_ms(60_000);
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn their_offer_is_refused() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("INVITE", &answer, 2, "z9hG4bKr", "", OFFER));
    desk.said();
    assert_eq!(desk.ua.refuse_offer(desk.now, session, 200), Err(VerbError::WrongStatus));
    desk.ua.refuse_offer(desk.now, session, 488).unwrap();
    assert_eq!(desk.brief(), ["488"]);
    desk.hear(&request("ACK", &answer, 2, "z9hG4bKr", "", ""));
    desk.hear(&request("INVITE", &answer, 3, "z9hG4bKt", "", OFFER));
    assert_eq!(desk.told(), ["Offered", "Offered"]);
}

#[test]
fn asked_for_an_offer_we_make_one_and_the_ack_brings_the_answer() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("INVITE", &answer, 2, "z9hG4bKr", "", ""));
    assert_eq!(desk.told(), ["Asked for an offer"]);
    desk.ua.answer_offer(desk.now, session, sdp(OFFER)).unwrap();
    desk.said();
    // Until that ACK our offer is open: theirs has to wait (RFC 5407 §3.1.4).
    desk.hear(&request("INVITE", &answer, 3, "z9hG4bKt", "", OFFER));
    assert_eq!(desk.brief(), ["491"]);
    desk.hear(&request("ACK", &answer, 2, "z9hG4bKs", "", ANSWER));
    assert_eq!(desk.told(), ["OfferAnswered"]);
}

#[test]
fn we_ask_for_an_offer_and_answer_it_in_the_ack() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, None).unwrap();
    let asked = desk.only();
    desk.hear(&reply(&asked, 200, "", CONTACT, OFFER));
    assert_eq!(desk.told(), ["OfferAnswered with an offer"]);
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    let ack = desk.only();
    assert_eq!((value(&ack, "CSeq").as_str(), body(&ack)), ("2 ACK", ANSWER));
}

#[test]
fn our_offer_waits_for_the_ack_of_our_answer() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    assert_eq!(desk.brief(), [""; 0]);
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.brief(), ["INVITE"]);
}

#[test]
fn a_bye_in_the_middle_of_their_offer_settles_it() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    desk.hear(&request("INVITE", &answer, 2, "z9hG4bKr", "", OFFER));
    desk.hear(&request("BYE", &answer, 3, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["100", "200", "487"]);
    assert_eq!(desk.told(), ["Offered", "Gone Bye { reason: None }"]);
}

#[test]
fn a_bye_in_the_middle_of_our_offer_leaves_no_answer_unacknowledged() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    desk.hear(&back("BYE", &invite, "far", 1, "z9hG4bKb", "", ""));
    desk.hear(&reply(&offer, 200, "", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["200", "ACK"]);
    assert_eq!(desk.told(), ["Gone Bye { reason: None }"]);
    desk.settle();
}

#[test]
fn an_offer_that_was_only_answered_provisionally_is_forgotten_with_its_session() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    desk.hear(&reply(&offer, 100, "", "", ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.only();
    desk.hear(&reply(&bye, 200, "", "", ""));
    desk.settle();
}
