//! Callbacks, as plays.

use std::time::Duration;

use baton_contract::{At, CallbackOutcome, CallbackState, Presence};
use baton_time::{Mono, Now, Wall};

use super::desk::{Desk, MORNING, TEN, row};
use super::event::{CallbackEvent, CallbackWhy, Change};
use crate::callback::ConfirmBy;
use crate::{Key, LegEnd};

fn wall(text: &str) -> Wall {
    serde_json::from_value::<At>(text.into()).unwrap().0
}

#[test]
fn a_callback_is_reminded_claimed_briefed_asked_and_kept() {
    let mut desk = Desk::new();
    desk.wait_for(CallbackWhy::Reminder).expect(["write scheduled"]).committed().expect(["report reminded"]);
    desk.wait_for(CallbackWhy::Due).expect(["write running"]);
    assert_eq!(desk.now.wall, TEN);
    desk.committed().expect(["render", "lease michael"]).committed().expect(["dial michael", "scene Offering"]);
    let ae = desk.ae_leg();
    desk.tell(CallbackEvent::Rendered(Ok(()))).tell(CallbackEvent::Ringing { leg: ae, status: 180 });
    desk.tell(CallbackEvent::Answered { leg: ae });
    desk.expect(["ae: callback-for-you briefing to-accept-press key-1 to-decline-press key-2"]);
    desk.tell(CallbackEvent::Key { leg: ae, key: Key::ONE });
    desk.expect(["scene CallingBack", "ae: calling-them", "dial +15550123"]);
    let caller = desk.caller_leg();
    desk.tell(CallbackEvent::Answered { leg: caller }).expect(["write running", "caller: greeting to-be-connected-press key-1"]);
    desk.committed().tell(CallbackEvent::Key { leg: caller, key: Key::ONE }).expect(["write kept"]);
    desk.committed().expect(["scene Human"]).tell(CallbackEvent::Switched);
    // From here on the call is a transfer's; the callback has nothing to say in it any more.
    desk.expect(["report kept", "hand over to michael"]);
    assert!(desk.run.is_over() && !desk.run.has_call());
    desk.tell(CallbackEvent::Gone { leg: caller, why: LegEnd::HungUp }).tell(CallbackEvent::CallOver).expect([]);
    assert_eq!(desk.row.progress.attempts[0].outcome, Some(CallbackOutcome::Connected));
}

#[test]
fn nobody_is_dialled_before_the_claim_is_ours() {
    let mut desk = Desk::new();
    desk.wait_for(CallbackWhy::Reminder).committed().wait_for(CallbackWhy::Due).then();
    desk.refused().expect(["read again"]);
    let mut taken = row(TEN, "America/Chicago");
    taken.state = CallbackState::Running;
    taken.progress.epoch = 9;
    taken.progress.claim =
        Some(baton_contract::CallbackClaim { node: "baton-2".into(), until: At(desk.now.wall + Duration::from_secs(60)) });
    desk.tell(CallbackEvent::Row(Box::new(taken.clone()))).expect([]);
    desk.wait_for(CallbackWhy::ClaimLapses).expect(["read again"]);
    // The other one has died over it: it counts as a try.
    desk.tell(CallbackEvent::Row(Box::new(taken))).expect(["end call", "write scheduled"]);
}

#[test]
fn a_store_that_is_silent_leads_to_no_call_and_the_row_says_what_became_of_it() {
    let mut desk = Desk::new();
    desk.wait_for(CallbackWhy::Reminder).committed().wait_for(CallbackWhy::Due).then();
    desk.wait_for(CallbackWhy::StoreMustAnswer).expect(["read again"]).wait_for(CallbackWhy::LookAgain).expect(["read again"]);
    let standing = desk.run.view().clone();
    desk.tell(CallbackEvent::Row(Box::new(standing))).wait_for(CallbackWhy::Due).expect(["write running"]);
}

#[test]
fn the_backup_is_dialled_and_then_it_is_tried_again_later_and_at_last_missed() {
    let mut desk = Desk::new();
    desk.roster.set_presence(&"sara".into(), Presence::Dnd);
    desk.dialled();
    for tries in 1..=3 {
        let leg = desk.ae_leg();
        desk.then().tell(CallbackEvent::Refused { leg, status: 486, phrase: "Busy Here".into() });
        if tries == 3 {
            desk.expect(["end call", "write missed"]).committed().expect(["report missed"]);
            break;
        }
        desk.expect(["end call", "write scheduled"]).committed().expect(["report tried"]);
        let ended = desk.now.wall;
        desk.wait_for(CallbackWhy::Due);
        assert_eq!(desk.now.wall, ended + Duration::from_secs(900));
        desk.committed().committed();
    }
    assert!(desk.run.is_over());
    assert_eq!(desk.row.progress.attempts.len(), 3);
    assert_eq!(desk.row.progress.reason.as_deref(), Some("no AE took it"));
}

#[test]
fn a_mailbox_gets_the_message_and_is_not_called_again() {
    let mut desk = Desk::new();
    desk.confirming().then();
    let say = desk.say;
    desk.after(8_000).tell(CallbackEvent::SpeechEnded(say));
    desk.wait_for(CallbackWhy::CallerIsAskedAgain).expect(["caller: greeting to-be-connected-press key-1"]);
    desk.wait_for(CallbackWhy::CallerMustConfirm).expect(["ae: not-reached", "caller: message goodbye"]);
    desk.wait_for(CallbackWhy::SpeechMustEnd).expect(["hang up CallOver", "hang up CallOver", "end call", "write missed"]);
    desk.committed().expect(["report missed"]);
    assert_eq!(desk.row.progress.attempts[0].outcome, Some(CallbackOutcome::NotConfirmed));
}

#[test]
fn another_key_confirms_nothing_and_a_key_counts_once() {
    let mut desk = Desk::new();
    desk.confirming().then();
    let (ae, caller) = (desk.ae_leg(), desk.caller_leg());
    desk.tell(CallbackEvent::Key { leg: caller, key: Key::TWO }).expect([]);
    desk.tell(CallbackEvent::Key { leg: ae, key: Key::ONE }).expect([]);
    desk.tell(CallbackEvent::Key { leg: caller, key: Key::ONE }).expect(["write kept"]);
    desk.tell(CallbackEvent::Key { leg: caller, key: Key::ONE }).expect([]);
}

#[test]
fn a_caller_may_say_yes_or_no_and_whatever_else_they_say_has_them_asked_again() {
    let asked = || {
        let mut desk = Desk::new();
        desk.settings.callback.confirm = ConfirmBy::Speech;
        desk.calling();
        let leg = desk.caller_leg();
        desk.then().tell(CallbackEvent::Answered { leg });
        desk.expect(["write running", "caller: greeting to-be-connected-press key-1 or-say-yes"]).committed();
        let say = desk.say;
        desk.after(4_000).tell(CallbackEvent::SpeechEnded(say)).expect(["listen"]);
        desk
    };
    let heard = |text: &str| CallbackEvent::Heard(Some(text.to_owned()));
    asked().tell(heard("Yes, please.")).expect(["stop listening", "write kept"]);
    let mut desk = asked();
    desk.tell(heard("No.")).expect(["stop listening", "ae: not-reached", "caller: goodbye"]);
    desk.wait_for(CallbackWhy::SpeechMustEnd).then().committed().expect(["report missed"]);
    assert_eq!(desk.row.progress.attempts[0].outcome, Some(CallbackOutcome::NotConfirmed));
    // The key counts as before.
    let mut desk = asked();
    let leg = desk.caller_leg();
    desk.tell(CallbackEvent::Key { leg, key: Key::ONE }).expect(["stop listening", "write kept"]);
    desk.tell(heard("Yes.")).expect([]);
    // A mailbox says much, and nothing that is a yes.
    let mut desk = asked();
    desk.tell(heard("Yes, you have reached the voicemail of Jamie"))
        .expect(["caller: greeting to-be-connected-press key-1 or-say-yes"]);
    desk.tell(CallbackEvent::Heard(None)).expect([]);
    desk.wait_for(CallbackWhy::CallerMustConfirm).expect(["ae: not-reached", "caller: message goodbye"]);
    // Nobody writes it down: the caller is asked again.
    asked().wait_for(CallbackWhy::CallerIsAskedAgain).expect(["caller: greeting to-be-connected-press key-1 or-say-yes"]);
}

#[test]
fn two_people_who_wait_for_each_other_do_not_wait_for_a_disk() {
    let mut desk = Desk::new();
    desk.keeping().then().wait_for(CallbackWhy::StoreMustAnswer).expect(["scene Human"]);
    desk.tell(CallbackEvent::Switched).expect(["report kept", "hand over to michael"]);
    assert!(!desk.run.is_over() && !desk.run.has_call());
    desk.refused().wait_for(CallbackWhy::LookAgain).expect(["read again"]);
    let mut standing = desk.run.view().clone();
    standing.state = CallbackState::Running;
    desk.tell(CallbackEvent::Row(Box::new(standing))).expect(["write kept"]);
    desk.committed().expect([]);
    assert!(desk.run.is_over());
}

#[test]
fn whoever_hangs_up_while_the_two_are_being_connected_ends_the_call() {
    for caller_leaves in [true, false] {
        let mut desk = Desk::new();
        desk.keeping().committed().then();
        let leg = if caller_leaves { desk.caller_leg() } else { desk.ae_leg() };
        desk.tell(CallbackEvent::Gone { leg, why: LegEnd::HungUp }).expect(["hang up CallOver", "end call"]);
        assert!(desk.run.is_over());
    }
}

#[test]
fn what_was_due_while_nobody_was_up_is_made_good_within_the_grace_and_missed_after_it() {
    let late = |minutes: u64| Now { mono: Mono::ZERO, wall: TEN + Duration::from_secs(60 * minutes) };
    Desk::of(late(59), row(TEN, "America/Chicago")).after(0).expect(["write running"]);
    let mut desk = Desk::of(late(61), row(TEN, "America/Chicago"));
    desk.after(0).expect(["write missed"]).committed().expect(["report missed"]);
    // Within the grace, but 21:10 where the caller lives: the next morning.
    let mut desk = Desk::of(
        Now { mono: Mono::ZERO, wall: wall("2026-03-03T03:10:00Z") },
        row(wall("2026-03-03T02:50:00Z"), "America/Chicago"),
    );
    desk.after(0).expect(["write scheduled"]).committed().expect(["report tried"]);
    assert_eq!(desk.run.view().due_at().0, wall("2026-03-03T14:00:00Z"));
}

#[test]
fn a_run_that_was_cut_off_counts_as_a_try() {
    let mut desk = Desk::new();
    desk.dialled();
    let left = desk.row.clone();
    let mut after = Desk::of(desk.now.after(Duration::from_secs(20)), left);
    after.expect(["end call", "write scheduled"]).committed().expect(["report tried"]);
    assert_eq!(after.row.progress.attempts[0].outcome, Some(CallbackOutcome::Interrupted));
    assert_eq!(after.row.progress.tries, 1);
}

#[test]
fn a_caller_who_has_answered_is_not_called_again_after_a_crash() {
    let mut desk = Desk::new();
    desk.confirming().then();
    let left = desk.row.clone();
    let mut after = Desk::of(desk.now.after(Duration::from_secs(20)), left);
    after.expect(["end call", "write missed"]).committed().expect(["report missed"]);
    assert_eq!(after.row.progress.attempts[0].outcome, Some(CallbackOutcome::Interrupted));
}

#[test]
fn the_clock_may_be_set_and_nothing_happens_twice_or_early() {
    let mut desk = Desk::new();
    desk.wait_for(CallbackWhy::Reminder).committed().then();
    desk.now.wall = MORNING.wall;
    desk.after(0).expect([]);
    desk.wait_for(CallbackWhy::Due).expect(["write running"]);
    assert_eq!(desk.now.wall, TEN);
}

#[test]
fn hours_follow_the_caller_s_clock_when_it_is_set_forward_and_back() {
    let due = |at: &str, zone: &str| {
        let at = wall(at);
        let mut desk = Desk::of(Now { mono: Mono::ZERO, wall: at }, row(at, zone));
        desk.after(0).then().committed();
        (desk.run.view().state, desk.run.view().due_at().to_string())
    };
    let putoff = |at: &str| (CallbackState::Scheduled, at.to_owned());
    // The night in which New York goes to summer time: 08:00 is 12:00 UTC, an hour sooner than the day before.
    assert_eq!(due("2026-03-08T11:59:00Z", "America/New_York"), putoff("2026-03-08T12:00:00.000000Z"));
    assert_eq!(due("2026-03-07T12:59:00Z", "America/New_York"), putoff("2026-03-07T13:00:00.000000Z"));
    // And back: 08:00 is 13:00 UTC again.
    assert_eq!(due("2026-11-01T12:00:00Z", "America/New_York"), putoff("2026-11-01T13:00:00.000000Z"));
    // Half an hour only, on Lord Howe Island.
    assert_eq!(due("2026-10-03T20:00:00Z", "Australia/Lord_Howe"), putoff("2026-10-03T21:00:00.000000Z"));
    assert_eq!(due("2026-03-08T12:00:00Z", "America/New_York").0, CallbackState::Running);
}

#[test]
fn nobody_is_dialled_after_their_hours_have_ended() {
    let mut desk = Desk::of(MORNING, row(wall("2026-03-03T02:59:40Z"), "America/Chicago"));
    desk.listening().then();
    desk.now.wall = wall("2026-03-03T03:00:05Z");
    let leg = desk.ae_leg();
    desk.tell(CallbackEvent::Key { leg, key: Key::ONE }).expect(["ae: not-reached"]);
    desk.wait_for(CallbackWhy::SpeechMustEnd).committed();
    assert_eq!(desk.run.view().due_at().0, wall("2026-03-03T14:00:00Z"));
}

#[test]
fn it_can_be_moved_and_called_off_while_it_waits_and_while_phones_ring() {
    let mut desk = Desk::new();
    let moved = desk.moved(3);
    desk.tell(moved).expect(["write scheduled"]).committed().expect(["report moved", "answer: changed"]);
    desk.wait_for(CallbackWhy::Reminder).committed().wait_for(CallbackWhy::Due);
    assert_eq!(desk.now.wall, TEN + Duration::from_secs(3 * 3_600));

    let mut desk = Desk::new();
    desk.dialled().then().tell(CallbackEvent::Change(Change::Cancel));
    desk.expect(["hang up Cancelled", "end call", "write cancelled"]).committed();
    desk.expect(["report cancelled", "answer: changed"]);
    assert!(desk.run.is_over());

    let mut desk = Desk::new();
    desk.confirming().then();
    let moved = desk.moved(1);
    desk.tell(moved).expect(["ae: no-longer-waiting", "caller: goodbye"]);
    desk.wait_for(CallbackWhy::SpeechMustEnd).then().committed().expect(["report moved", "answer: changed"]);
    assert_eq!((desk.run.view().state, desk.run.view().progress.tries), (CallbackState::Scheduled, 0));

    let mut desk = Desk::new();
    desk.human().then().tell(CallbackEvent::Change(Change::Cancel)).expect(["answer: not changed, Over"]);
    let mut desk = Desk::new();
    desk.keeping().then().tell(CallbackEvent::Change(Change::Cancel)).expect(["answer: not changed, Connected"]);
}

#[test]
fn a_change_that_the_store_does_not_take_is_not_made() {
    let mut desk = Desk::new();
    let moved = desk.moved(3);
    desk.tell(moved).then().refused().expect(["answer: not changed, Store", "read again"]);
    assert_eq!(desk.run.view().at, At(TEN));
}

#[test]
fn an_ae_who_leaves_while_the_caller_is_called_leaves_nobody_alone() {
    let mut desk = Desk::new();
    desk.calling().then();
    let leg = desk.ae_leg();
    desk.tell(CallbackEvent::Gone { leg, why: LegEnd::HungUp }).expect(["hang up Cancelled", "end call", "write scheduled"]);
    let mut desk = Desk::new();
    desk.confirming().then();
    let leg = desk.ae_leg();
    desk.tell(CallbackEvent::Gone { leg, why: LegEnd::HungUp }).expect(["caller: call-again-later goodbye"]);
    let say = desk.say;
    desk.tell(CallbackEvent::SpeechEnded(say)).expect(["hang up CallOver", "end call", "write scheduled"]);
}

#[test]
fn a_page_that_was_read_before_a_change_does_not_undo_it() {
    let mut desk = Desk::new();
    let old = desk.run.view().clone();
    let moved = desk.moved(3);
    desk.tell(moved).committed().then();
    assert!(desk.step(CallbackEvent::Row(Box::new(old))).is_some());
    assert_eq!(desk.run.view().at, At(TEN + Duration::from_secs(3 * 3_600)));
    let mut newer = desk.run.view().clone();
    newer.progress.epoch += 1;
    newer.state = CallbackState::Cancelled;
    desk.adopt(newer);
    assert!(desk.run.is_over());
}
