//! We call.

use super::desk::*;
use crate::{Event, Gone, Limits, Reason, SessionId, Settings, VerbError, Why};

#[test]
fn a_call_is_placed_answered_and_ended() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    assert!(invite.starts_with("INVITE sip:far@192.0.2.9:5070 SIP/2.0\r\n"), "{invite}");
    assert_eq!(value(&invite, "CSeq"), "1 INVITE");
    assert_eq!(value(&invite, "Max-Forwards"), "70");
    assert_eq!(value(&invite, "Contact"), "<sip:192.0.2.1:5060>");
    assert_eq!(value(&invite, "X-Baton-Call"), "c_1");
    assert!(value(&invite, "Via").starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"), "{invite}");
    assert_eq!(desk.ua.call_id(session), Some(value(&invite, "Call-ID").as_str()));
    desk.hear(&reply(&invite, 100, "", "", ""));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Answered"]);
    let ack = desk.only();
    assert_eq!(value(&ack, "CSeq"), "1 ACK");
    assert_ne!(value(&ack, "Via"), value(&invite, "Via"));
    assert_eq!(value(&ack, "To"), format!("{};tag=far", value(&invite, "To")));
    desk.ua.hang_up(desk.now, session, Some(Reason::sip(200, "Call completed elsewhere"))).unwrap();
    let bye = desk.only();
    assert_eq!(value(&bye, "CSeq"), "2 BYE");
    assert_eq!(value(&bye, "Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
    desk.hear(&reply(&bye, 200, "", "", ""));
    assert_eq!(desk.told(), ["Released Some(200)"]);
    desk.settle();
}

#[test]
fn an_invite_is_sent_seven_times_and_then_given_up() {
    let mut desk = Desk::new();
    desk.dial(Some(OFFER));
    let mut spans = Vec::new();
    while desk.ua.poll_timeout().is_some_and(|(_, why)| why == Why::SendAgain) {
        let before = desk.now;
        desk.wait_for(Why::SendAgain);
        spans.push(desk.now.since(before).as_millis());
    }
    assert_eq!(spans, [500, 1_000, 2_000, 4_000, 8_000, 16_000]);
    desk.wait_for(Why::GiveUp);
    assert_eq!(desk.told(), ["Refused 408 local"]);
    assert_eq!(desk.brief(), ["INVITE"; 6]);
    desk.settle();
}

#[test]
fn an_answer_that_comes_after_we_gave_up_is_ended() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.wait_ms(40_000);
    desk.said();
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
    assert_eq!(desk.told(), ["Refused 408 local"]);
    desk.settle();
}

#[test]
fn a_provisional_answer_ends_the_repetitions() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 100, "", "", ""));
    desk.wait_ms(300_000);
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.told(), ["Trying"]);
}

#[test]
fn a_refusal_is_acknowledged_each_time_and_told_once() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    for _ in 0..3 {
        desk.hear(&reply(&invite, 486, "far", "", ""));
        let ack = desk.only();
        assert_eq!((brief(&ack).as_str(), value(&ack, "CSeq").as_str()), ("ACK", "1 ACK"));
        assert_eq!(value(&ack, "Via"), value(&invite, "Via"));
        assert!(value(&ack, "To").ends_with(";tag=far"));
    }
    assert_eq!(desk.told(), ["Refused 486"]);
    desk.settle();
}

#[test]
fn a_repeated_answer_gets_its_ack_again_and_nothing_else() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    let ack = desk.only();
    for _ in 0..3 {
        desk.wait_ms(500);
        desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
        assert_eq!(desk.only(), ack);
    }
    assert_eq!(desk.told(), ["Answered"]);
}

#[test]
fn late_ringing_after_the_answer_is_dropped() {
    let mut desk = Desk::new();
    let (_, invite) = desk.up();
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.hear(&reply(&invite, 183, "other", CONTACT, ANSWER));
    desk.hear(&reply(&invite, 486, "other", "", ""));
    assert_eq!(desk.told(), [""; 0]);
    assert_eq!(desk.brief(), [""; 0]);
}

#[test]
fn of_two_forks_the_first_answer_wins_and_the_other_is_ended() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    for (status, tag) in [(180, "one"), (183, "two"), (180, "three")] {
        desk.hear(&reply(&invite, status, tag, CONTACT, ""));
    }
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Ringing 183", "Ringing 180"]);
    desk.hear(&reply(&invite, 200, "two", CONTACT, ANSWER));
    assert!(value(&desk.only(), "To").ends_with(";tag=two"));
    let stray = reply(&invite, 200, "one", "Contact: <sip:other@192.0.2.10>\n", ANSWER);
    desk.hear(&stray);
    let said = desk.said();
    assert_eq!(said.iter().map(|text| brief(text)).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(
        said.iter().all(|text| value(text, "To").ends_with(";tag=one") && text.contains(" sip:other@192.0.2.10 SIP/2.0\r\n"))
    );
    desk.hear(&stray);
    assert_eq!(desk.only(), said[0]);
    desk.hear(&reply(&said[1], 200, "", "", ""));
    assert_eq!(desk.told(), ["Answered"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert!(value(&desk.only(), "To").ends_with(";tag=two"));
}

#[test]
fn a_stray_answer_that_comes_after_our_bye_is_ended_too() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.only();
    desk.hear(&reply(&bye, 200, "", "", ""));
    desk.hear(&reply(&invite, 200, "late", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
    assert_eq!(desk.told(), ["Released Some(200)"]);
    desk.settle();
}

#[test]
fn a_cancel_waits_for_a_provisional_answer() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.ua.hang_up(desk.now, session, Some(Reason::sip(487, "No answer"))).unwrap();
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.ua.hang_up(desk.now, session, None), Err(VerbError::WrongState));
    desk.hear(&reply(&invite, 100, "", "", ""));
    let cancel = desk.only();
    assert_eq!((brief(&cancel).as_str(), value(&cancel, "CSeq").as_str()), ("CANCEL", "1 CANCEL"));
    assert_eq!(value(&cancel, "Via"), value(&invite, "Via"));
    assert_eq!(value(&cancel, "To"), value(&invite, "To"));
    assert_eq!(value(&cancel, "Reason"), "SIP;cause=487;text=\"No answer\"");
    desk.hear(&reply(&cancel, 200, "far", "", ""));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.hear(&reply(&invite, 487, "far", "", ""));
    assert_eq!(desk.brief(), ["ACK"]);
    assert_eq!(desk.told(), ["Released Some(487)"]);
    desk.settle();
}

#[test]
fn a_cancel_leaves_at_once_while_it_rings() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.brief(), ["CANCEL"]);
}

#[test]
fn an_answer_that_crosses_the_cancel_gets_ack_and_bye_and_is_never_told() {
    for rings in [true, false] {
        let mut desk = Desk::new();
        let (session, invite) = desk.dial(Some(OFFER));
        if rings {
            desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
        }
        desk.events();
        desk.ua.hang_up(desk.now, session, Some(Reason::sip(487, "Caller gone"))).unwrap();
        desk.said();
        desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
        let said = desk.said();
        assert_eq!(said.iter().map(|text| brief(text)).collect::<Vec<_>>(), ["ACK", "BYE"]);
        assert_eq!(desk.told(), ["Released Some(200)"]);
        desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
        assert_eq!(desk.brief(), ["ACK"]);
        desk.hear(&reply(&said[1], 200, "", "", ""));
        desk.settle();
        assert_eq!(desk.told(), [""; 0]);
    }
}

#[test]
fn a_cancelled_invite_without_final_answer_is_given_up_after_32_seconds() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let cancel = desk.only();
    desk.hear(&reply(&cancel, 200, "far", "", ""));
    desk.events();
    desk.wait_ms(31_999);
    assert_eq!(desk.told(), [""; 0]);
    desk.wait_ms(1);
    assert_eq!(desk.told(), ["Released None"]);
    desk.settle();
}

#[test]
fn a_call_that_was_never_answered_at_all_can_be_hung_up() {
    let mut desk = Desk::new();
    let (session, _) = desk.dial(Some(OFFER));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.wait_ms(32_000);
    assert_eq!(desk.told(), ["Released None"]);
    desk.settle();
}

#[test]
fn an_offer_in_the_answer_is_answered_in_the_ack() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(None);
    assert!(values(&invite, "Content-Type").is_empty());
    desk.hear(&reply(&invite, 200, "far", CONTACT, OFFER));
    assert_eq!(desk.told(), ["Answered with an offer"]);
    desk.hear(&reply(&invite, 200, "far", CONTACT, OFFER));
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.ua.offer(desk.now, session, None), Err(VerbError::OfferPending));
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    let ack = desk.only();
    assert_eq!((brief(&ack).as_str(), body(&ack)), ("ACK", ANSWER));
    desk.hear(&reply(&invite, 200, "far", CONTACT, OFFER));
    assert_eq!(desk.only(), ack);
    assert_eq!(desk.ua.answer_offer(desk.now, session, sdp(ANSWER)), Err(VerbError::WrongState));
}

#[test]
fn hanging_up_on_an_unanswered_offer_still_acknowledges_it() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(None);
    desk.hear(&reply(&invite, 200, "far", CONTACT, OFFER));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
}

#[test]
fn a_bye_that_overtakes_its_own_answer_ends_the_call_when_the_answer_comes() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    desk.hear(&back("BYE", &invite, "far", 1, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200"]);
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK"]);
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Answered", "Gone Bye { reason: None }"]);
    desk.settle();
}

#[test]
fn a_redirection_is_told_with_its_contact() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 302, "far", "Contact: <sip:else@192.0.2.77>\n", ""));
    match desk.events().pop() {
        Some(Event::Refused { status: 302, message: Some(message), .. }) => {
            assert_eq!(message.header("Contact"), Some("<sip:else@192.0.2.77>"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let mut desk = Desk::new();
    desk.dial(Some(OFFER));
    desk.ua.send_failed(desk.now, crate::Transport::Udp, addr("192.0.2.10:5070"));
    assert_eq!(desk.told(), [""; 0]);
    desk.ua.send_failed(desk.now, crate::Transport::Udp, addr(PEER));
    assert_eq!(desk.told(), ["Refused 503 local"]);
    desk.settle();
}

#[test]
fn an_answer_by_an_old_peer_without_tag_and_contact_is_good_enough() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 200, "", "", ANSWER));
    assert_eq!(desk.brief(), ["ACK"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert!(desk.only().starts_with("BYE sip:far@192.0.2.9:5070 SIP/2.0\r\n"));
}

#[test]
fn verbs_that_do_not_fit_send_nothing_and_say_why() {
    let mut desk = Desk::new();
    let (session, _) = desk.dial(Some(OFFER));
    let nobody = SessionId(999);
    assert_eq!(desk.ua.hang_up(desk.now, nobody, None), Err(VerbError::NoSession));
    assert_eq!(desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()), Err(VerbError::WrongState));
    assert_eq!(desk.ua.ring(desk.now, session, 200, None, Vec::new()), Err(VerbError::WrongStatus));
    assert_eq!(desk.ua.refuse(desk.now, session, 200, None, Vec::new()), Err(VerbError::WrongStatus));
    assert_eq!(desk.ua.info(desk.now, session, "application/dtmf-relay", sdp("")), Err(VerbError::WrongState));
    assert_eq!(desk.ua.offer(desk.now, session, None), Err(VerbError::WrongState));
    assert_eq!(desk.brief(), [""; 0]);
    let mut full = Desk::with(Settings { limits: Limits { sessions: 0, ..Limits::default() }, ..settings() });
    assert_eq!(full.ua.dial(full.now, call(None)), Err(VerbError::Full));
}

#[test]
fn requests_follow_the_recorded_route() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    let route = "Record-Route: <sip:192.0.2.51;lr>, <sip:192.0.2.50:5080;lr>\n";
    desk.hear(&reply(&invite, 200, "far", &format!("{route}{CONTACT}"), ANSWER));
    let ack = desk.transmits().remove(0);
    assert_eq!(ack.remote, addr("192.0.2.50:5080"));
    let text = String::from_utf8(ack.bytes.to_vec()).unwrap();
    assert_eq!(values(&text, "Route").join(", "), "<sip:192.0.2.50:5080;lr>, <sip:192.0.2.51;lr>");
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert!(desk.only().starts_with("BYE sip:far@192.0.2.9:5070 SIP/2.0\r\n"));
}

#[test]
fn a_strict_router_finds_itself_in_the_request_uri() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 200, "far", &format!("Record-Route: <sip:192.0.2.51;lr>, <sip:192.0.2.50>\n{CONTACT}"), ANSWER));
    let ack = desk.only();
    assert!(ack.starts_with("ACK sip:192.0.2.50 SIP/2.0\r\n"), "{ack}");
    assert_eq!(values(&ack, "Route").join(", "), "<sip:192.0.2.51;lr>, <sip:far@192.0.2.9:5070>");
}

#[test]
fn the_far_side_hangs_up() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    let bye = back("BYE", &invite, "far", 1, "z9hG4bKb", "Reason: Q.850;cause=16\n", "");
    desk.hear(&bye);
    desk.hear(&bye);
    assert_eq!(desk.brief(), ["200", "200"]);
    assert!(
        matches!(&desk.events()[..], [Event::Gone { why: Gone::Bye { reason: Some(reason) }, .. }] if reason == "Q.850;cause=16")
    );
    assert_eq!(desk.ua.hang_up(desk.now, session, None), Err(VerbError::WrongState));
    desk.settle();
}

#[test]
fn a_redirection_is_a_refusal_unless_it_may_be_followed() {
    let moved = "Contact: <tel:+15550142>, <sip:sara@elsewhere.example>, <sip:sara@192.0.2.77:5077>\n";
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 302, "far", moved, ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 302".to_owned()]));
    let mut desk = Desk::with(Settings { redirects: 1, ..settings() });
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 302, "far", moved, ""));
    let sent = desk.transmits();
    let text = String::from_utf8(sent[1].bytes.to_vec()).unwrap();
    assert!(text.starts_with("INVITE sip:sara@192.0.2.77:5077 SIP/2.0"), "{text}");
    assert_eq!((sent[1].remote, value(&text, "CSeq"), body(&text)), (addr("192.0.2.77:5077"), "2 INVITE".to_owned(), OFFER));
    assert_eq!(value(&text, "To"), value(&invite, "To"), "whom we wanted stays");
    desk.hear(&reply(&text, 302, "far", "Contact: <sip:sara@192.0.2.78>\n", ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 302".to_owned()]), "once");
    assert_eq!(desk.ua.hang_up(desk.now, session, None), Err(VerbError::WrongState));
    for nowhere in ["", "Contact: <sip:far@192.0.2.9:5070>\n", "Contact: *\n", "Contact: <sip:x@192.0.2.5;transport=tls>\n"] {
        let mut desk = Desk::with(Settings { redirects: 1, ..settings() });
        let (_, invite) = desk.dial(Some(OFFER));
        desk.hear(&reply(&invite, 302, "far", nowhere, ""));
        assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 302".to_owned()]), "{nowhere}");
    }
}

#[test]
fn a_phone_that_rang_when_the_process_died_is_asked_again_once() {
    let next_process = |desk: &Desk, session| {
        let written = serde_json::to_vec(&desk.ua.snapshot(session).expect("a session")).unwrap();
        let mut next = Desk::new();
        next.now = desk.now;
        next.ua.restore_common(&desk.ua.common_snapshot());
        next.ua.restore(next.now, serde_json::from_slice(&written).unwrap(), None);
        next
    };
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    let mut next = next_process(&desk, session);
    assert_eq!(next.only(), invite, "they may have answered, and had their ACK");
    next.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!((next.brief(), next.told()), (vec!["ACK".to_owned()], vec!["Answered".to_owned()]));
    next.wait_ms(5_000);
    assert_eq!(next.brief(), [""; 0]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let mut next = next_process(&desk, session);
    assert!(!next.brief().contains(&"INVITE".to_owned()), "a call that was taken back rings nobody");
}
