//! Plays of the other modes, and of what comes after the bridge.

use std::time::Duration;

use baton_contract::{AttemptOutcome, Driver, EventKind, Mode, Outcome, Stage, TransferState};
use serde_json::json;

use super::desk::{Desk, Opening};
use crate::roster::tests::ae;
use crate::{
    AcceptBy, AfterAe, BriefingBy, Callee, ColdBy, Event, Fact, HandBackBy, Key, LegEnd, Message, Roster, SceneName, Target,
    WhileDialing, Why,
};

const KEYS: &str = "to-accept-press key-1 to-decline-press key-2";

pub(super) fn message(seconds: u64) -> Message {
    let speech = Duration::from_secs(seconds);
    Message { file: "t/message.wav".into(), duration: speech + Duration::from_secs(2), speech }
}

fn with(change: impl FnOnce(&mut Opening)) -> Desk {
    let mut opening = Opening::default();
    change(&mut opening);
    opening.play()
}

fn cold(by: ColdBy) -> Desk {
    with(|opening| (opening.mode, opening.cold_by) = (Mode::Cold, by))
}

/// A cold transfer whose trunk has been asked.
pub(super) fn referring() -> Desk {
    cold(ColdBy::Refer)
}

/// A voicemail after the beep.
pub(super) fn speaking() -> Desk {
    let mut desk = with(|opening| opening.mode = Mode::Voicemail);
    let say = desk.last_say();
    desk.tell(Event::SpeechEnded(say));
    desk
}

fn bridged() -> Desk {
    let mut desk = Desk::new();
    desk.bridged().then();
    desk
}

fn by_key() -> Event {
    Event::HandBack { by: HandBackBy::Key, note: Some("needs the invoice again".into()) }
}

fn lee() -> Callee {
    Callee::Outside("sip:lee@office.example".into())
}

// --- after the bridge

#[test]
fn an_ae_hands_the_caller_back_and_stays_until_the_ai_is_there() {
    let mut desk = bridged();
    desk.tell(by_key());
    let recall = "recall ai handback \"needs the invoice again\"";
    desk.expect(["scene Rescue", recall, "ae: handing-back"]);
    assert_eq!((desk.transfer.driver(), desk.transfer.view().state), (Driver::Paused, TransferState::Bridged));
    desk.after(800).tell(Event::AiBack);
    desk.expect(["hush caller", "scene Conversation", "hang up HandedBack"]);
    assert!(desk.transfer.is_over());
    assert_eq!((desk.transfer.driver(), desk.outcome()), (Driver::Ai, Some(Outcome::Bridged)));
    let told = desk.reported(EventKind::DriverChanged);
    assert_eq!(told[1], json!({"driver": "ai", "cause": "handback", "by": "key", "ae": "michael"}));
}

#[test]
fn an_ai_that_cannot_be_had_leaves_the_caller_with_the_ae() {
    for (event, gives_up) in [(Event::AiFailed, false), (Event::Wake, true)] {
        let mut desk = bridged();
        desk.tell(by_key()).then();
        if gives_up {
            desk.wait_for(Why::AiMustAnswer);
            desk.expect(["forget ai", "ae: assistant-not-there", "hush caller", "scene Human"]);
        } else {
            desk.tell(event).expect(["ae: assistant-not-there", "hush caller", "scene Human"]);
        }
        assert_eq!(desk.transfer.driver(), Driver::Human);
        // And it can be tried again.
        desk.tell(by_key()).tell(Event::AiBack);
        assert!(desk.transfer.is_over());
    }
}

#[test]
fn a_second_hand_back_and_a_late_switch_change_nothing() {
    let mut desk = bridged();
    desk.tell(by_key()).then();
    desk.tell(by_key()).tell(Event::Switched).tell(Event::AeRefers { to: vec![lee()] }).tell(Event::Cancel).expect([]);
    desk.tell(Event::AiBack).then();
    desk.tell(by_key()).expect([]);
}

#[test]
fn nobody_hands_back_a_caller_whom_they_do_not_have() {
    for play in [
        Desk::new,
        || {
            let mut desk = Desk::new();
            desk.answers();
            desk
        },
        referring,
        speaking,
    ] {
        let mut desk = play();
        desk.then();
        desk.tell(by_key()).tell(Event::AeRefers { to: vec![lee()] }).expect([]);
    }
}

#[test]
fn an_ae_who_hangs_up_while_handing_back_leaves_the_caller_to_the_ai() {
    let mut desk = bridged();
    desk.tell(by_key()).then();
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp }).expect([]);
    desk.tell(Event::AiBack).expect(["hush caller", "scene Conversation"]);
    let mut desk = bridged();
    desk.tell(by_key()).then();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp }).tell(Event::AiFailed);
    assert_eq!((desk.scene(), desk.transfer.slots().len()), (SceneName::Offering, 2));
}

#[test]
fn a_caller_who_leaves_while_handed_back_leaves_nothing_behind() {
    let mut desk = bridged();
    desk.tell(by_key()).then();
    desk.tell(Event::CallerGone).expect(["forget ai", "hang up CallOver", "end call"]);
    assert!(desk.transfer.is_over());
}

#[test]
fn an_ae_on_hold_who_hands_back_in_vain_is_still_on_hold() {
    let mut desk = bridged();
    desk.tell(Event::AeHeld).tell(by_key()).then();
    desk.tell(Event::AiFailed).expect(["ae: assistant-not-there", "hush caller", "scene AeHolds"]);
    desk.tell(by_key()).tell(Event::AeResumed).tell(Event::AiFailed);
    assert_eq!(desk.scene(), SceneName::Human);
}

#[test]
fn an_ae_passes_the_caller_on_and_is_kept_until_it_has_worked() {
    let mut desk = bridged();
    let michael = desk.leg();
    desk.tell(Event::AeRefers { to: vec![lee()] });
    desk.expect(["scene Rescue", "dial sip:lee@office.example 0"]);
    let third = desk.transfer.state.third().unwrap();
    assert_eq!(desk.transfer.ae_leg(), Some(michael));
    desk.tell(Event::Ringing { leg: third, status: 180 }).tell(Event::Answered { leg: third });
    desk.expect(["hang up MovedOn", "hush caller", "scene Human"]);
    assert_eq!((desk.transfer.ae_leg(), desk.transfer.driver()), (Some(third), Driver::Human));
    desk.tell(Event::LegGone { leg: third, why: LegEnd::HungUp }).expect(["end call"]);
    assert_eq!(desk.outcome(), Some(Outcome::Bridged));
}

#[test]
fn a_third_party_who_cannot_be_had_gives_the_caller_back_to_the_ae() {
    let mut desk = bridged();
    desk.tell(Event::AeRefers { to: vec![lee()] }).then();
    let leg = desk.transfer.state.third().unwrap();
    desk.tell(Event::Refused { leg, status: 486, phrase: "Busy Here".into() });
    desk.expect(["ae: not-reached", "hush caller", "scene Human"]);
    desk.tell(Event::AeRefers { to: vec![lee()] }).then();
    desk.wait_for(Why::AeMustRespond).expect(["hang up Unreachable", "ae: not-reached", "hush caller", "scene Human"]);
}

#[test]
fn without_the_ae_a_third_party_who_cannot_be_had_leads_to_the_ai() {
    let mut desk = bridged();
    let michael = desk.leg();
    desk.tell(Event::AeRefers { to: vec![lee()] }).then();
    desk.tell(Event::LegGone { leg: michael, why: LegEnd::HungUp }).expect([]);
    let leg = desk.transfer.state.third().unwrap();
    desk.tell(Event::Refused { leg, status: 480, phrase: String::new() }).expect(["recall ai lost"]);
    desk.tell(Event::AiBack);
    assert_eq!((desk.scene(), desk.transfer.is_over()), (SceneName::Conversation, true));
}

#[test]
fn an_ae_who_is_not_free_is_not_rung_for_another_one() {
    let mut desk = bridged();
    desk.presence("sara", baton_contract::Presence::Dnd);
    desk.tell(Event::AeRefers { to: vec![Callee::Ae("sara".into())] }).expect(["ae: not-reached"]);
    assert_eq!(desk.scene(), SceneName::Human);
}

#[test]
fn a_phone_that_takes_the_place_of_the_ae_s_is_the_ae_s_from_then_on() {
    let mut desk = bridged();
    let (old, mut ids) = (desk.leg(), baton_contract::IdSource::seeded(9));
    let leg = baton_contract::LegId::new(&mut ids, desk.now.wall);
    desk.tell(Event::AeReplaced { leg }).expect(["hang up MovedOn", "scene Human"]);
    assert_eq!(desk.leg(), leg);
    desk.tell(Event::LegGone { leg: old, why: LegEnd::HungUp }).expect([]);
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp }).expect(["end call"]);
}

#[test]
fn an_ai_that_is_to_go_on_after_the_ae_is_dialled_with_its_purpose() {
    let mut desk = with(|opening| opening.settings.after_ae = AfterAe::Ai);
    desk.bridged().then();
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp });
    desk.expect(["scene Rescue", "caller: back-to-assistant", "recall ai after_ae"]);
}

// --- cold

#[test]
fn a_cold_transfer_is_passed_on_without_a_word_to_the_ae() {
    let mut desk = cold(ColdBy::Bridge);
    desk.expect(["commit Attempt(1) Process", "scene PassingOn", "progress 100", "caller: one-moment", "dial michael 1"]);
    desk.rings().then();
    let leg = desk.leg();
    desk.tell(Event::Answered { leg });
    desk.expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
    desk.tell(Event::Switched).expect(["progress 200 bridged last", "drop ai", "finished bridged"]);
}

#[test]
fn a_cold_transfer_that_nobody_answers_goes_on_to_the_next_one() {
    let mut desk = cold(ColdBy::Bridge);
    desk.rings().then();
    desk.wait_for(Why::AeMustAnswer);
    desk.expect(["hang up NoAnswer", "commit Attempt(2) Process", "caller: trying-someone-else", "dial sara 2"]);
    assert_eq!(desk.scene(), SceneName::PassingOn);
}

#[test]
fn a_trunk_that_takes_the_refer_has_the_call_when_it_says_so() {
    let mut desk = referring();
    desk.expect(["commit Attempt(1) Process", "scene PassingOn", "progress 100", "caller: one-moment", "refer caller michael"]);
    desk.tell(Event::ReferAccepted).tell(Event::ReferProgress(100)).expect([]);
    desk.tell(Event::ReferProgress(180)).expect(["progress 180"]);
    assert_eq!(desk.transfer.view().state, TransferState::Ringing);
    desk.tell(Event::ReferDone).expect(["progress 200 referred last", "finished referred", "drop ai", "end call"]);
    assert_eq!(desk.transfer.view().attempts[0].outcome, Some(AttemptOutcome::Accepted));
}

#[test]
fn a_trunk_that_does_not_take_the_refer_makes_us_dial() {
    for fails in [Some(Event::ReferFailed { status: 405 }), None] {
        let mut desk = referring();
        desk.then();
        match fails {
            Some(event) => desk.tell(event),
            None => desk.wait_for(Why::ReferMustBeAnswered),
        };
        desk.expect(["dial michael 1"]);
        let leg = desk.leg();
        desk.rings().tell(Event::Answered { leg }).tell(Event::Switched);
        assert_eq!(desk.outcome(), Some(Outcome::Bridged));
    }
}

#[test]
fn a_refer_that_comes_to_nothing_leaves_the_caller_with_us() {
    let mut desk = referring();
    desk.tell(Event::ReferAccepted).then();
    desk.tell(Event::ReferFailed { status: 486 });
    desk.expect(["commit Attempt(2) Process", "caller: trying-someone-else", "refer caller sara"]);
    assert_eq!(desk.transfer.view().attempts[0].outcome, Some(AttemptOutcome::Busy));
    desk.tell(Event::ReferAccepted).then();
    desk.wait_for(Why::AeMustAnswer);
    assert_eq!(desk.transfer.view().attempts[1].outcome, Some(AttemptOutcome::NoAnswer));
    assert_eq!(desk.scene(), SceneName::Offering);
}

#[test]
fn a_trunk_that_ends_the_leg_after_taking_the_refer_has_the_call() {
    let mut desk = referring();
    desk.tell(Event::ReferAccepted).then();
    desk.tell(Event::CallerGone).expect(["drop ai"]);
    desk.wait_for(Why::ReferMustEnd).expect(["progress 200 referred last", "finished referred", "drop ai", "end call"]);
    let mut desk = referring();
    desk.tell(Event::CallerGone);
    assert_eq!(desk.outcome(), Some(Outcome::CallerAbandoned));
    let mut desk = referring();
    desk.tell(Event::ReferAccepted).tell(Event::CallerGone).tell(Event::ReferFailed { status: 487 });
    assert_eq!(desk.outcome(), Some(Outcome::CallerAbandoned));
}

#[test]
fn somebody_outside_is_dialled_like_an_ae_and_is_the_only_attempt() {
    let mut desk = with(|opening| opening.target = Target::Outside("+15550199".into()));
    desk.then();
    desk.bridged();
    assert_eq!((desk.outcome(), desk.transfer.view().attempts[0].ae.as_str()), (Some(Outcome::Bridged), "+15550199"));
    let mut desk = with(|opening| opening.target = Target::Outside("+15550199".into()));
    desk.refused(486);
    assert_eq!(desk.outcome(), Some(Outcome::ReturnedToAi));
}

// --- scheduled, voicemail

#[test]
fn a_scheduled_transfer_begins_with_the_slots() {
    let mut desk = with(|opening| opening.mode = Mode::Scheduled);
    let done = desk.done();
    assert_eq!(done[..2], ["commit Requested Process", "scene Offering"]);
    assert!(done[2].starts_with("caller: when-to-call press-one-for"), "{done:?}");
    desk.tell(Event::CallerKey(Key::ONE));
    let done = desk.done();
    assert_eq!(done[..2], ["hush caller", "commit Callback Power"]);
    assert_eq!(desk.outcome(), Some(Outcome::CallbackScheduled));
    let mut desk = with(|opening| (opening.mode, opening.from) = (Mode::Scheduled, "anonymous"));
    desk.then();
    assert_eq!(desk.outcome(), Some(Outcome::ReturnedToAi));
}

#[test]
fn a_message_is_on_record_before_the_caller_hears_so() {
    let mut desk = with(|opening| opening.mode = Mode::Voicemail);
    desk.expect(["commit Requested Process", "scene Voicemail", "caller: leave-message beep", "progress 100"]);
    let say = crate::SayId(1);
    desk.tell(Event::SpeechEnded(say)).expect(["record 120 s, silence 5 s"]);
    assert_eq!(desk.transfer.view().state, TransferState::Recording);
    desk.tell(Event::CallerKey(Key::HASH)).expect(["stop recording"]);
    desk.store_answers = false;
    desk.tell(Event::Recorded(message(7))).expect(["hush caller", "scene Offering", "commit Message Power"]);
    desk.tell(Event::Committed(Fact::Message));
    desk.expect(["progress 480 voicemail last", "finished voicemail", "caller: message-kept goodbye"]);
    assert_eq!(desk.transfer.view().message.map(|message| message.speech_ms), Some(7_000));
}

#[test]
fn a_caller_who_hangs_up_keeps_what_they_have_said() {
    let mut desk = speaking();
    desk.then();
    desk.tell(Event::CallerGone).expect(["drop ai", "stop recording"]);
    desk.tell(Event::Recorded(message(1)));
    assert_eq!((desk.outcome(), desk.transfer.is_over()), (Some(Outcome::Voicemail), true));
    let mut desk = speaking();
    desk.tell(Event::CallerGone).tell(Event::Recorded(message(0)));
    assert_eq!(desk.outcome(), Some(Outcome::CallerAbandoned));
    let mut desk = speaking();
    desk.tell(Event::CallerGone).wait_for(Why::RecordingMustBeKept);
    assert_eq!(desk.outcome(), Some(Outcome::CallerAbandoned));
}

#[test]
fn nothing_said_is_no_message() {
    let mut desk = speaking();
    desk.then();
    desk.wait_for(Why::MessageMustEnd).expect(["stop recording"]);
    desk.tell(Event::Recorded(message(0)));
    desk.expect(["hush caller", "scene Conversation", "progress 480 returned_to_ai last", "finished returned_to_ai"]);
}

#[test]
fn a_message_that_is_not_on_record_is_not_promised() {
    for event in [Event::RecordFailed, Event::Recorded(message(9))] {
        let mut desk = speaking();
        desk.store_answers = false;
        desk.tell(Event::AiGone).then();
        desk.tell(event).tell(Event::CommitRefused(Fact::Message));
        let done = desk.done();
        assert!(done.contains(&"caller: message-not-kept".to_owned()), "{done:?}");
        assert!(desk.transfer.view().message.is_none());
    }
}

// --- what the caller hears meanwhile, who briefs, who introduces

#[test]
fn a_caller_who_talks_with_the_ai_hears_music_when_it_falls_silent() {
    let mut desk = with(|opening| opening.settings.while_dialing = WhileDialing::Ai);
    desk.expect(["commit Attempt(1) Process", "scene ConsultAi", "progress 100", "render", "dial michael 1"]);
    desk.tell(Event::AiSilent).expect(["scene ConsultMusic", "caller: one-moment"]);
    desk.tell(Event::AiSilent).expect([]);
}

#[test]
fn a_caller_who_talks_with_the_ai_is_not_interrupted_by_the_next_attempt() {
    let mut desk = with(|opening| opening.settings.while_dialing = WhileDialing::Ai);
    desk.dialed().then();
    desk.refused(486).expect(["commit Attempt(2) Process", "dial sara 2"]);
}

#[test]
fn the_ai_briefs_the_ae_while_the_caller_hears_music() {
    let mut desk = with(|opening| {
        (opening.settings.briefing, opening.settings.accept) = (BriefingBy::Ai, AcceptBy::Spoken);
    });
    desk.then();
    desk.answers().expect(["progress 180", "scene ConsultLive"]);
    desk.tell(Event::Accept).expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
    assert_eq!(desk.reports.iter().filter(|(kind, _)| *kind == EventKind::BriefingStarted).count(), 1);
    let accepted = desk.reported(EventKind::Accepted);
    assert_eq!(accepted[0]["by"], "spoken");
}

#[test]
fn a_live_briefing_ends_with_the_keys_or_with_the_voice_where_the_ai_is_lost() {
    let live = || {
        let mut desk = with(|opening| opening.settings.briefing = BriefingBy::Ai);
        desk.answers().then();
        desk
    };
    live().tell(Event::AiDone).expect(["scene ConsultMusic", &format!("ae: {KEYS}")]);
    live().key(Key::HASH).expect(["scene ConsultMusic", &format!("ae: {KEYS}")]);
    live().key(Key::STAR).expect(["scene ConsultMusic", &format!("ae: briefing, {KEYS}")]);
    live().tell(Event::AiGone).expect(["scene ConsultMusic", &format!("ae: briefing, {KEYS}")]);
    live().tell(Event::AiSilent).expect(["scene ConsultMusic", &format!("ae: briefing, {KEYS}")]);
    live().wait_for(Why::BriefingMustEnd).expect(["scene ConsultMusic", &format!("ae: {KEYS}")]);
    live().key(Key::TWO).expect([
        "hang up Declined",
        "commit Attempt(2) Process",
        "scene ConsultMusic",
        "caller: trying-someone-else",
        "dial sara 2",
    ]);
    live().key(Key::ONE).expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
}

#[test]
fn the_ai_introduces_the_two_and_leaves() {
    for ends in [Event::AiDone, Event::AiGone, Event::AiSilent] {
        let mut desk = with(|opening| opening.settings.introduce = true);
        desk.answers().then();
        desk.key(Key::ONE).expect(["commit Accepted(1) Process", "hush caller", "scene Introduction"]);
        assert_eq!((desk.transfer.view().state, desk.transfer.driver()), (TransferState::Introducing, Driver::Ai));
        desk.after(3_000).tell(ends).expect(["hush caller", "scene Human"]);
        desk.tell(Event::Switched);
        assert_eq!((desk.outcome(), desk.transfer.view().stages_ms.total), (Some(Outcome::Bridged), Some(0)));
    }
}

#[test]
fn an_introduction_ends_by_key_and_by_time_and_with_the_ae() {
    let introduced = || {
        let mut desk = with(|opening| opening.settings.introduce = true);
        desk.answers().key(Key::ONE).after(300).then();
        desk
    };
    introduced().key(Key::HASH).expect(["hush caller", "scene Human"]);
    introduced().key("5".parse().unwrap()).expect([]);
    introduced().wait_for(Why::IntroductionMustEnd).expect(["hush caller", "scene Human"]);
    let mut desk = introduced();
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp });
    desk.expect(["scene ConsultMusic", "commit Attempt(2) Process", "caller: trying-someone-else", "dial sara 2"]);
    introduced().tell(Event::CallerGone).expect([
        "ae: caller-has-left",
        "progress 487 caller_abandoned last",
        "finished caller_abandoned",
        "drop ai",
    ]);
}

#[test]
fn whoever_follows_an_ae_who_left_between_introduction_and_bridge_has_only_so_long_to_accept() {
    let mut desk = with(|opening| opening.settings.introduce = true);
    desk.answers().key(Key::ONE).after(300).key(Key::HASH);
    let leg = desk.leg();
    desk.tell(Event::LegGone { leg, why: LegEnd::HungUp }).answers().wait_for(Why::StageWorst(Stage::Accept));
    let outcomes: Vec<_> = desk.transfer.view().attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(AttemptOutcome::NotAccepted); 2]);
}

#[test]
fn without_an_ai_nobody_introduces_and_nobody_briefs_live() {
    let mut desk = with(|opening| {
        opening.ai_up = false;
        (opening.settings.introduce, opening.settings.briefing) = (true, BriefingBy::Ai);
        opening.roster = Roster::new(vec![ae("michael", None)], vec![]);
    });
    desk.then();
    desk.answers().expect(["progress 180", &format!("ae: briefing, {KEYS}")]);
    desk.key(Key::ONE).expect(["commit Accepted(1) Process", "hush caller", "scene Human"]);
}
