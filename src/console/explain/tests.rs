//! Plays of wording: a transfer and its events in, sentences out.

use baton_contract::At;
use baton_time::Wall;
use jiff::tz::TimeZone;
use serde_json::json;

use super::*;

/// 2026-03-02, 14:00:00 UTC; everything is asked for then.
const ASKED: i64 = 1_772_460_000;

fn here() -> Here {
    Here { zone: TimeZone::UTC, now: Wall::from_seconds(ASKED + 60) }
}

/// A transfer with these members laid over an empty one.
fn transfer(over: Value) -> TransferView {
    let mut view = json!({
        "id": "t_01890a5d000070008000000000000001", "call": "c_01890a5d000070008000000000000002", "mode": "warm",
        "state": "ended", "outcome": null, "class": null, "say_to_caller": null, "reason": "explicit_request",
        "requested_at": "2026-03-02T14:00:00Z", "stages_ms": {}, "ai_drop_ms": null, "attempts": [], "callback": null,
    });
    for (name, value) in over.as_object().into_iter().flatten() {
        view[name] = value.clone();
    }
    serde_json::from_value(view).unwrap()
}

/// An attempt at `ae` with these members.
fn attempt(ae: &str, over: &Value) -> Value {
    let mut view = json!({
        "ae": ae, "leg": "l_01890a5d000070008000000000000003", "outcome": null, "sip_status": null, "reason": null,
    });
    for (name, value) in over.as_object().into_iter().flatten() {
        view[name] = value.clone();
    }
    view
}

/// Events: how many milliseconds after the request, type, data.
fn events(told: &[(i64, &str, Value)]) -> Vec<Event> {
    let one = |(seq, (millis, kind, data)): (usize, &(i64, &str, Value))| {
        let at = At(Wall::from_micros(ASKED * 1_000_000 + millis * 1_000));
        serde_json::from_value(json!({"id": format!("e{seq}"), "seq": seq, "at": at, "type": kind, "data": data})).unwrap()
    };
    told.iter().enumerate().map(one).collect()
}

fn case(over: Value, told: &[(i64, &str, Value)]) -> Case {
    let names = [("michael", "Michael"), ("sara", "Sara")];
    let names = names.into_iter().map(|(id, name)| (AeId::from(id), name.to_owned())).collect();
    Case { transfer: transfer(over), events: events(told), names }
}

/// The sentence about the only attempt.
fn said(over: &Value, told: &[(i64, &str, Value)]) -> String {
    case(json!({"attempts": [attempt("michael", over)]}), told).attempt(1, &here())
}

fn backup() -> Case {
    let of = |ae: &str, number: u64| json!({"ae": ae, "attempt": number});
    let attempts = [
        attempt(
            "michael",
            &json!({"outcome": "no_answer", "sip_status": 487, "reason": "not answered within ring_max 4 s", "ring_ms": 4_003}),
        ),
        attempt(
            "sara",
            &json!({"outcome": "accepted", "sip_status": 200, "ring_ms": 480, "briefing_ms": 7_300, "accept_ms": 8_100}),
        ),
    ];
    let over = json!({
        "state": "bridged", "outcome": "bridged", "ai_drop_ms": 14, "attempts": attempts,
        "stages_ms": {"start": 3, "ringing": 210, "accept": 8_370, "total": 12_612},
    });
    let told = [
        (0, "transfer.requested", json!({"reason": "explicit_request", "to": "michael"})),
        (3, "transfer.attempt_started", json!({"ae": "michael", "attempt": 1, "passed_over": []})),
        (120, "transfer.ringing", json!({"ae": "michael", "attempt": 1, "sip_status": 180})),
        (4_010, "transfer.attempt_failed", json!({"ae": "michael", "attempt": 1, "outcome": "no_answer"})),
        (4_013, "transfer.attempt_started", json!({"ae": "sara", "attempt": 2, "passed_over": []})),
        (4_220, "transfer.ringing", json!({"ae": "sara", "attempt": 2, "sip_status": 180})),
        (4_493, "transfer.answered", of("sara", 2)),
        (12_590, "transfer.accepted", json!({"ae": "sara", "attempt": 2, "by": "key"})),
        (12_612, "transfer.bridged", of("sara", 2)),
        (12_612, "transfer.ended", json!({"outcome": "bridged"})),
    ];
    case(over, &told)
}

#[test]
fn a_transfer_that_went_to_the_backup_is_told_from_the_request_to_the_bridge() {
    assert_eq!(
        backup().sentences(&here()),
        [
            "A warm transfer to Michael was asked for at 14:00:00 because of explicit_request.",
            "Michael was rung for 4.0 s and did not answer (ring_max 4 s; SIP 487).",
            "Sara answered after 480 ms, heard the briefing for 7.3 s and accepted by key 8.1 s after answering.",
            "12.6 s after the request caller and Sara heard each other; the AI was gone 14 ms later.",
            "Every limit of the budget was kept.",
        ]
    );
}

#[test]
fn stages_and_events_are_told_in_tables() {
    let backup = backup();
    let page = backup.page(&here(), &["It went well.".to_owned()]);
    assert_eq!(
        page.lines().take(14).collect::<Vec<_>>(),
        [
            "t_01890a5d000070008000000000000001 in c_01890a5d000070008000000000000002, 2026-03-02 14:00:00",
            "",
            "It went well.",
            "",
            "WAITED FOR             HOW LONG  SINCE",
            "the INVITE to the AE   3 ms      the decision to dial",
            "the first ring         210 ms    the INVITE",
            "the acceptance         8.3 s     the first ring",
            "the human on the line  12.6 s    the request, to the outcome",
            "",
            "    AFTER  EVENT",
            " +0.000 s  the transfer is asked for",
            " +0.003 s  Michael is dialled",
            " +0.120 s  Michael's phone rings (SIP 180)",
        ]
    );
    assert_eq!(page.lines().last(), Some("+12.612 s  the transfer ends: bridged"));
}

#[test]
fn each_way_of_failing_has_its_sentence_and_its_evidence() {
    let rang = [(100, "transfer.ringing", json!({"ae": "michael", "attempt": 1}))];
    let answered = [rang[0].clone(), (2_000, "transfer.answered", json!({"ae": "michael", "attempt": 1}))];
    for (over, told, sentence) in [
        (
            json!({"outcome": "busy", "sip_status": 486, "reason": "refused: 486 Busy Here", "ring_ms": 20}),
            &rang[..0],
            "Michael was busy (SIP 486 Busy Here).",
        ),
        (
            json!({"outcome": "declined", "sip_status": 200, "reason": "declined", "ring_ms": 2_000, "briefing_ms": 5_000}),
            &answered[..],
            "Michael answered after 2.0 s, heard the briefing for 5.0 s and declined (SIP 200).",
        ),
        (
            json!({"outcome": "later", "sip_status": 200, "reason": "asked for 10 min later", "ring_ms": 2_000}),
            &answered[..],
            "Michael answered after 2.0 s and asked for another try later (asked for 10 min later; SIP 200).",
        ),
        (
            json!({"outcome": "declined", "sip_status": 603, "reason": "refused: 603 Decline", "ring_ms": 900}),
            &rang[..],
            "Michael was rung for 900 ms and declined (SIP 603 Decline).",
        ),
        (
            json!({"outcome": "unreachable", "reason": "no response within 3 s", "ring_ms": 3_000}),
            &rang[..0],
            "Michael could not be reached (no response within 3 s).",
        ),
        (
            json!({"outcome": "no_answer", "sip_status": 487, "reason": "not answered within ring_max 18 s", "ring_ms": 18_000}),
            &rang[..0],
            "Michael was called for 18.0 s and did not answer (ring_max 18 s; SIP 487).",
        ),
        (
            json!({"outcome": "not_accepted", "sip_status": 200, "reason": "hung up without accepting", "briefing_ms": 700}),
            &answered[..],
            "Michael answered, heard the briefing for 700 ms and did not accept (hung up without accepting; SIP 200).",
        ),
        (
            json!({"outcome": "caller_gone", "sip_status": 487, "reason": "the caller hung up", "ring_ms": 3_000}),
            &rang[..],
            "Michael was rung for 3.0 s; then the caller hung up (SIP 487).",
        ),
        (json!({"outcome": null}), &rang[..], "Michael has been rung for 59.9 s."),
        (json!({"outcome": null}), &rang[..0], "Michael is about to be dialled."),
    ] {
        assert_eq!(said(&over, told), sentence);
    }
}

#[test]
fn whoever_was_passed_over_is_told_with_the_reason() {
    let passed = json!([{"ae": "michael", "why": "dnd"}, {"ae": "ann", "why": "some_day"}]);
    let none_left = case(
        json!({"outcome": "callback_scheduled", "class": "terminal", "stages_ms": {"total": 9_000}}),
        &[
            (0, "transfer.requested", json!({"to": null, "passed_over": passed})),
            (9_000, "callback.scheduled", json!({"ae": "sara", "at": "2026-03-03T15:00:00Z"})),
        ],
    );
    assert_eq!(
        none_left.sentences(&here()),
        [
            "A warm transfer was asked for at 14:00:00 because of explicit_request.",
            "Nobody could be dialled: Michael (do not disturb), ann (some_day).",
            "9.0 s after the request a callback by Sara at 2026-03-03 15:00:00 was promised: nobody else was left to be dialled.",
            "Every limit of the budget was kept.",
        ]
    );
    let second = case(
        json!({"state": "dialing", "attempts": [attempt("sara", &json!({"outcome": null}))]}),
        &[(
            5,
            "transfer.attempt_started",
            json!({"ae": "sara", "attempt": 1, "passed_over": [{"ae": "michael", "why": "off_hours"}]}),
        )],
    );
    assert_eq!(second.passed_over(1).unwrap(), "Passed over: Michael (outside working hours).");
    assert_eq!(second.ending(&here()), "After 60.0 s it is still under way: an AE is being dialled.");
}

#[test]
fn a_limit_that_was_missed_is_told_once_with_its_worst_word() {
    let missed = |stage: &str, limit: &str, after: u64| json!({"stage": stage, "limit": limit, "after_ms": after});
    let late = case(
        json!({"outcome": "caller_abandoned"}),
        &[
            (20_000, "budget.missed", missed("accept", "target", 20_000)),
            (60_000, "budget.missed", missed("accept", "worst", 60_000)),
            (60_000, "budget.missed", missed("total", "target", 30_000)),
        ],
    );
    assert_eq!(
        late.misses(),
        [
            "The budget's worst case for the acceptance was missed: 60.0 s had gone by without it.",
            "The budget's target for the human on the line was missed: 30.0 s had gone by without it.",
        ]
    );
}

#[test]
fn words_from_outside_cannot_steer_the_terminal() {
    let hostile = case(json!({"reason": "\u{1b}[2J\nI am root", "outcome": "cancelled"}), &[]);
    let sentence = &hostile.sentences(&here())[0];
    assert_eq!(sentence, "A warm transfer was asked for at 14:00:00 because of  [2J I am root.");
}

#[test]
fn what_was_waited_for_in_vain_is_told_as_such() {
    let declined = attempt("sara", &json!({"outcome": "declined"}));
    let spent = json!({"start": 3, "ringing": 47, "accept": 7_600, "total": 7_700});
    let back = case(json!({"outcome": "returned_to_ai", "attempts": [declined], "stages_ms": spent}), &[]);
    let stages = back.stages();
    assert!(
        stages.contains("\nthe acceptance, in vain  7.6 s ") && stages.contains("\nthe human, in vain       7.7 s "),
        "{stages}"
    );
}
