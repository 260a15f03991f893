use std::time::Duration;

use super::stage::{AE, AI, CALLER, Got, ROOM, Stage, address, agreed};
use crate::key::KeyEvent;
use crate::rtp::Head;
use crate::sdp::KeyTypes;
use crate::{Codec, Command, Digits, Negotiated, Pair, Port, Scene, Source};

/// A phone that presses keys in the usual way: no sound meanwhile, one timestamp, numbers going on.
fn press(stage: &mut Stage, port: Port, code: u8, packets: u16) {
    press_part(stage, port, code, 1..=packets, true);
    release(stage, port);
}

fn press_part(stage: &mut Stage, port: Port, code: u8, packets: std::ops::RangeInclusive<u16>, ends: bool) {
    stage.talker(port).talks = false;
    let last = *packets.end();
    let timestamp = stage.talker(port).timestamp.wrapping_sub(160 * u32::from(packets.start() - 1));
    for number in packets {
        key_packet(stage, port, KeyEvent { code, end: false, duration: number * 160 }, timestamp, number == 1);
        stage.run(20);
    }
    for _ in 0..if ends { 3 } else { 0 } {
        key_packet(stage, port, KeyEvent { code, end: true, duration: last * 160 }, timestamp, false);
    }
}

fn release(stage: &mut Stage, port: Port) {
    stage.talker(port).talks = true;
}

fn key_packet(stage: &mut Stage, port: Port, event: KeyEvent, timestamp: u32, marker: bool) {
    let seq = stage.talker(port).seq;
    stage.talker(port).seq = seq.wrapping_add(1);
    let head = Head { marker, payload_type: 101, seq, timestamp, ssrc: port.0.into() };
    stage.packet(port, address(port), head, &event.payload());
}

fn bridged(digits: Digits) -> Stage {
    let mut stage = Stage::with_everybody(None, [0, 5_000, 9_000]);
    stage.connect(Negotiated { dtmf: Some(KeyTypes { payload_type: 101, remote_payload_type: 96 }), ..agreed(CALLER) });
    stage.scene(Scene::new(1).hear(CALLER, Source::Leg(AE)).hear(AE, Source::Leg(CALLER)).keys(AE, digits));
    stage.run(105);
    stage.take(CALLER);
    stage
}

fn keys_of(got: &[Got]) -> Vec<KeyEvent> {
    got.iter().filter(|got| got.payload_type == 96).map(|got| KeyEvent::parse(&got.payload).unwrap()).collect()
}

/// The keys that a leg got, each by its code and the timestamps that it had.
fn presses(got: &[Got]) -> Vec<(u8, usize)> {
    let mut presses: Vec<(u32, u8, usize)> = vec![];
    for packet in got.iter().filter(|got| got.payload_type == 96) {
        let code = packet.payload[0];
        match presses.last_mut() {
            Some((timestamp, _, count)) if *timestamp == packet.timestamp => *count += 1,
            _ => presses.push((packet.timestamp, code, 1)),
        }
    }
    presses.into_iter().map(|(_, code, count)| (code, count)).collect()
}

#[test]
fn a_key_is_told_once_at_its_first_packet_and_heard_by_nobody() {
    let mut stage = bridged(Digits::Consume);
    press_part(&mut stage, AE, 1, 1..=1, false);
    assert_eq!(stage.digits(), [(AE, '1')]);
    press_part(&mut stage, AE, 1, 2..=6, true);
    release(&mut stage, AE);
    stage.run(100);
    assert_eq!(stage.digits(), [(AE, '1')]);
    let got = stage.take(CALLER);
    assert_eq!(keys_of(&got), []);
    super::stage::assert_whole(&got, 50_000);
}

#[test]
fn a_key_passes_with_the_hearers_type_and_one_timestamp() {
    let mut stage = bridged(Digits::Pass);
    stage.run(40);
    press(&mut stage, AE, 5, 6);
    stage.run(100);
    let got = stage.take(CALLER);
    assert_eq!(presses(&got), [(5, 9)]);
    let keys = keys_of(&got);
    assert_eq!((keys[0].duration, keys[8].duration, keys[8].end), (160, 960, true));
    assert!(got.windows(2).all(|pair| pair[1].seq == pair[0].seq.wrapping_add(1)));
    assert_eq!(got.iter().filter(|got| got.payload_type == 96 && got.marker).count(), 1);
    let first_key = got.iter().position(|got| got.payload_type == 96).unwrap();
    let (before, key, after) = (&got[first_key - 1], &got[first_key], &got[first_key + 9]);
    assert_eq!(key.timestamp, before.timestamp.wrapping_add(160));
    assert!(after.said().is_some());
    assert_eq!(after.timestamp, key.timestamp.wrapping_add(960));
}

#[test]
fn the_tail_of_a_key_that_began_under_another_scene_is_swallowed() {
    let mut stage = bridged(Digits::Consume);
    stage.scene(Scene::new(2).hear(CALLER, Source::Music));
    press_part(&mut stage, AE, 1, 1..=3, false);
    stage.take(CALLER);
    stage.scene(Scene::new(3).hear(CALLER, Source::Leg(AE)).keys(AE, Digits::Pass));
    press_part(&mut stage, AE, 1, 4..=6, true);
    release(&mut stage, AE);
    stage.run(100);
    assert_eq!(keys_of(&stage.take(CALLER)), []);
    press(&mut stage, AE, 2, 6);
    assert_eq!(presses(&stage.take(CALLER)), [(2, 9)]);
    assert_eq!(stage.digits(), [(AE, '1'), (AE, '2')]);
}

const STAR_NINE: Digits = Digits::HoldPair(Pair { first: '*', then: '9', wait: Duration::from_millis(1_500) });

#[test]
fn any_pair_can_be_the_one_that_nobody_hears() {
    let mut stage = bridged(Digits::HoldPair(Pair { first: '#', then: '#', wait: Duration::from_millis(1_500) }));
    press(&mut stage, AE, 11, 6);
    stage.run(300);
    press(&mut stage, AE, 11, 6);
    stage.run(3_000);
    assert_eq!(presses(&stage.take(CALLER)), []);
    press(&mut stage, AE, 10, 6);
    assert_eq!(presses(&stage.take(CALLER)), [(10, 9)]);
    press(&mut stage, AE, 11, 6);
    stage.run(2_000);
    assert_eq!(presses(&stage.take(CALLER)), [(11, 8)]);
}

#[test]
fn a_star_is_held_back_and_let_go_if_no_nine_follows() {
    let mut stage = bridged(STAR_NINE);
    press(&mut stage, AE, 10, 6);
    stage.run(1_200);
    assert_eq!(presses(&stage.take(CALLER)), []);
    stage.run(500);
    let got = stage.take(CALLER);
    assert_eq!(presses(&got), [(10, 8)]);
    assert!(got.windows(2).all(|pair| pair[1].seq == pair[0].seq.wrapping_add(1)));
    assert_eq!(stage.digits(), [(AE, '*')]);
}

#[test]
fn star_nine_is_told_and_heard_by_nobody() {
    let mut stage = bridged(STAR_NINE);
    press(&mut stage, AE, 10, 6);
    stage.run(300);
    press(&mut stage, AE, 9, 6);
    stage.run(3_000);
    assert_eq!(presses(&stage.take(CALLER)), []);
    assert_eq!(stage.digits(), [(AE, '*'), (AE, '9')]);
}

#[test]
fn star_and_another_key_are_both_let_go_in_their_order() {
    let mut stage = bridged(STAR_NINE);
    press(&mut stage, AE, 10, 6);
    stage.run(300);
    press(&mut stage, AE, 4, 6);
    stage.run(3_000);
    assert_eq!(presses(&stage.take(CALLER)), [(10, 8), (4, 8)]);
    press(&mut stage, AE, 7, 6);
    assert_eq!(presses(&stage.take(CALLER)), [(7, 9)]);
}

#[test]
fn a_key_of_our_own_is_sent_beside_music_and_beside_a_voice() {
    for source in [Source::Music, Source::Leg(AE)] {
        let mut stage = bridged(Digits::Consume);
        stage.scene(Scene::new(2).hear(CALLER, source));
        stage.run(100);
        stage.take(CALLER);
        stage.command(Command::SendDigit { room: ROOM, port: CALLER, digit: '#' });
        stage.command(Command::SendDigit { room: ROOM, port: CALLER, digit: '?' });
        stage.run(500);
        let got = stage.take(CALLER);
        assert_eq!(presses(&got), [(11, 8)]);
        assert!(got.windows(2).all(|pair| pair[1].seq == pair[0].seq.wrapping_add(1)));
        assert!(got.last().is_some_and(|last| last.payload.len() == 160));
    }
}

#[test]
fn a_phone_without_telephone_event_is_listened_to_and_gets_none() {
    let mut stage = bridged(Digits::Pass);
    stage.connect(Negotiated { dtmf: None, ..agreed(AI) });
    stage.talkers.remove(&AI);
    stage.command(Command::SendDigit { room: ROOM, port: AI, digit: '1' });
    let wave = |hertz: f32, i: u32| (std::f32::consts::TAU * hertz * i as f32 / 8_000.0).sin() * 8_000.0;
    for number in 0..5u32 {
        let tone = |i| Codec::Pcmu.encode((wave(697.0, i) + wave(1_209.0, i)) as i16);
        let payload: Vec<u8> = (number * 160..number * 160 + 160).map(tone).collect();
        let head = Head { marker: false, payload_type: 0, seq: 60_000 + number as u16, timestamp: number * 160, ssrc: 77 };
        stage.packet(AI, address(AI), head, &payload);
        stage.run(20);
    }
    assert_eq!(stage.digits(), [(AI, '1')]);
    assert!(stage.take(AI).iter().all(|got| got.payload_type == 0));
}

#[test]
fn keys_lost_and_repeated_on_the_way_are_told_once_each() {
    let mut stage = bridged(Digits::Pass);
    for (timestamp, code) in [(1_000_000, 3), (1_002_000, 3), (1_004_000, 4)] {
        let event = KeyEvent { code, end: true, duration: 800 };
        for _ in 0..3 {
            key_packet(&mut stage, AE, event, timestamp, false);
        }
    }
    let short = stage.talker(AE).seq;
    stage.packet(
        AE,
        address(AE),
        Head { marker: false, payload_type: 101, seq: short, timestamp: 0, ssrc: AE.0.into() },
        &[1, 2],
    );
    assert_eq!(stage.digits(), [(AE, '3'), (AE, '3'), (AE, '4')]);
}
