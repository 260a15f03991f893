//! What must hold in every call, whatever happened in it.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_contract::EventKind;
use baton_party::Pilot;
use baton_time::Mono;

use crate::World;
use crate::hearing::{Made, Sound};

/// The caller is never without sound for longer than this while Baton owns what they hear.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// No packet of the AI reaches the caller later than this behind the human's first word, and none of the caller's the AI.
const SWITCH_MAX: Duration = Duration::from_millis(60);

/// Every n-th packet is listened to where only its owner matters.
const EVERY: usize = 3;

/// What does not hold, in words; where real time goes by, silence may last longer by `slack`.
pub fn faults(world: &World, slack: Duration) -> Vec<String> {
    let mut faults = outcomes(world);
    faults.extend(privacy(world));
    faults.extend(silence(world, SILENCE_MAX + slack));
    faults
}

/// Exactly one outcome for each transfer, one end for each call.
fn outcomes(world: &World) -> Vec<String> {
    let mut requested = BTreeMap::new();
    let mut faults = Vec::new();
    for event in &world.events {
        let Some(transfer) = event.transfer else { continue };
        let (asked, ended) = requested.entry(transfer).or_insert((0, 0));
        *asked += u32::from(event.kind == EventKind::TransferRequested);
        *ended += u32::from(event.kind == EventKind::TransferEnded);
    }
    for (id, (asked, ended)) in requested {
        if (asked, ended) != (1, 1) {
            faults.push(format!("transfer {id} was requested {asked} times and ended {ended} times"));
        }
    }
    let count = |kind: EventKind| world.events.iter().filter(|event| event.kind == kind).count();
    let (started, ended) = (count(EventKind::CallStarted), count(EventKind::CallEnded));
    if started != ended {
        faults.push(format!("{started} calls started and {ended} ended"));
    }
    faults
}

/// The instants that change who may hear whom.
#[derive(Default)]
struct Turns {
    /// An AE has accepted.
    accepted: Option<Mono>,
    /// A human drives, from and until.
    human: Vec<(Mono, Mono)>,
    /// A caller is passed on without a briefing: they hear the phone that is rung.
    passed_on: bool,
}

fn turns(world: &World) -> Turns {
    let mut turns = Turns::default();
    for event in &world.events {
        let at = world.instant_of(event);
        if event.kind == EventKind::Accepted {
            turns.accepted.get_or_insert(at);
        }
        if event.kind == EventKind::TransferRequested {
            turns.passed_on |= event.data.get("mode").and_then(|mode| mode.as_str()) == Some("cold");
        }
        if event.kind == EventKind::DriverChanged {
            if event.data.get("driver").and_then(|driver| driver.as_str()) == Some("human") {
                turns.human.push((at, Mono::from_micros(u64::MAX)));
            } else if let Some((_, until)) = turns.human.last_mut().filter(|(_, until)| *until > at) {
                *until = at;
            }
        }
    }
    turns
}

/// Nobody hears whom they must not.
fn privacy(world: &World) -> Vec<String> {
    let turns = turns(world);
    let mut faults = Vec::new();
    for index in 0..world.party_count() {
        let party = world.party(index);
        let who = party.identity().user.clone();
        for packet in party.record().rtp_received.iter().filter(|packet| packet.is_audio()).step_by(EVERY) {
            for pilot in Sound::of(packet).pilots {
                let human = turns.human.iter().any(|(from, until)| packet.at > *from + SWITCH_MAX && packet.at < *until);
                let accepted = turns.accepted.is_some_and(|at| packet.at >= at);
                let role = if index + 1 == world.party_count() { 1 } else { index };
                let wrong = match (role, pilot) {
                    (0, Pilot::Ai) | (1, Pilot::Caller) => human,
                    (0, Pilot::Caller) | (1, Pilot::Ai) => true,
                    (0, Pilot::Ae | Pilot::Backup) => !accepted && !turns.passed_on,
                    (2.., Pilot::Caller) => !accepted,
                    (1, Pilot::Ae | Pilot::Backup) | (2.., Pilot::Ai) => human || !world.ai_meets_ae,
                    (_, Pilot::Ae | Pilot::Backup) => true,
                };
                if wrong {
                    faults.push(format!("{who} hears {pilot:?} at {}", clock(packet.at)));
                    return faults;
                }
            }
        }
    }
    faults
}

/// The caller hears something all the time, unless it is a human who says nothing.
fn silence(world: &World, longest: Duration) -> Vec<String> {
    let turns = turns(world);
    let packets = &world.party(0).record().rtp_received;
    let mut last_packet: Option<Mono> = None;
    let mut last_sound: Option<Mono> = None;
    let holds = reinvites(world);
    for packet in packets.iter().filter(|packet| packet.is_audio()) {
        if last_packet.is_some_and(|last| holds.iter().any(|at| *at + SILENCE_MAX >= last && *at <= packet.at)) {
            last_packet = Some(packet.at); // Nothing is sent to a caller who holds (RFC 3264 §8.4).
            last_sound = Some(packet.at);
        }
        let message = world.messages.iter().any(|(from, until)| packet.at > *from && packet.at.since(*until) <= SILENCE_MAX);
        let owned = !message && !turns.human.iter().any(|(from, until)| packet.at > *from && packet.at <= *until + SILENCE_MAX);
        let is_late = |last: Mono| packet.at.since(last) > longest;
        if last_packet.is_some_and(|last| is_late(last) && world.listened(last, packet.at) > longest) {
            return vec![format!("the caller gets no packet for over a second before {}", clock(packet.at))];
        }
        if last_sound == last_packet && last_packet.is_some_and(is_late) {
            last_sound = Some(packet.at); // What was heard was heard all the time in which nobody listened.
        }
        last_packet = Some(packet.at);
        let sound = Sound::of(packet);
        if !sound.is_silence() || !owned || sound.made != Made::Nothing {
            last_sound = Some(packet.at);
        } else if packet.at.since(*last_sound.get_or_insert(packet.at)) > longest {
            return vec![format!("the caller hears nothing for over a second before {}", clock(packet.at))];
        }
    }
    Vec::new()
}

/// When the caller changed which way the audio goes.
fn reinvites(world: &World) -> Vec<Mono> {
    let caller = world.address(0);
    let offers = world.ladder.iter().filter(|rung| rung.from == caller && rung.bytes.starts_with(b"INVITE "));
    offers.skip(1).map(|rung| rung.at).collect()
}

/// An instant, as ladders show it.
pub fn clock(at: Mono) -> String {
    format!("{:.3} s", at.as_micros() as f64 / 1e6)
}
