//! Floods, and whom they must not harm.

use std::time::Duration;

use super::desk::*;
use crate::{Event, Limits, Rejected, Settings, Transport};

fn attack(at: usize) -> String {
    invite(&format!("z9hG4bKx{at}"), 1, OFFER).replace("call-1@far", &format!("x{at}@far"))
}

/// Says 403 to whatever comes, as the owner does to strangers.
fn forbid(desk: &mut Desk) -> usize {
    let events = desk.events();
    for event in &events {
        if let Event::Invite { session, .. } = event {
            desk.ua.refuse(desk.now, *session, 403, None, Vec::new()).unwrap();
        }
    }
    desk.events();
    desk.said();
    events.iter().filter(|event| matches!(event, Event::Invite { .. })).count()
}

#[test]
fn a_strangers_flood_costs_no_more_than_its_share() {
    let mut desk = Desk::new();
    let mut seen = 0;
    for at in 0..20_000 {
        desk.now = desk.now + Duration::from_micros(50);
        desk.hear(&attack(at));
        seen += forbid(&mut desk);
    }
    assert!((200..=251).contains(&seen), "{seen} in a second: 50 a second, and 200 at once");
    assert!(desk.ua.transactions() <= 251 && desk.ua.sessions() <= 251);
    let dropped = desk.ua.counts().rejected().iter().find(|(reason, _)| *reason == "flood").map(|(_, count)| *count);
    assert_eq!(dropped, Some(20_000 - seen as u64));
    desk.settle();
}

#[test]
fn the_owner_hears_of_a_flood_once_a_second() {
    let mut desk = Desk::new();
    let mut told = 0;
    for at in 0..30_000 {
        desk.now = desk.now + Duration::from_micros(100);
        desk.hear(&attack(at));
        let events = desk.events();
        told += events.iter().filter(|event| matches!(event, Event::Stranger { reason: Rejected::Flood, .. })).count();
        desk.said();
    }
    assert!((2..=3).contains(&told), "{told} in three seconds");
    desk.hear_by(crate::Transport::Udp, None, "203.0.113.5:5060", &attack(30_001));
    assert_eq!(desk.told().len(), 1, "others are heard");
}

#[test]
fn many_strangers_together_cost_no_more_than_their_share() {
    let mut desk = Desk::new();
    let mut seen = 0;
    for at in 0..20_000_usize {
        desk.now = desk.now + Duration::from_micros(50);
        let from = format!("203.{}.{}.{}:5060", at % 200, at / 200 % 200, at % 7);
        desk.hear_by(crate::Transport::Udp, None, &from, &attack(at));
        seen += forbid(&mut desk);
    }
    assert!((2_000..=2_501).contains(&seen), "{seen} in a second: 500 a second, and 2,000 at once");
    desk.settle();
}

#[test]
fn whoever_we_deal_with_is_not_counted_and_calls_that_are_up_are_not_harmed() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up_from_far();
    for at in 0..2_000 {
        desk.hear(&attack(at));
    }
    assert_eq!(desk.events().len(), 2_000, "a trunk that is answered may bring as much as it likes");
    desk.said();
    for at in 0..2_000 {
        desk.hear_by(crate::Transport::Udp, None, "203.0.113.5:5060", &attack(10_000 + at));
        forbid(&mut desk);
    }
    desk.hear(&request("BYE", &answer, 2, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200"]);
    assert_eq!(desk.told(), ["Gone Bye { reason: None }"]);
}

#[test]
fn what_belongs_to_nothing_is_counted_too_whatever_it_pretends() {
    let mut desk = Desk::new();
    let (_, answer) = desk.up();
    let mut answered = 0;
    for at in 0..1_000 {
        let stray = request("BYE", &answer, 2, &format!("z9hG4bKs{at}"), "", "").replace("tag=", "tag=x");
        desk.hear_by(crate::Transport::Udp, None, "203.0.113.5:5060", &stray);
        answered += desk.said().len();
    }
    assert_eq!(answered, 200);
}

#[test]
fn a_stranger_who_waits_is_heard_again() {
    let mut desk = Desk::new();
    for at in 0..300 {
        desk.hear(&attack(at));
    }
    assert_eq!(forbid(&mut desk), 200);
    desk.wait_ms(1_000);
    for at in 300..400 {
        desk.hear(&attack(at));
    }
    assert_eq!(forbid(&mut desk), 50);
}

/// Limits under which one source may have forty transactions and three calls.
fn narrow() -> Settings {
    Settings { limits: Limits { source_transactions: 40, source_sessions: 3, ..Limits::default() }, ..settings() }
}

fn asks(desk: &mut Desk, from: &str, at: usize) -> String {
    let options = attack(at).replace("INVITE", "OPTIONS");
    desk.hear_by(Transport::Udp, None, from, &options);
    desk.brief().join(" ")
}

#[test]
fn a_known_peer_that_runs_wild_leaves_the_tables_to_others_and_can_still_end_its_calls() {
    let mut desk = Desk::with(narrow());
    let (_, answer) = desk.up_from_far();
    let heard: Vec<String> = (0..60).map(|at| asks(&mut desk, PEER, at)).collect();
    assert_eq!(heard.iter().filter(|status| *status == "200").count(), 34, "its INVITE is one of the 35 that it may have");
    assert!(heard[34..].iter().all(|status| status == "503"), "{heard:?}");
    assert_eq!(asks(&mut desk, "203.0.113.5:5060", 100), "200", "others do not notice");
    desk.hear(&request("BYE", &answer, 2, "z9hG4bKb", "", ""));
    assert_eq!(desk.brief(), ["200"], "what belongs to a call has room");
    let full = desk.ua.counts().rejected().iter().find(|(reason, _)| *reason == "source_full").map(|(_, count)| *count);
    assert_eq!(full, Some(26));
    desk.settle();
    assert_eq!(asks(&mut desk, PEER, 200), "200", "when all is forgotten it has its share again");
    desk.settle();
    assert_eq!(desk.ua.shares.len(), 0, "nothing is remembered of whom nothing is left");
}

#[test]
fn a_known_peer_has_so_many_calls_and_no_more() {
    let mut desk = Desk::with(narrow());
    for at in 0..5 {
        desk.hear(&attack(at));
    }
    assert_eq!(desk.brief(), ["100", "100", "100", "503", "503"]);
    let events = desk.events();
    let first = events.iter().find_map(|event| if let Event::Invite { session, .. } = event { Some(*session) } else { None });
    desk.hear_by(Transport::Udp, None, "203.0.113.5:5060", &attack(10));
    assert_eq!(desk.brief(), ["100"], "others have their own");
    desk.ua.refuse(desk.now, first.expect("an INVITE"), 486, None, Vec::new()).unwrap();
    desk.said();
    desk.hear(&attack(11));
    assert_eq!(desk.brief(), ["100"], "one that has ended makes room for the next");
}

#[test]
fn a_restored_call_counts_as_it_did_before() {
    let mut desk = Desk::with(narrow());
    desk.hear(&attack(1));
    let session = desk.invited();
    let (common, written) = (desk.ua.common_snapshot(), serde_json::to_vec(&desk.ua.snapshot(session)).unwrap());
    let mut next = Desk::with(narrow());
    next.ua.restore_common(&common);
    next.ua.restore(next.now, serde_json::from_slice(&written).unwrap(), None);
    for at in 2..5 {
        next.hear(&attack(at));
    }
    assert_eq!(next.brief(), ["100", "100", "503"]);
}
