//! Sessions that are up.

use super::desk::*;
use crate::digest::Credentials;
use crate::{Event, SessionIds, Settings, VerbError};

#[test]
fn byes_that_cross_both_get_their_answer() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.only();
    desk.hear(&back("BYE", &invite, "far", 1, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200"]);
    desk.hear(&reply(&bye, 481, "", "", ""));
    assert_eq!(desk.told(), ["Released Some(481)"]);
    desk.settle();
}

#[test]
fn a_lost_bye_is_sent_again_and_at_last_given_up() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.wait_ms(31_999);
    assert_eq!(desk.told(), [""; 0]);
    assert_eq!(desk.brief(), ["BYE"; 11]);
    desk.wait_ms(1);
    assert_eq!(desk.told(), ["Released None"]);
    desk.settle();
}

#[test]
fn an_info_is_answered_and_told_once() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    let info = request("INFO", &answer, 2, "z9hG4bKi", "", "Signal=1\nDuration=160\n");
    desk.hear(&info);
    desk.hear(&info);
    assert_eq!(desk.brief(), ["200", "200"]);
    let events = desk.events();
    let [Event::Info { content_type, body, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((content_type.as_str(), &body[..]), ("application/dtmf-relay", &b"Signal=1\r\nDuration=160\r\n"[..]));
}

#[test]
fn requests_whose_number_does_not_rise_are_refused() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    desk.hear(&request("INFO", &answer, 5, "z9hG4bKi", "", "x"));
    desk.hear(&request("INFO", &answer, 4, "z9hG4bKj", "", "x"));
    desk.hear(&request("INFO", &answer, 5, "z9hG4bKk", "", "x"));
    desk.hear(&request("INFO", &answer, 9, "z9hG4bKl", "", "x"));
    assert_eq!(desk.brief(), ["200", "500", "500", "200"]);
    assert_eq!(desk.told().len(), 2);
}

#[test]
fn an_info_of_ours_that_meets_no_dialog_ends_the_session() {
    for (status, lost) in [(481, true), (408, true), (415, false), (500, false), (200, false)] {
        let mut desk = Desk::new();
        let (session, _) = desk.up();
        desk.ua.info(desk.now, session, "application/dtmf-relay", sdp("Signal=1\r\n")).unwrap();
        let info = desk.only();
        assert_eq!((value(&info, "Content-Type").as_str(), body(&info)), ("application/dtmf-relay", "Signal=1\r\n"));
        desk.hear(&reply(&info, status, "", "", ""));
        assert_eq!(desk.told(), if lost { vec!["Gone TimedOut"] } else { vec![] }, "{status}");
        assert_eq!(desk.brief(), if lost { vec!["BYE"] } else { vec![] }, "{status}");
    }
}

#[test]
fn an_info_that_nobody_answers_ends_the_session() {
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.info(desk.now, session, "application/dtmf-relay", sdp("Signal=1\r\n")).unwrap();
    desk.wait_ms(32_000);
    assert_eq!(desk.told(), ["Gone TimedOut"]);
    desk.settle();
}

#[test]
fn options_and_unknown_methods_inside_a_dialog() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    desk.hear(&request("OPTIONS", &answer, 2, "z9hG4bKo", "", ""));
    desk.hear(&request("SUBSCRIBE", &answer, 3, "z9hG4bKu", "Event: dialog\n", ""));
    desk.hear(&request("PING", &answer, 4, "z9hG4bKp", "", ""));
    desk.hear(&request("INFO", &answer, 5, "z9hG4bKr", "Require: nothing-known\n", ""));
    assert_eq!(desk.brief(), ["200", "405", "405", "420"]);
}

#[test]
fn a_challenge_is_answered_once_for_each_nonce() {
    let mut desk = Desk::new();
    let mut call = call(Some(OFFER));
    call.credentials = Some(Credentials::new("baton", "secret"));
    let session = desk.ua.dial(desk.now, call).unwrap();
    let first = desk.only();
    let challenge =
        |nonce: &str| format!("Proxy-Authenticate: Digest realm=\"trunk\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"\n");
    desk.hear(&reply(&first, 407, "proxy", &challenge("n1"), ""));
    let said = desk.said();
    assert_eq!(said.iter().map(|text| brief(text)).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    let second = &said[1];
    assert_eq!(value(second, "CSeq"), "2 INVITE");
    assert_eq!((value(second, "Call-ID"), value(second, "From")), (value(&first, "Call-ID"), value(&first, "From")));
    assert!(value(second, "Proxy-Authorization").contains("nonce=\"n1\""), "{second}");
    assert_eq!(value(second, "X-Baton-Call"), "c_1");
    desk.hear(&reply(second, 200, "far", CONTACT, ANSWER));
    let ack = desk.only();
    assert_eq!(value(&ack, "Proxy-Authorization"), value(second, "Proxy-Authorization"));
    assert_eq!(desk.told(), ["Answered"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.only();
    desk.hear(&reply(&bye, 407, "", &challenge("n2"), ""));
    let bye = desk.only();
    assert_eq!(value(&bye, "CSeq"), "4 BYE");
    desk.hear(&reply(&bye, 407, "", &challenge("n2"), ""));
    assert_eq!(desk.told(), ["Released Some(407)"]);
    desk.settle();
}

#[test]
fn wrong_credentials_are_not_tried_twice() {
    let mut desk = Desk::new();
    let mut call = call(Some(OFFER));
    call.credentials = Some(Credentials::new("baton", "wrong"));
    desk.ua.dial(desk.now, call).unwrap();
    let first = desk.only();
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\"\n";
    desk.hear(&reply(&first, 401, "far", challenge, ""));
    let second = desk.said().pop().unwrap();
    desk.hear(&reply(&second, 401, "far", challenge, ""));
    assert_eq!(desk.brief(), ["ACK"]);
    assert_eq!(desk.told(), ["Refused 401"]);
    desk.settle();
}

#[test]
fn without_credentials_a_challenge_is_a_refusal() {
    let mut desk = Desk::new();
    let (_, invite) = desk.dial(Some(OFFER));
    desk.hear(&reply(&invite, 401, "far", "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\"\n", ""));
    assert_eq!(desk.told(), ["Refused 401"]);
    assert_eq!(desk.brief(), ["ACK"]);
}

#[test]
fn a_cancelled_call_does_not_answer_a_challenge() {
    let mut desk = Desk::new();
    let mut call = call(Some(OFFER));
    call.credentials = Some(Credentials::new("baton", "secret"));
    let session = desk.ua.dial(desk.now, call).unwrap();
    let invite = desk.only();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.hear(&reply(&invite, 401, "far", "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\"\n", ""));
    assert_eq!(desk.brief(), ["ACK"]);
    assert_eq!(desk.told(), ["Released Some(401)"]);
    desk.settle();
}

#[test]
fn a_bye_of_somebody_else_does_not_end_the_session() {
    let mut desk = Desk::new();
    let (session, invite) = desk.up();
    desk.hear(&back("BYE", &invite, "guess", 1, "z9hG4bKb", "", ""));
    desk.hear(&back("BYE", &invite, "far", 1, "z9hG4bKc", "", "").replace(&value(&invite, "Call-ID"), "guess"));
    assert_eq!(desk.brief(), ["481", "481"]);
    assert_eq!(desk.told(), ["Stranger unknown_dialog", "Stranger unknown_dialog"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.ua.info(desk.now, session, "x/y", sdp("")), Err(VerbError::WrongState));
}

#[test]
fn who_says_a_session_id_is_told_ours_in_everything_and_who_does_not_is_not() {
    let theirs = "ab30317f1a784dc48ff824d0d3715d86";
    let said = format!("Session-ID: {};remote={}\n", theirs.to_ascii_uppercase(), "0".repeat(32));
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}{said}"))));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    let both = value(&answer, "Session-ID");
    assert!(both.ends_with(&format!(";remote={theirs}")) && both.len() == 32 + 8 + 32, "{both}");
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(value(&desk.only(), "Session-ID"), both);
    for said in ["", "Session-ID: 0\n", "Session-ID: zb30317f1a784dc48ff824d0d3715d86\n"] {
        let mut desk = Desk::new();
        desk.hear(&invite("z9hG4bKa", 1, OFFER).replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}{said}"))));
        let session = desk.invited();
        desk.said();
        desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
        assert_eq!(values(&desk.only(), "Session-ID"), [""; 0]);
    }
}

#[test]
fn where_it_is_wanted_everybody_is_told_a_session_id_from_the_first_invite_on() {
    let mut desk = Desk::with(Settings { session_ids: SessionIds::Always, ..settings() });
    let (session, first) = desk.dial(Some(OFFER));
    let (nil, both) = ("0".repeat(32), value(&first, "Session-ID"));
    let ours = both.strip_suffix(&format!(";remote={nil}")).expect("nobody has said theirs yet").to_owned();
    assert!(ours.len() == 32 && ours != nil, "{both}");
    let theirs = "ab30317f1a784dc48ff824d0d3715d86";
    desk.hear(&reply(&first, 200, "far", &format!("{CONTACT}Session-ID: {theirs};remote={ours}\n"), ANSWER));
    assert_eq!(value(&desk.only(), "Session-ID"), format!("{ours};remote={theirs}"), "ours stays what it was");
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(value(&desk.only(), "Session-ID"), format!("{ours};remote={theirs}"));
    let (session, second) = desk.dial(Some(OFFER));
    assert!(!value(&second, "Session-ID").starts_with(&ours), "another call has another name");
    desk.hear(&reply(&second, 180, "far", CONTACT, ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(value(&desk.only(), "Session-ID"), value(&second, "Session-ID"), "a CANCEL says what its INVITE has said");
    desk.hear(&reply(&second, 487, "far", "", ""));
    assert_eq!(value(&desk.only(), "Session-ID"), value(&second, "Session-ID"), "and so does the ACK");
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    desk.events();
    assert!(desk.said().iter().all(|text| brief(text) == "100" || value(text, "Session-ID").ends_with(&nil)));
}
