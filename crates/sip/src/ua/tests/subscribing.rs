//! We subscribe.

use std::time::Duration;

use super::desk::*;
use crate::{Hop, Subscribe, SubscriptionId, Transport, Why};

const DIALOGS: &str = "<dialog-info state=\"full\"/>";

fn subscribe(desk: &mut Desk) -> (SubscriptionId, String) {
    let wanted = Subscribe {
        target: uri("sip:michael@192.0.2.9:5070"),
        route: Hop::new(Transport::Udp, addr(PEER)),
        from: name("<sip:baton@192.0.2.1>"),
        package: "dialog",
        accept: "application/dialog-info+xml",
        expires: Duration::from_secs(600),
        credentials: None,
    };
    let id = desk.ua.subscribe(desk.now, wanted);
    (id, desk.only())
}

fn notify(subscribe: &str, seq: u32, state: &str) -> String {
    let extra = format!("Contact: <sip:far@192.0.2.9:5070>\nEvent: dialog\nSubscription-State: {state}\n");
    back("NOTIFY", subscribe, "far", seq, &format!("z9hG4bKn{seq}"), &extra, DIALOGS)
}

#[test]
fn a_subscription_is_told_refreshed_and_ended() {
    let mut desk = Desk::new();
    let (id, first) = subscribe(&mut desk);
    assert_eq!((value(&first, "Event").as_str(), value(&first, "Expires").as_str()), ("dialog", "600"));
    assert!(value(&first, "Contact").contains("192.0.2.1:5060"));
    // The NOTIFY may overtake the answer.
    desk.hear(&notify(&first, 1, "active;expires=300"));
    assert_eq!(desk.brief(), ["200"]);
    desk.hear(&reply(&first, 200, "far", &format!("{CONTACT}Expires: 300\n"), ""));
    desk.hear(&notify(&first, 2, "active;expires=299"));
    assert_eq!(desk.told(), ["Notification 27 bytes"; 2]);
    desk.said();
    let before = desk.now;
    desk.wait_until(Why::Errand);
    assert_eq!(desk.now.since(before), Duration::from_secs(225));
    let again = desk.only();
    assert_eq!((value(&again, "CSeq").as_str(), tag(&value(&again, "To")).as_str()), ("2 SUBSCRIBE", "far"));
    desk.hear(&reply(&again, 200, "far", "Expires: 300\n", ""));
    desk.ua.unsubscribe(desk.now, id);
    let last = desk.only();
    assert_eq!(value(&last, "Expires"), "0");
    desk.hear(&reply(&last, 200, "far", "", ""));
    desk.hear(&notify(&first, 3, "terminated;reason=timeout"));
    assert_eq!(desk.brief(), ["481"], "nothing more is heard of it");
}

#[test]
fn what_is_refused_lost_or_ended_by_the_far_side_begins_anew_after_a_pause() {
    let mut desk = Desk::new();
    let (_, first) = subscribe(&mut desk);
    desk.hear(&reply(&first, 489, "far", "", ""));
    assert_eq!(desk.told(), ["SubscriptionLost"]);
    desk.wait_until(Why::Errand);
    let second = desk.only();
    assert_ne!(value(&second, "Call-ID"), value(&first, "Call-ID"));
    desk.hear(&reply(&second, 200, "far", &format!("{CONTACT}Expires: 300\n"), ""));
    desk.hear(&notify(&second, 1, "terminated;reason=deactivated;retry-after=7"));
    assert_eq!(desk.told(), ["Notification 27 bytes"]);
    desk.said();
    let before = desk.now;
    desk.wait_until(Why::Errand);
    assert_eq!(desk.now.since(before), Duration::from_secs(7));
    let third = desk.only();
    assert!(!value(&third, "To").contains("tag="), "a new dialog");
    desk.wait_ms(40_000);
    assert_eq!(desk.told(), ["SubscriptionLost"], "nobody has answered");
}

#[test]
fn notifies_that_are_nobodys_or_go_backwards_are_refused() {
    let mut desk = Desk::new();
    let (_, first) = subscribe(&mut desk);
    desk.hear(&reply(&first, 200, "far", &format!("{CONTACT}Expires: 300\n"), ""));
    desk.hear(&notify(&first, 5, "active"));
    desk.hear(&notify(&first, 4, "active"));
    desk.hear(&notify(&first, 6, "active").replace("Event: dialog", "Event: presence"));
    desk.hear(&notify(&first, 7, "active").replace("tag=far", "tag=other"));
    desk.hear(&notify(&first, 8, "active").replace(&value(&first, "Call-ID"), "guessed"));
    assert_eq!(desk.brief(), ["200", "500", "489", "481", "481"]);
}
