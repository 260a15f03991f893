//! Calls that go somewhere else: Replaces, REFER outside of dialogs, subscriptions that outlive their session.

use std::time::Duration;

use super::desk::*;
use crate::wire::Header;
use crate::{Event, ReferId, SessionId, VerbError};

const TO: &str = "Refer-To: <sip:michael@baton.example>\n";

fn replacing(value: &str) -> String {
    invite("z9hG4bKr", 1, OFFER)
        .replace("call-1@far", "call-2@far")
        .replace("tag=far", "tag=third")
        .replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}Require: replaces\nReplaces: {value}\n")))
}

fn replaced(desk: &mut Desk) -> Option<SessionId> {
    match desk.ua.poll_event() {
        Some(Event::Invite { invite, .. }) => invite.replaces,
        other => panic!("no INVITE but {other:?}"),
    }
}

fn referred(desk: &mut Desk) -> ReferId {
    let events = desk.events();
    match &events[..] {
        [Event::Refer { refer, .. }] => *refer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_invite_names_the_session_that_it_replaces() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    let ours = tag(&value(&answer, "To"));
    desk.hear(&replacing(&format!("call-1@far;from-tag=far;to-tag={ours}")));
    assert_eq!(desk.brief(), ["100"]);
    assert_eq!(replaced(&mut desk), Some(session));
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    assert_eq!(replaced(&mut desk), None);
}

#[test]
fn a_call_of_ours_is_picked_up_while_it_rings() {
    let mut desk = Desk::new();
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 180, "fork", CONTACT, ""));
    desk.events();
    let (call_id, ours) = (value(&invite, "Call-ID"), tag(&value(&invite, "From")));
    desk.hear(&replacing(&format!("{call_id};to-tag={ours};from-tag=fork;early-only")));
    assert_eq!(replaced(&mut desk), Some(session));
}

#[test]
fn what_cannot_be_replaced_is_refused_by_rule() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    let ours = tag(&value(&answer, "To"));
    let rows = [
        (format!("call-1@far;from-tag=far;to-tag={ours};early-only"), "486"),
        (format!("call-9@far;from-tag=far;to-tag={ours}"), "481"),
        (format!("call-1@far;from-tag=other;to-tag={ours}"), "481"),
        ("call-1@far;from-tag=far;to-tag=0000000000000001".to_owned(), "481"),
        (format!("call-1@far;from-tag=far;to-tag={ours}\nReplaces: call-1@far;from-tag=far;to-tag={ours}"), "400"),
        (format!("call-1@far;to-tag={ours}"), "400"),
    ];
    for (at, (value, status)) in rows.iter().enumerate() {
        desk.hear(&replacing(value).replace("z9hG4bKr", &format!("z9hG4bKr{at}")).replace("call-2", &format!("call-2{at}")));
        assert_eq!(desk.brief(), [*status], "{value}");
    }
    desk.told();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.said();
    desk.hear(&replacing(&format!("call-1@far;from-tag=far;to-tag={ours}")));
    assert_eq!(desk.brief(), ["603"], "it is being ended");
}

#[test]
fn a_call_that_rings_with_us_is_nobody_elses_to_take() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.said();
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ours = tag(&value(&desk.only(), "To"));
    desk.hear(&replacing(&format!("call-1@far;from-tag=far;to-tag={ours}")));
    assert_eq!(desk.brief(), ["481"]);
}

#[test]
fn what_our_refer_says_of_a_session_is_what_its_far_side_knows_it_by() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    let (call_id, ours) = (value(&invite, "Call-ID"), tag(&value(&invite, "From")));
    let value = desk.ua.replaces(session).unwrap();
    assert_eq!(value, format!("{call_id};to-tag=far;from-tag={ours}"));
    let target = uri("sip:sara@192.0.2.9").with_header("Replaces", &value);
    assert_eq!(target.header("Replaces").as_deref(), Some(value.as_str()));
    let (ringing, _) = desk.dial(None);
    assert_eq!(desk.ua.replaces(ringing), None, "it is not up");
}

#[test]
fn reports_go_on_after_the_far_side_has_hung_up() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", TO, ""));
    let refer = referred(&mut desk);
    desk.ua.answer_refer(desk.now, session, refer, 202).unwrap();
    desk.hear(&request("BYE", &answer, 3, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["202", "200"]);
    assert_eq!(desk.told(), ["Gone Bye { reason: None }"]);
    desk.ua.notify_refer(desk.now, session, refer, 180, "", Vec::new(), false).unwrap();
    let notify = desk.only();
    assert_eq!(value(&notify, "CSeq"), "1 NOTIFY");
    desk.hear(&reply(&notify, 200, "", "", ""));
    desk.ua.notify_refer(desk.now, session, refer, 200, "", Vec::new(), true).unwrap();
    let notify = desk.only();
    assert_eq!((value(&notify, "CSeq").as_str(), body(&notify)), ("2 NOTIFY", "SIP/2.0 200 OK\r\n"));
    assert_eq!(desk.ua.notify_refer(desk.now, session, refer, 200, "", Vec::new(), true), Err(VerbError::NoSession));
    desk.hear(&reply(&notify, 200, "", "", ""));
    desk.settle();
}

#[test]
fn a_subscription_that_nobody_cares_for_is_forgotten() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", TO, ""));
    let refer = referred(&mut desk);
    desk.ua.answer_refer(desk.now, session, refer, 202).unwrap();
    desk.hear(&request("BYE", &answer, 3, "z9hG4bKb", "", ""));
    desk.wait(Duration::from_secs(181));
    assert_eq!(desk.ua.notify_refer(desk.now, session, refer, 200, "", Vec::new(), true), Err(VerbError::NoSession));
    desk.settle();
}

#[test]
fn who_hung_up_after_our_refer_still_tells_how_it_went_and_after_our_own_bye_nobody_listens() {
    for far_hangs_up in [true, false] {
        let mut desk = Desk::new();
        let (session, invite) = desk.up();
        desk.ua.refer(desk.now, session, &name("<sip:sara@192.0.2.9>"), Vec::new()).unwrap();
        let refer = desk.only();
        desk.hear(&reply(&refer, 202, "", "", ""));
        if far_hangs_up {
            desk.hear(&back("BYE", &invite, "far", 1, "z9hG4bKb", "", ""));
        } else {
            desk.ua.hang_up(desk.now, session, None).unwrap();
            let bye = desk.only();
            desk.hear(&reply(&bye, 200, "", "", ""));
        }
        desk.said();
        desk.told();
        let extra = "Event: refer\nSubscription-State: terminated;reason=noresource\n";
        desk.hear(&back("NOTIFY", &invite, "far", 2, "z9hG4bKn", extra, "SIP/2.0 200 OK\r\n"));
        assert_eq!(desk.brief(), ["200"]);
        assert_eq!(desk.told(), if far_hangs_up { vec!["Notified 200 last"] } else { vec![] });
        desk.hear(&back("NOTIFY", &invite, "far", 3, "z9hG4bKo", extra, "SIP/2.0 200 OK\r\n"));
        assert_eq!(desk.brief(), ["481"]);
        desk.events();
        desk.settle();
    }
}

#[test]
fn who_wants_no_reports_gets_none() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", &format!("{TO}Refer-Sub: false\nRequire: norefersub\n"), ""));
    let refer = referred(&mut desk);
    desk.ua.answer_refer(desk.now, session, refer, 202).unwrap();
    assert_eq!(value(&desk.only(), "Refer-Sub"), "false");
    desk.ua.notify_refer(desk.now, session, refer, 100, "", Vec::new(), false).unwrap();
    desk.ua.notify_refer(desk.now, session, refer, 200, "", Vec::new(), true).unwrap();
    assert_eq!(desk.brief(), [""; 0]);
}

#[test]
fn who_requires_nosub_gets_no_reports_either() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", &format!("{TO}Require: nosub\n"), ""));
    let refer = referred(&mut desk);
    desk.ua.answer_refer(desk.now, session, refer, 200).unwrap();
    assert_eq!(values(&desk.only(), "Refer-Sub").len(), 0, "this is not RFC 4488");
    desk.ua.notify_refer(desk.now, session, refer, 200, "", Vec::new(), true).unwrap();
    assert_eq!(desk.brief(), [""; 0]);
    desk.hear(&request("REFER", &answer, 3, "z9hG4bKg", &format!("{TO}Require: explicitsub\n"), ""));
    assert_eq!(desk.brief(), ["420"]);
}

#[test]
fn a_refer_of_ours_that_wants_no_reports_is_over_with_its_answer() {
    for agrees in [true, false] {
        let mut desk = Desk::new();
        let (session, _) = desk.up();
        let wish = vec![Header::new("Refer-Sub", "false")];
        desk.ua.refer(desk.now, session, &name("<sip:sara@192.0.2.9>"), wish).unwrap();
        let refer = desk.only();
        desk.hear(&reply(&refer, 202, "", if agrees { "Refer-Sub: false\n" } else { "" }, ""));
        let told = desk.told();
        assert_eq!(told, if agrees { vec!["ReferAnswered 202", "Notified 202 last"] } else { vec!["ReferAnswered 202"] });
    }
}

fn outside(target: &str) -> String {
    let head = format!(
        "REFER sip:baton@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKout\nMax-Forwards: 70\n\
         From: <sip:pbx@192.0.2.9>;tag=outer\nTo: <sip:baton@192.0.2.1>\nCall-ID: refer-1@far\nCSeq: 5 REFER\n\
         Contact: <sip:pbx@192.0.2.9:5099>\n{TO}{target}"
    );
    with_body(&head, "", "")
}

#[test]
fn a_refer_outside_of_a_dialog_is_taken_if_it_names_one_and_reports_go_its_own_way() {
    for turned in [false, true] {
        let mut desk = Desk::new();
        let (session, answer) = desk.up_from_far();
        let ours = tag(&value(&answer, "To"));
        let (one, other) = if turned { (ours.as_str(), "far") } else { ("far", ours.as_str()) };
        desk.hear(&outside(&format!("Target-Dialog: call-1@far;local-tag={one};remote-tag={other}\nRequire: tdialog\n")));
        let refer = referred(&mut desk);
        desk.ua.answer_refer(desk.now, session, refer, 202).unwrap();
        let accepted = desk.only();
        assert_eq!(brief(&accepted), "202");
        for (status, last) in [(100, false), (200, true)] {
            desk.ua.notify_refer(desk.now, session, refer, status, "", Vec::new(), last).unwrap();
        }
        let said = desk.said();
        for (at, notify) in said.iter().enumerate() {
            assert!(notify.starts_with("NOTIFY sip:pbx@192.0.2.9:5099 "), "{notify}");
            assert_eq!((value(notify, "Call-ID").as_str(), tag(&value(notify, "To")).as_str()), ("refer-1@far", "outer"));
            assert_eq!(tag(&value(notify, "From")), tag(&value(&accepted, "To")));
            assert_eq!(value(notify, "CSeq"), format!("{} NOTIFY", at + 1));
        }
        assert_eq!(said.len(), 2);
    }
}

#[test]
fn a_refer_outside_of_a_dialog_that_names_none_of_ours_is_forbidden() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    let ours = tag(&value(&answer, "To"));
    let targets = [
        String::new(),
        "Target-Dialog: call-1@far\n".to_owned(),
        format!("Target-Dialog: call-2@far;local-tag=far;remote-tag={ours}\n"),
        format!("Target-Dialog: call-1@far;local-tag=other;remote-tag={ours}\n"),
        format!("Target-Dialog: call-1@far;local-tag={ours};remote-tag={ours}\n"),
    ];
    for (at, target) in targets.iter().enumerate() {
        desk.hear(&outside(target).replace("z9hG4bKout", &format!("z9hG4bKout{at}")).replace("CSeq: 5", &format!("CSeq: {at}")));
        assert_eq!((desk.brief(), desk.told()), (vec!["403".to_owned()], vec!["Stranger outside_dialog".to_owned()]), "{target}");
    }
}
