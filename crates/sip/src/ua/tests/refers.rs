//! REFER and NOTIFY both ways.

use super::desk::*;
use crate::wire::Header;
use crate::{Event, ReferId, VerbError};

const TO: &str = "Refer-To: <sip:michael@baton.example?X-Baton-Summary=wants%20seats>\nReferred-By: <sip:ava@ai>\n";

fn referred(desk: &mut Desk) -> ReferId {
    let events = desk.events();
    match &events[..] {
        [Event::Refer { refer, .. }] => *refer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refer_is_accepted_and_reported_on_in_order_before_our_bye() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    let refer = request("REFER", &answer, 2, "z9hG4bKf", TO, "");
    desk.hear(&refer);
    desk.hear(&refer);
    assert_eq!(desk.brief(), [""; 0]);
    let events = desk.events();
    let [Event::Refer { refer: id, refer_to, referred_by, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((refer_to.uri.user(), referred_by.is_some()), (Some("michael"), true));
    assert_eq!(refer_to.uri.header("X-Baton-Summary").as_deref(), Some("wants seats"));
    desk.ua.answer_refer(desk.now, session, *id, 202).unwrap();
    let accepted = desk.only();
    assert_eq!(brief(&accepted), "202");
    assert_eq!(values(&accepted, "Contact").len(), 1);
    let outcome = vec![Header::new("X-Baton-Outcome", "bridged")];
    desk.ua.notify_refer(desk.now, session, *id, 100, "Trying", Vec::new(), false).unwrap();
    desk.ua.notify_refer(desk.now, session, *id, 180, "Ringing", Vec::new(), false).unwrap();
    desk.ua.notify_refer(desk.now, session, *id, 200, "OK", outcome, true).unwrap();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let said = desk.said();
    assert_eq!(said.iter().map(|text| brief(text)).collect::<Vec<_>>(), ["NOTIFY", "NOTIFY", "NOTIFY", "BYE"]);
    assert_eq!(said.iter().map(|text| value(text, "CSeq")).collect::<Vec<_>>(), ["1 NOTIFY", "2 NOTIFY", "3 NOTIFY", "4 BYE"]);
    assert_eq!(body(&said[0]), "SIP/2.0 100 Trying\r\n");
    assert!(value(&said[0], "Subscription-State").starts_with("active;expires="));
    assert_eq!(value(&said[0], "Event"), "refer;id=2");
    assert_eq!(value(&said[0], "Content-Type"), "message/sipfrag;version=2.0");
    assert_eq!(body(&said[2]), "SIP/2.0 200 OK\r\nX-Baton-Outcome: bridged\r\n");
    assert_eq!(value(&said[2], "Subscription-State"), "terminated;reason=noresource");
    assert_eq!(value(&said[2], "X-Baton-Outcome"), "bridged");
    for text in &said {
        desk.hear(&reply(text, 200, "", "", ""));
    }
    assert_eq!(desk.told(), ["Released Some(200)"]);
    desk.settle();
}

#[test]
fn a_refer_is_refused() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", TO, ""));
    let refer = referred(&mut desk);
    assert_eq!(desk.ua.notify_refer(desk.now, session, refer, 100, "Trying", Vec::new(), false), Err(VerbError::WrongState));
    desk.ua.answer_refer(desk.now, session, refer, 404).unwrap();
    assert_eq!(desk.brief(), ["404"]);
    assert_eq!(desk.ua.answer_refer(desk.now, session, refer, 202), Err(VerbError::NoRefer));
    assert_eq!(desk.ua.notify_refer(desk.now, session, refer, 100, "Trying", Vec::new(), false), Err(VerbError::NoRefer));
}

#[test]
fn a_report_that_fails_harms_nobody() {
    for status in [481, 408, 500] {
        let mut desk = Desk::new();
        let (session, answer) = desk.up_from_far();
        desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", TO, ""));
        let refer = referred(&mut desk);
        desk.ua.answer_refer(desk.now, session, refer, 202).unwrap();
        desk.said();
        desk.ua.notify_refer(desk.now, session, refer, 100, "Trying", Vec::new(), false).unwrap();
        let notify = desk.only();
        desk.hear(&reply(&notify, status, "", "", ""));
        assert_eq!(desk.told(), [""; 0]);
        desk.ua.notify_refer(desk.now, session, refer, 200, "OK", Vec::new(), true).unwrap();
        assert_eq!(desk.said().len(), usize::from(status != 481), "{status}");
        desk.wait_ms(40_000);
        assert_eq!(desk.told(), [""; 0]);
    }
}

#[test]
fn a_refer_to_nowhere_is_malformed() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", "", ""));
    desk.hear(&request("REFER", &answer, 3, "z9hG4bKg", "Refer-To: <<>>\n", ""));
    assert_eq!(desk.brief(), ["400", "400"]);
    assert!(!desk.told().iter().any(|word| word.starts_with("Refer ")));
}

#[test]
fn refers_beyond_the_limit_are_put_off() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    for seq in 2..=10 {
        desk.hear(&request("REFER", &answer, seq, &format!("z9hG4bKf{seq}"), TO, ""));
    }
    assert_eq!(desk.brief(), ["503"]);
    assert_eq!(desk.told().len(), 8);
}

#[test]
fn a_bye_settles_a_refer_that_waits() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.hear(&request("REFER", &answer, 2, "z9hG4bKf", TO, ""));
    let refer = referred(&mut desk);
    desk.hear(&request("BYE", &answer, 3, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200", "487"]);
    assert_eq!(desk.ua.answer_refer(desk.now, session, refer, 202), Err(VerbError::NoSession));
}

#[test]
fn our_refer_is_accepted_and_reported_on() {
    for accepted in [202, 200] {
        let mut desk = Desk::new();
        let (session, invite) = desk.up();
        let id = desk.ua.refer(desk.now, session, &name("<sip:sara@192.0.2.30>"), Vec::new()).unwrap();
        let refer = desk.only();
        assert_eq!((value(&refer, "CSeq").as_str(), value(&refer, "Refer-To").as_str()), ("2 REFER", "<sip:sara@192.0.2.30>"));
        let notify = |seq, state: &str, frag| {
            let extra = format!("Event: refer;id=2\nSubscription-State: {state}\n");
            back("NOTIFY", &invite, "far", seq, &format!("z9hG4bKn{seq}"), &extra, frag)
        };
        // The first report may overtake the answer.
        desk.hear(&notify(1, "active;expires=60", "SIP/2.0 100 Trying\n"));
        desk.hear(&reply(&refer, accepted, "", "", ""));
        desk.hear(&notify(2, "terminated;reason=noresource", "SIP/2.0 200 OK\n"));
        desk.hear(&notify(3, "active", "SIP/2.0 200 OK\n"));
        assert_eq!(desk.brief(), ["200", "200", "481"]);
        let told = desk.told();
        assert_eq!(told, ["Notified 100", &format!("ReferAnswered {accepted}"), "Notified 200 last", "Stranger unknown_dialog"]);
        assert_eq!(id, ReferId(1));
    }
}

#[test]
fn a_refused_refer_of_ours_gets_no_reports() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    desk.ua.refer(desk.now, session, &name("<sip:sara@192.0.2.30>"), Vec::new()).unwrap();
    let refer = desk.only();
    desk.hear(&reply(&refer, 603, "", "", ""));
    assert_eq!(desk.told(), ["ReferAnswered 603"]);
    desk.hear(&back(
        "NOTIFY",
        &invite,
        "far",
        1,
        "z9hG4bKn",
        "Event: refer\nSubscription-State: active\n",
        "SIP/2.0 100 Trying\n",
    ));
    desk.hear(&back("NOTIFY", &invite, "far", 2, "z9hG4bKm", "Event: presence\nSubscription-State: active\n", "x"));
    assert_eq!(desk.brief(), ["481", "489"]);
}
