//! Each check holds on a good call, and catches the fault that it is there for.

use std::collections::BTreeMap;

use baton_party::{Dice, Fault, Pilot, PilotSource, Record, RtpSeen, SipSeen, Track, g711};
use baton_time::Mono;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Finding, hearing, promises, run, signalling, stream};
use crate::demo::cast::Role;
use crate::demo::conductor::{Notebook, Pop, SeenEvent};
use crate::demo::evidence::{Evidence, Part};
use crate::demo::story::Story;

mod modes;

/// The call of the tests, in milliseconds.
const UP: u64 = 200;
const ASKED: u64 = 2_000;
const INVITED: u64 = 2_020;
const ANSWERS: u64 = 2_500;
const ACCEPTS: u64 = 4_000;
const BRIDGE: u64 = 4_010;
const PARTED: u64 = 7_000;

/// A call that can be spoilt before it is judged.
struct Sketch {
    story: Story,
    records: BTreeMap<Role, Record>,
    book: Notebook,
}

/// A warm transfer without a fault, for those who show it.
pub(crate) fn good_evidence() -> Evidence {
    Sketch::warm().evidence()
}

fn ms(millis: u64) -> Mono {
    Mono::from_millis(millis)
}

fn michael() -> Role {
    Role::Ae("michael-warm".to_owned())
}

fn story(name: &str) -> Story {
    Story::all().into_iter().find(|story| story.name == name).unwrap()
}

fn packet(at: u64, sequence: u16, timestamp: u32, payload: &[u8]) -> RtpSeen {
    let bytes = Bytes::from([&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], payload].concat());
    let (local, remote) = ("127.0.0.1:4000".parse().unwrap(), "127.0.0.1:4002".parse().unwrap());
    let (ssrc, marker, payload_type, payload_at) = (1, false, 0, 12);
    RtpSeen { at: ms(at), local, remote, bytes, sequence, timestamp, ssrc, marker, payload_type, payload_at }
}

/// Packets of 20 ms from one instant to another, each with what `sound` makes.
fn stream_of(from: u64, to: u64, mut sound: impl FnMut(u64) -> Vec<u8>) -> Vec<RtpSeen> {
    (0..(to - from) / 20).map(|n| packet(from + n * 20, n as u16, n as u32 * 160, &sound(from + n * 20))).collect()
}

fn piloted(pilot: Pilot) -> impl FnMut(u64) -> Vec<u8> {
    let mut source = PilotSource::new(pilot, 11);
    move |_| {
        let mut samples = [0; 160];
        source.mix_into(&mut samples);
        samples.map(g711::encode).to_vec()
    }
}

fn noise(seed: u64) -> impl FnMut(u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut level = 0;
    move |_| {
        let smooth = (0..160).map(|_| {
            level += ((dice.roll() % 3_001) as i16 - 1_500 - level) / 4;
            g711::encode(level)
        });
        smooth.collect()
    }
}

fn sip(at: u64, sent: bool, head: &str) -> SipSeen {
    let first = head.lines().next().unwrap();
    let title = first.strip_prefix("SIP/2.0 ").unwrap_or_else(|| first.split(' ').next().unwrap()).to_owned();
    let method = first.split(' ').next().unwrap();
    let cseq = if head.contains("CSeq") {
        String::new()
    } else {
        format!("CSeq: 1 {}\r\n", if method == "SIP/2.0" { "INVITE" } else { method })
    };
    let bytes = Bytes::from(format!("{}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{at}\r\n{cseq}\r\n", head.trim_end()));
    let (local, remote) = ("127.0.0.1:5080".parse().unwrap(), "127.0.0.1:5060".parse().unwrap());
    SipSeen { at: ms(at), sent, local, remote, bytes, title, again: false }
}

fn note(at: u64, label: &str) -> (Mono, String) {
    (ms(at), label.to_owned())
}

fn event(at: u64, kind: &str) -> SeenEvent {
    SeenEvent { at: ms(at), event: json!({"type": kind, "call": "c_1"}) }
}

/// What `ear` hears: the packets of the parts, one after the other, numbered on.
fn heard(pieces: &[&[RtpSeen]]) -> Vec<RtpSeen> {
    let all = pieces.iter().flat_map(|piece| piece.iter());
    all.enumerate().map(|(n, seen)| packet(seen.at.as_micros() / 1_000 + 1, n as u16, n as u32 * 160, seen.payload())).collect()
}

fn cut(packets: &[RtpSeen], from: u64, to: u64) -> Vec<RtpSeen> {
    packets.iter().filter(|seen| seen.at >= ms(from) && seen.at < ms(to)).cloned().collect()
}

impl Sketch {
    /// A warm transfer without a fault.
    fn warm() -> Sketch {
        let caller = stream_of(UP, PARTED, piloted(Pilot::Caller));
        let ai = stream_of(UP, BRIDGE + 20, piloted(Pilot::Ai));
        let ae = stream_of(ANSWERS, PARTED, piloted(Pilot::Ae));
        let music = stream_of(ASKED, BRIDGE - 10, noise(5));
        let briefing = stream_of(ANSWERS + 40, BRIDGE - 10, noise(6));
        let hush = stream_of(ASKED, BRIDGE + 20, |_| vec![0xff; 160]);
        let record = |sent: &[RtpSeen], received: Vec<RtpSeen>| Record {
            rtp_sent: sent.to_vec(),
            rtp_received: received,
            verdict: Some(Ok(())),
            ..Record::default()
        };
        let mut records = BTreeMap::new();
        let to_caller = heard(&[&cut(&ai, 0, ASKED), &music, &cut(&ae, BRIDGE - 10, PARTED)]);
        let mut one = record(&caller, to_caller);
        one.notes = vec![note(UP, "up")];
        one.sip =
            vec![sip(0, true, "INVITE sip:a SIP/2.0"), sip(150, false, "SIP/2.0 200 OK"), sip(PARTED, true, "BYE sip:a SIP/2.0")];
        records.insert(Role::Caller, one);
        let mut two = record(&ai, heard(&[&cut(&caller, UP, ASKED), &hush]));
        two.sip = vec![
            sip(10, false, "INVITE sip:a SIP/2.0"),
            sip(140, true, "SIP/2.0 200 OK"),
            sip(BRIDGE + 20, false, "BYE sip:a SIP/2.0"),
        ];
        records.insert(Role::Ai, two);
        let mut three = record(&ae, heard(&[&briefing, &cut(&caller, BRIDGE - 10, PARTED)]));
        three.notes = vec![note(INVITED + 30, "rings"), note(ANSWERS, "answers"), note(ACCEPTS, "accepts")];
        three.sip = vec![
            sip(INVITED, false, "INVITE sip:a SIP/2.0"),
            sip(ANSWERS, true, "SIP/2.0 200 OK"),
            sip(PARTED + 5, false, "BYE sip:a SIP/2.0"),
        ];
        records.insert(michael(), three);
        let transfer = json!({
            "outcome": "bridged", "stages_ms": {"start": 3, "ringing": 30, "accept": 1_950, "total": 2_010},
            "attempts": [{"ae": "michael-warm", "outcome": "accepted"}]
        });
        let pop = Pop { at: ms(INVITED + 10), status: 200, page: "<h1>Jamie</h1>".to_owned() };
        let book = Notebook {
            call: Some("c_1".to_owned()),
            transfer: Some(transfer),
            ended_call: Some(json!({"state": "ended"})),
            asked: Some(ms(ASKED)),
            answered: Some(ms(ASKED + 8)),
            pops: BTreeMap::from([("michael-warm".to_owned(), pop)]),
            events: vec![event(ASKED, "transfer.requested")],
            ..Notebook::default()
        };
        Sketch { story: story("warm"), records, book }
    }

    /// An empty call of another story, for the checks of its signalling.
    fn of(name: &str, ae: &str) -> Sketch {
        let roles = [Role::Caller, Role::Ai, Role::Ae(ae.to_owned())];
        let records = roles.into_iter().map(|role| (role, Record::default())).collect();
        Sketch { story: story(name), records, book: Notebook::default() }
    }

    fn record(&mut self, role: &Role) -> &mut Record {
        self.records.get_mut(role).unwrap()
    }

    fn transfer(&mut self) -> &mut Value {
        self.book.transfer.as_mut().unwrap()
    }

    fn evidence(self) -> Evidence {
        let parts = self.records.into_iter().map(|(role, mut record)| {
            record.heard = Track::new(Mono::ZERO);
            for seen in &record.rtp_received {
                record.heard.lay(record.heard.place(seen.at), &seen.samples());
            }
            Part::new(role, record)
        });
        Evidence { story: self.story, parts: parts.collect(), book: self.book, stalls: Vec::new() }
    }
}

/// What a check says about a warm transfer that was spoilt.
fn spoilt(check: fn(&Evidence) -> Option<Finding>, spoil: impl FnOnce(&mut Sketch)) -> Finding {
    let mut sketch = Sketch::warm();
    spoil(&mut sketch);
    check(&sketch.evidence()).unwrap()
}

/// Mixes a pilot into what somebody hears between two instants.
fn leak(record: &mut Record, pilot: Pilot, from: u64, to: u64) {
    let mut source = PilotSource::new(pilot, 3);
    for seen in record.rtp_received.iter_mut().filter(|seen| seen.at >= ms(from) && seen.at < ms(to)) {
        let mut samples = seen.samples();
        source.mix_into(&mut samples);
        let payload: Vec<u8> = samples.into_iter().map(g711::encode).collect();
        seen.bytes = packet(0, 0, 0, &payload).bytes;
    }
}

fn renumber(record: &mut Record) {
    for (n, seen) in record.rtp_received.iter_mut().enumerate() {
        (seen.sequence, seen.timestamp) = (n as u16, n as u32 * 160);
    }
}

#[test]
fn nothing_is_found_in_a_call_without_a_fault() {
    let findings = run(&Sketch::warm().evidence());
    let faults: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert_eq!(faults, Vec::<&Finding>::new());
    assert_eq!(findings.len(), 19);
}

#[test]
fn a_script_that_broke_off_is_found() {
    let fault = Fault { step: 3, what: "WaitFor".to_owned(), at_ms: 9, why: "it did not come in time".to_owned() };
    assert!(!spoilt(signalling::script, |call| call.record(&Role::Caller).verdict = Some(Err(fault))).ok);
    assert!(!spoilt(signalling::script, |call| call.record(&Role::Ai).verdict = None).ok);
    assert!(!spoilt(signalling::script, |call| call.book.troubles.push("POST transfers: 500".to_owned())).ok);
}

#[test]
fn another_outcome_and_other_attempts_are_found() {
    assert!(!spoilt(signalling::outcome, |call| call.transfer()["outcome"] = json!("failed")).ok);
    assert!(!spoilt(signalling::outcome, |call| call.book.transfer = None).ok);
    assert!(!spoilt(signalling::attempts, |call| call.transfer()["attempts"][0]["outcome"] = json!("declined")).ok);
}

#[test]
fn a_leg_that_is_left_or_answered_twice_is_found() {
    assert!(!spoilt(signalling::legs, |call| drop(call.record(&Role::Ai).sip.pop())).ok);
    assert!(!spoilt(signalling::legs, |call| call.record(&michael()).sip.push(sip(9_000, true, "SIP/2.0 486 Busy Here"))).ok);
    assert!(!spoilt(signalling::legs, |call| call.book.ended_call = Some(json!({"state": "active"}))).ok);
}

#[test]
fn a_phone_that_rings_on_after_the_caller_has_left_is_found() {
    let abandoned = |cancelled: Option<u64>| {
        let mut call = Sketch::of("abandon", "michael-abandon");
        call.record(&Role::Caller).sip = vec![sip(5_000, true, "BYE sip:a SIP/2.0")];
        call.record(&Role::Ai).sip = vec![sip(5_004, false, "BYE sip:a SIP/2.0")];
        call.record(&Role::Ae("michael-abandon".to_owned())).sip =
            cancelled.map(|at| sip(at, false, "CANCEL sip:a SIP/2.0")).into_iter().collect();
        signalling::cancel(&call.evidence()).unwrap().ok
    };
    assert!(abandoned(Some(5_003)));
    assert!(!abandoned(Some(5_051)));
    assert!(!abandoned(None));
    assert_eq!(signalling::cancel(&Sketch::warm().evidence()), None);
}

#[test]
fn a_phone_that_rings_too_long_or_too_short_is_found() {
    let rang = |cancelled: u64| {
        let mut call = Sketch::of("backup", "michael-backup");
        let phone = call.record(&Role::Ae("michael-backup".to_owned()));
        phone.sip = vec![sip(1_000, false, "INVITE sip:a SIP/2.0"), sip(cancelled, false, "CANCEL sip:a SIP/2.0")];
        signalling::ring_max(&call.evidence()).unwrap().ok
    };
    assert!(rang(5_010));
    assert!(!rang(5_600) && !rang(3_000));
}

/// A REFER and what follows it, as its sender sees it.
fn referred(statuses: &[u16], last_state: &str, last_at: u64) -> Finding {
    let mut call = Sketch::of("refer", "michael-refer");
    call.record(&Role::Ae("michael-refer".to_owned())).notes = vec![note(ACCEPTS, "accepts")];
    let ai = call.record(&Role::Ai);
    ai.sip = vec![sip(1_000, true, "REFER sip:a SIP/2.0"), sip(1_002, false, "SIP/2.0 202 Accepted\r\nCSeq: 1 REFER\r\n")];
    for (n, status) in statuses.iter().enumerate() {
        let last = n + 1 == statuses.len();
        let (at, state) = if last { (last_at, last_state) } else { (1_010 + n as u64, "active;expires=60") };
        let mut seen = sip(at, false, "NOTIFY sip:a SIP/2.0");
        let body = format!("SIP/2.0 {status} Word\r\n");
        let head =
            format!("NOTIFY sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9{n}\r\nEvent: refer\r\nSubscription-State: {state}\r\n");
        seen.bytes = Bytes::from(format!("{head}CSeq: {n} NOTIFY\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        ai.sip.push(seen);
    }
    ai.sip.push(sip(BRIDGE + 20, false, "BYE sip:a SIP/2.0"));
    signalling::notify(&call.evidence()).unwrap()
}

#[test]
fn a_referrer_that_is_told_the_wrong_things_is_found() {
    let over = "terminated;reason=noresource";
    assert!(referred(&[100, 180, 200], over, BRIDGE).ok);
    assert!(!referred(&[100, 200], over, BRIDGE).ok);
    assert!(!referred(&[100, 180, 200], "active", BRIDGE).ok);
    assert!(!referred(&[100, 180, 200], over, ANSWERS).ok, "200 before the bridge");
    assert!(!referred(&[100, 180, 200], over, BRIDGE + 30).ok, "200 after the BYE");
    assert!(!referred(&[100, 180, 480], over, BRIDGE).ok);
}

#[test]
fn an_ai_that_is_not_hung_up_on_at_the_bridge_is_found() {
    assert!(!spoilt(signalling::ai_dropped, |call| call.record(&Role::Ai).sip[2].at = ms(BRIDGE + 900)).ok);
    assert!(!spoilt(signalling::ai_dropped, |call| drop(call.record(&Role::Ai).sip.pop())).ok);
}

#[test]
fn those_who_do_not_hear_each_other_are_found() {
    let deaf = |record: &mut Record, from: u64, to: u64| {
        let hush = packet(0, 0, 0, &[0xff; 160]).bytes;
        record
            .rtp_received
            .iter_mut()
            .filter(|seen| seen.at > ms(from) && seen.at < ms(to))
            .for_each(|seen| seen.bytes = hush.clone());
    };
    assert!(!spoilt(hearing::conversation, |call| deaf(call.record(&Role::Ai), 600, 1_400)).ok);
    assert!(!spoilt(hearing::bridge, |call| deaf(call.record(&michael()), BRIDGE, PARTED)).ok);
    assert!(!spoilt(hearing::bridge, |call| deaf(call.record(&Role::Caller), BRIDGE - 15, PARTED)).ok);
}

#[test]
fn a_caller_who_is_not_brought_back_to_the_ai_is_found() {
    let mut call = Sketch::warm();
    call.story = story("decline");
    call.record(&Role::Ai).notes = vec![note(BRIDGE, "ava-back")];
    let finding = hearing::bridge(&call.evidence()).unwrap();
    assert!(!finding.ok && finding.says.contains("back with the AI"));
}

#[test]
fn an_ae_who_is_heard_before_accepting_is_found() {
    assert!(!spoilt(hearing::caller_hears_no_ae, |call| leak(call.record(&Role::Caller), Pilot::Ae, 3_000, 3_100)).ok);
    assert!(!spoilt(hearing::caller_hears_no_ae, |call| drop(call.record(&michael()).notes.pop())).ok);
}

#[test]
fn a_briefing_that_reaches_the_caller_is_found() {
    let finding = spoilt(hearing::caller_hears_no_briefing, |call| {
        let briefing: Vec<Bytes> = call.record(&michael()).rtp_received.iter().map(|seen| seen.bytes.clone()).collect();
        let caller = call.record(&Role::Caller);
        let hears = caller.rtp_received.iter_mut().filter(|seen| seen.at >= ms(ANSWERS + 60) && seen.at < ms(ACCEPTS));
        hears.zip(briefing).for_each(|(seen, bytes)| seen.bytes = bytes);
    });
    assert!(!finding.ok, "{finding:?}");
}

/// A tone of 220 Hz with a little noise of its own.
fn hum(seed: u64) -> impl FnMut(u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    move |at| {
        let sample = |n: u64| f64::from(at as u32 * 8 + n as u32) * std::f64::consts::TAU * 220.0 / 8_000.0;
        (0..160).map(|n| g711::encode((sample(n).sin() * 6_000.0) as i16 + (dice.roll() % 401) as i16 - 200)).collect()
    }
}

#[test]
fn music_that_has_the_pitch_of_the_briefing_is_no_leak() {
    let finding = spoilt(hearing::caller_hears_no_briefing, |call| {
        for (role, seed) in [(Role::Caller, 21), (michael(), 22)] {
            let mut hum = hum(seed);
            let heard = call.record(&role).rtp_received.iter_mut().filter(|seen| seen.at >= ms(ANSWERS) && seen.at < ms(ACCEPTS));
            heard.for_each(|seen| seen.bytes = packet(0, 0, 0, &hum(seen.at.as_micros() / 1_000)).bytes);
        }
    });
    assert!(finding.ok, "{finding:?}");
}

#[test]
fn a_briefing_that_is_mixed_into_the_music_is_found() {
    let finding = spoilt(hearing::caller_hears_no_briefing, |call| {
        let briefing: Vec<Vec<i16>> = call.record(&michael()).rtp_received.iter().map(RtpSeen::samples).collect();
        let mut hum = hum(23);
        let caller = call.record(&Role::Caller);
        let hears = caller.rtp_received.iter_mut().filter(|seen| seen.at >= ms(ANSWERS + 60) && seen.at < ms(ACCEPTS));
        for (seen, briefing) in hears.zip(briefing) {
            let music = hum(seen.at.as_micros() / 1_000);
            let mixed = music.into_iter().zip(briefing).map(|(one, other)| g711::encode(g711::decode(one) / 2 + other));
            seen.bytes = packet(0, 0, 0, &mixed.collect::<Vec<u8>>()).bytes;
        }
    });
    assert!(!finding.ok, "{finding:?}");
}

#[test]
fn a_caller_who_is_heard_in_the_consult_is_found() {
    assert!(!spoilt(hearing::ae_hears_no_caller, |call| leak(call.record(&michael()), Pilot::Caller, 3_000, 3_100)).ok);
    assert!(!spoilt(hearing::ai_hears_nobody, |call| leak(call.record(&Role::Ai), Pilot::Caller, 3_000, 3_100)).ok);
}

#[test]
fn an_ai_that_lingers_is_found() {
    assert!(!spoilt(hearing::ai_gone, |call| leak(call.record(&Role::Caller), Pilot::Ai, BRIDGE, BRIDGE + 120)).ok);
    assert!(spoilt(hearing::ai_gone, |call| leak(call.record(&Role::Caller), Pilot::Ai, BRIDGE, ACCEPTS + 60)).ok);
    assert!(!spoilt(hearing::ai_gone, |call| leak(call.record(&michael()), Pilot::Ai, BRIDGE + 200, BRIDGE + 300)).ok);
}

#[test]
fn silence_at_the_caller_is_found_whether_packets_are_missing_or_empty() {
    let hush = packet(0, 0, 0, &[0xff; 160]).bytes;
    let quiet = spoilt(hearing::silence, |call| {
        let caller = call.record(&Role::Caller);
        let waits = caller.rtp_received.iter_mut().filter(|seen| seen.at > ms(2_500) && seen.at < ms(3_600));
        waits.for_each(|seen| seen.bytes = hush.clone());
    });
    let missing = spoilt(hearing::silence, |call| {
        call.record(&Role::Caller).rtp_received.retain(|seen| seen.at < ms(2_500) || seen.at > ms(3_600));
    });
    assert!(!quiet.ok && !missing.ok, "{quiet:?} {missing:?}");
}

#[test]
fn packets_lost_or_doubled_at_the_cut_over_are_found() {
    let at = |call: &mut Sketch, millis: u64| {
        call.record(&Role::Caller).rtp_received.iter().position(|seen| seen.at > ms(millis)).unwrap()
    };
    let lost = spoilt(stream::cut_over, |call| {
        let place = at(call, BRIDGE + 30);
        call.record(&Role::Caller).rtp_received.remove(place);
        renumber(call.record(&Role::Caller));
    });
    let doubled = spoilt(stream::cut_over, |call| {
        let place = at(call, BRIDGE + 30);
        let again = call.record(&Role::Caller).rtp_received[place].clone();
        call.record(&Role::Caller).rtp_received.insert(place, again);
    });
    let late = spoilt(stream::cut_over, |call| {
        call.record(&Role::Caller).rtp_received.retain(|seen| seen.at < ms(BRIDGE - 15) || seen.at > ms(BRIDGE + 110));
    });
    assert!(!lost.ok && !doubled.ok && !late.ok, "{lost:?} {doubled:?} {late:?}");
}

#[test]
fn packets_that_were_sent_late_in_a_burst_are_not_the_daemon_s() {
    let finding = spoilt(stream::cut_over, |call| {
        let burst = call.record(&michael()).rtp_sent.iter_mut().filter(|seen| seen.at >= ms(5_000) && seen.at < ms(5_060));
        burst.for_each(|seen| seen.at = ms(5_060));
        let caller = call.record(&Role::Caller);
        let place = caller.rtp_received.iter().position(|seen| seen.at > ms(5_025)).unwrap();
        caller.rtp_received.remove(place);
        renumber(caller);
    });
    assert!(finding.ok, "{finding:?}");
}

#[test]
fn a_break_in_a_stream_is_found() {
    assert!(!spoilt(stream::continuity, |call| call.record(&Role::Caller).rtp_received[70].sequence += 1).ok);
    assert!(!spoilt(stream::continuity, |call| call.record(&Role::Caller).rtp_received[70].ssrc = 2).ok);
    assert!(!spoilt(stream::continuity, |call| call.record(&michael()).rtp_received[70].timestamp += 1).ok);
}

#[test]
fn a_timestamp_may_jump_only_over_a_time_in_which_the_machine_stood_still() {
    let jumps = |stalls: Vec<(Mono, Mono)>| {
        let mut call = Sketch::warm();
        let caller = call.record(&Role::Caller);
        caller.rtp_received.retain(|seen| seen.at < ms(3_000) || seen.at > ms(3_500));
        caller.rtp_received.iter_mut().enumerate().for_each(|(n, seen)| seen.sequence = n as u16);
        let mut evidence = call.evidence();
        evidence.stalls = stalls;
        !stream::continuity(&evidence).unwrap().ok
    };
    assert!(jumps(Vec::new()) && jumps(vec![(ms(3_000), ms(3_200))]));
    assert!(!jumps(vec![(ms(3_000), ms(3_490))]));
}

#[test]
fn a_caller_without_packets_is_found_unless_it_was_the_stage_that_slept() {
    let gap = |stalls: Vec<(Mono, Mono)>| {
        let mut call = Sketch::warm();
        call.record(&Role::Caller).rtp_received.retain(|seen| seen.at < ms(3_000) || seen.at > ms(3_140));
        let mut evidence = call.evidence();
        evidence.stalls = stalls;
        stream::gap(&evidence).unwrap().ok
    };
    assert!(!gap(Vec::new()));
    assert!(gap(vec![(ms(3_000), ms(3_130))]));
}

#[test]
fn a_briefing_that_comes_late_or_never_is_found() {
    assert!(!spoilt(promises::briefing, |call| call.record(&michael()).notes[1].0 = ms(ANSWERS - 300)).ok);
    assert!(!spoilt(promises::briefing, |call| call.record(&michael()).rtp_received.clear()).ok);
}

#[test]
fn a_page_that_is_missing_late_or_about_somebody_else_is_found() {
    let page =
        |change: fn(&mut Pop)| spoilt(promises::screen_pop, |call| change(call.book.pops.get_mut("michael-warm").unwrap())).ok;
    assert!(!page(|pop| pop.status = 404));
    assert!(!page(|pop| pop.at = ms(INVITED + 200)));
    assert!(!page(|pop| pop.page = "nobody".to_owned()));
    assert!(!spoilt(promises::screen_pop, |call| call.book.pops.clear()).ok);
}

#[test]
fn a_stage_beyond_its_worst_case_is_found() {
    assert!(!spoilt(promises::budget, |call| call.transfer()["stages_ms"]["start"] = json!(1_001)).ok);
    assert!(!spoilt(promises::budget, |call| call.transfer()["stages_ms"] = json!({"start": 3})).ok);
}

/// A callback whose confirmation the caller hears at 5,000 ms.
fn promised(committed: Option<u64>) -> Sketch {
    let mut call = Sketch::of("callback", "sara-callback");
    let clip = crate::demo::wav::mulaw(include_bytes!("../../voice/prompts/callback-noted.wav"));
    let mut frames = clip.chunks(160).map(|frame| frame.iter().map(|sample| g711::encode(*sample)).collect::<Vec<u8>>());
    let caller = call.record(&Role::Caller);
    caller.notes = vec![note(4_000, "picks")];
    caller.rtp_received = stream_of(5_000, 6_500, |_| frames.next().unwrap_or(vec![0xff; 160]));
    caller.sip = vec![sip(7_000, false, "BYE sip:a SIP/2.0")];
    call.book.events = committed.map(|at| event(at, "callback.scheduled")).into_iter().collect();
    call.book.calendar =
        Some((ms(5_000), "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:x\r\nEND:VCALENDAR\r\n".to_owned()));
    call
}

#[test]
fn a_promise_that_is_spoken_before_it_is_on_disk_is_found() {
    let held = |call: Sketch| promises::callback_kept_on_disk(&call.evidence()).unwrap();
    assert!(held(promised(Some(4_100))).ok);
    assert!(!held(promised(Some(5_400))).ok);
    assert!(!held(promised(None)).ok);
    let mut never_spoken = promised(Some(4_100));
    never_spoken.record(&Role::Caller).rtp_received.clear();
    assert!(!held(never_spoken).ok);
}

#[test]
fn a_calendar_entry_that_is_missing_or_is_none_is_found() {
    let there = |call: Sketch| promises::calendar(&call.evidence()).unwrap().ok;
    assert!(there(promised(None)));
    let mut missing = promised(None);
    missing.book.calendar = None;
    let mut nonsense = promised(None);
    nonsense.book.calendar = Some((ms(1), "<html>".to_owned()));
    assert!(!there(missing) && !there(nonsense));
}
