//! We are called.

use std::time::Duration;

use baton_time::Mono;

use super::desk::*;
use crate::{ConnectionId, Crowd, Event, Limits, Settings, Transport, VerbError, Why};

#[test]
fn a_call_gets_100_at_once_then_rings_and_is_answered() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let trying = desk.only();
    assert_eq!(brief(&trying), "100");
    assert_eq!(tag(&value(&trying, "To")), "");
    let events = desk.events();
    let [Event::Invite { session, source, invite: told, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*source, told.from.display().as_ref(), told.call_id.as_str()), (addr(PEER), "Jamie", "call-1@far"));
    assert_eq!((told.request_uri.to_string().as_str(), told.max_forwards), ("sip:agent@192.0.2.1", 70));
    assert_eq!(told.sdp.as_deref(), Some(crlf(OFFER).as_bytes()));
    desk.ua.ring(desk.now, *session, 180, None, Vec::new()).unwrap();
    let ringing = desk.only();
    assert_eq!(brief(&ringing), "180");
    assert_eq!(value(&ringing, "Contact"), "<sip:192.0.2.1:5060>");
    desk.ua.answer(desk.now, *session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    assert_eq!((brief(&answer).as_str(), body(&answer)), ("200", ANSWER));
    assert_eq!(value(&answer, "To"), value(&ringing, "To"));
    assert_eq!(value(&answer, "Via"), "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKa;rport=5070;received=192.0.2.9");
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    assert_eq!(desk.told(), ["Confirmed"]);
    desk.hear(&request("BYE", &answer, 2, "z9hG4bKbye", "", ""));
    assert_eq!(desk.brief(), ["200"]);
    assert_eq!(desk.told(), ["Gone Bye { reason: None }"]);
    desk.settle();
}

#[test]
fn nobody_hears_100_who_hears_more_within_a_moment() {
    let patient = || {
        let mut settings = settings();
        settings.timing.trying = Duration::from_millis(20);
        Desk::with(settings)
    };
    let mut desk = patient();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    assert!(desk.brief().is_empty() && !desk.ua.has_spoken(session));
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    assert!(desk.ua.has_spoken(session));
    desk.wait_ms(100);
    assert_eq!(desk.brief(), ["180"]);

    let mut desk = patient();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.take_stepped();
    desk.wait_ms(30);
    assert_eq!(desk.brief(), ["100"]);
    assert!(desk.ua.has_spoken(session));
    assert!(desk.ua.take_stepped().contains(&session), "who keeps a journal is told");
    desk.wait_ms(400);
    assert_eq!(desk.brief(), [""; 0]);
}

#[test]
fn a_repeated_invite_gets_the_last_answer_again_and_is_told_once() {
    let mut desk = Desk::new();
    let text = invite("z9hG4bKa", 1, OFFER);
    desk.hear(&text);
    desk.hear(&text);
    assert_eq!(desk.brief(), ["100", "100"]);
    let session = desk.invited();
    assert_eq!(desk.told(), [""; 0]);
    desk.ua.ring(desk.now, session, 183, Some(sdp(ANSWER)), Vec::new()).unwrap();
    desk.hear(&text);
    assert_eq!(desk.brief(), ["183", "183"]);
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    desk.hear(&text);
    assert_eq!(desk.brief(), ["200"]);
}

#[test]
fn the_answer_is_repeated_until_its_ack_comes() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    for span in [500, 1_000, 2_000, 4_000, 4_000] {
        let before = desk.now;
        desk.wait_for(Why::AnswerAgain);
        assert_eq!(desk.now.since(before), Duration::from_millis(span));
        assert_eq!(desk.only(), answer);
    }
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    desk.wait_ms(60_000);
    assert_eq!(desk.brief(), [""; 0]);
    assert_eq!(desk.told(), ["Confirmed"]);
}

#[test]
fn without_ack_the_session_is_ended_after_32_seconds() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    desk.wait_ms(31_999);
    assert_eq!(desk.told(), [""; 0]);
    desk.said();
    desk.wait_ms(1);
    assert_eq!(desk.told(), ["Gone AckNeverCame"]);
    assert_eq!(desk.brief(), ["BYE"]);
    desk.settle();
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn our_bye_waits_for_the_ack_of_our_answer() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert_eq!(desk.brief(), [""; 0]);
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    let bye = desk.only();
    assert_eq!(brief(&bye), "BYE");
    desk.hear(&reply(&bye, 200, "", "", ""));
    assert_eq!(desk.told(), ["Released Some(200)"]);
    desk.settle();
}

#[test]
fn our_bye_does_not_wait_for_ever() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    desk.wait_ms(31_999);
    desk.said();
    desk.wait_ms(1);
    assert_eq!(desk.brief(), ["BYE"]);
    desk.settle();
    assert_eq!(desk.told(), ["Released None"]);
}

#[test]
fn a_refusal_is_repeated_until_its_ack_comes() {
    let mut desk = Desk::new();
    let text = invite("z9hG4bKa", 1, OFFER);
    desk.hear(&text);
    let session = desk.invited();
    desk.said();
    desk.ua.refuse(desk.now, session, 486, Some("Busy at the moment"), Vec::new()).unwrap();
    let refusal = desk.only();
    assert!(refusal.starts_with("SIP/2.0 486 Busy at the moment\r\n"), "{refusal}");
    assert_eq!(desk.told(), ["Released Some(486)"]);
    for _ in 0..4 {
        desk.wait_for(Why::SendAgain);
        assert_eq!(desk.only(), refusal);
    }
    desk.hear(&request("ACK", &refusal, 1, "z9hG4bKa", "", ""));
    desk.wait_ms(4_000);
    assert_eq!(desk.brief(), [""; 0]);
    desk.settle();
}

#[test]
fn a_refusal_without_ack_is_given_up_after_32_seconds() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.refuse(desk.now, session, 404, None, Vec::new()).unwrap();
    desk.wait_ms(32_000);
    assert_eq!((desk.ua.sessions(), desk.ua.transactions()), (0, 0));
}

#[test]
fn hanging_up_on_a_caller_who_still_waits_is_a_refusal() {
    for (reason, status) in
        [(None, "480"), (Some(crate::Reason::sip(603, "Declined")), "603"), (Some(crate::Reason::sip(200, "")), "480")]
    {
        let mut desk = Desk::new();
        desk.hear(&invite("z9hG4bKa", 1, OFFER));
        let session = desk.invited();
        desk.said();
        desk.ua.hang_up(desk.now, session, reason).unwrap();
        assert_eq!(desk.brief(), [status]);
    }
}

#[test]
fn a_cancel_is_answered_and_ends_the_invite_with_487() {
    let mut desk = Desk::new();
    let text = invite("z9hG4bKa", 1, OFFER);
    desk.hear(&text);
    let session = desk.invited();
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ringing = desk.said().pop().unwrap();
    let cancel =
        text.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL\nReason: SIP;cause=200;text=\"Elsewhere\"");
    let cancel = with_body(cancel.split("Content-Type").next().unwrap(), "", "");
    desk.hear(&cancel);
    desk.hear(&cancel);
    let said = desk.said();
    assert_eq!(said.iter().map(|text| brief(text)).collect::<Vec<_>>(), ["200", "487", "200"]);
    assert_eq!(tag(&value(&said[1], "To")), tag(&value(&ringing, "To")));
    assert_eq!(tag(&value(&said[0], "To")), tag(&value(&ringing, "To")), "RFC 3261 §9.2: so is the tag of the 200 to the CANCEL");
    assert_eq!(desk.told(), ["Gone Cancelled { reason: Some(\"SIP;cause=200;text=\\\"Elsewhere\\\"\") }"]);
    assert_eq!(desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()), Err(VerbError::NoSession));
    desk.hear(&request("ACK", &said[1], 1, "z9hG4bKa", "", ""));
    desk.settle();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut desk = Desk::new();
    let text = invite("z9hG4bKa", 1, "");
    desk.hear(&text);
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.hear(&text.replace("INVITE", "CANCEL"));
    let cancelled = desk.only();
    assert_eq!((brief(&cancelled), tag(&value(&cancelled, "To"))), ("200".to_owned(), tag(&value(&answer, "To"))));
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", OFFER));
    assert_eq!(desk.told(), ["Confirmed with an answer"]);
}

#[test]
fn a_cancel_for_nothing_gets_481() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, "").replace("INVITE", "CANCEL"));
    assert_eq!(desk.brief(), ["481"]);
    assert_eq!(desk.told(), ["Stranger stray_cancel"]);
    desk.settle();
}

#[test]
fn a_bye_before_the_answer_ends_the_invite_with_487() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ringing = desk.said().pop().unwrap();
    desk.hear(&request("BYE", &ringing, 2, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200", "487"]);
    assert_eq!(desk.told(), ["Gone Bye { reason: None }"]);
}

#[test]
fn a_bye_before_the_ack_ends_the_session_and_the_repetitions() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.hear(&request("BYE", &answer, 2, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200"]);
    assert_eq!(desk.told(), ["Gone Bye { reason: None }"]);
    desk.wait_ms(60_000);
    assert_eq!(desk.brief(), [""; 0]);
}

#[test]
fn a_second_invite_before_the_first_is_answered_has_to_come_again_later() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    let session = desk.invited();
    desk.ua.ring(desk.now, session, 180, None, Vec::new()).unwrap();
    let ringing = desk.said().pop().unwrap();
    desk.hear(&request("INVITE", &ringing, 2, "z9hG4bKb", "", OFFER));
    let refusal = desk.only();
    assert_eq!(brief(&refusal), "500");
    assert!(value(&refusal, "Retry-After").parse::<u64>().unwrap() <= 10);
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn an_invite_without_offer_is_answered_with_one_and_confirmed_with_the_answer() {
    let mut desk = Desk::new();
    desk.hear(&invite("z9hG4bKa", 1, ""));
    let events = desk.events();
    let [Event::Invite { session, invite, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(invite.sdp, None);
    desk.said();
    desk.ua.answer(desk.now, *session, sdp(OFFER), Vec::new()).unwrap();
    let answer = desk.only();
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ANSWER));
    assert_eq!(desk.told(), ["Confirmed with an answer"]);
}

#[test]
fn the_recorded_route_is_copied_and_followed() {
    let mut desk = Desk::new();
    let route = "Record-Route: <sip:192.0.2.50:5080;lr>\nRecord-Route: <sip:192.0.2.51;lr>\n";
    desk.hear(&invite("z9hG4bKa", 1, OFFER).replace("Contact:", &format!("{}Contact:", crlf(route))));
    let session = desk.invited();
    desk.said();
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    assert_eq!(values(&answer, "Record-Route").join(", "), "<sip:192.0.2.50:5080;lr>, <sip:192.0.2.51;lr>");
    desk.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.transmits().remove(0);
    assert_eq!(bye.remote, addr("192.0.2.50:5080"));
    let text = String::from_utf8(bye.bytes.to_vec()).unwrap();
    assert_eq!(values(&text, "Route").join(", "), "<sip:192.0.2.50:5080;lr>, <sip:192.0.2.51;lr>");
    assert_eq!(tag(&value(&text, "To")), "far");
}

#[test]
fn over_tcp_everything_goes_by_the_stream_it_came_by_while_that_lives() {
    let mut desk = Desk::new();
    let stream = Some(ConnectionId(3));
    let tcp = |text: &str| text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    desk.hear_by(Transport::Tcp, stream, "192.0.2.9:41000", &tcp(&invite("z9hG4bKa", 1, OFFER)));
    let session = desk.invited();
    let trying = desk.transmits().remove(0);
    assert_eq!((trying.connection, trying.remote), (stream, addr("192.0.2.9:41000")));
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let answer = desk.only();
    assert_eq!(value(&answer, "Contact"), "<sip:192.0.2.1:5060;transport=tcp>");
    desk.hear_by(Transport::Tcp, stream, "192.0.2.9:41000", &tcp(&request("ACK", &answer, 1, "z9hG4bKack", "", "")));
    desk.ua.offer(desk.now, session, Some(sdp(OFFER))).unwrap();
    let offer = desk.transmits().remove(0);
    assert_eq!((offer.transport, offer.connection), (Transport::Tcp, stream));
    let text = String::from_utf8(offer.bytes.to_vec()).unwrap();
    assert!(value(&text, "Via").starts_with("SIP/2.0/TCP 192.0.2.1:5060;"), "{text}");
    desk.hear_by(Transport::Tcp, stream, "192.0.2.9:41000", &reply(&text, 488, "", "", ""));
    desk.said();
    desk.ua.connection_closed(desk.now, ConnectionId(3), None);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let bye = desk.transmits().remove(0);
    assert_eq!((bye.transport, bye.connection, bye.remote), (Transport::Tcp, None, addr(PEER)));
}

#[test]
fn calls_beyond_the_limit_are_refused() {
    let mut desk = Desk::with(Settings { limits: Limits { sessions: 1, ..Limits::default() }, ..settings() });
    desk.hear(&invite("z9hG4bKa", 1, OFFER));
    desk.hear(&invite("z9hG4bKb", 1, OFFER).replace("call-1@far", "call-2@far"));
    let said = desk.said();
    assert_eq!(said.iter().map(|text| brief(text)).collect::<Vec<_>>(), ["100", "503"]);
    assert_eq!(value(&said[1], "Retry-After"), "5");
    assert_eq!(desk.told(), ["Invite", "Stranger full"]);
}

#[test]
fn in_a_crowd_new_calls_are_refused_without_a_trace_and_what_is_up_goes_on() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    let (sessions, transactions) = (desk.ua.sessions(), desk.ua.transactions());
    desk.ua.set_crowd(Crowd::TooMany);
    let late = invite("z9hG4bKb", 1, OFFER).replace("call-1@far", "call-2@far");
    desk.hear(&late);
    let refusal = desk.only();
    assert_eq!((brief(&refusal).as_str(), value(&refusal, "Retry-After").as_str()), ("503", "5"));
    desk.hear(&late);
    assert_eq!(desk.only(), refusal, "the same answer to the same request, though nothing is known of it");
    desk.hear(&request("ACK", &refusal, 1, "z9hG4bKb", "", ""));
    assert_eq!((desk.ua.sessions(), desk.ua.transactions()), (sessions, transactions));
    assert_eq!((desk.told(), desk.brief()), (Vec::new(), Vec::<String>::new()));
    assert_eq!(desk.ua.counts().rejected().iter().find(|(name, _)| *name == "overload"), Some(&("overload", 2)));
    desk.hear(&request("INVITE", &answer, 2, "z9hG4bKc", "", OFFER));
    assert_eq!(desk.told(), ["Offered"]);
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    assert_eq!(desk.brief(), ["100", "200"]);
    desk.ua.set_crowd(Crowd::Few);
    desk.hear(&invite("z9hG4bKd", 1, OFFER).replace("call-1@far", "call-3@far"));
    assert_eq!(desk.told(), ["Invite"]);
}

#[test]
fn while_draining_new_calls_are_refused_and_old_ones_go_on() {
    let mut desk = Desk::new();
    let (session, answer) = desk.up_from_far();
    desk.ua.set_accepting(false, Duration::from_secs(30));
    desk.hear(&invite("z9hG4bKb", 1, OFFER).replace("call-1@far", "call-2@far"));
    let refusal = desk.only();
    assert_eq!((brief(&refusal).as_str(), value(&refusal, "Retry-After").as_str()), ("503", "30"));
    assert_eq!(desk.told(), ["Stranger draining"]);
    desk.hear(&request("INVITE", &answer, 2, "z9hG4bKc", "", OFFER));
    assert_eq!(desk.told(), ["Offered"]);
    desk.ua.answer_offer(desk.now, session, sdp(ANSWER)).unwrap();
    assert_eq!(desk.brief(), ["100", "200"]);
    desk.ua.set_accepting(true, Duration::ZERO);
    desk.hear(&invite("z9hG4bKd", 1, OFFER).replace("call-1@far", "call-3@far"));
    assert_eq!(desk.told(), ["Invite"]);
}

#[test]
fn who_takes_part_in_overload_control_is_told_how_much_less_to_send_and_nobody_else_is() {
    let mut desk = Desk::new();
    desk.now = Mono::from_millis(12_345);
    let with = |branch: &str, oc: &str| {
        let call = invite(branch, 1, OFFER).replace("call-1@far", &format!("{branch}@far"));
        call.replace(";rport", &format!(";rport{oc}"))
    };
    let seen = |desk: &mut Desk, text: &str| {
        desk.hear(text);
        desk.events();
        let answer = desk.only();
        (brief(&answer), value(&answer, "Via").split_once(";oc=").map(|(_, oc)| oc.to_owned()))
    };
    let said = |text: &str| Some(text.to_owned());
    let oc = ";oc;oc-algo=\"loss,rate\"";
    let (status, none) = seen(&mut desk, &with("z9hG4bKa", oc));
    assert_eq!((status.as_str(), none), ("100", said("0;oc-algo=\"loss\";oc-validity=0;oc-seq=12.345")));
    desk.ua.set_crowd(Crowd::TooMany);
    desk.now = Mono::from_millis(13_007);
    let (status, half) = seen(&mut desk, &with("z9hG4bKb", oc));
    assert_eq!((status.as_str(), half), ("503", said("50;oc-algo=\"loss\";oc-validity=1000;oc-seq=13.007")));
    assert_eq!(
        seen(&mut desk, &with("z9hG4bKc", ";oc=7;oc-seq=99.9")).1,
        said("50;oc-algo=\"loss\";oc-validity=1000;oc-seq=13.007")
    );
    for nobody in ["", ";oc;oc-algo=\"rate\"", ";ocx"] {
        assert_eq!(seen(&mut desk, &with(&format!("z9hG4bKd{}", nobody.len()), nobody)), ("503".to_owned(), None), "{nobody}");
    }
}
