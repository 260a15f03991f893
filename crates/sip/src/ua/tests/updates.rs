//! UPDATE (RFC 3311), both ways, and what it meets.

use super::desk::*;
use crate::{SessionId, VerbError};

const ALLOWS: &str = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\n";

/// A call from the far side, which takes UPDATE.
fn up(desk: &mut Desk) -> (SessionId, String) {
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}{ALLOWS}"))));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.told(), ["Confirmed"]);
    (session, answer)
}

fn update(answer: &str, seq: u32, body: &str) -> String {
    request("UPDATE", answer, seq, &format!("z9hG4bKu{seq}"), "Contact: <sip:moved@192.0.2.9:5099>\n", body)
}

#[test]
fn an_update_is_an_offer_that_is_answered_in_its_200() {
    let mut desk = Desk::new();
    let (session, answer) = up(&mut desk);
    assert!(value(&answer, "Allow").contains("UPDATE"));
    desk.hear(&update(&answer, 2, OFFER));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec!["Offered".to_owned()]));
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    let ok = desk.only();
    assert_eq!((brief(&ok).as_str(), body(&ok), value(&ok, "Contact").as_str()), ("200", ANSWER, "<sip:192.0.2.1:5060>"));
    desk.hear(&update(&answer, 2, OFFER));
    assert_eq!(desk.only(), ok, "a repetition");
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert!(desk.only().starts_with("BYE sip:moved@192.0.2.9:5099 "), "and it moves the target");
}

#[test]
fn an_update_without_an_offer_is_a_sign_of_life() {
    let mut desk = Desk::new();
    let (_, answer) = up(&mut desk);
    desk.hear(&update(&answer, 2, ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["200".to_owned()], vec![]));
    desk.hear(&update(&answer, 3, "hello").replace("application/sdp", "text/plain"));
    assert_eq!((desk.brief(), desk.told()), (vec!["415".to_owned()], vec![]));
}

#[test]
fn a_refused_update_leaves_everything_as_it_was() {
    let mut desk = Desk::new();
    let (session, answer) = up(&mut desk);
    desk.hear(&update(&answer, 2, OFFER));
    desk.ua.refuse_offer(desk.now, session, 488).unwrap();
    assert_eq!(desk.brief(), ["488"]);
    assert_eq!(desk.ua.refuse_offer(desk.now, session, 488), Err(VerbError::WrongState));
}

#[test]
fn an_update_that_meets_an_offer_of_ours_is_491_and_one_that_follows_another_is_500() {
    let mut desk = Desk::new();
    let (session, answer) = up(&mut desk);
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    desk.said();
    desk.hear(&update(&answer, 2, OFFER));
    assert_eq!(desk.brief(), ["491"]);
    let mut desk = Desk::new();
    let (_, answer) = up(&mut desk);
    desk.hear(&update(&answer, 2, OFFER));
    desk.hear(&update(&answer, 3, OFFER));
    let refusal = desk.only();
    assert_eq!(brief(&refusal), "500");
    assert!(value(&refusal, "Retry-After").parse::<u32>().unwrap() <= 10);
    desk.hear(&request("INVITE", &answer, 4, "z9hG4bKr", "", OFFER));
    assert_eq!(desk.brief(), ["500"], "a re-INVITE too");
}

#[test]
fn an_update_while_our_2xx_waits_for_its_ack() {
    for (offer, status) in [(OFFER, None), ("", Some("491"))] {
        let mut desk = Desk::new();
        desk.hear(&invite("z9hG4bKa", 1, offer));
        let session = desk.invited();
        desk.said();
        desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
        let answer = desk.only();
        desk.hear(&update(&answer, 2, OFFER));
        match status {
            Some(status) => assert_eq!(desk.brief(), [status], "our offer waits for its answer"),
            None => assert_eq!(desk.told(), ["Offered"], "offer and answer were exchanged"),
        }
    }
}

#[test]
fn an_update_before_our_answer_waits_until_the_first_offer_is_answered() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}Supported: 100rel\n"))));
    let session = desk.invited();
    desk.said();
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ringing = desk.only();
    desk.hear(&update(&ringing, 2, OFFER));
    assert_eq!(desk.brief(), ["500"]);
    desk.ua.ring(desk.now, session, 183, Some(sdp(ANSWER)), Vec::new()).unwrap();
    let progress = desk.only();
    let rack = format!("RAck: {} 1 INVITE\n", value(&progress, "RSeq"));
    desk.hear(&request("PRACK", &ringing, 3, "z9hG4bKp", &rack, ""));
    desk.hear(&update(&ringing, 4, OFFER));
    assert_eq!((desk.brief(), desk.told()), (vec!["200".to_owned()], vec!["Offered".to_owned()]));
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    assert_eq!(desk.brief(), ["200"]);
}

#[test]
fn an_update_to_our_early_dialog_is_taken_once_our_offer_is_answered() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.hear(&back("UPDATE", &invite, "far", 1, "z9hG4bKu1", CONTACT, OFFER));
    assert_eq!(desk.brief(), ["491"]);
    desk.hear(&reply(&invite, 183, "far", &format!("{CONTACT}Require: 100rel\nRSeq: 1\n"), ANSWER));
    assert_eq!(desk.brief(), ["PRACK"]);
    desk.told();
    desk.hear(&back("UPDATE", &invite, "far", 2, "z9hG4bKu2", CONTACT, OFFER));
    assert_eq!(desk.told(), ["Offered"]);
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    assert_eq!(desk.brief(), ["200"]);
    desk.hear(&back("UPDATE", &invite, "far", 3, "z9hG4bKu3", CONTACT, OFFER));
    desk.hear(&reply(&invite, 486, "far", "", ""));
    assert_eq!(desk.brief(), ["ACK", "487"], "nothing is left without an answer");
}

#[test]
fn our_update_is_an_offer_without_an_ack() {
    let mut desk = Desk::new();
    let (session, _) = up(&mut desk);
    desk.ua.update(desk.now, session, sdp(OFFER)).unwrap();
    let offer = desk.only();
    assert_eq!((brief(&offer).as_str(), value(&offer, "CSeq").as_str(), body(&offer)), ("UPDATE", "1 UPDATE", OFFER));
    assert_eq!(desk.ua.update(desk.now, session, sdp(OFFER)), Err(VerbError::OfferPending));
    desk.hear(&reply(&offer, 200, "", CONTACT, ANSWER));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec!["OfferAnswered".to_owned()]));
    desk.ua.update(desk.now, session, sdp(OFFER)).unwrap();
    let offer = desk.only();
    desk.hear(&reply(&offer, 488, "", "", ""));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec!["OfferRefused 488".to_owned()]));
}

#[test]
fn who_takes_no_update_gets_a_re_invite() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.update(desk.now, session, sdp(OFFER)).unwrap();
    assert_eq!(desk.brief(), ["INVITE"], "it has never said that it would");
    let mut desk = Desk::new();
    let (session, _) = up(&mut desk);
    desk.ua.update(desk.now, session, sdp(OFFER)).unwrap();
    let offer = desk.only();
    desk.hear(&reply(&offer, 405, "", "", ""));
    let offer = desk.only();
    assert_eq!((brief(&offer).as_str(), body(&offer)), ("INVITE", OFFER), "it has promised what it does not keep");
    desk.hear(&reply(&offer, 200, "", CONTACT, ANSWER));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["OfferAnswered".to_owned()]));
}

#[test]
fn updates_that_meet_are_both_refused_and_ours_is_tried_again() {
    let mut desk = Desk::new();
    let (session, answer) = up(&mut desk);
    desk.ua.update(desk.now, session, sdp(OFFER)).unwrap();
    let offer = desk.only();
    desk.hear(&update(&answer, 2, OFFER));
    desk.hear(&reply(&offer, 491, "", "", ""));
    assert_eq!(desk.brief(), ["491"]);
    desk.wait_ms(2_000);
    let again = &desk.said()[0];
    assert_eq!((value(again, "CSeq").as_str(), body(again)), ("2 UPDATE", OFFER), "the callee waits 2 s at most");
}

#[test]
fn an_update_that_meets_no_dialog_ends_the_session() {
    for status in [Some(481), Some(408), None] {
        let mut desk = Desk::new();
        let (session, _) = up(&mut desk);
        desk.ua.update(desk.now, session, sdp(OFFER)).unwrap();
        let offer = desk.only();
        match status {
            Some(status) => desk.hear(&reply(&offer, status, "", "", "")),
            None => desk.wait_ms(32_000),
        }
        assert_eq!(desk.told(), ["Gone TimedOut"]);
        desk.settle();
    }
}
