//! Requests of ours by TCP: because the URI says so, or because they are long.

use super::desk::*;
use crate::wire::Header;
use crate::{ConnectionId, Dial, Hop, Listen, ServerName, SessionId, Transport, VerbError};

const STREAM: ConnectionId = ConnectionId(4);

fn by_tcp() -> Dial {
    Dial { target: uri("sip:far@192.0.2.9:5070;transport=tcp"), ..call(Some(OFFER)) }
}

fn long() -> Dial {
    Dial { headers: vec![Header::new("X-Baton-Summary", "s".repeat(1_300))], ..call(Some(OFFER)) }
}

/// A call by TCP that was answered by the stream.
fn up_by_tcp(desk: &mut Desk) -> (SessionId, String) {
    let session = desk.ua.dial(desk.now, by_tcp()).unwrap();
    let invite = desk.only();
    let answer = reply(&invite, 200, "far", "Contact: <sip:far@192.0.2.9:5070;transport=tcp>\n", ANSWER);
    desk.hear_by(Transport::Tcp, Some(STREAM), PEER, &answer);
    assert_eq!(desk.told(), ["Answered"]);
    (session, invite)
}

#[test]
fn a_uri_that_names_tcp_is_called_by_tcp_and_the_call_stays_on_its_stream() {
    let mut desk = Desk::new();
    let session = desk.ua.dial(desk.now, by_tcp()).unwrap();
    let sent = desk.transmits();
    let invite = String::from_utf8(sent[0].bytes.to_vec()).unwrap();
    assert_eq!((sent[0].transport, sent[0].connection, sent[0].remote), (Transport::Tcp, None, addr(PEER)));
    assert!(value(&invite, "Via").starts_with("SIP/2.0/TCP 192.0.2.1:5060;"), "{invite}");
    assert_eq!(value(&invite, "Contact"), "<sip:192.0.2.1:5060;transport=tcp>");
    desk.wait_ms(20_000);
    assert_eq!(desk.brief(), [""; 0], "a stream loses nothing, so nothing is sent again");
    desk.hear_by(Transport::Tcp, Some(STREAM), PEER, &reply(&invite, 200, "far", CONTACT, ANSWER));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let ways: Vec<_> = desk.transmits().iter().map(|sent| (sent.transport, sent.connection)).collect();
    assert_eq!(ways, [(Transport::Tcp, Some(STREAM)); 2], "ACK and BYE");
}

#[test]
fn when_the_stream_is_gone_the_next_request_opens_another() {
    let mut desk = Desk::new();
    let (session, _) = up_by_tcp(&mut desk);
    desk.transmits();
    desk.ua.connection_closed(desk.now, STREAM, None);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let sent = desk.transmits();
    assert_eq!((sent[0].transport, sent[0].connection, sent[0].remote), (Transport::Tcp, None, addr(PEER)));
}

#[test]
fn what_a_dying_stream_may_have_lost_goes_once_more_by_another() {
    let mut desk = Desk::new();
    let (session, _) = up_by_tcp(&mut desk);
    desk.transmits();
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let first = desk.transmits();
    desk.ua.connection_closed(desk.now, STREAM, None);
    let again = desk.transmits();
    assert_eq!((again.len(), &again[0].bytes, again[0].connection), (1, &first[0].bytes, None));
    desk.ua.connection_closed(desk.now, STREAM, None);
    assert_eq!(desk.brief(), [""; 0], "once");
}

#[test]
fn a_call_that_met_a_dying_stream_goes_once_more_and_others_do_not() {
    let mut desk = Desk::new();
    desk.ua.dial(desk.now, by_tcp()).unwrap();
    let first = desk.transmits();
    desk.ua.connection_closed(desk.now, STREAM, Some(addr("203.0.113.9:5060")));
    assert_eq!(desk.brief(), [""; 0], "that was the stream to somebody else");
    desk.ua.connection_closed(desk.now, STREAM, Some(addr(PEER)));
    let again = desk.transmits();
    assert_eq!((again.len(), &again[0].bytes), (1, &first[0].bytes));
}

#[test]
fn a_peer_that_takes_no_stream_although_its_uri_names_it_cannot_be_called() {
    let mut desk = Desk::new();
    desk.ua.dial(desk.now, by_tcp()).unwrap();
    assert_eq!(desk.brief(), ["INVITE"]);
    desk.ua.send_failed(desk.now, Transport::Tcp, addr(PEER));
    assert_eq!(desk.told(), ["Refused 503 local"]);
    assert_eq!(desk.brief(), [""; 0]);
    desk.settle();
}

#[test]
fn a_transport_that_we_do_not_have_is_said_at_once() {
    let mut desk = Desk::new();
    for transport in ["tls", "sctp", "ws"] {
        let target = uri(&format!("sip:far@192.0.2.9:5070;transport={transport}"));
        assert_eq!(desk.ua.dial(desk.now, Dial { target, ..call(None) }), Err(VerbError::NoTransport));
    }
    assert_eq!(desk.brief(), [""; 0]);
}

#[test]
fn a_long_request_goes_by_tcp_and_by_datagrams_to_a_peer_that_refuses_streams() {
    let mut desk = Desk::new();
    desk.ua.dial(desk.now, long()).unwrap();
    let sent = desk.transmits();
    let stream = String::from_utf8(sent[0].bytes.to_vec()).unwrap();
    assert_eq!((sent.len(), sent[0].transport), (1, Transport::Tcp));
    assert_eq!(value(&stream, "Contact"), "<sip:192.0.2.1:5060>", "only this message goes by TCP");
    desk.ua.send_failed(desk.now, Transport::Tcp, addr(PEER));
    let sent = desk.transmits();
    let datagram = String::from_utf8(sent[0].bytes.to_vec()).unwrap();
    assert_eq!((sent.len(), sent[0].transport), (1, Transport::Udp));
    assert_eq!(datagram, stream.replacen("SIP/2.0/TCP", "SIP/2.0/UDP", 1), "the same request");
    desk.wait_ms(500);
    assert_eq!(desk.brief(), ["INVITE"], "a datagram is sent again");
    desk.hear(&reply(&datagram, 486, "far", "", ""));
    assert_eq!((desk.brief(), desk.told()), (vec!["ACK".to_owned()], vec!["Refused 486".to_owned()]));
    desk.ua.dial(desk.now, long()).unwrap();
    assert_eq!(desk.transmits()[0].transport, Transport::Udp, "it is remembered");
    desk.wait(std::time::Duration::from_secs(601));
    desk.said();
    desk.ua.dial(desk.now, long()).unwrap();
    assert_eq!(desk.transmits()[0].transport, Transport::Tcp, "and tried again later");
}

#[test]
fn a_long_request_is_answered_and_acknowledged_whatever_carried_it() {
    let mut desk = Desk::new();
    let session = desk.ua.dial(desk.now, long()).unwrap();
    let invite = desk.only();
    desk.hear_by(Transport::Tcp, Some(STREAM), PEER, &reply(&invite, 200, "far", CONTACT, ANSWER));
    assert_eq!(desk.told(), ["Answered"]);
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let ways: Vec<_> = desk.transmits().iter().map(|sent| sent.transport).collect();
    assert_eq!(ways, [Transport::Udp; 2], "ACK and BYE are short, and the Contact names no transport");
}

#[test]
fn no_length_moves_a_request_where_udp_is_written_or_tcp_is_not_spoken() {
    let mut desk = Desk::new();
    desk.ua.dial(desk.now, Dial { target: uri("sip:far@192.0.2.9:5070;transport=udp"), ..long() }).unwrap();
    assert_eq!(desk.transmits()[0].transport, Transport::Udp);
    let mut settings = settings();
    settings.listen.truncate(1);
    let mut desk = Desk::with(settings);
    desk.ua.dial(desk.now, long()).unwrap();
    assert_eq!(desk.transmits()[0].transport, Transport::Udp);
}

/// A desk that listens by every transport, once in each family.
fn desk_of_all() -> Desk {
    let mut settings = settings();
    settings.listen = [
        (Transport::Udp, "127.0.0.1:5060"),
        (Transport::Udp, "192.0.2.1:5060"),
        (Transport::Udp, "[2001:db8::1]:5060"),
        (Transport::Tls, "192.0.2.1:5061"),
        (Transport::Wss, "192.0.2.1:443"),
    ]
    .map(|(transport, at)| Listen { transport, addr: addr(at), advertise: addr(at).into() })
    .to_vec();
    Desk::with(settings)
}

#[test]
fn sips_is_tls_and_whoever_is_called_by_it_must_be_who_the_uri_names() {
    for (target, contact) in [
        ("sips:far@Carrier.example", "<sips:192.0.2.1:5061>"),
        ("sip:far@carrier.example.;transport=tls", "<sip:192.0.2.1:5061;transport=tls>"),
        ("sips:far@carrier.example;transport=tcp", "<sips:192.0.2.1:5061>"),
    ] {
        let mut desk = desk_of_all();
        desk.ua.dial(desk.now, Dial { target: uri(target), ..call(Some(OFFER)) }).unwrap();
        let sent = desk.transmits();
        let invite = String::from_utf8(sent[0].bytes.to_vec()).unwrap();
        assert_eq!(
            (sent[0].transport, sent[0].server.as_ref().map(ServerName::as_str)),
            (Transport::Tls, Some("carrier.example"))
        );
        assert!(value(&invite, "Via").starts_with("SIP/2.0/TLS 192.0.2.1:5061;"), "{invite}");
        assert_eq!(value(&invite, "Contact"), contact);
        let moved = "Contact: <sip:far@198.51.100.66:5061;transport=tls>\n";
        desk.hear_by(Transport::Tls, Some(STREAM), PEER, &reply(&invite, 200, "far", moved, ANSWER));
        desk.transmits();
        desk.ua.connection_closed(desk.now, STREAM, None);
        assert_eq!(desk.told(), ["Answered"]);
        desk.ua.hang_up(desk.now, SessionId(1), None).unwrap();
        let bye = desk.transmits();
        assert_eq!(bye[0].remote, addr("198.51.100.66:5061"));
        assert_eq!(bye[0].server, sent[0].server, "a Contact does not say whose certificate is good");
    }
}

#[test]
fn sips_never_goes_in_the_clear() {
    for target in ["sips:far@192.0.2.9;transport=udp", "sips:far@192.0.2.9;transport=sctp"] {
        let mut desk = desk_of_all();
        assert_eq!(desk.ua.dial(desk.now, Dial { target: uri(target), ..call(None) }), Err(VerbError::NoTransport));
    }
    let mut desk = Desk::new();
    let target = uri("sips:far@192.0.2.9");
    assert_eq!(desk.ua.dial(desk.now, Dial { target, ..call(None) }), Err(VerbError::NoTransport), "nothing listens by TLS");
}

#[test]
fn each_family_of_addresses_is_called_from_its_own() {
    for (to, from) in
        [("192.0.2.9:5070", "192.0.2.1:5060"), ("127.0.0.1:5070", "127.0.0.1:5060"), ("[2001:db8::9]:5070", "[2001:db8::1]:5060")]
    {
        let mut desk = desk_of_all();
        let dial = Dial { target: uri(&format!("sip:far@{to}")), route: Hop::new(Transport::Udp, addr(to)), ..call(Some(OFFER)) };
        desk.ua.dial(desk.now, dial).unwrap();
        let sent = desk.transmits();
        let invite = String::from_utf8(sent[0].bytes.to_vec()).unwrap();
        assert_eq!((sent[0].local, value(&invite, "Contact").as_str()), (addr(from), format!("<sip:{from}>").as_str()));
    }
}

#[test]
fn whoever_has_registered_by_a_websocket_is_called_by_it_and_by_nothing_else() {
    let mut desk = desk_of_all();
    let (target, route) = (uri("sip:a7@df7jal23ls0d.invalid;transport=ws"), Hop::new(Transport::Wss, addr("203.0.113.8:51000")));
    let session = desk.ua.dial(desk.now, Dial { target, route, flow: Some(STREAM), ..call(Some(OFFER)) }).unwrap();
    let sent = desk.transmits();
    let invite = String::from_utf8(sent[0].bytes.to_vec()).unwrap();
    assert_eq!((sent[0].transport, sent[0].connection), (Transport::Wss, Some(STREAM)));
    assert!(value(&invite, "Via").starts_with("SIP/2.0/WSS 192.0.2.1:443;"), "{invite}");
    assert_eq!(value(&invite, "Contact"), "<sip:192.0.2.1:443;transport=ws>");
    let contact = "Contact: <sip:a7@df7jal23ls0d.invalid;transport=ws>\n";
    desk.hear_by(Transport::Wss, Some(STREAM), "203.0.113.8:51000", &reply(&invite, 200, "far", contact, ANSWER));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    let ways: Vec<_> = desk.transmits().iter().map(|sent| (sent.transport, sent.connection)).collect();
    assert_eq!(ways, [(Transport::Wss, Some(STREAM)); 2], "ACK and BYE");
}

#[test]
fn whoever_opens_a_stream_is_known_by_the_port_in_their_via() {
    for (via, transport, from, peer) in [
        ("SIP/2.0/TCP 192.0.2.9:5070", Transport::Tcp, "192.0.2.9:41000", "192.0.2.9:5070"),
        ("SIP/2.0/TCP agent.example", Transport::Tcp, "192.0.2.9:41000", "192.0.2.9:5060"),
        ("SIP/2.0/UDP 192.0.2.9:5070", Transport::Udp, "192.0.2.9:41000", "192.0.2.9:41000"),
    ] {
        let mut desk = Desk::new();
        let invite = invite("z9hG4bKa", 1, OFFER);
        let written = value(&invite, "Via").split(';').next().unwrap().to_owned();
        let stream = transport.is_reliable().then_some(STREAM);
        desk.hear_by(transport, stream, from, &invite.replacen(&written, via, 1));
        match desk.ua.poll_event() {
            Some(crate::Event::Invite { source, .. }) => assert_eq!(source, addr(peer), "{via}"),
            other => panic!("no INVITE but {other:?}"),
        }
    }
}

#[test]
fn an_answer_whose_stream_has_ended_goes_by_a_new_one_to_where_the_caller_listens() {
    let by_tcp = |branch: &str| invite(branch, 1, OFFER).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let mut desk = Desk::new();
    desk.hear_by(Transport::Tcp, Some(STREAM), "192.0.2.9:41000", &by_tcp("z9hG4bKa"));
    let session = desk.invited();
    desk.transmits();
    desk.ua.connection_closed(desk.now, STREAM, None);
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let sent = desk.transmits().remove(0);
    assert!(sent.bytes.starts_with(b"SIP/2.0 200"));
    assert_eq!((sent.transport, sent.connection, sent.remote), (Transport::Tcp, None, addr("192.0.2.9:5070")), "not to 41000");
    desk.wait_for(crate::Why::AnswerAgain);
    assert_eq!(desk.transmits()[0].remote, addr("192.0.2.9:5070"), "and so do its repetitions");
    let mut desk = Desk::new();
    desk.hear_by(Transport::Tcp, Some(STREAM), "192.0.2.9:41000", &by_tcp("z9hG4bKb"));
    let session = desk.invited();
    desk.transmits();
    desk.ua.connection_closed(desk.now, ConnectionId(STREAM.0 + 1), None);
    desk.ua.answer(desk.now, session, sdp(ANSWER), Vec::new()).unwrap();
    let sent = desk.transmits().remove(0);
    assert_eq!(
        (sent.connection, sent.remote),
        (Some(STREAM), addr("192.0.2.9:41000")),
        "while its stream is there it goes by that"
    );
}
