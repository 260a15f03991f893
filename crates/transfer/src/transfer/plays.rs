//! Plays: each rule of a transfer, acted out in virtual time.

use std::time::Duration;

use baton_contract::{AeId, AeState, AttemptOutcome, Driver, EventKind, Outcome, OutcomeClass, Presence, Stage, TransferState};
use serde_json::json;

use super::desk::{Desk, MORNING, Opening};
use crate::roster::tests::ae;
use crate::{AcceptBy, AfterAe, Event, Fact, Key, LegEnd, Limits, Roster, SceneName, Settings, Target, WhileDialing, Why};

const KEYS: &str = "to-accept-press key-1 to-decline-press key-2";

fn with(change: impl FnOnce(&mut Opening)) -> Desk {
    let mut opening = Opening::default();
    change(&mut opening);
    opening.play()
}

fn alone() -> Opening {
    let roster = Roster::new(vec![ae("michael", None)], vec![]);
    Opening { roster, ..Opening::default() }
}

#[test]
fn a_caller_is_handed_over_and_the_ai_is_let_go() {
    let mut desk = Desk::new();
    desk.expect([
        "commit Attempt(1) Process",
        "scene ConsultMusic",
        "progress 100",
        "render",
        "caller: one-moment",
        "dial michael 1",
    ]);
    desk.after(3).answers().expect(["progress 180", &format!("ae: briefing, {KEYS}")]);
    assert_eq!(desk.transfer.view().state, TransferState::Answered);
    desk.after(9_000).key(Key::ONE);
    desk.expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
    assert_eq!((desk.transfer.driver(), desk.outcome()), (Driver::Human, None));
    desk.after(10).tell(Event::Switched);
    desk.expect(["progress 200 bridged last", "drop ai", "finished bridged"]);
    desk.after(14).tell(Event::AiGone);
    let view = desk.transfer.view();
    assert_eq!((view.state, view.outcome, view.class), (TransferState::Bridged, Some(Outcome::Bridged), None));
    assert_eq!(view.ai_drop_ms, Some(14));
    assert_eq!(serde_json::to_value(view.stages_ms).unwrap(), json!({"start": 3, "ringing": 0, "accept": 9_000, "total": 9_013}));
    assert_eq!(view.attempts[0].outcome, Some(AttemptOutcome::Accepted));
    assert_eq!(desk.reported(EventKind::Bridged).len(), 1);
    let driver = desk.reported(EventKind::DriverChanged);
    assert_eq!(driver, [json!({"driver": "human"})]);
}

#[test]
fn the_request_is_on_record_before_anybody_is_dialled() {
    let mut desk = Opening::default().silent_store();
    let done = desk.done();
    assert_eq!(done[0], "commit Attempt(1) Process");
    assert!(!done.iter().any(|action| action.starts_with("dial")), "{done:?}");
    desk.tell(Event::Committed(Fact::Attempt(2))).expect([]);
    desk.tell(Event::Committed(Fact::Attempt(1))).expect(["dial michael 1"]);
}

#[test]
fn with_the_store_down_nobody_is_dialled_and_the_ai_goes_on() {
    for refuse in [true, false] {
        let mut desk = Opening::default().silent_store();
        desk.then();
        if refuse {
            desk.tell(Event::CommitRefused(Fact::Attempt(1)));
        } else {
            desk.wait_for(Why::StageWorst(Stage::Start));
        }
        desk.expect(["hush caller", "scene Conversation", "progress 480 returned_to_ai last", "finished returned_to_ai"]);
        let view = desk.transfer.view();
        assert_eq!((view.class, view.attempts.len()), (Some(OutcomeClass::Incident), 0));
        assert!(desk.transfer.is_over());
        desk.tell(Event::Committed(Fact::Attempt(1))).expect([]);
    }
}

#[test]
fn backup_takes_the_call_when_the_primary_does_not_answer() {
    let mut desk = Desk::new();
    desk.then().rings().expect(["progress 180"]);
    let first = desk.leg();
    desk.wait_for(Why::AeMustAnswer);
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(18));
    desk.expect(["hang up NoAnswer", "commit Attempt(2) Process", "caller: trying-someone-else", "dial sara 2"]);
    let late = Event::Refused { leg: first, status: 487, phrase: "Request Terminated".into() };
    desk.tell(late.clone()).expect(["commit Evidence Process"]).tell(late).expect([]);
    let view = desk.transfer.view();
    assert_eq!(view.attempts[0].outcome, Some(AttemptOutcome::NoAnswer));
    assert_eq!(view.attempts[0].sip_status, Some(487));
    assert_eq!(view.attempts[0].ring_ms, Some(18_000));
    assert_eq!(view.attempts[0].reason.as_deref(), Some("not answered within ring_max 18 s"));
    desk.bridged();
    assert_eq!(desk.outcome(), Some(Outcome::Bridged));
    assert_eq!(desk.transfer.view().attempts.len(), 2);
}

#[test]
fn an_ae_s_own_ring_max_counts() {
    let mut michael = ae("michael", None);
    michael.ring_max = Some(Duration::from_secs(4));
    let mut desk = with(|opening| opening.roster = Roster::new(vec![michael], vec![]));
    desk.rings().wait_for(Why::AeMustAnswer);
    assert_eq!(desk.transfer.view().attempts[0].reason.as_deref(), Some("not answered within ring_max 4 s"));
}

#[test]
fn a_phone_behind_a_slow_trunk_has_limits_of_its_own_for_its_first_ring() {
    let mut michael = ae("michael", None);
    michael.ringing = Some(Limits::millis(4_000, 12_000));
    let mut desk = with(|opening| opening.roster = Roster::new(vec![michael], vec![]));
    desk.dialed().then();
    let leg = desk.leg();
    desk.tell(Event::Trying { leg });
    desk.wait_for(Why::StageTarget(Stage::Ringing));
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(4));
}

#[test]
fn a_phone_that_never_responds_is_unreachable_after_three_seconds() {
    let mut desk = Desk::new();
    desk.dialed().then().wait_for(Why::AeMustRespond);
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(3));
    desk.expect(["hang up Unreachable", "commit Attempt(2) Process", "caller: trying-someone-else", "dial sara 2"]);
    assert_eq!(desk.transfer.view().attempts[0].outcome, Some(AttemptOutcome::Unreachable));
}

#[test]
fn a_phone_that_responds_but_does_not_ring_has_the_stage_s_worst_case() {
    let mut desk = Desk::new();
    let leg = desk.leg();
    desk.dialed().tell(Event::Trying { leg }).tell(Event::Trying { leg }).then();
    desk.wait_for(Why::StageWorst(Stage::Ringing));
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(5));
    assert_eq!(desk.transfer.view().attempts[0].outcome, Some(AttemptOutcome::BudgetExceeded));
    desk.done();
    let missed = desk.reported(EventKind::BudgetMissed);
    assert_eq!(
        missed,
        [
            json!({"stage": "ringing", "limit": "target", "after_ms": 2_000}),
            json!({"stage": "ringing", "limit": "worst", "after_ms": 5_000}),
        ]
    );
}

#[test]
fn any_18x_counts_as_ringing_and_none_as_an_answer() {
    for status in [180, 181, 182, 183, 199] {
        let mut desk = Desk::new();
        let leg = desk.leg();
        desk.dialed().then().tell(Event::Ringing { leg, status }).tell(Event::Ringing { leg, status: 183 });
        desk.expect(["progress 180"]);
        assert_eq!(desk.transfer.view().state, TransferState::Ringing);
    }
}

#[test]
fn a_refusal_leads_to_the_next_ae_and_after_the_last_to_the_exit_that_suits_it() {
    for (status, last, outcome, progress) in [
        (486, AttemptOutcome::Busy, None, 0),
        (603, AttemptOutcome::Declined, Some(Outcome::ReturnedToAi), 603),
        (480, AttemptOutcome::NoAnswer, None, 0),
        (404, AttemptOutcome::Unreachable, None, 0),
        (302, AttemptOutcome::Forwarded, None, 0),
    ] {
        let mut desk = Desk::new();
        desk.rings().refused(486).then();
        desk.rings().refused(status);
        let done = desk.done();
        assert_eq!(desk.transfer.view().attempts[1].outcome, Some(last), "{status}");
        assert_eq!(desk.outcome(), outcome, "{status}");
        match outcome {
            Some(_) => assert!(done.contains(&format!("progress {progress} returned_to_ai last")), "{done:?}"),
            None => assert_eq!(desk.transfer.view().state, TransferState::Offering, "{status}"),
        }
    }
}

#[test]
fn a_briefed_ae_who_does_not_press_a_key_is_let_go_by_the_worst_case() {
    let mut desk = Opening { settings: Settings::default(), ..alone() }.play();
    desk.answers().then();
    let say = crate::SayId(2);
    desk.tell(Event::SpeechStarted(say));
    assert_eq!(desk.transfer.view().state, TransferState::Briefing);
    desk.after(19_000).tell(Event::SpeechEnded(say)).expect([]);
    desk.wait_for(Why::AeIsReminded);
    let done = desk.done();
    assert!(done.contains(&format!("ae: {KEYS}")), "{done:?}");
    desk.wait_for(Why::StageWorst(Stage::Accept));
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(60));
    let view = desk.transfer.view();
    assert_eq!(view.attempts[0].outcome, Some(AttemptOutcome::NotAccepted));
    assert_eq!(view.attempts[0].briefing_ms, Some(60_000));
    assert!(desk.done().contains(&"hang up NotAccepted".to_owned()));
    assert_eq!(view.state, TransferState::Offering);
}

#[test]
fn decline_and_later_lead_to_the_next_ae_and_after_the_last_back_to_the_ai() {
    for (key, outcome, cause) in
        [(Key::TWO, AttemptOutcome::Declined, "hang up Declined"), (Key::THREE, AttemptOutcome::Later, "hang up Later")]
    {
        let mut desk = Desk::new();
        desk.answers().then().key(key);
        desk.expect([cause, "commit Attempt(2) Process", "caller: trying-someone-else", "dial sara 2"]);
        desk.answers().then().key(key);
        desk.expect([cause, "hush caller", "scene Conversation", "progress 603 returned_to_ai last", "finished returned_to_ai"]);
        let view = desk.transfer.view();
        assert!(view.attempts.iter().all(|attempt| attempt.outcome == Some(outcome)));
        assert!(view.say_to_caller.is_some() && view.class.is_some());
    }
}

#[test]
fn an_ae_declines_through_the_api_while_the_phone_rings() {
    let mut desk = Desk::alone("michael");
    let reason = Some("in a\nmeeting".to_owned());
    desk.rings().then().tell(Event::Decline { reason, retry_after: Some(Duration::from_secs(600)) });
    desk.expect([
        "hang up Later",
        "hush caller",
        "scene Conversation",
        "progress 603 returned_to_ai last",
        "finished returned_to_ai",
    ]);
    let view = desk.transfer.view();
    assert_eq!(view.attempts[0].reason.as_deref(), Some("in ameeting"));
    assert_eq!(view.class, Some(OutcomeClass::Retryable));
}

#[test]
fn an_accept_through_the_api_counts_from_the_answer_on() {
    let mut desk = Desk::new();
    desk.rings().then();
    assert!(!desk.transfer.can_be_accepted());
    desk.tell(Event::Accept).expect([]);
    desk.answers().then();
    assert!(desk.transfer.can_be_accepted());
    desk.tell(Event::Accept).expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
    assert_eq!(desk.reported(EventKind::Accepted)[0]["by"], "api");
}

#[test]
fn keys_repeat_and_skip_the_briefing_and_others_mean_nothing() {
    let mut desk = Desk::new();
    desk.answers().then();
    desk.key(Key::STAR).expect([&format!("ae: briefing, {KEYS}")]);
    desk.key(Key::HASH).expect([&format!("ae: {KEYS}")]);
    desk.key("7".parse().unwrap()).expect([]);
    assert!(desk.transfer.can_be_accepted());
}

#[test]
fn a_key_counts_only_on_its_own_leg_and_once() {
    let mut desk = Desk::new();
    let first = desk.leg();
    desk.rings().wait_for(Why::AeMustAnswer).then();
    desk.answers().then().tell(Event::Key { leg: first, key: Key::ONE }).tell(Event::CallerKey(Key::ONE)).expect([]);
    desk.key(Key::ONE).key(Key::ONE).key(Key::TWO).tell(Event::Accept);
    desk.expect(["commit Accepted(2) Process", "hush caller", "scene Human"]);
}

#[test]
fn one_press_told_twice_is_one_press() {
    let mut desk = Desk::new();
    desk.answers().then().key(Key::STAR).after(199).key(Key::STAR);
    assert_eq!(desk.done().len(), 1);
    desk.after(1).key(Key::STAR);
    assert_eq!(desk.done().len(), 1);
}

#[test]
fn an_answer_before_the_rendering_says_first_who_waits() {
    let mut desk = Desk::new();
    let leg = desk.leg();
    desk.rings().then().tell(Event::Answered { leg });
    desk.expect(["ae: caller-waiting"]);
    let opener = crate::SayId(2);
    desk.tell(Event::SpeechStarted(opener))
        .tell(Event::BriefingReady { full: Duration::from_secs(9), short: Duration::from_secs(2) });
    desk.tell(Event::SpeechEnded(opener)).expect([&format!("ae: briefing, {KEYS}")]);
    assert_eq!(desk.reported(EventKind::BriefingStarted).len(), 1);
    desk.tell(Event::SpeechEnded(opener)).expect([]);
}

#[test]
fn without_a_rendered_briefing_the_shipped_sentence_must_do() {
    let mut desk = Desk::new();
    let leg = desk.leg();
    desk.tell(Event::BriefingFailed).rings().then().tell(Event::Answered { leg });
    desk.expect([&format!("ae: caller-waiting {KEYS}")]);
    let mut late = Desk::new();
    let leg = late.leg();
    late.rings().then().tell(Event::Answered { leg }).then().tell(Event::SpeechEnded(crate::SayId(2)));
    late.expect([&format!("ae: {KEYS}")]);
}

#[test]
fn a_briefing_that_no_longer_fits_is_shortened_to_its_first_sentence() {
    let mut opening = alone();
    opening.settings.budget.accept = Limits::millis(10_000, 23_999);
    let mut desk = opening.play();
    desk.then().answers().expect(["progress 180", &format!("ae: short, {KEYS}")]);
    let mut opening = alone();
    opening.settings.budget.accept = Limits::millis(10_000, 24_000);
    let mut desk = opening.play();
    desk.then().answers().expect(["progress 180", &format!("ae: briefing, {KEYS}")]);
}

#[test]
fn with_acceptance_by_answer_the_ae_is_connected_after_the_briefing() {
    let mut desk = with(|opening| opening.settings.accept = AcceptBy::Answer);
    desk.then().answers().expect(["progress 180", "ae: briefing, "]);
    desk.tell(Event::SpeechEnded(crate::SayId(2))).expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
}

#[test]
fn an_attempt_ends_so_that_the_next_one_fits_with_its_targets() {
    let mut desk = with(|opening| opening.settings.budget.total = Limits::millis(30_000, 70_000));
    desk.answers().then().wait_for(Why::AttemptMustEnd);
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_millis(47_500));
    assert_eq!(desk.transfer.view().attempts[0].outcome, Some(AttemptOutcome::NotAccepted));
    let done = desk.done();
    assert!(done.contains(&"dial sara 2".to_owned()), "{done:?}");
    // The second and last one has all that is left.
    desk.answers().then().wait_for(Why::StageWorst(Stage::Total));
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(70));
    assert_eq!(desk.transfer.view().state, TransferState::Offering);
}

#[test]
fn a_step_that_does_not_fit_is_not_begun() {
    let mut desk = with(|opening| {
        opening.settings.ring_max = Duration::from_secs(60);
        opening.settings.budget.accept.target = Duration::from_secs(5);
        opening.settings.budget.total.worst = Duration::from_secs(20);
    });
    // 20 s - 7.5 s for the next attempt.
    desk.rings().then().wait_for(Why::AttemptMustEnd);
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_millis(12_500));
    desk.dialed().after(1).then();
    let mut late = with(|opening| opening.settings.budget.total.worst = Duration::from_millis(22_249));
    late.expect(["commit Requested Process", "scene Offering", &late_offer(), "progress 100"]);
}

fn late_offer() -> String {
    "caller: nobody-free press-one-for today hour-2 minute-30 pm press-two-for today hour-4 minute-30 pm to-hear-again-press key-star"
        .to_owned()
}

#[test]
fn every_missed_target_is_told_once() {
    let mut desk = Desk::new();
    desk.answers().then().wait_for(Why::StageTarget(Stage::Total)).after(1).after(1);
    desk.done();
    let missed = desk.reported(EventKind::BudgetMissed);
    assert_eq!(
        missed,
        [
            json!({"stage": "accept", "limit": "target", "after_ms": 20_000}),
            json!({"stage": "total", "limit": "target", "after_ms": 30_000}),
        ]
    );
}

#[test]
fn an_ae_who_is_not_free_is_passed_over() {
    let mut opening = Opening::default();
    assert!(opening.roster.set_presence(&"michael".into(), Presence::Dnd));
    let mut desk = opening.play();
    assert!(desk.done().contains(&"dial sara 1".to_owned()));
    let started = desk.reported(EventKind::AttemptStarted);
    assert_eq!(started[0]["passed_over"], json!([{"ae": "michael", "why": "dnd"}]));
}

#[test]
fn two_callers_never_ring_one_ae() {
    let mut one = Desk::alone("michael");
    let mut two = Opening { roster: one.roster.clone(), ..alone() }.play();
    assert_eq!(two.transfer.view().state, TransferState::Offering);
    assert_eq!(two.transfer.view().attempts, []);
    one.then().rings().refused(486);
    assert_eq!(one.roster.view(one.now, &"michael".into()).unwrap().state, AeState::Available);
    two.presence("michael", Presence::Away);
}

#[test]
fn at_most_the_configured_number_of_aes_is_dialled() {
    let roster = Roster::new(vec![ae("a", Some("b")), ae("b", Some("c")), ae("c", None)], vec![]);
    let mut desk = Opening { roster, target: Target::Ae("a".into()), ..Opening::default() }.play();
    desk.rings().refused(486).rings().refused(486);
    assert_eq!(desk.transfer.view().attempts.len(), 2);
    assert_eq!(desk.transfer.view().state, TransferState::Offering);
}

#[test]
fn the_caller_s_hang_up_cancels_everything_at_once() {
    let gone = ["progress 487 caller_abandoned last", "finished caller_abandoned", "drop ai", "end call"];
    let mut desk = Opening::default().silent_store();
    desk.then().tell(Event::CallerGone).expect(gone);
    let ringing = ["hang up CallerGone", gone[0], gone[1], gone[2], gone[3]];
    let mut desk = Desk::new();
    desk.then().tell(Event::CallerGone).expect(ringing);
    let mut desk = Desk::new();
    desk.dialed().then().tell(Event::CallerGone).expect(ringing);
    let mut desk = Desk::new();
    desk.rings().then().tell(Event::CallerGone).expect(ringing);
    assert_eq!(desk.transfer.view().attempts[0].outcome, Some(AttemptOutcome::CallerGone));
    assert_eq!(desk.roster.view(desk.now, &"michael".into()).unwrap().state, AeState::Available);
    assert!(desk.transfer.is_over());
}

#[test]
fn an_ae_who_listens_hears_one_sentence_when_the_caller_leaves() {
    let mut desk = Desk::new();
    desk.answers().then().tell(Event::CallerGone);
    desk.expect(["ae: caller-has-left", "progress 487 caller_abandoned last", "finished caller_abandoned", "drop ai"]);
    desk.key(Key::ONE).tell(Event::CallerGone).expect([]);
    desk.wait_for(Why::SpeechMustEnd);
    assert_eq!(desk.now.mono.since(MORNING.mono), Duration::from_secs(2));
    desk.expect(["hang up CallerGone", "end call"]);
    let mut quick = Desk::new();
    quick.answers().then().tell(Event::CallerGone);
    let say = quick.last_say();
    quick.then().tell(Event::SpeechEnded(say)).expect(["hang up CallerGone", "end call"]);
}

#[test]
fn the_ae_accepts_in_the_same_instant_in_which_the_caller_leaves() {
    let mut accept_first = Opening::default().silent_store();
    accept_first.tell(Event::Committed(Fact::Attempt(1))).answers().key(Key::ONE).then().tell(Event::CallerGone);
    accept_first.expect(["ae: caller-has-left", "progress 487 caller_abandoned last", "finished caller_abandoned", "drop ai"]);
    accept_first.tell(Event::Committed(Fact::Accepted(1))).expect([]);
    assert_eq!(accept_first.transfer.driver(), Driver::Ai);
    assert_eq!(accept_first.transfer.view().attempts[0].outcome, Some(AttemptOutcome::CallerGone));

    let mut leave_first = Desk::new();
    leave_first.answers().then().tell(Event::CallerGone).then().key(Key::ONE).tell(Event::Accept).expect([]);
    assert_eq!(leave_first.outcome(), Some(Outcome::CallerAbandoned));

    let mut switching = Desk::new();
    switching.answers().key(Key::ONE).then().tell(Event::CallerGone);
    switching.expect(["ae: caller-has-left", "progress 487 caller_abandoned last", "finished caller_abandoned", "drop ai"]);
    switching.tell(Event::Switched).expect([]);
}

#[test]
fn an_acceptance_that_the_store_refuses_is_bridged_all_the_same() {
    for silent in [true, false] {
        let mut desk = Opening::default().silent_store();
        desk.tell(Event::Committed(Fact::Attempt(1))).answers().key(Key::ONE).then();
        if silent {
            desk.wait_for(Why::StoreMustAnswer);
        } else {
            desk.tell(Event::CommitRefused(Fact::Accepted(1)));
        }
        desk.expect(["hush caller", "scene Human"]).tell(Event::Switched).done();
        assert_eq!(desk.reported(EventKind::Bridged)[0]["on_record"], false);
    }
}

#[test]
fn an_ae_who_is_gone_before_the_bridge_leads_to_the_next_one() {
    for before_the_swap in [true, false] {
        let mut desk = Opening::default().silent_store();
        desk.tell(Event::Committed(Fact::Attempt(1))).answers().key(Key::ONE);
        if !before_the_swap {
            desk.tell(Event::Committed(Fact::Accepted(1)));
        }
        let leg = desk.leg();
        desk.then().tell(Event::LegGone { leg, why: LegEnd::HungUp });
        let done = desk.done();
        assert_eq!(desk.scene(), SceneName::ConsultMusic);
        assert_eq!(desk.transfer.driver(), Driver::Ai);
        assert!(done.contains(&"commit Attempt(2) Process".to_owned()), "{done:?}");
        desk.tell(Event::Committed(Fact::Accepted(1))).tell(Event::Switched).expect([]);
        desk.tell(Event::Committed(Fact::Attempt(2))).expect(["dial sara 2"]);
    }
}

#[test]
fn the_ai_leaving_after_it_asked_is_no_failure() {
    let mut desk = with(|opening| opening.settings.while_dialing = WhileDialing::Ai);
    desk.expect(["commit Attempt(1) Process", "scene ConsultAi", "progress 100", "render", "dial michael 1"]);
    desk.tell(Event::AiGone).expect(["scene ConsultMusic", "caller: one-moment"]);
    desk.bridged().then();
    assert_eq!(desk.outcome(), Some(Outcome::Bridged));
    assert_eq!(desk.transfer.view().ai_drop_ms, None);
}

#[test]
fn an_ai_that_falls_silent_while_it_should_talk_is_replaced_by_music() {
    let mut desk = with(|opening| opening.settings.while_dialing = WhileDialing::Ai);
    desk.then().tell(Event::AiSilent).tell(Event::AiSilent).expect(["scene ConsultMusic", "caller: one-moment"]);
    let mut music = Desk::new();
    music.then().tell(Event::AiSilent).expect([]);
}

#[test]
fn back_to_the_ai_dials_a_fresh_one_where_the_old_one_has_left() {
    let mut desk = Desk::alone("michael");
    desk.tell(Event::AiGone).answers().then().key(Key::TWO);
    desk.expect(["hang up Declined", "scene Rescue", "recall ai"]);
    desk.tell(Event::AiBack);
    desk.expect(["hush caller", "scene Conversation", "progress 603 returned_to_ai last", "finished returned_to_ai"]);
}

#[test]
fn an_ai_that_cannot_be_had_again_leads_to_the_callback() {
    for fails in [true, false] {
        let mut desk = Desk::alone("michael");
        desk.tell(Event::AiGone).answers().key(Key::TWO).then();
        if fails {
            desk.tell(Event::AiFailed);
        } else {
            desk.wait_for(Why::AiMustAnswer);
        }
        assert_eq!(desk.scene(), SceneName::Offering);
        desk.then().tell(Event::AiBack).expect([]);
    }
}

pub(crate) fn offered(ai_up: bool) -> Desk {
    let context = serde_json::from_value(json!({"caller": {"name": "Jamie", "timezone": "America/Chicago"}})).unwrap();
    let mut desk = Opening { ai_up, context, ..alone() }.play();
    desk.rings().refused(486);
    desk
}

#[test]
fn a_callback_is_offered_in_the_caller_s_zone_and_on_record_before_it_is_spoken() {
    let mut desk = offered(true);
    let done = desk.done();
    let offer = "caller: nobody-free press-one-for today hour-8 minute-30 am press-two-for today hour-10 minute-30 am \
                 to-hear-again-press key-star";
    assert!(done.contains(&offer.to_owned()), "{done:?}");
    assert_eq!(desk.transfer.slots().len(), 2);
    desk.store_answers = false;
    desk.tell(Event::CallerKey(Key::TWO)).expect(["hush caller", "commit Callback Power"]);
    desk.tell(Event::CallerKey(Key::ONE)).expect([]);
    desk.tell(Event::Committed(Fact::Callback)).expect([
        "progress 480 callback_scheduled last",
        "finished callback_scheduled",
        "caller: we-will-call-you today hour-10 minute-30 am goodbye",
    ]);
    assert_eq!(desk.reported(EventKind::CallbackScheduled)[0]["caller"], "+15550123");
    let say = desk.transfer.clone();
    assert!(say.view().callback.is_some() && say.view().say_to_caller.is_some());
    desk.wait_for(Why::SpeechMustEnd).expect(["end call"]);
    assert!(desk.transfer.is_over());
}

#[test]
fn a_slot_may_be_picked_through_the_api_if_it_is_on_offer() {
    let mut desk = offered(true);
    let slot = desk.transfer.slots()[0].clone();
    desk.then().tell(Event::SlotPicked(MORNING.wall.into())).expect([]);
    desk.tell(Event::SlotPicked(slot.at));
    assert_eq!(desk.outcome(), Some(Outcome::CallbackScheduled));
    assert!(
        !crate::callback::slots(&desk.roster, desk.now, &AeId::from("michael"), None, &crate::Hours::always()).contains(&slot)
    );
}

#[test]
fn a_caller_who_picks_nothing_hears_the_slots_once_more_and_goes_back_to_the_ai() {
    let mut desk = offered(true);
    let say = desk.last_say();
    desk.then().tell(Event::SpeechEnded(say)).wait_for(Why::CallerMustChoose);
    let say = desk.last_say();
    assert!(desk.done()[0].starts_with("caller: press-one-for"));
    desk.tell(Event::SpeechEnded(say)).wait_for(Why::CallerMustChoose);
    desk.expect(["hush caller", "scene Conversation", "progress 486 returned_to_ai last", "finished returned_to_ai"]);
}

#[test]
fn a_caller_who_picks_nothing_and_has_no_ai_gets_the_first_slot() {
    let mut desk = offered(false);
    desk.wait_for(Why::CallerMustChoose).wait_for(Why::CallerMustChoose);
    let done = desk.done();
    assert_eq!(done.last().map(String::as_str), Some("recall ai"), "{done:?}");
    desk.tell(Event::AiFailed);
    let done = desk.done();
    assert!(done.contains(&"caller: we-will-call-you today hour-9 o-clock am goodbye".to_owned()), "{done:?}");
    assert_eq!(desk.outcome(), Some(Outcome::CallbackScheduled));
}

#[test]
fn the_slots_are_repeated_on_request_but_not_for_ever() {
    let mut desk = offered(true);
    desk.then();
    for _ in 0..20 {
        desk.tell(Event::CallerKey(Key::STAR)).tell(Event::CallerKey(Key::STAR)).after(200);
    }
    assert_eq!(desk.done().len(), 4);
    desk.tell(Event::CallerKey("9".parse().unwrap())).expect([]);
}

#[test]
fn a_promise_that_the_store_does_not_take_is_not_made() {
    for silent in [true, false] {
        let mut desk = offered(true);
        desk.store_answers = false;
        desk.then().tell(Event::CallerKey(Key::ONE)).then();
        if silent {
            desk.wait_for(Why::StoreMustAnswer);
        } else {
            desk.tell(Event::CommitRefused(Fact::Callback));
        }
        let done = desk.done();
        assert_eq!(done.iter().any(|action| action == "commit Withdrawn Process"), silent);
        assert!(!done.iter().any(|action| action.contains("we-will-call-you")), "{done:?}");
        assert_eq!(desk.outcome(), Some(Outcome::ReturnedToAi));
        assert_eq!(desk.transfer.view().class, Some(OutcomeClass::Incident));
        assert_eq!(desk.transfer.view().callback, None);
        desk.tell(Event::Committed(Fact::Callback)).expect([]);
    }
}

#[test]
fn with_neither_store_nor_ai_the_caller_hears_a_civil_end() {
    let mut desk = offered(false);
    desk.store_answers = false;
    desk.wait_for(Why::CallerMustChoose).wait_for(Why::CallerMustChoose).tell(Event::AiFailed).then();
    desk.tell(Event::CommitRefused(Fact::Callback));
    desk.expect(["progress 503 failed last", "finished failed", "caller: call-again-later goodbye"]);
    desk.wait_for(Why::SpeechMustEnd).expect(["end call"]);
}

#[test]
fn a_caller_who_picks_a_slot_and_hangs_up_keeps_it() {
    let mut desk = offered(true);
    desk.store_answers = false;
    desk.tell(Event::CallerKey(Key::ONE)).then().tell(Event::CallerGone);
    desk.expect(["progress 487 caller_abandoned last", "drop ai"]);
    desk.tell(Event::Committed(Fact::Callback)).expect(["finished callback_scheduled", "end call"]);
}

#[test]
fn a_caller_who_withholds_their_number_is_promised_no_call() {
    let mut opening = alone();
    opening.from = "sip:Anonymous@anonymous.invalid";
    let mut desk = opening.play();
    desk.rings().refused(486);
    assert_eq!(desk.outcome(), Some(Outcome::ReturnedToAi));
    let mut opening = alone();
    opening.from = "anonymous";
    opening.context = serde_json::from_value(json!({"caller": {"number": "+15550199"}})).unwrap();
    let mut desk = opening.play();
    desk.rings().refused(486).tell(Event::CallerKey(Key::ONE)).done();
    assert_eq!(desk.reported(EventKind::CallbackScheduled)[0]["caller"], "+15550199");
}

#[test]
fn where_nobody_has_a_slot_the_ai_has_the_caller_again() {
    let mut michael = ae("michael", None);
    michael.hours = "Mon 14:00-14:20".parse().unwrap();
    let mut desk = with(|opening| opening.roster = Roster::new(vec![michael], vec![]));
    desk.rings().then().refused(486);
    desk.expect(["hush caller", "scene Conversation", "progress 486 returned_to_ai last", "finished returned_to_ai"]);
}

#[test]
fn a_transfer_may_be_called_off_until_somebody_has_accepted() {
    let back = ["hush caller", "scene Conversation", "progress 487 cancelled last", "finished cancelled"];
    let mut ringing = Desk::new();
    ringing.rings().then();
    assert!(ringing.transfer.can_be_cancelled());
    ringing.tell(Event::Cancel).expect(["hang up Cancelled", back[0], back[1], back[2], back[3]]);
    let mut briefed = Desk::new();
    briefed.answers().then().tell(Event::Cancel);
    briefed.expect(["ae: no-longer-waiting", back[0], back[1], back[2], back[3]]);
    briefed.wait_for(Why::SpeechMustEnd).expect(["hang up Cancelled"]);
    let mut accepted = Desk::new();
    accepted.answers().key(Key::ONE).then();
    assert!(!accepted.transfer.can_be_cancelled());
    accepted.tell(Event::Cancel).expect([]);
    let mut offering = offered(true);
    offering.then().tell(Event::Cancel).expect(back);
}

#[test]
fn an_offer_that_is_called_off_is_not_made_again_where_no_ai_can_be_had() {
    let goodbye = ["progress 487 cancelled last", "finished cancelled", "caller: call-again-later goodbye"];
    let mut desk = offered(true);
    desk.tell(Event::AiGone).then();
    desk.tell(Event::Cancel).expect(["hush caller", "scene Rescue", "recall ai"]);
    let mut back = offered(true);
    back.tell(Event::AiGone).tell(Event::Cancel).then();
    back.tell(Event::AiBack);
    assert_eq!(back.outcome(), Some(Outcome::Cancelled));
    desk.tell(Event::AiFailed);
    desk.expect([goodbye[0], goodbye[1], "scene Offering", goodbye[2]]);
    let mut late = offered(false);
    late.tell(Event::Cancel).then();
    late.wait_for(Why::AiMustAnswer).expect(["forget ai", goodbye[0], goodbye[1], "scene Offering", goodbye[2]]);
}

#[test]
fn after_the_bridge_the_ae_s_bye_ends_the_call() {
    let mut desk = Desk::new();
    desk.bridged().then();
    let leg = desk.leg();
    assert_eq!(desk.roster.view(desk.now, &"michael".into()).unwrap().state, AeState::OnCall);
    desk.after(60_000).tell(Event::LegGone { leg, why: LegEnd::HungUp }).expect(["end call"]);
    assert_eq!(desk.roster.view(desk.now, &"michael".into()).unwrap().state, AeState::Available);
    assert!(desk.transfer.is_over());
}

#[test]
fn after_the_bridge_the_ae_s_bye_returns_the_caller_to_the_ai_where_so_configured() {
    let mut desk = with(|opening| {
        opening.settings.after_ae = AfterAe::Ai;
        opening.settings.wrap_up = Duration::from_secs(30);
    });
    desk.bridged().then();
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp });
    desk.expect(["scene Rescue", "caller: back-to-assistant", "recall ai after_ae"]);
    assert_eq!(desk.roster.view(desk.now, &"michael".into()).unwrap().state, AeState::WrapUp);
    desk.tell(Event::AiBack).expect(["hush caller", "scene Conversation"]);
    assert_eq!((desk.transfer.driver(), desk.outcome()), (Driver::Ai, Some(Outcome::Bridged)));
    assert!(desk.transfer.is_over());
}

#[test]
fn a_caller_whose_ae_has_hung_up_and_whose_ai_is_gone_hears_a_goodbye() {
    let mut desk = with(|opening| opening.settings.after_ae = AfterAe::Ai);
    desk.bridged();
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp }).then().tell(Event::AiFailed);
    desk.expect(["scene Offering", "caller: goodbye"]);
    desk.wait_for(Why::SpeechMustEnd).expect(["end call"]);
    assert_eq!(desk.outcome(), Some(Outcome::Bridged));
}

#[test]
fn an_ae_lost_after_the_bridge_costs_the_caller_nothing_but_music() {
    let mut desk = Desk::new();
    desk.bridged().then();
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::Lost });
    desk.expect(["hang up Lost", "scene Rescue", "caller: we-lost-them", "recall ai lost"]);
    assert_eq!(desk.transfer.driver(), Driver::Paused);
    desk.tell(Event::AiFailed);
    let done = desk.done();
    assert!(done.contains(&"dial sara 2".to_owned()), "{done:?}");
    desk.bridged();
    let done = desk.done();
    assert!(!done.iter().any(|action| action.starts_with("finished") || action.contains("last")), "{done:?}");
    assert_eq!(desk.transfer.view().state, TransferState::Bridged);
    assert_eq!(desk.transfer.driver(), Driver::Human);
}

#[test]
fn the_ae_s_hold_is_music_for_the_caller() {
    let mut desk = Desk::new();
    desk.bridged().then().tell(Event::AeHeld).tell(Event::AeHeld).expect(["scene AeHolds"]);
    desk.tell(Event::AeResumed).tell(Event::AeResumed).expect(["scene Human"]);
    desk.tell(Event::AeHeld).then().tell(Event::CallerGone).expect(["hang up CallOver", "end call"]);
}

#[test]
fn a_caller_who_waits_is_told_that_it_goes_on_until_somebody_accepts() {
    let mut desk = Desk::new();
    desk.answers().then().after(19_999).expect([]).after(1);
    assert!(desk.done().contains(&"caller: still-trying".to_owned()));
    desk.key(Key::ONE).tell(Event::Switched);
    assert_eq!(desk.transfer.poll_timeout(), None);
    let mut with_ai = with(|opening| opening.settings.while_dialing = WhileDialing::Ai);
    with_ai.rings().wait_for(Why::AeMustAnswer);
    assert!(!with_ai.done().iter().any(|action| action.contains("still-trying")));
}

#[test]
fn audio_that_does_not_switch_within_a_second_counts_as_switched() {
    let mut desk = Desk::new();
    desk.answers().key(Key::ONE).then().wait_for(Why::AudioMustSwitch);
    desk.expect(["progress 200 bridged last", "drop ai", "finished bridged"]);
}
