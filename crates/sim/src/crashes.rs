//! Calls that live through the death of the process, whenever it dies.

use std::time::Duration;

use baton_contract::{Command, Driver, Outcome, Reply, TransferRequest};
use baton_party::{Cue, KeyPath, Pilot, Step};

use crate::{Ae, Setup, World};

const DOWN: Duration = Duration::from_millis(250);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ae() -> Vec<Step> {
    vec![
        Step::wait_for(Cue::Invited, 60_000),
        Step::Ring { status: 180 },
        Step::pause(1_000),
        Step::Answer,
        Step::wait_for(Cue::Voice, 4_000),
        Step::pause(1_500),
        Step::Press { key: '1', by: KeyPath::Info },
        Step::wait_for(Cue::Hears(Pilot::Caller), 10_000),
        Step::pause(2_000),
    ]
}

fn setup() -> Setup {
    Setup {
        caller: vec![Step::call("sip:+15550100@10.0.0.1"), Step::wait_for(Cue::Up, 10_000)],
        ai: vec![Step::wait_for(Cue::Invited, 10_000), Step::Ring { status: 180 }, Step::pause(200), Step::Answer],
        ai_again: vec![],
        aes: vec![Ae::new("michael", Some(ae()))],
        groups: Vec::new(),
        wiring: crate::world::Wiring::default(),
        transfer: baton_transfer::Settings::default(),
        cold: baton_switchboard::ColdWay::Bridge,
        outside: None,
        recording: Default::default(),
        ports: 200,
        seed: 11,
    }
}

fn conversation() -> World {
    let mut world = World::new(setup());
    world.begin();
    assert!(world.run_until(seconds(3), |world| world.party(0).is_up() && world.party(1).is_up()));
    world.run(Duration::from_millis(500));
    world
}

fn ask(world: &mut World) {
    let call = world.call_id().unwrap();
    let request = Box::new(TransferRequest { to: Some("michael".to_owned()), ..TransferRequest::default() });
    world.ask_later(Command::RequestTransfer { call, request, idempotency_key: None });
}

fn bridged() -> World {
    let mut world = conversation();
    ask(&mut world);
    assert!(world.run_until(seconds(20), |world| world.event_names().contains(&"transfer.ended")), "{:?}", world.event_names());
    world.run(seconds(1));
    world
}

/// Whether sound has come to a party within the last tenth of a second.
fn is_served(world: &World, index: usize) -> bool {
    let since = world.now().mono - Duration::from_millis(100);
    world.party(index).record().rtp_received.last().is_some_and(|packet| packet.at >= since)
}

#[test]
fn a_bridged_call_goes_on_and_no_phone_sees_any_sip() {
    let mut world = bridged();
    let datagrams = world.ladder.len();
    world.crash(DOWN);
    world.run(seconds(3));
    assert_eq!(world.ladder.len(), datagrams, "{:?}", world.ladder.last());
    assert_eq!(world.call().unwrap().driver, Driver::Human);
    assert!(world.party(0).is_up() && world.party(2).is_up());
    assert!(is_served(&world, 0) && is_served(&world, 2));
    world.let_party(0, &Step::HangUp);
    assert!(world.run_until(seconds(3), |world| world.party(2).is_over()), "the AE does not hear of the caller's end");
    world.run(seconds(40));
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn a_call_that_died_twice_in_a_row_goes_on_as_after_one_death() {
    let mut world = bridged();
    let datagrams = world.ladder.len();
    world.crash(DOWN);
    world.crash(DOWN);
    world.run(seconds(3));
    assert_eq!(world.ladder.len(), datagrams);
    assert_eq!(world.call().unwrap().driver, Driver::Human);
}

#[test]
fn a_call_with_its_ai_goes_on_and_can_still_be_handed_over() {
    let mut world = conversation();
    world.crash(DOWN);
    world.run(seconds(1));
    ask(&mut world);
    assert!(world.run_until(seconds(20), |world| world.event_names().contains(&"transfer.ended")), "{:?}", world.event_names());
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::Bridged));
}

#[test]
fn whenever_the_process_dies_within_a_transfer_the_caller_ends_up_with_somebody() {
    let mut at = 0;
    loop {
        at += 1;
        let mut world = conversation();
        ask(&mut world);
        let first = world.ladder.len();
        let is_there = world.run_until(seconds(30), |world| world.ladder.len() >= first + at);
        if !is_there {
            assert!(at > 8, "only {at} datagrams in a transfer");
            return;
        }
        world.crash(DOWN);
        assert!(
            world.run_until(seconds(60), |world| world.event_names().contains(&"transfer.ended")),
            "at datagram {at}: {:?}",
            world.event_names()
        );
        world.run(seconds(2));
        let ended = world.event_names().into_iter().filter(|name| *name == "transfer.ended").count();
        assert_eq!(ended, 1, "at datagram {at}");
        assert!(world.party(0).is_up(), "at datagram {at} the caller is gone");
        let transfer = world.transfer().unwrap();
        assert_eq!(transfer.outcome, Some(Outcome::Bridged), "at datagram {at}: {:?}", transfer.attempts);
    }
}

#[test]
fn an_inbound_call_whose_ai_still_rings_is_answered() {
    let mut world = World::new(setup());
    world.begin();
    assert!(world.run_until(seconds(2), |world| world.ladder.len() >= 4));
    world.crash(DOWN);
    assert!(world.run_until(seconds(10), |world| world.party(0).is_up() && world.party(1).is_up()), "{:?}", world.failures);
}

#[test]
fn the_acceptance_that_was_on_record_is_a_bridge() {
    let mut world = conversation();
    ask(&mut world);
    assert!(
        world.run_until(seconds(20), |world| world.event_names().contains(&"transfer.accepted")),
        "{:?}",
        world.event_names()
    );
    world.crash(DOWN);
    assert!(world.run_until(seconds(3), |world| world.event_names().contains(&"transfer.ended")), "{:?}", world.event_names());
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::Bridged));
}

#[test]
fn a_caller_who_leaves_while_nobody_is_there_is_noticed_afterwards() {
    let mut world = conversation();
    ask(&mut world);
    assert!(world.run_until(seconds(10), |world| world.event_names().contains(&"transfer.ringing")));
    world.crash_with(DOWN, |world| {
        world.let_party(0, &Step::HangUp);
    });
    assert!(world.run_until(seconds(5), |world| world.party(2).is_over()), "the AE still rings");
    assert_eq!(world.call().map(|call| call.driver), Some(Driver::Ai));
    let reply = world.ask(Command::Calls);
    assert!(matches!(reply, Some(Ok(Reply::Calls(_)))));
    world.run(seconds(40));
    assert_eq!(world.leftovers(), Vec::<String>::new());
}
