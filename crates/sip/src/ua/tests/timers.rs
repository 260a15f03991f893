//! Session timers (RFC 4028), both ways.

use std::time::Duration;

use super::desk::*;
use crate::{SessionId, Why};

/// A call of ours whose answer says this.
fn dialled(desk: &mut Desk, extra: &str) -> (SessionId, String) {
    let (session, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 200, "far", &format!("{CONTACT}{extra}"), ANSWER));
    desk.said();
    assert_eq!(desk.told(), ["Answered"]);
    (session, invite)
}

/// A call from the far side that says this; gives our 200.
fn called(desk: &mut Desk, extra: &str) -> (SessionId, String) {
    desk.hear(&asks(extra));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.told(), ["Confirmed"]);
    (session, answer)
}

fn asks(extra: &str) -> String {
    invite("z9hG4bKa", 1, OFFER).replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}{extra}")))
}

#[test]
fn our_invite_asks_for_half_an_hour_and_without_an_answer_to_that_there_is_no_timer() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    assert_eq!(value(&invite, "Session-Expires"), "1800");
    assert!(value(&invite, "Supported").contains("timer"));
    desk.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
    desk.said();
    desk.wait(Duration::from_secs(86_400));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec!["Answered".to_owned()]));
    let mut settings = settings();
    settings.session_expires = Duration::ZERO;
    assert_eq!(values(&Desk::with(settings).dial(Some(OFFER)).1, "Session-Expires"), [""; 0]);
}

#[test]
fn we_refresh_at_half_time_by_update_and_nobody_hears_of_it() {
    let mut desk = Desk::new();
    dialled(&mut desk, "Session-Expires: 600;refresher=uac\nRequire: timer\nAllow: INVITE, UPDATE\n");
    desk.wait_ms(64_000);
    for seq in 2..5 {
        desk.wait_for(Why::Refresh);
        let refresh = desk.only();
        assert_eq!((value(&refresh, "CSeq"), body(&refresh)), (format!("{seq} UPDATE"), ""));
        assert_eq!(value(&refresh, "Session-Expires"), "600;refresher=uac");
        let begun = desk.now;
        desk.hear(&reply(&refresh, 200, "", &format!("{CONTACT}Session-Expires: 600;refresher=uac\n"), ""));
        assert_eq!(desk.told(), [""; 0]);
        assert_eq!(desk.ua.poll_timeout().map(|(at, _)| at.since(begun) <= Duration::from_secs(300)), Some(true));
        desk.wait_ms(64_000);
    }
}

#[test]
fn who_takes_no_update_is_told_the_same_description_again() {
    let mut desk = Desk::new();
    dialled(&mut desk, "Session-Expires: 600;refresher=uac\n");
    desk.wait_ms(300_000);
    let refresh = desk.only();
    assert_eq!((brief(&refresh).as_str(), body(&refresh)), ("INVITE", OFFER));
    desk.hear(&reply(&refresh, 200, "", &format!("{CONTACT}Session-Expires: 600;refresher=uac\n"), ANSWER));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec![]));
    desk.wait_ms(299_000);
    assert_eq!(desk.brief(), [""; 0]);
    desk.wait_ms(1_000);
    assert_eq!(desk.brief(), ["INVITE"]);
}

#[test]
fn a_refresh_that_fails_is_tried_again_and_the_session_ends_when_its_time_is_over() {
    let mut desk = Desk::new();
    dialled(&mut desk, "Session-Expires: 90;refresher=uac\nAllow: UPDATE\n");
    let mut tries = 0;
    let until = desk.now + Duration::from_secs(89);
    while desk.now < until {
        desk.wait_ms(1_000);
        for refresh in desk.said().iter().filter(|text| brief(text) == "UPDATE") {
            tries += 1;
            desk.hear(&reply(refresh, 500, "", "", ""));
        }
    }
    assert!((2..=5).contains(&tries), "{tries}");
    desk.wait_ms(1_000);
    assert_eq!((desk.brief(), desk.told()), (vec!["BYE".to_owned()], vec!["Gone TimedOut".to_owned()]));
    desk.settle();
}

#[test]
fn a_refresh_that_meets_no_dialog_ends_the_session() {
    let mut desk = Desk::new();
    dialled(&mut desk, "Session-Expires: 90;refresher=uac\nAllow: UPDATE\n");
    desk.wait_ms(40_000);
    desk.wait_for(Why::Refresh);
    let refresh = desk.only();
    desk.hear(&reply(&refresh, 481, "", "", ""));
    assert_eq!(desk.told(), ["Gone TimedOut"]);
}

#[test]
fn an_offer_of_ours_goes_first_and_refreshes_too() {
    let mut desk = Desk::new();
    let (session, _) = dialled(&mut desk, "Session-Expires: 600;refresher=uac\nAllow: UPDATE\n");
    desk.wait_ms(299_999);
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.only();
    desk.wait_ms(5);
    assert_eq!(desk.brief(), [""; 0]);
    desk.hear(&reply(&offer, 200, "", &format!("{CONTACT}Session-Expires: 600;refresher=uac\n"), ANSWER));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["OfferAnswered".to_owned()]));
    desk.wait_ms(299_000);
    assert_eq!(desk.brief(), [""; 0]);
}

#[test]
fn an_interval_that_is_too_short_for_the_far_side_is_asked_for_once_more() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 422, "far", "Min-SE: 3600\n", ""));
    let said = desk.said();
    assert_eq!((brief(&said[0]).as_str(), brief(&said[1]).as_str(), said.len()), ("ACK", "INVITE", 2));
    assert_eq!((value(&said[1], "Session-Expires"), value(&said[1], "Min-SE")), ("3600".to_owned(), "3600".to_owned()));
    assert_eq!((value(&said[1], "CSeq"), value(&said[1], "Call-ID")), ("2 INVITE".to_owned(), value(&invite, "Call-ID")));
    desk.hear(&reply(&said[1], 422, "far", "Min-SE: 3600\n", ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 422".to_owned()]));
    for least in ["", "Min-SE: 60\n", "Min-SE: 99999999999\n", "Min-SE: long\n"] {
        let mut desk = Desk::new();
        let (_, invite) = desk.dial(Some(OFFER));
        desk.hear(&reply(&invite, 422, "far", least, ""));
        assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 422".to_owned()]), "{least}");
    }
}

#[test]
fn the_far_side_is_to_refresh_where_it_can_and_we_do_where_it_cannot() {
    let rows = [
        ("Supported: timer\nSession-Expires: 600\n", "600;refresher=uac", true, Why::SessionExpired),
        ("Supported: timer\nx: 600;refresher=uac\n", "600;refresher=uac", true, Why::SessionExpired),
        ("Supported: timer\nSession-Expires: 600 ; refresher = uas\n", "600;refresher=uas", false, Why::Refresh),
        ("Session-Expires: 600\n", "600;refresher=uas", false, Why::Refresh),
        ("Session-Expires: 10\n", "90;refresher=uas", false, Why::Refresh),
    ];
    for (extra, granted, required, why) in rows {
        let mut desk = Desk::new();
        let (_, answer) = called(&mut desk, extra);
        assert_eq!(value(&answer, "Session-Expires"), granted, "{extra}");
        assert_eq!(values(&answer, "Require"), if required { vec!["timer"] } else { vec![] }, "{extra}");
        desk.wait_ms(40_000);
        assert_eq!(desk.ua.poll_timeout().map(|(_, why)| why), Some(why), "{extra}");
    }
    for extra in ["", "Supported: timer\n", "Session-Expires: soon\n"] {
        let mut desk = Desk::new();
        let (_, answer) = called(&mut desk, extra);
        assert_eq!(values(&answer, "Session-Expires"), [""; 0], "{extra}");
    }
}

#[test]
fn an_interval_that_is_too_short_for_us_is_422() {
    let mut desk = Desk::new();
    desk.hear(&asks("Supported: timer\nSession-Expires: 89\n"));
    let refusal = desk.only();
    assert_eq!((brief(&refusal).as_str(), value(&refusal, "Min-SE").as_str()), ("422", "90"));
    assert_eq!(desk.told(), ["Stranger short_interval"]);
    desk.settle();
    let mut desk = Desk::new();
    let (_, answer) = called(&mut desk, "Supported: timer\nSession-Expires: 600\n");
    desk.hear(&request("UPDATE", &answer, 2, "z9hG4bKu", "Supported: timer\nSession-Expires: 5\n", ""));
    assert_eq!(desk.brief(), ["422"]);
    desk.hear(&request("INVITE", &answer, 3, "z9hG4bKi", "Supported: timer\nSession-Expires: 5\n", OFFER));
    assert_eq!((desk.brief(), desk.told()), (vec!["422".to_owned()], vec![]));
}

#[test]
fn a_session_that_they_do_not_refresh_is_ended_a_little_early_and_one_that_they_do_goes_on() {
    let mut desk = Desk::new();
    let (_, answer) = called(&mut desk, "Supported: timer\nSession-Expires: 600\n");
    desk.wait_ms(500_000);
    desk.hear(&request("UPDATE", &answer, 2, "z9hG4bKu", "Supported: timer\nSession-Expires: 600;refresher=uac\n", ""));
    assert_eq!(value(&desk.only(), "Session-Expires"), "600;refresher=uac");
    desk.wait_ms(567_999);
    assert_eq!(desk.told(), [""; 0]);
    desk.wait_ms(1);
    assert_eq!((desk.brief(), desk.told()), (vec!["BYE".to_owned()], vec!["Gone TimedOut".to_owned()]));
    desk.settle();
}
