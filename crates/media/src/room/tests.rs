use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;

use super::stage::{AE, AI, CALLER, Got, ROOM, Stage, address, agreed, assert_whole};
use crate::rtp::Head;
use crate::sdp::Direction;
use crate::{
    Channel, Clip, Codec, Command, Event, Fate, Negotiated, PlayId, Playlist, Port, Role, Sabotage, Scene, Source, TapId, Then,
};

fn conversation() -> Scene {
    Scene::new(1).hear(CALLER, Source::Leg(AI)).hear(AI, Source::Leg(CALLER))
}

fn prompt(id: u64, millis: usize, then: Then) -> Source {
    Source::Play(Playlist { id: PlayId(id), clips: vec![Arc::new(Clip::new("prompt", vec![4_000; millis * 8]))], then })
}

fn consult() -> Scene {
    Scene::new(2).hear(CALLER, Source::Music).hear(AE, prompt(1, 5_000, Then::Silence))
}

fn human() -> Scene {
    Scene::new(3).hear(CALLER, Source::Leg(AE)).hear(AE, Source::Leg(CALLER))
}

/// Numbers from a seed, for phases.
fn dice(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

fn said_by(got: &[Got], who: Port) -> Vec<u16> {
    got.iter().filter_map(Got::said).filter(|(port, _)| *port == who).map(|(_, number)| number).collect()
}

fn is_run(numbers: &[u16]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[test]
fn a_warm_transfer_is_one_stream_to_the_caller_at_any_phase() {
    let mut seed = 11;
    for _ in 0..200 {
        let mut roll = || dice(&mut seed, 20_000);
        let mut stage = Stage::with_everybody(None, [roll(), roll(), roll()]);
        let (to_consult, to_human) = (Duration::from_micros(400_000 + roll()), Duration::from_micros(900_000 + roll()));
        let start = stage.now;
        stage.scene(conversation());
        stage.run_until(start + to_consult);
        stage.scene(consult());
        stage.run_until(start + to_human);
        let (ae_spoken, caller_spoken) = (stage.talker(AE).spoken, stage.talker(CALLER).spoken);
        let at_ae = stage.take(AE);
        assert!(at_ae.iter().all(|got| got.said().is_none()), "the AE heard somebody before the bridge");
        stage.scene(human());
        let bridged = stage.now;
        stage.run(500);
        let at_caller = stage.take(CALLER);
        assert_whole(&at_caller, 20_000);
        let live: Vec<Got> = at_caller.iter().filter(|got| got.at >= bridged).cloned().collect();
        assert_eq!(said_by(&live, AI), []);
        let heard = said_by(&live, AE);
        assert_eq!(heard.first(), Some(&ae_spoken), "the first packet of the AE is heard");
        assert!(is_run(&heard) && heard.len() >= 24, "none of the AE's packets is lost");
        assert!(
            live.iter().skip_while(|got| got.said().is_none()).all(|got| got.said().is_some()),
            "music ends at the AE's voice"
        );
        let at_ae = stage.take(AE);
        assert_eq!(said_by(&at_ae, CALLER).first(), Some(&caller_spoken));
        assert!(at_caller[0].marker);
        for pair in at_caller.windows(2) {
            let is_swap = pair[0].said().map(|(who, _)| who) != pair[1].said().map(|(who, _)| who);
            assert_eq!(pair[1].marker, is_swap, "a marker at the first packet of each input, {:?}", pair[1].at);
        }
    }
}

#[test]
fn a_live_leg_follows_another_one_without_a_hole() {
    let mut seed = 5;
    for _ in 0..200 {
        let mut roll = || dice(&mut seed, 20_000);
        let mut stage = Stage::with_everybody(None, [roll(), roll(), roll()]);
        stage.scene(conversation());
        stage.run_until(stage.now + Duration::from_micros(300_000 + roll()));
        let ae_spoken = stage.talker(AE).spoken;
        stage.scene(human());
        let bridged = stage.now;
        stage.run(300);
        let at_caller = stage.take(CALLER);
        assert_whole(&at_caller, 20_000);
        let live: Vec<Got> = at_caller.into_iter().filter(|got| got.at >= bridged).collect();
        assert_eq!((said_by(&live, AI), said_by(&live, AE)[0]), (vec![], ae_spoken));
    }
}

#[test]
fn each_scene_lets_everybody_hear_just_whom_it_says() {
    let nobody: &[Port] = &[];
    let play = || prompt(9, 60, Then::Music);
    let table: [(&str, Scene, [&[Port]; 3]); 8] = [
        ("conversation", conversation(), [&[AI], &[CALLER], nobody]),
        ("consult with music", consult(), [nobody; 3]),
        ("consult with AI", conversation().hear(AE, prompt(2, 900, Then::Silence)), [&[AI], &[CALLER], nobody]),
        (
            "live briefing",
            Scene::new(4).hear(CALLER, Source::Music).hear(AI, Source::Leg(AE)).hear(AE, Source::Leg(AI)),
            [nobody, &[AE], &[AI]],
        ),
        ("human", human(), [&[AE], nobody, &[CALLER]]),
        ("announcement", Scene::new(5).hear(CALLER, play()), [nobody; 3]),
        ("AE holds", Scene::new(6).hear(CALLER, Source::Music), [nobody; 3]),
        ("nothing said", Scene::new(7), [nobody; 3]),
    ];
    for (name, scene, heard) in &table {
        for (before, first, _) in &table {
            let mut stage = Stage::with_everybody(None, [1_000, 8_000, 15_000]);
            stage.scene(first.clone());
            stage.run(200);
            for port in [CALLER, AI, AE] {
                stage.take(port);
            }
            stage.scene(scene.clone());
            stage.run(200);
            for (port, expected) in [CALLER, AI, AE].into_iter().zip(heard) {
                let got = stage.take(port);
                let who: BTreeSet<Port> = got.iter().filter_map(Got::said).map(|(who, _)| who).collect();
                assert_eq!(who, expected.iter().copied().collect(), "{before} -> {name}: {port:?}");
                assert!(got.len() >= 9, "{before} -> {name}: {port:?} is without packets");
                assert_whole(&got, 20_000);
            }
        }
    }
}

#[test]
fn no_leg_hears_anything_before_it_is_connected_and_none_is_left_without_packets_after() {
    let mut stage = Stage::new(None);
    stage.open(CALLER, Role::Caller);
    stage.scene(Scene::new(1).hear(CALLER, Source::Music));
    stage.run(500);
    assert_eq!((stage.take(CALLER), stage.room.poll_timeout()), (vec![], None));
    let connected = stage.now;
    stage.connect(agreed(CALLER));
    stage.run(100);
    let got = stage.take(CALLER);
    assert_eq!((got[0].at, got[0].marker, got.len()), (connected, true, 5));
    assert!(got.iter().all(|got| got.payload[0] == Codec::Pcmu.encode(2_000)));
}

#[test]
fn a_leg_that_pauses_is_replaced_by_silence_and_taken_up_again() {
    let mut stage = Stage::with_everybody(None, [0, 5_000, 9_000]);
    stage.scene(human());
    stage.run(200);
    stage.talker(AE).talks = false;
    stage.run(300);
    stage.talker(AE).talks = true;
    stage.run(200);
    let got = stage.take(CALLER);
    assert_whole(&got, 50_000);
    let heard = said_by(&got, AE);
    assert!(is_run(&heard) && heard.len() >= 19, "{heard:?}");
    let silent = got.iter().filter(|got| got.payload.iter().all(|octet| *octet == 0xFF)).count();
    assert!((13..=16).contains(&silent), "{silent}");
}

#[test]
fn what_is_lost_or_overtaken_before_us_stays_so_and_nothing_comes_twice() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.talkers.remove(&AE);
    stage.scene(human());
    stage.run(100);
    stage.take(CALLER);
    let head = |seq: u16| Head { marker: false, payload_type: 0, seq, timestamp: u32::from(seq) * 160, ssrc: 9 };
    for seq in [10, 11, 13, 12, 12, 15, 16] {
        stage.packet(AE, address(AE), head(seq), &[0x30; 160]);
    }
    let got = stage.take(CALLER);
    let base = got[0].seq;
    assert_eq!(got.iter().map(|got| got.seq.wrapping_sub(base)).collect::<Vec<_>>(), [0, 1, 3, 2, 5, 6]);
    assert!(
        got.iter()
            .all(|packet| packet.timestamp.wrapping_sub(got[0].timestamp) == u32::from(packet.seq.wrapping_sub(base)) * 160)
    );
}

#[test]
fn a_stream_of_hours_keeps_its_places() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.talkers.remove(&AE);
    stage.talkers.remove(&AI);
    stage.scene(Scene::new(1).hear(CALLER, Source::Leg(AE)));
    for number in 0..80_000u32 {
        let head = Head { marker: false, payload_type: 0, seq: number as u16, timestamp: number * 160, ssrc: 9 };
        stage.packet(AE, address(AE), head, &[0x30; 160]);
        stage.now = stage.now + Duration::from_millis(20);
    }
    let got = stage.take(CALLER);
    assert_eq!(got.len(), 80_000);
    assert_whole(&got[1..], 20_000);
}

#[test]
fn laws_are_transcoded_and_packet_times_are_cut_anew() {
    for (theirs_ms, ours_ms) in [(20, 20), (20, 30), (30, 20), (20, 40), (40, 20), (10, 20)] {
        let mut stage = Stage::with_everybody(None, [0, 5_000, 9_000]);
        stage.connect(Negotiated { codec: Codec::Pcma, remote_payload_type: 8, ptime_ms: ours_ms, ..agreed(CALLER) });
        stage.talker(AE).ptime = Duration::from_millis(theirs_ms);
        stage.scene(human());
        stage.run(600);
        stage.scene(Scene::new(4).hear(CALLER, Source::Music));
        stage.run(200);
        let got = stage.take(CALLER);
        assert_whole(&got[3..], theirs_ms.max(u64::from(ours_ms)) * 1_000 + 20_000);
        let voice = Codec::Pcma.encode(Codec::Pcmu.decode(0x30));
        let heard = got.iter().flat_map(|got| &got.payload).filter(|octet| **octet == voice).count();
        assert!(heard >= 4_000, "{theirs_ms} -> {ours_ms}: {heard}");
        assert!(got[3..].iter().all(|got| got.payload.len() == usize::from(ours_ms) * 8 && got.payload_type == 8));
    }
}

#[test]
fn prompts_tell_when_they_begin_and_end_and_go_on_over_a_swap_with_the_same_id() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.run(55);
    let asked = stage.now;
    stage.scene(Scene::new(1).hear(CALLER, prompt(7, 100, Then::Music)));
    stage.run(50);
    stage.scene(Scene::new(2).hear(CALLER, prompt(7, 100, Then::Music)).hear(AI, Source::Music));
    stage.run(200);
    let play = PlayId(7);
    let told: Vec<&Event> =
        stage.events.iter().filter(|event| matches!(event, Event::PlayStarted { .. } | Event::PlayEnded { .. })).collect();
    let [Event::PlayStarted { at: began, .. }, Event::PlayEnded { at: ended, .. }] = told[..] else { panic!("{told:?}") };
    assert!(began.since(asked) <= Duration::from_millis(20));
    assert_eq!(ended.since(*began), Duration::from_millis(80));
    assert_eq!(told[0], &Event::PlayStarted { room: ROOM, port: CALLER, play, at: *began });
    assert_whole(&stage.take(CALLER), 20_000);
}

#[test]
fn a_switch_is_told_with_its_scene_and_its_gap() {
    let mut stage = Stage::with_everybody(None, [0, 5_000, 9_000]);
    stage.run(100);
    stage.events.clear();
    stage.scene(human());
    stage.run(100);
    let told = |port| {
        stage.events.iter().find_map(|event| {
            let Event::Switched { port: at, serial, live: true, gap_us, .. } = event else { return None };
            (*at == port).then_some((*serial, *gap_us))
        })
    };
    assert_eq!(told(CALLER), Some((3, Some(9_000))));
    assert_eq!(told(AE), Some((3, Some(20_000))));
    assert_eq!(told(AI), None);
    stage.events.clear();
    stage.scene(Scene { serial: 4, ..human() });
    let again = |port| Event::Switched { room: ROOM, port, serial: 4, live: true, gap_us: None, at: stage.now };
    assert_eq!(stage.events, [again(CALLER), again(AE)]);
}

#[test]
fn a_leg_that_goes_quiet_is_lost_by_and_by_and_comes_back() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.run(100);
    stage.events.clear();
    stage.talker(AE).talks = false;
    stage.run(11_000);
    let lost = |silent_ms| Event::Lost { room: ROOM, port: AE, silent_ms };
    assert_eq!(stage.events, [lost(1_000), lost(2_000), lost(10_000)]);
    assert_eq!(stage.latches.last(), Some(&(AE, None)));
    stage.talker(AE).talks = true;
    stage.run(100);
    assert_eq!(stage.events.last(), Some(&Event::Back { room: ROOM, port: AE }));
    assert_eq!(stage.latches.last(), Some(&(AE, Some(address(AE)))));
}

#[test]
fn a_leg_on_hold_gets_nothing_is_not_lost_and_goes_on_where_time_is() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.run(100);
    let before = stage.take(CALLER).pop().unwrap();
    stage.connect(Negotiated { direction: Direction::Inactive, ..agreed(CALLER) });
    stage.talker(CALLER).talks = false;
    stage.events.clear();
    stage.run(3_000);
    assert_eq!((stage.take(CALLER), stage.events.as_slice()), (vec![], [].as_slice()));
    stage.connect(agreed(CALLER));
    stage.run(100);
    let after = stage.take(CALLER).swap_remove(0);
    assert_eq!((after.seq, after.marker), (before.seq.wrapping_add(1), true));
    let samples = after.timestamp.wrapping_sub(before.timestamp);
    assert!((23_840..=24_480).contains(&samples), "{samples}");
}

#[test]
fn strangers_and_rubbish_are_dropped_and_counted() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.scene(human());
    stage.run(200);
    let heard = said_by(&stage.take(CALLER), AE).len();
    let thief = "203.0.113.9:4444".parse().unwrap();
    for seq in 0..20 {
        stage.packet(AE, thief, Head { marker: false, payload_type: 0, seq, timestamp: 0, ssrc: 1 }, &[0x5A; 160]);
    }
    stage.datagram(AE, Channel::Rtp, address(AE), b"");
    stage.datagram(AE, Channel::Rtp, address(AE), &[0x80; 5]);
    stage.packet(AE, address(AE), Head { marker: false, payload_type: 77, seq: 0xEAAA, timestamp: 0, ssrc: 3 }, &[1; 50]);
    assert_eq!(stage.take(CALLER), []);
    stage.command(Command::Close { room: ROOM, port: AE });
    let Some(Event::Closed { stats, .. }) = stage.events.pop() else { panic!("not closed") };
    let of = |fate| stats.packets.of(fate);
    assert_eq!((of(Fate::Spoofed), of(Fate::Malformed), of(Fate::Forwarded)), (20, 3, heard as u64));
}

#[test]
fn a_flood_from_the_right_address_is_cut() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.scene(human());
    for seq in 0..2_000 {
        stage.packet(AE, address(AE), Head { marker: false, payload_type: 0, seq, timestamp: 0, ssrc: 1 }, &[0x30; 160]);
    }
    assert!(stage.take(CALLER).len() <= 51);
}

#[test]
fn after_a_standstill_the_stream_goes_on_without_catching_up() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.talkers.clear();
    stage.scene(Scene::new(1).hear(CALLER, Source::Music));
    stage.run(100);
    let before = stage.take(CALLER).pop().unwrap();
    stage.now = stage.now + Duration::from_secs(3);
    stage.run(100);
    let got = stage.take(CALLER);
    assert!(got.len() <= 6, "{}", got.len());
    assert_eq!(got[0].seq, before.seq.wrapping_add(1));
    assert!((23_000..=25_000).contains(&got[0].timestamp.wrapping_sub(before.timestamp)));
}

#[test]
fn everybody_hears_both_others_in_an_introduction() {
    let mut stage = Stage::with_everybody(None, [0, 5_000, 9_000]);
    stage.scene(Scene::new(1).hear(CALLER, Source::Mix(vec![AI, AE])).hear(AE, Source::Mix(vec![CALLER, AI])));
    stage.run(300);
    let got = stage.take(CALLER);
    assert_whole(&got, 20_000);
    let one = i32::from(Codec::Pcmu.decode(0x30));
    let sum = i32::from(Codec::Pcmu.decode(got.last().unwrap().payload[100]));
    assert!((sum - 2 * one).abs() <= one.abs() / 8, "{sum} is not twice {one}");
}

#[test]
fn reports_go_where_the_far_end_said_and_tell_what_was_sent() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.connect(Negotiated { rtcp_mux: true, ..agreed(AI) });
    stage.run(6_000);
    let of = |port| stage.reports.iter().find(|report| report.0 == port).unwrap();
    let (_, channel, to, bytes) = of(CALLER);
    assert_eq!((*channel, to.port(), bytes[1]), (Channel::Rtcp, address(CALLER).port() + 1, 200));
    assert_eq!((of(AI).1, of(AI).2), (Channel::Rtp, address(AI)));
    assert!((3..=6).contains(&stage.reports.len()), "{}", stage.reports.len());
}

#[test]
fn an_idle_room_wants_nothing() {
    let mut stage = Stage::with_everybody(None, [0, 0, 0]);
    stage.run(100);
    stage.command(Command::CloseRoom { room: ROOM });
    assert_eq!((stage.room.poll_timeout(), stage.room.is_empty()), (None, true));
    assert_eq!(stage.events.iter().filter(|event| matches!(event, Event::Closed { .. })).count(), 3);
}

#[test]
fn each_sabotage_does_its_harm() {
    let play = |sabotage| {
        let mut stage = Stage::with_everybody(Some(sabotage), [0, 5_000, 9_000]);
        stage.scene(conversation());
        stage.run(1_000);
        stage.take(CALLER);
        stage.scene(consult());
        stage.run(500);
        let consult = stage.take(CALLER);
        stage.scene(human());
        stage.run(1_000);
        (consult, stage.take(CALLER))
    };
    assert!(!said_by(&play(Sabotage::LeakConsult).0, AE).is_empty());
    assert_eq!(said_by(&play(Sabotage::AiLingers).1, AI).len(), 25);
    let dropped = play(Sabotage::DropCutover).1;
    assert_eq!(dropped.windows(2).filter(|pair| pair[1].seq.wrapping_sub(pair[0].seq) == 7).count(), 1);
    assert!(play(Sabotage::Silence).0.iter().all(|got| got.payload.iter().all(|octet| *octet == 0xFF)));
}

#[test]
fn time_is_kept_to_the_microsecond_over_a_minute() {
    let mut stage = Stage::new(None);
    stage.open(CALLER, Role::Caller);
    stage.connect(agreed(CALLER));
    stage.run(60_000);
    let got = stage.take(CALLER);
    assert_eq!(got.len(), 3_000);
    assert_eq!(got[2_999].at, Mono::from_millis(1_000 + 59_980));
}

#[test]
fn no_datagram_makes_a_room_panic_or_breaks_its_streams() {
    let mut stage = Stage::with_everybody(None, [0, 5_000, 9_000]);
    stage.connect(Negotiated { ptime_ms: 30, ..agreed(AI) });
    stage
        .scene(Scene::new(1).hear(CALLER, Source::Leg(AE)).hear(AE, Source::Mix(vec![CALLER, AI])).hear(AI, Source::Leg(CALLER)));
    let mut seed = 3;
    for round in 0..20_000 {
        let port = [CALLER, AI, AE][dice(&mut seed, 3) as usize];
        let channel = if dice(&mut seed, 8) == 0 { Channel::Rtcp } else { Channel::Rtp };
        let length = [0, 1, 3, 11, 12, 13, 16, 16, 28, 52, 172, 172, 1_400][dice(&mut seed, 13) as usize];
        let mut bytes: Vec<u8> = (0..length).map(|_| dice(&mut seed, 256) as u8).collect();
        for (at, octet) in [0x80, [0, 8, 13, 101, 200, 0x80][dice(&mut seed, 6) as usize]].into_iter().enumerate() {
            if let Some(slot) = bytes.get_mut(at).filter(|_| dice(&mut seed, 4) > 0) {
                *slot = octet;
            }
        }
        stage.datagram(port, channel, address(port), &bytes);
        if round % 4 == 0 {
            stage.run(dice(&mut seed, 8));
        }
    }
    for port in [CALLER, AI, AE] {
        let got = stage.take(port);
        assert!(got.len() > 200, "{port:?} got {} packets", got.len());
        let numbers: BTreeSet<u16> = got.iter().map(|got| got.seq).collect();
        assert_eq!(numbers.len(), got.len(), "{port:?}: a number came twice");
    }
}

#[test]
fn what_a_tapped_leg_says_is_copied_until_the_tap_ends_and_nothing_else_is() {
    let mut stage = Stage::with_everybody(None, [0, 3_000, 7_000]);
    stage.scene(Scene::new(1).hear(CALLER, Source::Leg(AI)).hear(AI, Source::Leg(CALLER)));
    stage.run(100);
    stage.command(Command::Tap { room: ROOM, port: CALLER, tap: Some(TapId(7)) });
    stage.run(200);
    let copies = std::mem::take(&mut stage.tapped);
    assert_eq!(copies.len(), 10);
    assert!(copies.iter().all(|copy| copy.tap == TapId(7) && copy.codec == Codec::Pcmu && copy.samples().count() == 160));
    stage.command(Command::Tap { room: ROOM, port: CALLER, tap: None });
    stage.run(200);
    assert_eq!(stage.tapped, []);
}

#[test]
fn a_leg_that_was_told_not_to_send_is_not_copied() {
    let mut stage = Stage::with_everybody(None, [0, 3_000, 7_000]);
    stage.command(Command::Tap { room: ROOM, port: CALLER, tap: Some(TapId(7)) });
    stage.connect(Negotiated { direction: Direction::SendOnly, ..agreed(CALLER) });
    stage.run(200);
    assert_eq!(stage.tapped, []);
}

#[test]
fn the_end_of_what_a_leg_says_is_told_once() {
    let mut stage = Stage::with_everybody(None, [0, 3_000, 7_000]);
    let quiet = |stage: &Stage| stage.events.iter().filter(|event| matches!(event, Event::Quiet { port: CALLER, .. })).count();
    stage.command(Command::AwaitQuiet { room: ROOM, port: CALLER, after: Some(Duration::from_secs(2)) });
    stage.run(3_000);
    assert_eq!(quiet(&stage), 0, "they speak all the time");
    stage.talker(CALLER).talks = false;
    stage.run(1_900);
    assert_eq!(quiet(&stage), 0);
    stage.run(3_000);
    assert_eq!(quiet(&stage), 1);
    stage.command(Command::AwaitQuiet { room: ROOM, port: CALLER, after: Some(Duration::from_secs(2)) });
    stage.command(Command::AwaitQuiet { room: ROOM, port: CALLER, after: None });
    stage.run(5_000);
    assert_eq!(quiet(&stage), 1);
}

#[test]
fn a_sum_counts_as_switched_with_its_first_sound() {
    let mut stage = Stage::with_everybody(None, [0, 3_000, 7_000]);
    stage.talker(AI).talks = false;
    stage.talker(AE).talks = false;
    stage.run(100);
    let switched = |stage: &Stage| {
        let is = |event: &Event| matches!(event, Event::Switched { port: CALLER, serial: 1, live: true, .. });
        stage.events.iter().filter(|event| is(event)).count()
    };
    stage.scene(Scene::new(1).hear(CALLER, Source::Mix(vec![AI, AE])));
    stage.run(500);
    assert_eq!(switched(&stage), 0);
    stage.talker(AE).talks = true;
    stage.run(100);
    assert_eq!(switched(&stage), 1);
}
