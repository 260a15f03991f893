//! Dialogs as values.

use super::*;
use crate::transport::Transport;

fn dialog() -> Dialog {
    let addr = |text: &str| text.parse().unwrap();
    Dialog {
        side: Side::Callee,
        call_id: "call-1".to_owned(),
        local_tag: "ours".to_owned(),
        remote_tag: "theirs".to_owned(),
        local: "<sip:agent@192.0.2.1>;tag=ours".to_owned(),
        remote: "\"Jamie\" <sip:jamie@192.0.2.9>;tag=theirs".to_owned(),
        local_seq: 4,
        remote_seq: Some(7),
        remote_target: "sip:jamie@192.0.2.9:5070".to_owned(),
        route_set: Vec::new(),
        hop: Hop::new(Transport::Udp, addr("198.51.100.7:40000")),
        connection: None,
        place: super::Place::AsSaid,
        remote_session: None,
        local_addr: addr("192.0.2.1:5060"),
    }
}

#[test]
fn our_numbers_rise_by_one_and_theirs_must_rise() {
    let mut dialog = dialog();
    assert_eq!((dialog.next_seq(), dialog.next_seq()), (5, 6));
    assert!(!dialog.accept_seq(6));
    assert!(!dialog.accept_seq(7));
    assert!(dialog.accept_seq(12));
    assert!(!dialog.accept_seq(8));
    assert_eq!(dialog.remote_seq, Some(12));
}

#[test]
fn any_first_number_will_do() {
    let mut dialog = Dialog { remote_seq: None, ..dialog() };
    assert!(dialog.accept_seq(0));
    assert_eq!(dialog.remote_seq, Some(0));
}

#[test]
fn the_answer_turns_the_recorded_route_around() {
    let half = Dialog { side: Side::Caller, remote_tag: String::new(), ..dialog() };
    let route = vec!["<sip:far.example;lr>".to_owned(), "<sip:near.example;lr>".to_owned()];
    let whole = half.answered("<sip:x@y>;tag=t", "t", Some("sip:target@192.0.2.3".to_owned()), route);
    assert_eq!(whole.route_set, ["<sip:near.example;lr>", "<sip:far.example;lr>"]);
    assert_eq!((whole.remote_tag.as_str(), whole.remote_target.as_str()), ("t", "sip:target@192.0.2.3"));
}

#[test]
fn requests_go_to_the_first_address_in_figures_and_else_to_the_hop() {
    let rows = [
        ("sip:jamie@192.0.2.9:5070", &[][..], "192.0.2.9:5070", Transport::Udp),
        ("sip:jamie@192.0.2.9", &[], "192.0.2.9:5060", Transport::Udp),
        ("sip:jamie@[2001:db8::9]:5070;transport=tcp", &[], "[2001:db8::9]:5070", Transport::Tcp),
        ("sip:jamie@phone.example", &[], "198.51.100.7:40000", Transport::Udp),
        ("sip:jamie@phone.example;maddr=192.0.2.77", &[], "192.0.2.77:5060", Transport::Udp),
        (
            "sip:jamie@192.0.2.9:5070",
            &["<sip:192.0.2.50;lr;transport=TCP>", "<sip:192.0.2.51;lr>"],
            "192.0.2.50:5060",
            Transport::Tcp,
        ),
        ("sip:jamie@192.0.2.9:5070", &["<sip:proxy.example;lr>"], "198.51.100.7:40000", Transport::Udp),
        ("tel:+15550100", &[], "198.51.100.7:40000", Transport::Udp),
    ];
    for (target, route, addr, transport) in rows {
        let route_set = route.iter().map(|route| (*route).to_owned()).collect::<Vec<_>>();
        let routing = Dialog { remote_target: target.to_owned(), route_set: route_set.clone(), ..dialog() }.routing();
        assert_eq!(routing.hop, Hop::new(transport, addr.parse().unwrap()), "{target} {route:?}");
        assert_eq!((routing.request_uri.as_str(), routing.routes), (target, route_set));
    }
}

#[test]
fn a_strict_router_takes_the_place_of_the_target() {
    let route_set = vec!["<sip:192.0.2.50>".to_owned(), "<sip:192.0.2.51;lr>".to_owned()];
    let routing = Dialog { route_set, ..dialog() }.routing();
    assert_eq!(routing.request_uri, "sip:192.0.2.50");
    assert_eq!(routing.routes, ["<sip:192.0.2.51;lr>", "<sip:jamie@192.0.2.9:5070>"]);
}

#[test]
fn a_living_stream_is_used_and_a_dead_one_is_not() {
    let hop = Hop::new(Transport::Tcp, "198.51.100.7:40000".parse().unwrap());
    let living = Dialog {
        hop: hop.clone(),
        connection: Some(ConnectionId(3)),
        remote_target: "sip:jamie@192.0.2.9:5070;transport=tcp".to_owned(),
        ..dialog()
    };
    assert_eq!((living.routing().hop, living.routing().connection), (hop, Some(ConnectionId(3))));
    let dead = Dialog { connection: None, ..living }.routing();
    assert_eq!((dead.hop.addr, dead.connection), ("192.0.2.9:5070".parse().unwrap(), None));
}

#[test]
fn a_dialog_written_down_and_read_back_is_the_same() {
    let dialog = Dialog { route_set: vec!["<sip:192.0.2.50;lr>".to_owned()], connection: Some(ConnectionId(9)), ..dialog() };
    let text = serde_json::to_string(&dialog).unwrap();
    assert_eq!(serde_json::from_str::<Dialog>(&text).unwrap(), dialog);
}
