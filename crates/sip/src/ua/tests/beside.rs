//! Several phones of one person ring at once.

use super::desk::*;
use crate::{Beside, Dial, Event, Hop, SessionId, Transport};

const SECOND: &str = "192.0.2.11:5060";
const THIRD: &str = "192.0.2.12:5060";
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Two phones beside the usual one.
pub(super) fn phones() -> Vec<Beside> {
    let phone = |at: &str| Beside {
        target: uri(&format!("sip:far@{at}")),
        route: Hop::new(Transport::Udp, addr(at)),
        flow: None,
        routes: Vec::new(),
        round: 0,
    };
    vec![phone(SECOND), phone(THIRD)]
}

/// Rings three phones; gives the INVITE that each of them got.
fn ring_all(desk: &mut Desk) -> (SessionId, [String; 3]) {
    let session = desk.ua.dial(desk.now, Dial { beside: phones(), ..call(Some(OFFER)) }).unwrap();
    let sent = to(desk);
    let to_whom: Vec<_> = sent.iter().map(|(remote, _)| remote.as_str()).collect();
    assert_eq!(to_whom, [PEER, SECOND, THIRD]);
    let invites: Vec<String> = sent.into_iter().map(|(_, text)| text).collect();
    (session, invites.try_into().expect("three INVITEs"))
}

fn to(desk: &mut Desk) -> Vec<(String, String)> {
    let transmits = desk.transmits();
    transmits.iter().map(|one| (one.remote.to_string(), String::from_utf8(one.bytes.to_vec()).unwrap())).collect()
}

/// What was sent, to whom, in short.
fn sent(desk: &mut Desk) -> Vec<(String, String)> {
    to(desk).into_iter().map(|(remote, text)| (remote, brief(&text))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(remote, what)| ((*remote).to_owned(), (*what).to_owned())).collect()
}

#[test]
fn the_first_that_answers_has_the_call_and_the_others_are_told_that_it_was_completed_elsewhere() {
    let mut desk = Desk::new();
    let (_, [one, two, three]) = ring_all(&mut desk);
    assert_eq!(
        (value(&one, "Call-ID"), value(&one, "From"), value(&one, "CSeq")),
        (value(&two, "Call-ID"), value(&two, "From"), value(&three, "CSeq"))
    );
    assert!(value(&one, "Via") != value(&two, "Via") && value(&two, "Via") != value(&three, "Via"));
    assert!(two.starts_with(&format!("INVITE sip:far@{SECOND} ")) && three.starts_with(&format!("INVITE sip:far@{THIRD} ")));
    desk.hear(&reply(&one, 180, "one", CONTACT, ""));
    desk.hear(&reply(&two, 180, "two", CONTACT, ""));
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Ringing 180"]);
    desk.hear(&reply(&two, 200, "two", CONTACT, ANSWER));
    let sent = to(&mut desk);
    let cancel = sent.iter().find(|(_, text)| text.starts_with("CANCEL")).expect("a CANCEL");
    assert_eq!((cancel.0.as_str(), value(&cancel.1, "Reason").as_str()), (PEER, ELSEWHERE));
    assert_eq!(sent.len(), 2, "the third has said nothing yet, and cannot be cancelled: {sent:?}");
    assert_eq!(desk.told(), ["Answered"]);
    desk.hear(&reply(&three, 180, "three", CONTACT, ""));
    let late = to(&mut desk);
    assert_eq!((late.len(), late[0].0.as_str(), value(&late[0].1, "Reason").as_str()), (1, THIRD, ELSEWHERE));
    assert!(late[0].1.starts_with("CANCEL"));
    desk.hear(&reply(&one, 487, "one", "", ""));
    desk.hear(&reply(&three, 487, "three", "", ""));
    assert_eq!(desk.brief(), ["ACK", "ACK"]);
    assert!(desk.told().is_empty(), "nobody is told of those who lost");
}

#[test]
fn of_two_that_answer_in_the_same_moment_the_second_is_let_go() {
    let mut desk = Desk::new();
    let (session, [one, two, three]) = ring_all(&mut desk);
    for text in [&one, &two, &three] {
        desk.hear(&reply(text, 180, "ringing", CONTACT, ""));
    }
    desk.hear(&reply(&three, 200, "three", CONTACT, ANSWER));
    desk.said();
    desk.hear(&reply(&one, 200, "one", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"]);
    desk.hear(&reply(&one, 200, "one", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK"], "its 200 again is acknowledged again, and no more");
    assert_eq!(desk.told().into_iter().filter(|event| event == "Answered").count(), 1);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = to(&mut desk).remove(0).1;
    assert!(bye.starts_with("BYE") && value(&bye, "To").ends_with("tag=three"), "{bye}");
}

#[test]
fn one_that_is_busy_silences_nobody_and_the_last_refusal_tells_the_best() {
    let mut desk = Desk::new();
    let (_, [one, two, three]) = ring_all(&mut desk);
    desk.hear(&reply(&one, 486, "one", "", ""));
    desk.ua.send_failed(desk.now, Transport::Udp, addr(SECOND));
    assert_eq!(sent(&mut desk), pairs(&[(PEER, "ACK")]), "the others ring on");
    assert!(desk.told().is_empty());
    desk.hear(&reply(&three, 480, "three", "", ""));
    assert_eq!(desk.told(), ["Refused 486"]);
    desk.hear(&reply(&two, 200, "two", CONTACT, ANSWER));
    desk.settle();
}

#[test]
fn one_that_declines_declines_for_all() {
    let mut desk = Desk::new();
    let (_, [one, two, three]) = ring_all(&mut desk);
    desk.hear(&reply(&one, 180, "one", CONTACT, ""));
    desk.hear(&reply(&two, 180, "two", CONTACT, ""));
    desk.said();
    desk.hear(&reply(&two, 603, "two", "", ""));
    assert_eq!(sent(&mut desk), pairs(&[(SECOND, "ACK"), (PEER, "CANCEL")]));
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Ringing 180", "Refused 603"]);
    desk.hear(&reply(&three, 200, "three", CONTACT, ANSWER));
    assert_eq!(sent(&mut desk).into_iter().map(|(_, what)| what).collect::<Vec<_>>(), ["ACK", "BYE"]);
    desk.hear(&reply(&one, 487, "one", "", ""));
    assert!(desk.told().is_empty());
}

#[test]
fn whoever_hangs_up_stops_all_of_them() {
    let mut desk = Desk::new();
    let (session, [one, two, three]) = ring_all(&mut desk);
    for text in [&one, &three] {
        desk.hear(&reply(text, 180, "ringing", CONTACT, ""));
    }
    desk.said();
    desk.told();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let mut cancelled = sent(&mut desk);
    cancelled.sort();
    assert_eq!(cancelled, pairs(&[(THIRD, "CANCEL"), (PEER, "CANCEL")]));
    desk.hear(&reply(&two, 180, "two", CONTACT, ""));
    assert_eq!(sent(&mut desk), pairs(&[(SECOND, "CANCEL")]));
    desk.hear(&reply(&two, 200, "two", CONTACT, ANSWER));
    assert_eq!(desk.brief(), ["ACK", "BYE"], "an answer that has crossed the CANCEL");
    desk.hear(&reply(&one, 487, "one", "", ""));
    desk.hear(&reply(&three, 487, "three", "", ""));
    assert_eq!(desk.told(), ["Released Some(487)"]);
}

#[test]
fn phones_that_never_say_anything_more_are_forgotten() {
    let mut desk = Desk::new();
    let (session, [one, two, three]) = ring_all(&mut desk);
    for text in [&one, &two, &three] {
        desk.hear(&reply(text, 180, "ringing", CONTACT, ""));
    }
    desk.hear(&reply(&one, 200, "one", CONTACT, ANSWER));
    desk.wait_ms(100_000);
    assert_eq!(desk.ua.transactions(), 0, "no CANCEL and no INVITE waits for ever");
    let events = desk.events();
    assert!(!events.iter().any(|event| matches!(event, Event::Gone { .. } | Event::Released { .. })), "the call goes on");
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(brief(&to(&mut desk).pop().expect("a BYE").1), "BYE");
}

/// Rings the usual phone; the others are for the rounds after it.
fn ring_in_rounds(desk: &mut Desk) -> (SessionId, String) {
    let beside = phones().into_iter().zip(1..).map(|(phone, round)| Beside { round, ..phone }).collect();
    let session = desk.ua.dial(desk.now, Dial { beside, ..call(Some(OFFER)) }).unwrap();
    let mut sent = to(desk);
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, PEER), "nobody else rings yet");
    (session, sent.remove(0).1)
}

/// The one INVITE among what was sent, with whom it went to.
fn invite_of_the_round(desk: &mut Desk) -> (String, String) {
    let mut invites: Vec<_> = to(desk).into_iter().filter(|(_, text)| text.starts_with("INVITE")).collect();
    assert_eq!(invites.len(), 1, "{invites:?}");
    invites.remove(0)
}

#[test]
fn a_phone_of_the_next_round_rings_when_those_before_it_have_refused() {
    let mut desk = Desk::new();
    let (session, one) = ring_in_rounds(&mut desk);
    desk.hear(&reply(&one, 180, "one", CONTACT, ""));
    desk.said();
    desk.hear(&reply(&one, 486, "one", "", ""));
    let (whom, two) = invite_of_the_round(&mut desk);
    assert_eq!(whom, SECOND);
    assert_eq!((value(&two, "Call-ID"), value(&two, "From")), (value(&one, "Call-ID"), value(&one, "From")));
    assert_ne!(value(&two, "CSeq"), value(&one, "CSeq"), "where both are the same phone it must not be merged with the first");
    assert_eq!(body(&two), body(&one));
    desk.ua.send_failed(desk.now, Transport::Udp, addr(SECOND));
    let (whom, three) = invite_of_the_round(&mut desk);
    assert_eq!(whom, THIRD, "whoever cannot be reached has refused, too");
    desk.hear(&reply(&three, 200, "three", CONTACT, ANSWER));
    assert_eq!(desk.told(), ["Trying", "Ringing 180", "Answered"], "the owner hears of one call");
    assert_eq!(sent(&mut desk), pairs(&[(PEER, "ACK")]), "the ACK goes where Contact says");
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = to(&mut desk).remove(0).1;
    assert!(bye.starts_with("BYE") && value(&bye, "To").ends_with("tag=three"), "{bye}");
}

#[test]
fn when_the_last_round_has_refused_the_best_refusal_of_all_is_told() {
    let mut desk = Desk::new();
    let (_, one) = ring_in_rounds(&mut desk);
    desk.hear(&reply(&one, 486, "one", "", ""));
    let (_, two) = invite_of_the_round(&mut desk);
    desk.hear(&reply(&two, 480, "two", "", ""));
    let (_, three) = invite_of_the_round(&mut desk);
    assert!(desk.told().is_empty());
    desk.hear(&reply(&three, 404, "three", "", ""));
    assert_eq!(desk.told(), ["Refused 486"]);
    desk.settle();
}

#[test]
fn whoever_declines_or_is_called_no_longer_keeps_later_rounds_silent() {
    let mut desk = Desk::new();
    let (_, one) = ring_in_rounds(&mut desk);
    desk.hear(&reply(&one, 603, "one", "", ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 603".to_owned()]));
    desk.settle();
    let (session, one) = ring_in_rounds(&mut desk);
    desk.hear(&reply(&one, 180, "one", CONTACT, ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.brief(), ["CANCEL"]);
    desk.hear(&reply(&one, 487, "one", "", ""));
    assert_eq!(desk.brief(), ["ACK"]);
    desk.hear(&reply(&one, 486, "one", "", ""));
    assert!(!desk.brief().contains(&"INVITE".to_owned()), "a call that was taken back rings nobody");
    desk.settle();
}

#[test]
fn a_call_that_waits_for_its_next_round_goes_on_after_a_restart() {
    let mut desk = Desk::new();
    let (session, one) = ring_in_rounds(&mut desk);
    let written = serde_json::to_vec(&desk.ua.snapshot(session).expect("a session")).unwrap();
    let common = desk.ua.common_snapshot();
    let mut next = Desk::new();
    next.now = desk.now;
    next.ua.restore_common(&common);
    next.ua.restore(next.now, serde_json::from_slice(&written).unwrap(), None);
    next.said();
    next.hear(&reply(&one, 486, "one", "", ""));
    assert_eq!(invite_of_the_round(&mut next).0, SECOND);
}
