//! MESSAGE within a dialog.

use super::desk::*;
use crate::{Event, QuestionId, TEXT_BYTES_MAX, VerbError};

fn asked(desk: &mut Desk, text: &str) -> QuestionId {
    let events = desk.events();
    let [Event::Text { question, text: came, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(came, text);
    *question
}

#[test]
fn a_text_is_told_once_and_answered_as_the_owner_says() {
    for status in [200, 202, 480] {
        let mut desk = Desk::new();
        let (_, answer) = desk.up_from_far();
        let message = request("MESSAGE", &answer, 2, "z9hG4bKt", "", "Grüße.");
        desk.hear(&message);
        desk.hear(&message);
        assert_eq!(desk.brief(), [""; 0], "it waits for the owner");
        let question = asked(&mut desk, "Grüße.");
        desk.ua.answer_text(desk.now, question, status);
        desk.hear(&message);
        assert_eq!(desk.brief(), [status.to_string(), status.to_string()], "and again for whoever asks again");
        assert_eq!(desk.told(), [""; 0]);
        desk.ua.answer_text(desk.now, question, 200);
        assert_eq!(desk.brief(), [""; 0], "once is enough");
    }
}

#[test]
fn what_is_no_plain_text_is_refused_with_what_would_be_right() {
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    for (kind, extra, body, status) in [
        ("text/html", "", "<b>Hello</b>", 415),
        ("", "", "Hello", 415),
        ("text/plain", "Content-Encoding: gzip\n", "Hello", 415),
        ("text/plain", "", long.as_str(), 413),
        ("TEXT/Plain ; charset=utf-8", "Content-Encoding: identity\n", "Hello", 0),
        ("text/plain", "", "", 415),
    ] {
        let mut desk = Desk::new();
        let (_, answer) = desk.up_from_far();
        let message = request("MESSAGE", &answer, 2, "z9hG4bKt", extra, body);
        desk.hear(&message.replace("Content-Type: text/plain\r\n", &format!("Content-Type: {kind}\r\n")));
        let said = desk.said();
        match status {
            0 => assert_eq!(said.len(), 0, "{kind} is taken"),
            _ => {
                assert!(said[0].starts_with(&format!("SIP/2.0 {status} ")), "{kind}: {}", said[0]);
                assert_eq!(said[0].contains("\r\nAccept: text/plain\r\n"), status == 415, "{}", said[0]);
            }
        }
        assert_eq!(desk.events().len(), usize::from(status == 0), "{kind}");
    }
}

#[test]
fn a_text_of_ours_costs_nobody_their_call() {
    for (status, lost) in [(200, false), (202, false), (405, false), (408, false), (415, false), (503, false), (481, true)] {
        let mut desk = Desk::new();
        let (session, _) = desk.up();
        desk.ua.text(desk.now, session, "Grüße.").unwrap();
        let message = desk.only();
        assert_eq!((value(&message, "Content-Type").as_str(), body(&message)), ("text/plain;charset=UTF-8", "Grüße."));
        desk.hear(&reply(&message, status, "", "", ""));
        assert_eq!(desk.told(), if lost { vec!["Gone TimedOut"] } else { vec![] }, "{status}");
    }
    let mut desk = Desk::new();
    let (session, _) = desk.up();
    desk.ua.text(desk.now, session, "Hello.").unwrap();
    desk.wait_ms(40_000);
    assert_eq!(desk.told(), [""; 0], "nobody has answered, and the call goes on");
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.ua.text(desk.now, session, "Hello."), Err(VerbError::WrongState));
}

#[test]
fn a_call_that_is_no_more_for_the_far_side_gets_its_bye_behind_the_ack() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.said().pop().unwrap();
    desk.ua.text(desk.now, session, "Hello.").unwrap();
    let message = desk.only();
    desk.hear(&reply(&message, 481, "", "", ""));
    assert_eq!((desk.brief(), desk.told()), (vec![], vec!["Gone TimedOut".to_owned()]));
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.brief(), ["BYE"]);
    desk.settle();
}
