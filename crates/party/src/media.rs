//! The sound of one call: packets every 20 ms by its own clock, with the pilot in all of them, and an ear.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;
use rtp_rs::{RtpPacketBuilder, RtpReader};

use crate::g711;
use crate::record::{RtpSeen, Track};
use crate::sdp::RemoteMedia;
use crate::tone::{Dice, Pilot, PilotSource, hears, loudness_dbfs};

/// Samples in a packet.
pub(crate) const FRAME: usize = 160;
/// Time in a packet.
pub(crate) const PTIME: Duration = Duration::from_millis(20);
/// Anything louder than this is a voice or music: a pilot alone stays 5 dB below.
const VOICE_DBFS: f64 = -35.0;
/// Packets of one key press before its three last ones (RFC 4733 §2.5.1.4 sends the end three times).
const KEY_PACKETS: u16 = 5;
const KEY_ENDS: u16 = 3;
/// A sender that fell further behind than this starts anew instead of sending a burst.
const LATEST: Duration = Duration::from_millis(200);

pub(crate) struct Media {
    local: SocketAddr,
    remote: RemoteMedia,
    pilot: PilotSource,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    next_at: Mono,
    first: bool,
    line: Option<(Arc<[i16]>, usize)>,
    key: Option<Key>,
    muted: bool,
}

struct Key {
    event: u8,
    timestamp: u32,
    sent: u16,
}

/// What is known about what is heard.
#[derive(Default)]
pub(crate) struct Ear {
    anchor: Option<(u32, u32, usize)>,
    last_voice: Option<Mono>,
    last_pilot: BTreeMap<Pilot, Mono>,
}

impl Media {
    pub(crate) fn new(now: Mono, local: SocketAddr, remote: RemoteMedia, pilot: Pilot, dice: &mut Dice) -> Media {
        Media {
            local,
            remote,
            pilot: PilotSource::new(pilot, dice.roll()),
            ssrc: dice.roll() as u32,
            sequence: dice.roll() as u16 & 0x7fff,
            timestamp: dice.roll() as u32,
            next_at: now,
            first: true,
            line: None,
            key: None,
            muted: false,
        }
    }

    /// Sends elsewhere from now on.
    pub(crate) fn follow(&mut self, remote: RemoteMedia) {
        self.remote = remote;
    }

    pub(crate) fn next_at(&self) -> Mono {
        self.next_at
    }

    pub(crate) fn say(&mut self, line: Arc<[i16]>) {
        self.line = Some((line, 0));
    }

    pub(crate) fn is_speaking(&self) -> bool {
        self.line.is_some()
    }

    /// Whether there is a word or a key in what it sends.
    pub(crate) fn is_busy(&self) -> bool {
        self.line.is_some() || self.key.is_some()
    }

    /// Sends nothing, or goes on.
    pub(crate) fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Begins to press a key; `false` if the key is none or the far side takes no telephone-event.
    pub(crate) fn press(&mut self, key: char) -> bool {
        let event = match key {
            '0'..='9' => key as u8 - b'0',
            '*' => 10,
            '#' => 11,
            _ => return false,
        };
        self.key = Some(Key { event, timestamp: self.timestamp, sent: 0 });
        self.remote.telephone_event.is_some()
    }

    /// Makes what is due; the audio of each frame is laid on `sent`.
    pub(crate) fn tick(&mut self, now: Mono, sent: &mut Track) -> Vec<RtpSeen> {
        if now.since(self.next_at) > LATEST {
            self.next_at = now;
        }
        let mut packets = Vec::new();
        while self.next_at <= now {
            if self.muted {
                self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
                self.next_at = self.next_at + PTIME;
                continue;
            }
            let mut frame = self.next_frame();
            self.pilot.mix_into(&mut frame);
            let payload: Vec<u8> = frame.iter().map(|sample| g711::encode(*sample)).collect();
            let heard_far: Vec<i16> = payload.iter().map(|byte| g711::decode(*byte)).collect();
            sent.lay(sent.place(self.next_at), &heard_far);
            let marker = std::mem::take(&mut self.first);
            packets.extend(self.packet(now, 0, self.timestamp, marker, &payload));
            packets.extend(self.key_packet(now));
            self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
            self.next_at = self.next_at + PTIME;
        }
        packets
    }

    fn next_frame(&mut self) -> [i16; FRAME] {
        let mut frame = [0; FRAME];
        let Some((line, at)) = &mut self.line else { return frame };
        let rest = line.get(*at..).unwrap_or_default();
        let taken = rest.len().min(FRAME);
        frame[..taken].copy_from_slice(&rest[..taken]);
        *at += taken;
        if *at >= line.len() {
            self.line = None;
        }
        frame
    }

    fn key_packet(&mut self, now: Mono) -> Option<RtpSeen> {
        let payload_type = self.remote.telephone_event?;
        let mut key = self.key.take()?;
        key.sent += 1;
        let over = key.sent > KEY_PACKETS;
        let duration = (key.sent.min(KEY_PACKETS + 1) * FRAME as u16).to_be_bytes();
        let payload = [key.event, if over { 0x80 | 10 } else { 10 }, duration[0], duration[1]];
        let packet = self.packet(now, payload_type, key.timestamp, key.sent == 1, &payload);
        if key.sent < KEY_PACKETS + KEY_ENDS {
            self.key = Some(key);
        }
        packet
    }

    fn packet(&mut self, now: Mono, payload_type: u8, timestamp: u32, marker: bool, payload: &[u8]) -> Option<RtpSeen> {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let built = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .marked(marker)
            .sequence(sequence.into())
            .timestamp(timestamp)
            .ssrc(self.ssrc)
            .payload(payload)
            .build();
        read(now, self.local, self.remote.rtp, Bytes::from(built.ok()?))
    }
}

/// Reads a packet; `None` for what is no RTP (RTCP that shares the port among it, RFC 5761 §4).
pub(crate) fn read(at: Mono, local: SocketAddr, remote: SocketAddr, bytes: Bytes) -> Option<RtpSeen> {
    let reader = RtpReader::new(&bytes).ok()?;
    let payload_type = reader.payload_type();
    if (64..96).contains(&payload_type) {
        return None;
    }
    let (sequence, timestamp, ssrc, marker) =
        (u16::from(reader.sequence_number()), reader.timestamp(), reader.ssrc(), reader.mark());
    let payload_at = reader.payload_offset();
    Some(RtpSeen { at, local, remote, bytes, sequence, timestamp, ssrc, marker, payload_type, payload_at })
}

impl Ear {
    /// Takes a packet in: lays its audio on `heard`, where its timestamp says it belongs.
    pub(crate) fn hear(&mut self, packet: &RtpSeen, listening_for: Option<Pilot>, heard: &mut Track) {
        if !packet.is_audio() {
            return;
        }
        let samples = packet.samples();
        heard.lay(self.place(packet, heard.place(packet.at)), &samples);
        if loudness_dbfs(&samples) > VOICE_DBFS {
            self.last_voice = Some(packet.at);
        }
        if let Some(pilot) = listening_for.filter(|pilot| hears(&samples, *pilot)) {
            self.last_pilot.insert(pilot, packet.at);
        }
    }

    /// Where the packet belongs by its timestamp, as long as that is not far from when it came.
    fn place(&mut self, packet: &RtpSeen, arrived: usize) -> usize {
        const FAR: usize = 4 * FRAME;
        if let Some((ssrc, timestamp, place)) = self.anchor {
            let ahead = packet.timestamp.wrapping_sub(timestamp) as i32 as isize;
            let due = place.saturating_add_signed(ahead);
            if ssrc == packet.ssrc && due.abs_diff(arrived) <= FAR {
                return due;
            }
        }
        self.anchor = Some((packet.ssrc, packet.timestamp, arrived));
        arrived
    }

    pub(crate) fn voice_since(&self, then: Mono) -> bool {
        self.last_voice.is_some_and(|at| at >= then)
    }

    pub(crate) fn pilot_since(&self, pilot: Pilot, then: Mono) -> bool {
        self.last_pilot.get(&pilot).is_some_and(|at| *at >= then)
    }

    /// When it will have been quiet for `span`, counted from `then` on, if nothing more is heard.
    pub(crate) fn quiet_at(&self, then: Mono, span: Duration) -> Mono {
        self.last_voice.map_or(then, |at| at.max(then)) + span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(telephone_event: Option<u8>) -> Media {
        let remote = RemoteMedia { rtp: "127.0.0.1:4002".parse().unwrap(), telephone_event };
        Media::new(Mono::ZERO, "127.0.0.1:4000".parse().unwrap(), remote, Pilot::Ai, &mut Dice::new(1))
    }

    #[test]
    fn packets_leave_every_20_ms_with_sequence_and_timestamp_unbroken() {
        let (mut media, mut sent) = (media(None), Track::default());
        let packets: Vec<_> = (0..50).flat_map(|n| media.tick(Mono::from_millis(n * 20 + 3), &mut sent)).collect();
        assert_eq!(packets.len(), 50);
        for pair in packets.windows(2) {
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
        }
        assert!(packets[0].marker && !packets[1].marker);
        assert!(hears(&packets[7].samples(), Pilot::Ai));
    }

    #[test]
    fn a_sender_that_was_held_up_for_long_sends_no_burst() {
        let (mut media, mut sent) = (media(None), Track::default());
        media.tick(Mono::ZERO, &mut sent);
        assert_eq!(media.tick(Mono::from_millis(5_000), &mut sent).len(), 1);
    }

    #[test]
    fn a_key_goes_out_beside_the_audio_with_one_timestamp_and_three_ends() {
        let (mut media, mut sent) = (media(Some(96)), Track::default());
        assert!(media.press('*'));
        let packets: Vec<_> = (0..20).flat_map(|n| media.tick(Mono::from_millis(n * 20), &mut sent)).collect();
        let (audio, key): (Vec<_>, Vec<_>) = packets.into_iter().partition(RtpSeen::is_audio);
        assert_eq!((audio.len(), key.len()), (20, 8));
        assert!(key.iter().all(|packet| packet.payload()[0] == 10 && packet.timestamp == key[0].timestamp));
        assert_eq!(key.iter().filter(|packet| packet.payload()[1] & 0x80 != 0).count(), 3);
        assert_eq!(u16::from_be_bytes([key[7].payload()[2], key[7].payload()[3]]), 960);
    }

    #[test]
    fn a_key_cannot_be_pressed_towards_a_side_that_takes_none_nor_one_that_is_none() {
        assert!(!media(None).press('1'));
        assert!(!media(Some(101)).press('A'));
    }

    #[test]
    fn an_ear_lays_late_packets_where_they_belong() {
        let (mut media, mut sent) = (media(None), Track::default());
        let (mut ear, mut heard) = (Ear::default(), Track::default());
        for n in 0..10_u64 {
            for mut packet in media.tick(Mono::from_millis(n * 20), &mut sent) {
                packet.at = Mono::from_millis(n * 20 + (n % 3) * 7);
                ear.hear(&packet, Some(Pilot::Ai), &mut heard);
            }
        }
        assert_eq!(heard.samples(), sent.samples());
        assert!(ear.pilot_since(Pilot::Ai, Mono::from_millis(150)) && !ear.voice_since(Mono::ZERO));
    }

    #[test]
    fn rtcp_on_the_same_port_is_left_alone() {
        let address = "127.0.0.1:4000".parse().unwrap();
        let report = Bytes::from_static(&[0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(Mono::ZERO, address, address, report), None);
    }
}
