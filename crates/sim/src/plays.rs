//! Whole calls in virtual time.

use std::time::Duration;

use baton_contract::{AttemptOutcome, CallState, Command, Driver, Outcome, Reply};
use baton_party::{Cue, KeyPath, Pilot, Step};

use crate::opening::{comes, in_conversation, michael, request, seconds, setup};
use crate::{Ae, Setup, Store, World};

fn answers_and_accepts() -> Vec<Step> {
    vec![
        Step::wait_for(Cue::Invited, 60_000),
        Step::Ring { status: 180 },
        Step::pause(2_000),
        Step::Answer,
        Step::wait_for(Cue::Voice, 1_000),
        Step::pause(1_500),
        Step::Press { key: '1', by: KeyPath::Rfc4733 },
        Step::wait_for(Cue::Hears(Pilot::Caller), 1_000),
    ]
}

fn rings_only() -> Vec<Step> {
    vec![Step::wait_for(Cue::Invited, 60_000), Step::Ring { status: 180 }]
}

/// A call that is up, and then a transfer to `to` asked for through the API.
fn in_transfer(setup: Setup, to: &str) -> World {
    let mut world = in_conversation(setup);
    let asked = request(&mut world, to);
    let reply = world.ask(asked);
    assert!(matches!(reply, Some(Ok(Reply::Transfer(_)))), "{reply:?}");
    world
}

#[test]
fn caller_and_ai_talk_until_the_caller_hangs_up_and_nothing_is_left() {
    let mut play = setup(vec![]);
    play.caller.extend([Step::wait_for(Cue::Hears(Pilot::Ai), 2_000), Step::pause(1_000), Step::HangUp]);
    play.ai.push(Step::wait_for(Cue::Hears(Pilot::Caller), 2_000));
    let mut world = World::new(play);
    world.begin();
    assert!(world.run_until(seconds(10), |world| world.party(0).is_over() && world.party(1).is_over()));
    world.run(seconds(1));
    assert_eq!(world.failures, Vec::<String>::new());
    assert!(world.is_empty());
    assert_eq!(world.call().unwrap().state, CallState::Ended);
    assert_eq!(world.event_names(), ["call.started", "call.driver_changed", "call.ended"]);
}

#[test]
fn a_warm_transfer_ends_in_a_bridge_and_the_ai_is_gone() {
    let mut world = in_transfer(setup(vec![michael(answers_and_accepts())]), "michael");
    assert!(comes(&mut world, "transfer.ended", seconds(20)), "{:?}", world.event_names());
    let transfer = world.transfer().unwrap();
    assert_eq!(transfer.outcome, Some(Outcome::Bridged));
    assert_eq!(transfer.attempts[0].outcome, Some(AttemptOutcome::Accepted));
    assert_eq!(world.call().unwrap().driver, Driver::Human);
    world.run(seconds(2));
    assert!(world.party(1).is_over(), "the AI is still there");
    assert_eq!(world.failures, Vec::<String>::new());
}

#[test]
fn the_caller_who_leaves_while_the_phone_rings_silences_it_at_once() {
    let mut play = setup(vec![michael(rings_only())]);
    play.caller.extend([Step::wait_for(Cue::Told("leave".into()), 60_000), Step::HangUp]);
    let mut world = in_transfer(play, "michael");
    world.run(seconds(2));
    world.tell("leave");
    assert!(world.run_until(Duration::from_millis(50), |world| world.party(2).is_over()));
    world.run(seconds(1));
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::CallerAbandoned));
    assert!(world.is_empty());
}

#[test]
fn the_backup_takes_the_call_when_the_primary_does_not_answer() {
    let michael = michael(rings_only()).with_backup("sara");
    let sara = Ae::new("sara", Some(answers_and_accepts()));
    let mut play = setup(vec![michael, sara]);
    play.transfer.ring_max = seconds(6);
    let mut world = in_transfer(play, "michael");
    assert!(comes(&mut world, "transfer.ended", seconds(40)));
    let transfer = world.transfer().unwrap();
    assert_eq!(transfer.outcome, Some(Outcome::Bridged));
    assert_eq!(transfer.attempts[0].outcome, Some(AttemptOutcome::NoAnswer));
    assert_eq!(transfer.attempts[1].outcome, Some(AttemptOutcome::Accepted));
    assert!(world.party(2).is_over());
}

#[test]
fn an_ai_that_can_only_refer_hears_of_every_step_and_of_the_bridge_last() {
    let mut play = setup(vec![michael(answers_and_accepts())]);
    play.ai.extend([
        Step::pause(1_000),
        Step::Refer {
            to: "sip:michael@anywhere.example".into(),
            headers: vec![("X-Baton-Summary".into(), "Wants more seats.".into())],
        },
        Step::wait_for(Cue::Notified(100), 1_000),
        Step::wait_for(Cue::Notified(180), 5_000),
        Step::wait_for(Cue::Notified(200), 20_000),
    ]);
    let mut world = in_conversation(play);
    assert!(world.run_until(seconds(30), |world| world.party(1).is_over()), "{:?}", world.event_names());
    assert_eq!(world.failures, Vec::<String>::new());
    assert_eq!(world.transfer().unwrap().outcome, Some(Outcome::Bridged));
    let id = world.call_id().unwrap();
    let Some(Ok(Reply::Context(context))) = world.ask(Command::Context(id)) else { panic!("no context") };
    assert_eq!(context.summary.as_deref(), Some("Wants more seats."));
}

#[test]
fn nothing_is_promised_while_the_store_does_not_write() {
    let mut world = in_conversation(setup(vec![michael(answers_and_accepts())]));
    world.store = Store::Refuses;
    let asked = request(&mut world, "michael");
    let reply = world.ask(asked);
    assert!(matches!(&reply, Some(Err(problem)) if problem.status == 503), "{reply:?}");
    world.run(seconds(10));
    assert!(world.party(0).is_up() && world.party(1).is_up(), "the call goes on");
    assert!(!world.party(2).is_up(), "nobody was dialled");
}

#[test]
fn a_second_request_joins_the_transfer_that_runs() {
    let mut world = in_transfer(setup(vec![michael(rings_only())]), "michael");
    let first = world.transfer().unwrap().id;
    let asked = request(&mut world, "michael");
    let reply = world.ask(asked);
    assert!(matches!(&reply, Some(Ok(Reply::Transfer(view))) if view.id == first), "{reply:?}");
}

#[test]
fn whoever_follows_a_call_is_told_that_a_transfer_ends_its_pause() {
    let mut world = in_conversation(setup(vec![michael(rings_only())]));
    let call = world.call_id().unwrap();
    for driver in [Driver::Paused, Driver::Ai, Driver::Paused] {
        assert!(matches!(world.ask(Command::SetDriver { call, driver }), Some(Ok(_))));
    }
    let asked = request(&mut world, "michael");
    world.ask(asked);
    let names = world.event_names();
    assert_eq!(
        names[names.len() - 4..],
        ["call.driver_changed", "call.driver_changed", "transfer.requested", "transfer.attempt_started"]
    );
    let drivers = world.events.iter().filter_map(|event| event.data.get("driver")?.as_str());
    assert_eq!(drivers.collect::<Vec<_>>(), ["ai", "paused", "ai", "paused", "ai"]);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = || {
        let mut world = in_transfer(setup(vec![michael(answers_and_accepts())]), "michael");
        world.run(seconds(15));
        serde_json::to_string(&world.events).unwrap()
    };
    assert_eq!(trace(), trace());
}
