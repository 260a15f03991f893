//! Calls that live through the death of the process, whenever it dies.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use baton_contract::{CallbackState, Command, Driver, Mode, Outcome, Record, Reply, TransferRequest};
use baton_party::{Cue, KeyPath, Pilot, Step};

use crate::opening::{comes, in_conversation, michael, request, seconds, setup};
use crate::{BATON, Fate, Rung, Store, World};

const DOWN: Duration = Duration::from_millis(250);

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

fn conversation() -> World {
    in_conversation(setup(vec![michael(ae())]))
}

fn ask(world: &mut World) {
    let asked = request(world, "michael");
    world.ask_later(asked);
}

fn bridged() -> World {
    let mut world = conversation();
    ask(&mut world);
    assert!(comes(&mut world, "transfer.ended", seconds(20)), "{:?}", world.event_names());
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
    assert!(comes(&mut world, "transfer.ended", seconds(20)), "{:?}", world.event_names());
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
        assert!(comes(&mut world, "transfer.ended", seconds(60)), "at datagram {at}: {:?}", world.event_names());
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
    let mut world = World::new(setup(vec![michael(ae())]));
    world.begin();
    assert!(world.run_until(seconds(2), |world| world.ladder.len() >= 4));
    world.crash(DOWN);
    assert!(world.run_until(seconds(10), |world| world.party(0).is_up() && world.party(1).is_up()), "{:?}", world.failures);
}

#[test]
fn the_acceptance_that_was_on_record_is_a_bridge() {
    let mut world = conversation();
    ask(&mut world);
    assert!(comes(&mut world, "transfer.accepted", seconds(20)), "{:?}", world.event_names());
    world.crash(DOWN);
    assert!(comes(&mut world, "transfer.ended", seconds(3)), "{:?}", world.event_names());
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::Bridged));
}

#[test]
fn a_caller_who_leaves_while_nobody_is_there_is_noticed_afterwards() {
    let mut world = conversation();
    ask(&mut world);
    assert!(comes(&mut world, "transfer.ringing", seconds(10)));
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

/// How many datagrams of this kind Baton has sent.
fn sent(world: &World, is_one: impl Fn(&Rung) -> bool) -> usize {
    world.ladder.iter().filter(|rung| rung.from == BATON && is_one(rung)).count()
}

fn begins(rung: &Rung, title: &str) -> bool {
    rung.bytes.starts_with(title.as_bytes())
}

/// A caller whose ACK does not come through before `is_lost` is set to false, and Baton dead after its 200.
fn without_ack() -> (World, Rc<Cell<bool>>) {
    let mut world = World::new(setup(vec![michael(ae())]));
    let is_lost = Rc::new(Cell::new(true));
    let own = is_lost.clone();
    world.set_fate(move |rung| if own.get() && rung.to == BATON && begins(rung, "ACK ") { Fate::Lost } else { Fate::Arrives });
    world.begin();
    let caller = world.address(0);
    let answered = |world: &World| sent(world, |rung| rung.to == caller && begins(rung, "SIP/2.0 200")) > 0;
    assert!(world.run_until(seconds(5), answered), "{:?}", world.ladder.last());
    world.run(Duration::from_millis(20));
    world.crash(DOWN);
    (world, is_lost)
}

#[test]
fn a_2xx_without_its_ack_is_sent_again_until_the_ack_comes() {
    let (mut world, is_lost) = without_ack();
    let caller = world.address(0);
    let copies = |world: &World| sent(world, |rung| rung.to == caller && begins(rung, "SIP/2.0 200"));
    let before = copies(&world);
    assert!(world.run_until(seconds(5), |world| copies(world) > before), "the 200 is not sent again");
    is_lost.set(false);
    world.run(seconds(5));
    let acknowledged = copies(&world);
    world.run(seconds(40));
    assert_eq!(copies(&world), acknowledged, "the 200 is sent behind its ACK");
    assert!(world.party(0).is_up() && is_served(&world, 0));
    ask(&mut world);
    assert!(comes(&mut world, "transfer.ended", seconds(20)), "{:?}", world.event_names());
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::Bridged));
}

#[test]
fn a_2xx_whose_ack_never_comes_ends_the_call() {
    let (mut world, _) = without_ack();
    world.run(seconds(25));
    assert_eq!(world.call().map(|call| call.driver), Some(Driver::Ai));
    assert!(world.run_until(seconds(15), |world| world.party(0).is_over() && world.party(1).is_over()), "nobody gives up");
    world.run(seconds(40));
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

/// An AI that refers the caller to michael.
fn refers() -> World {
    let mut play = setup(vec![michael(ae())]);
    play.ai.extend([
        Step::pause(1_000),
        Step::Refer { to: "sip:michael@anywhere.example".into(), headers: Vec::new() },
        Step::wait_for(Cue::Notified(180), 10_000),
        Step::wait_for(Cue::Notified(200), 20_000),
    ]);
    in_conversation(play)
}

#[test]
fn whoever_sent_a_refer_that_was_accepted_hears_how_it_goes_on() {
    let mut world = refers();
    let ai = world.address(1);
    let accepted = |world: &World| sent(world, |rung| rung.to == ai && begins(rung, "SIP/2.0 202")) > 0;
    assert!(world.run_until(seconds(5), accepted), "the REFER is not accepted");
    world.crash(DOWN);
    assert!(comes(&mut world, "transfer.ended", seconds(30)), "{:?}", world.event_names());
    world.run(seconds(2));
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::Bridged));
    assert_eq!(world.failures, Vec::<String>::new());
}

#[test]
fn a_re_invite_that_was_under_way_goes_on_as_the_same_request() {
    let mut play = setup(vec![michael(ae())]);
    let timer = [("Supported", "timer"), ("Session-Expires", "90;refresher=uas")];
    let headers = timer.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    play.caller[0] = Step::Call { to: "sip:+15550100@10.0.0.1".to_owned(), headers };
    let mut world = in_conversation(play);
    let caller = world.address(0);
    let is_lost = Rc::new(Cell::new(true));
    let own = is_lost.clone();
    let is_refresh = move |rung: &Rung| rung.to == caller && rung.from == BATON && begins(rung, "INVITE ");
    world.set_fate(move |rung| if own.get() && is_refresh(rung) { Fate::Lost } else { Fate::Arrives });
    assert!(world.run_until(seconds(60), |world| sent(world, is_refresh) > 0), "the session is not refreshed");
    world.crash(DOWN);
    is_lost.set(false);
    assert!(world.run_until(seconds(10), |world| sent(world, is_refresh) > 1), "the re-INVITE is not sent again");
    world.run(seconds(2));
    let copies: Vec<_> = world.ladder.iter().filter(|rung| is_refresh(rung)).map(|rung| rung.bytes.clone()).collect();
    assert!(copies.iter().all(|copy| *copy == copies[0]), "another re-INVITE is sent");
    world.run(seconds(60));
    assert!(world.party(0).is_up() && is_served(&world, 0), "the session was given up");
}

/// A caller who is offered two times at which they are called back, and picks the first while the store does `store`.
fn promising(store: Store) -> World {
    let mut world = conversation();
    let call = world.call_id().unwrap();
    let request = TransferRequest { to: Some("michael".to_owned()), mode: Some(Mode::Scheduled), ..TransferRequest::default() };
    world.ask(Command::RequestTransfer { call, request: Box::new(request), idempotency_key: None });
    world.run(seconds(2));
    world.store = store;
    world.let_party(0, &Step::Press { key: '1', by: KeyPath::Info });
    world.run(Duration::from_micros(500));
    assert!(!world.event_names().contains(&"callback.scheduled"), "the store has answered already");
    world.store = Store::Well;
    world.crash(DOWN);
    world
}

fn promised(world: &World) -> Vec<CallbackState> {
    let state = |record: &Record| if let Record::Callback(row) = record { Some(row.state) } else { None };
    world.records.iter().filter_map(|(_, record)| state(record)).collect()
}

#[test]
fn a_callback_whose_row_is_there_stands_and_is_told() {
    let mut world = promising(Store::Well);
    assert!(comes(&mut world, "callback.scheduled", seconds(3)), "{:?}", world.event_names());
    assert_eq!(promised(&world), [CallbackState::Scheduled]);
    assert!(world.run_until(seconds(20), |world| world.party(0).is_over()), "the caller is told nothing");
    assert_eq!(world.event_names().into_iter().filter(|name| *name == "callback.scheduled").count(), 1);
}

#[test]
fn a_callback_whose_row_is_not_there_was_never_promised() {
    let mut world = promising(Store::Silent);
    assert!(comes(&mut world, "transfer.ended", seconds(10)), "{:?}", world.event_names());
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::ReturnedToAi));
    assert!(!world.event_names().contains(&"callback.scheduled"));
    assert!(!promised(&world).contains(&CallbackState::Scheduled));
    assert!(world.party(0).is_up() && world.party(1).is_up());
}
