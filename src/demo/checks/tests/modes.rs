//! The checks of the other modes: each holds on a good call, and catches every fault that it is there for.

use super::*;

/// An empty call of this story, with its taker's role.
fn sketch(name: &str) -> (Sketch, Role) {
    let id = story(name).taker().map_or_else(String::new, |ae| ae.id.to_owned());
    (Sketch::of(name, &id), Role::Ae(id))
}

/// The pilot of the AE who takes the calls of this story.
fn pilot(name: &str) -> Pilot {
    story(name).taker().unwrap().pilot
}

fn both(one: Pilot, two: Pilot) -> impl FnMut(u64) -> Vec<u8> {
    let mut sources = [PilotSource::new(one, 11), PilotSource::new(two, 12)];
    move |_| {
        let mut samples = [0; 160];
        sources.iter_mut().for_each(|source| source.mix_into(&mut samples));
        samples.map(g711::encode).to_vec()
    }
}

fn hush(_: u64) -> Vec<u8> {
    vec![0xff; 160]
}

/// A sound that is nobody's: 400 Hz, eight periods a packet.
fn loud(_: u64) -> Vec<u8> {
    let wave = |n: u8| (f64::from(n) / 20.0 * std::f64::consts::TAU).sin() * 6_000.0;
    (0..160).map(|n| g711::encode(wave(n) as i16)).collect()
}

fn introduced() -> (Sketch, Role) {
    let (mut call, ae) = sketch("introduce");
    let human = pilot("introduce");
    call.record(&Role::Caller).rtp_received = stream_of(0, 6_000, both(Pilot::Ai, human));
    call.record(&Role::Ai).rtp_received = stream_of(0, 6_000, both(Pilot::Caller, human));
    call.record(&Role::Ai).notes = vec![note(5_000, "leaves")];
    call.record(&ae).rtp_received = stream_of(0, 6_000, both(Pilot::Caller, Pilot::Ai));
    call.record(&ae).notes = vec![note(1_000, "accepts")];
    (call, ae)
}

#[test]
fn one_of_three_who_does_not_hear_both_others_is_found() {
    let holds = |call: Sketch| hearing::introduction(&call.evidence()).unwrap().ok;
    let (call, ae) = introduced();
    assert!(holds(call));
    for (role, heard) in
        [(Role::Caller, Pilot::Ai), (Role::Caller, pilot("introduce")), (Role::Ai, Pilot::Caller), (ae.clone(), Pilot::Caller)]
    {
        let mut call = introduced().0;
        call.record(&role).rtp_received = stream_of(0, 6_000, piloted(heard));
        assert!(!holds(call), "{role} hears {heard:?} alone");
    }
    let mut never = introduced().0;
    never.record(&ae).notes.clear();
    assert!(!holds(never));
}

/// The AE hands the caller back at 3,000 ms; the AI is there again at `back`, and until then the caller hears `meanwhile`.
fn handed_back(back: u64, meanwhile: fn(u64) -> Vec<u8>) -> (Sketch, Role) {
    let (mut call, ae) = sketch("handback");
    call.records.insert(Role::AiAgain, Record::default());
    let before = stream_of(3_000, back, meanwhile);
    let again = stream_of(back, 7_000, piloted(Pilot::Ai));
    call.record(&Role::Caller).rtp_received = heard(&[&before, &again]);
    call.record(&Role::Caller).sip = vec![sip(7_000, true, "BYE sip:a SIP/2.0")];
    call.record(&Role::AiAgain).rtp_received = stream_of(back, 7_000, piloted(Pilot::Caller));
    call.record(&ae).rtp_received = stream_of(3_000, 7_000, hush);
    call.record(&ae).notes = vec![note(1_000, "accepts"), note(3_000, "hands-back")];
    (call, ae)
}

#[test]
fn a_hand_back_that_is_late_silent_one_sided_or_overheard_is_found() {
    let holds = |call: Sketch| hearing::hand_back(&call.evidence()).unwrap().ok;
    let (call, ae) = handed_back(3_600, loud);
    assert!(holds(call));
    assert!(!holds(handed_back(4_700, loud).0), "too late");
    assert!(!holds(handed_back(4_300, hush).0), "soon enough, but in silence");
    let spoilt = |spoil: fn(&mut Sketch, &Role)| {
        let (mut call, ae) = handed_back(3_600, loud);
        spoil(&mut call, &ae);
        holds(call)
    };
    assert!(!spoilt(|call, _| call.record(&Role::AiAgain).rtp_received = stream_of(3_600, 7_000, hush)), "the AI hears nobody");
    assert!(!spoilt(|call, _| leak(call.record(&Role::Caller), pilot("handback"), 4_500, 5_000)), "the AE is heard");
    assert!(!spoilt(|call, ae| leak(call.record(ae), Pilot::Caller, 4_500, 5_000)), "the AE listens");
    assert!(!spoilt(|call, ae| call.record(ae).notes.truncate(1)), "nobody handed anything back");
    assert_eq!(ae, handed_back(3_600, loud).1);
}

/// A callback that is begun `late` seconds after its time; the AE accepts at 1,000 ms, the caller confirms at 3,000 ms.
fn called_back(late: i64) -> (Sketch, Role) {
    let (mut call, ae) = sketch("callback-kept");
    let at: jiff::Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
    let begun = at + jiff::SignedDuration::from_secs(late);
    call.book.callback = Some(json!({"state": "kept", "at": at.to_string()}));
    let mut started = event(500, "call.started");
    started.event["at"] = json!(begun.to_string());
    call.book.events = vec![started, event(4_000, "callback.kept")];
    let caller = call.record(&Role::Caller);
    caller.sip = vec![sip(1_500, false, "INVITE sip:a SIP/2.0")];
    caller.notes = vec![note(3_000, "confirms")];
    let after = stream_of(3_000, 6_000, piloted(pilot("callback-kept")));
    caller.rtp_received = heard(&[&stream_of(1_600, 3_000, loud), &after]);
    call.record(&ae).notes = vec![note(1_000, "accepts")];
    call.record(&ae).rtp_received = heard(&[&stream_of(800, 3_000, loud), &stream_of(3_000, 6_000, piloted(Pilot::Caller))]);
    (call, ae)
}

#[test]
fn a_callback_that_comes_at_the_wrong_time_or_in_the_wrong_order_is_found() {
    let holds = |call: Sketch| promises::callback_in_order(&call.evidence()).unwrap().ok;
    assert!(holds(called_back(0).0) && holds(called_back(4).0));
    assert!(!holds(called_back(6).0), "late");
    assert!(!holds(called_back(-2).0), "early");
    let spoilt = |spoil: fn(&mut Sketch, &Role)| {
        let (mut call, ae) = called_back(0);
        spoil(&mut call, &ae);
        holds(call)
    };
    assert!(
        !spoilt(|call, _| call.record(&Role::Caller).sip = vec![sip(900, false, "INVITE sip:a SIP/2.0")]),
        "the caller first"
    );
    assert!(!spoilt(|call, _| call.book.events.truncate(1)), "never told as kept");
    assert!(!spoilt(|call, ae| leak(call.record(ae), Pilot::Caller, 2_000, 2_400)), "together before the caller's key");
    assert!(!spoilt(|call, _| leak(call.record(&Role::Caller), pilot("callback-kept"), 2_000, 2_400)), "and the other way round");
}

/// A caller who is told what to do from 1,000 ms on and speaks from 4,000 ms on.
fn left_a_message() -> Sketch {
    let mut call = sketch("voicemail").0;
    let caller = call.record(&Role::Caller);
    caller.notes = vec![note(4_000, "jamie-voicemail")];
    caller.rtp_received = heard(&[&stream_of(1_000, 3_500, loud), &stream_of(3_500, 8_000, hush)]);
    call.book.transfer = Some(json!({"outcome": "voicemail", "message": {"duration_ms": 3_000, "speech_ms": 2_500}}));
    call.book.events = vec![event(1_000, "transfer.requested"), event(8_000, "transfer.ended")];
    call
}

#[test]
fn a_message_that_is_empty_or_was_never_asked_for_is_found() {
    let holds = |call: Sketch| promises::message(&call.evidence()).unwrap().ok;
    assert!(holds(left_a_message()));
    let spoilt = |spoil: fn(&mut Sketch)| {
        let mut call = left_a_message();
        spoil(&mut call);
        holds(call)
    };
    assert!(!spoilt(|call| call.transfer()["message"]["speech_ms"] = json!(400)), "no speech in it");
    assert!(!spoilt(|call| call.transfer()["message"]["duration_ms"] = json!(0)), "nothing was kept");
    assert!(!spoilt(|call| call.transfer()["outcome"] = json!("failed")), "another outcome");
    assert!(!spoilt(|call| call.book.events.truncate(1)), "it never ended");
    assert!(
        !spoilt(|call| call.record(&Role::Caller).rtp_received = stream_of(1_000, 8_000, hush)),
        "the caller was told nothing"
    );
}
