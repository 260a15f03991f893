//! Datagrams that cannot be sent: the way may be free again for the next one.

use std::time::Duration;

use super::desk::*;
use crate::wire::Header;
use crate::{SessionId, Transport};

/// What is sent to the far side cannot be sent.
fn fail(desk: &mut Desk) {
    desk.ua.send_failed(desk.now, Transport::Udp, addr(PEER));
}

/// A phone of theirs rings for a call of ours.
fn ringing() -> (Desk, SessionId, String) {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    (desk, session, invite)
}

#[test]
fn whoever_got_an_earlier_copy_of_a_call_that_was_given_up_is_told_that_it_is_over() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    fail(&mut desk);
    assert_eq!(desk.told(), ["Refused 503 local"]);
    desk.wait_ms(10_000);
    assert_eq!(desk.brief(), [""; 0], "nothing is repeated");
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK"]);
    assert_eq!(desk.told(), [""; 0]);
    desk.settle();
}

#[test]
fn a_phone_that_rings_for_a_call_that_was_given_up_is_cancelled() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    fail(&mut desk);
    desk.told();
    desk.hear(&reply(&invite, 180, "far", CONTACT, ""));
    let cancel = desk.only();
    assert_eq!(brief(&cancel), "CANCEL");
    desk.hear(&reply(&cancel, 200, "far", "", ""));
    desk.hear(&reply(&invite, 487, "far", "", ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec![]));
    desk.settle();
}

#[test]
fn a_call_that_is_being_taken_back_is_still_ended_where_its_phone_answers() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.wait_ms(600);
    assert_eq!(desk.brief(), ["INVITE"]);
    fail(&mut desk);
    assert_eq!(desk.told(), ["Released None"]);
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
    desk.settle();
}

#[test]
fn a_phone_that_is_heard_of_rings_on_whatever_else_cannot_be_sent_to_it() {
    let (mut desk, session, invite) = ringing();
    fail(&mut desk);
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!((desk.told(), desk.brief()), (vec!["Trying".into(), "Ringing 180".into(), "Answered".into()], vec!["ACK".into()]));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.settle();
}

#[test]
fn cancel_and_bye_are_repeated_until_they_arrive() {
    let (mut desk, session, _) = ringing();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.brief(), ["CANCEL"]);
    fail(&mut desk);
    desk.wait_ms(500);
    assert_eq!(desk.brief(), ["CANCEL"]);
    desk.settle();

    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.only();
    fail(&mut desk);
    assert_eq!(desk.told(), [""; 0]);
    desk.wait_ms(500);
    assert_eq!(desk.only(), bye);
    desk.hear(&reply(&bye, 200, "", "", ""));
    assert_eq!(desk.told(), ["Released Some(200)"]);
    desk.settle();
}

#[test]
fn one_of_several_phones_that_cannot_be_called_ends_none_of_the_others_however_long_they_ring() {
    let mut desk = Desk::new();
    let beside = crate::Beside {
        target: uri("sip:second@192.0.2.19:5070"),
        route: crate::Hop::new(Transport::Udp, addr("192.0.2.19:5070")),
        flow: None,
        routes: Vec::new(),
        round: 0,
    };
    let session = desk.ua.dial(desk.now, crate::Dial { beside: vec![beside], ..call(Some(OFFER)) }).unwrap();
    let invites = desk.said();
    desk.hear_by(Transport::Udp, None, "192.0.2.19:5070", &reply(&invites[1], 180, "second", CONTACT, ""));
    fail(&mut desk);
    desk.hear(&reply(&invites[0], 180, "first", CONTACT, ""));
    assert_eq!(desk.brief(), ["CANCEL"], "whoever was given up is told so");
    desk.wait(Duration::from_secs(100));
    desk.said();
    desk.hear_by(Transport::Udp, None, "192.0.2.19:5070", &reply(&invites[1], 200, "second", CONTACT, ANSWER));
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Answered"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.settle();
}

#[test]
fn a_change_that_cannot_be_sent_leaves_the_call_as_it_is() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    fail(&mut desk);
    assert_eq!(desk.told(), ["OfferRefused 503"]);
    // An earlier copy may have arrived: its 2xx waits for its ACK all the same.
    desk.hear(&reply(&offer, 200, "", CONTACT, ANSWER));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec![]));
    desk.wait_ms(100_000);
    assert_eq!((desk.brief(), desk.told()), (vec![], vec![]));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.settle();
}

#[test]
fn a_refresh_that_cannot_be_sent_is_tried_again() {
    for allow in ["", "Allow: UPDATE\n"] {
        let mut desk = Desk::new();
        let (session, invite) = desk.dial(Some(OFFER));
        let agreed = format!("{CONTACT}Session-Expires: 90;refresher=uac\n");
        desk.hear(&reply(&invite, 200, "far", &format!("{agreed}{allow}"), ANSWER));
        desk.said();
        desk.told();
        desk.wait_ms(45_000);
        assert_eq!(desk.said().len(), 1);
        fail(&mut desk);
        assert_eq!(desk.told(), [""; 0]);
        desk.wait_ms(30_000);
        let again = desk.said().remove(0);
        desk.hear(&reply(&again, 200, "", &agreed, ANSWER));
        desk.said();
        desk.wait_ms(40_000);
        assert_eq!(desk.told(), [""; 0], "the session goes on");
        desk.ua.hang_up(desk.now, session, None).unwrap();
        desk.settle();
    }
}

#[test]
fn a_bye_that_a_report_has_overtaken_is_said_once_more_with_the_next_number() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    let to = "Refer-To: <sip:michael@baton.example>\n";
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", to, ""));
    let refer = match desk.ua.poll_event() {
        Some(crate::Event::Refer { refer, .. }) => refer,
        other => panic!("{other:?}"),
    };
    desk.ua.answer_refer(desk.now, session, refer, 202).unwrap();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let said = desk.said();
    let bye = said.last().unwrap();
    desk.ua.notify_refer(desk.now, session, refer, 200, "OK", vec![Header::new("X-Baton-Outcome", "bridged")], true).unwrap();
    let notify = desk.only();
    assert_eq!((value(bye, "CSeq").as_str(), value(&notify, "CSeq").as_str()), ("1 BYE", "2 NOTIFY"));
    desk.hear(&reply(&notify, 200, "", "", ""));
    desk.hear(&reply(bye, 500, "", "", ""));
    let again = desk.only();
    assert_eq!(value(&again, "CSeq"), "3 BYE");
    assert_eq!(desk.told(), [""; 0]);
    desk.hear(&reply(&again, 500, "", "", ""));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec!["Released Some(500)".to_owned()]), "nothing has overtaken this one");
    desk.settle();
}

#[test]
fn whoever_offers_again_has_our_answer_though_its_ack_is_lost() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("INVITE", &answer, 2, "z9hG4bKr", "", OFFER));
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    desk.said();
    desk.hear(&request("INVITE", &answer, 3, "z9hG4bKt", "", OFFER));
    assert_eq!(desk.told(), ["Offered", "Offered"]);
    assert_eq!(desk.brief(), ["100"]);
    desk.wait_ms(3_000);
    assert_eq!(desk.brief(), [""; 0], "the first answer is not said again");
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    assert_eq!(desk.brief(), ["200"]);
    desk.hear(&request("ACK", &answer, 3, "z9hG4bKs", "", ""));
    desk.wait_ms(3_000);
    assert_eq!(desk.brief(), [""; 0]);
}
