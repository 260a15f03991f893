//! One leg: what it hears, and what is heard of it.

use std::time::Duration;

use baton_time::Mono;

use crate::hearing::Hearing;
use crate::key::{KeyEvent, Keypad};
use crate::outbox::{Channel, Outbox};
use crate::output::{Feed, Output};
use crate::quiet::Quiet;
use crate::rtcp::{Report, Sent};
use crate::rtp::{Head, Rtp};
use crate::sender::Sender;
use crate::{Clip, Codec, Digits, Event, Fate, LegStats, Negotiated, Port, Role, RoomId, Sources, TapId};

/// One leg of a room.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) room: RoomId,
    pub(crate) port: Port,
    pub(crate) role: Role,
    pub(crate) hearing: Option<Hearing>,
    pub(crate) output: Output,
    pub(crate) sender: Sender,
    pub(crate) keypad: Keypad,
    pub(crate) digits: Digits,
    /// The event code of a key that is held back, and until when.
    pub(crate) held: Option<(u8, Mono)>,
    /// The next packets that the self-test loses on purpose.
    pub(crate) lose: u8,
    /// Where copies of what it says go.
    pub(crate) tap: Option<TapId>,
    /// Waits for the end of what it says.
    pub(crate) quiet: Option<Quiet>,
    sources: Sources,
    stats: LegStats,
    report_at: Option<Mono>,
    paused_at: Option<Mono>,
}

/// Sound of another leg on its way to this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sound<'a> {
    pub(crate) from: Port,
    pub(crate) codec: Codec,
    pub(crate) rtp: Rtp<'a>,
    /// How often the other leg's stream began anew.
    pub(crate) epoch: u64,
    /// The swap count of the room.
    pub(crate) swap: u64,
}

/// What a leg needs for a packet of its own.
#[derive(Debug, Clone, Copy)]
struct Terms {
    codec: Codec,
    payload_type: u8,
    key_type: Option<u8>,
    /// Samples, and so octets, of a packet.
    frame: u16,
}

impl Leg {
    /// A leg that has agreed on nothing yet.
    pub(crate) fn new(room: RoomId, port: Port, role: Role, sources: Sources, seed: u64) -> Leg {
        Leg {
            room,
            port,
            role,
            hearing: None,
            output: Output::new(),
            sender: Sender::new(seed),
            keypad: Keypad::default(),
            digits: Digits::Consume,
            held: None,
            lose: 0,
            tap: None,
            quiet: None,
            sources,
            stats: LegStats::default(),
            report_at: None,
            paused_at: None,
        }
    }

    /// Takes what an offer and an answer agreed on.
    pub(crate) fn connect(&mut self, now: Mono, agreed: Negotiated, out: &mut Outbox) {
        let could_send = self.terms().is_some();
        match &mut self.hearing {
            Some(hearing) => {
                if hearing.renew(now, agreed) {
                    out.unlatch(self.port);
                }
            }
            None => {
                self.hearing = Some(Hearing::new(now, agreed, self.sources));
                self.report_at = Some(now + REPORT_EVERY / 2 + Duration::from_millis(u64::from(self.sender.ssrc % 2_500)));
            }
        }
        match (could_send, self.terms()) {
            (false, Some(terms)) => self.resume(now, terms),
            (true, None) => {
                self.sender.pause();
                self.paused_at = Some(now);
            }
            (false, None) | (true, Some(_)) => {}
        }
    }

    fn resume(&mut self, now: Mono, terms: Terms) {
        if let Some(at) = self.paused_at.take() {
            let frames = now.since(at).as_micros() as u32 / 125 / u32::from(terms.frame);
            self.sender.skip(frames.wrapping_mul(u32::from(terms.frame)));
        }
        if let Feed::Live(live) = &mut self.output.feed {
            live.displace();
        }
        (self.sender.due, self.output.fresh) = (now, true);
    }

    fn terms(&self) -> Option<Terms> {
        let agreed = &self.hearing.as_ref()?.agreed;
        agreed.direction.sends().then(|| Terms {
            codec: agreed.codec,
            payload_type: agreed.remote_payload_type,
            key_type: agreed.dtmf.map(|keys| keys.remote_payload_type),
            frame: u16::from(agreed.ptime_ms.clamp(10, 60)) * 8,
        })
    }

    /// Counts a packet.
    pub(crate) fn count(&mut self, fate: Fate, out: &mut Outbox) {
        self.stats.packets.count(fate);
        out.count(fate);
    }

    /// What went through the leg so far.
    pub(crate) fn stats(&self) -> LegStats {
        let window = self.hearing.as_ref().map(|hearing| &hearing.window);
        LegStats {
            gap_us_worst: self.sender.gap_worst.as_micros() as u64,
            lost: window.map_or(0, |window| window.lost()),
            jitter_us: window.map_or(0, |window| window.jitter_us()),
            heard: self.hearing.as_ref().is_some_and(|hearing| hearing.ever),
            ..self.stats.clone()
        }
    }

    /// Takes sound of another leg; says whether this one hears it.
    pub(crate) fn forward(&mut self, now: Mono, sound: &Sound<'_>, out: &mut Outbox) -> bool {
        let Some(terms) = self.terms() else { return false };
        if let Feed::Mix(mixer) = &mut self.output.feed {
            return mixer.hear(sound);
        }
        let Some(live) = self.output.live_from(sound.from, sound.swap) else { return false };
        if self.keypad.is_pressed() || self.keypad.is_busy() && live.residue.is_empty() {
            live.displace();
            if !self.keypad.is_pressed() && !self.key_frame(now, terms, out) {
                self.forward_sound(now, sound, terms, out);
            }
            return true;
        }
        self.forward_sound(now, sound, terms, out);
        true
    }

    fn forward_sound(&mut self, now: Mono, sound: &Sound<'_>, terms: Terms, out: &mut Outbox) {
        let Feed::Live(live) = &mut self.output.feed else { return };
        let was_filling = std::mem::take(&mut live.filling);
        live.key_until = None;
        if sound.rtp.payload.len() != usize::from(terms.frame) || !live.residue.is_empty() {
            return self.repacketise(now, sound, terms, was_filling, out);
        }
        let Some((seq, timestamp)) = live.place(&self.sender, &sound.rtp, sound.epoch) else {
            return self.count(Fate::Late, out);
        };
        let marker = self.output.fresh || was_filling || sound.rtp.marker;
        let head = self.sender.place(marker, terms.payload_type, seq, timestamp, u32::from(terms.frame));
        self.sender.due = now + ptime(terms.frame);
        self.emit(now, head, Fate::SentForwarded, out, |arena| sound.codec.transcode(terms.codec, sound.rtp.payload, arena));
    }

    /// Cuts the other leg's packets into ours, which are of another length.
    fn repacketise(&mut self, now: Mono, sound: &Sound<'_>, terms: Terms, was_filling: bool, out: &mut Outbox) {
        let Feed::Live(live) = &mut self.output.feed else { return };
        let (payload, frame) = (sound.rtp.payload, usize::from(terms.frame));
        let missing = match live.residue_seq {
            Some(seq) if !was_filling => sound.rtp.seq.wrapping_sub(seq).wrapping_sub(1),
            Some(_) | None => 0,
        };
        if missing >= 0x8000 {
            return self.count(Fate::Late, out);
        }
        let mut residue = std::mem::take(&mut live.residue);
        residue.extend((0..usize::from(missing.min(CONCEALED_MAX)) * payload.len()).map(|_| terms.codec.silence()));
        sound.codec.transcode(terms.codec, payload, &mut residue);
        (live.residue_seq, live.filling) = (Some(sound.rtp.seq), false);
        live.displace();
        let mut marker = self.output.fresh || was_filling;
        let mut sent = 0;
        for packet in residue.chunks_exact(frame) {
            let head = self.sender.append(marker, terms.payload_type, u32::from(terms.frame));
            self.emit(now, head, Fate::SentForwarded, out, |arena| arena.extend_from_slice(packet));
            (marker, sent) = (false, sent + frame);
        }
        residue.drain(..sent);
        if sent > 0 {
            self.sender.due = now + ptime(terms.frame);
        }
        if let Feed::Live(live) = &mut self.output.feed {
            (live.residue, live.slack) = (residue, Duration::from_micros(payload.len() as u64 * 125));
        }
    }

    /// Passes a packet of another leg's key press on; `passes`: it may, `first`: the press begins with it.
    pub(crate) fn forward_key(&mut self, now: Mono, sound: &Sound<'_>, event: KeyEvent, pass: KeyPass, out: &mut Outbox) -> bool {
        let Some(terms) = self.terms() else { return false };
        let Feed::Live(live) = &mut self.output.feed else { return false };
        if live.port != sound.from {
            return false;
        }
        let key_type = terms.key_type.filter(|_| pass.passes && live.since <= pass.since && !self.keypad.is_pressed());
        let Some(key_type) = key_type else {
            live.skip(&self.sender, sound.rtp.seq);
            return false;
        };
        let timestamp = live.key_timestamp(&self.sender, &sound.rtp);
        let (seq, _) = self.sender.next();
        let head = self.sender.place(pass.first, key_type, seq, timestamp, u32::from(event.duration));
        live.skip(&self.sender, sound.rtp.seq);
        live.key_until = (!event.end).then(|| now + KEY_PAUSE_MAX);
        self.sender.due = now + ptime(terms.frame);
        self.emit(now, head, Fate::SentKey, out, |arena| arena.extend_from_slice(&event.payload()));
        true
    }

    /// Sends what is due of our own keys; says whether there was anything.
    fn key_frame(&mut self, now: Mono, terms: Terms, out: &mut Outbox) -> bool {
        let Some(key_type) = terms.key_type else {
            self.keypad = Keypad::default();
            return false;
        };
        let Some(packet) = self.keypad.next(terms.frame) else { return false };
        let (seq, timestamp) = self.sender.next();
        let head = self.sender.place(packet.first, key_type, seq, timestamp, 0);
        if packet.last {
            self.sender.skip(u32::from(packet.event.duration));
        }
        self.sender.due = now + ptime(terms.frame);
        self.emit(now, head, Fate::SentKey, out, |arena| arena.extend_from_slice(&packet.event.payload()));
        true
    }

    fn emit(&mut self, now: Mono, head: Head, fate: Fate, out: &mut Outbox, sound: impl FnOnce(&mut Vec<u8>)) {
        let Some(to) = self.hearing.as_ref().map(|hearing| hearing.origin.destination()) else { return };
        // A sum is heard from its first sound on: until then nobody who is in it has spoken.
        let is_awaited = matches!(self.output.feed, Feed::Mix(_)) && fate == Fate::SentSilence;
        let is_input = fate != Fate::SentKey && self.output.waiting.is_none() && !is_awaited;
        if is_input && std::mem::take(&mut self.output.fresh) {
            self.tell_switched(now, out);
        }
        if self.lose > 0 && fate == Fate::SentForwarded {
            self.lose -= 1;
            return;
        }
        let octets = out.packet(self.port, Channel::Rtp, to, |arena| {
            head.write(arena);
            sound(arena);
        });
        self.sender.sent(now, head.timestamp, octets - 12);
        self.count(fate, out);
    }

    fn tell_switched(&self, now: Mono, out: &mut Outbox) {
        out.event(Event::Switched {
            room: self.room,
            port: self.port,
            serial: self.output.serial,
            live: matches!(self.output.feed, Feed::Live(_) | Feed::Mix(_)),
            gap_us: self.sender.gap(now).map(|gap| gap.as_micros() as u64),
            at: now,
        });
    }

    /// When the sender has something to send by itself.
    fn output_due(&self) -> Option<Mono> {
        self.terms()?;
        let due = self.sender.due;
        Some(match &self.output.feed {
            Feed::Made | Feed::Mix(_) => due,
            Feed::Live(live) if live.filling || self.keypad.is_pressed() => due,
            Feed::Live(live) => {
                let pause_ends = due + PAUSE_MAX + live.slack;
                live.key_until.map_or(pause_ends, |until| until.max(pause_ends))
            }
        })
    }

    /// When [`Leg::tick`] must be called next.
    pub(crate) fn poll_timeout(&self, lost_after: &[Duration]) -> Option<Mono> {
        let hearing = self.hearing.as_ref()?;
        let (relearned, quiet) = (hearing.origin.poll_timeout(), self.quiet.map(|quiet| quiet.at()));
        let times =
            [self.output_due(), hearing.lost_at(lost_after), relearned, self.report_at, self.held.map(|(_, until)| until), quiet];
        times.into_iter().flatten().min()
    }

    /// Sends what is due; the room's own part of a tick is not in it.
    pub(crate) fn tick(&mut self, now: Mono, music: &Clip, lost_after: &[Duration], out: &mut Outbox) {
        self.tick_output(now, music, out);
        let Some(hearing) = &mut self.hearing else { return };
        while let Some(silent) = hearing.poll_lost(now, lost_after) {
            out.event(Event::Lost { room: self.room, port: self.port, silent_ms: silent.as_millis() as u64 });
        }
        if hearing.origin.tick(now) {
            out.unlatch(self.port);
        }
        if self.quiet.take_if(|quiet| quiet.at() <= now).is_some() {
            out.event(Event::Quiet { room: self.room, port: self.port, at: now });
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT_EVERY);
            self.report(now, out);
        }
    }

    fn tick_output(&mut self, now: Mono, music: &Clip, out: &mut Outbox) {
        while let (Some(due), Some(terms)) = (self.output_due(), self.terms()) {
            if due > now {
                return;
            }
            let late = now.since(self.sender.due);
            if late > LATE_MAX {
                // Nobody wants to hear what should have been heard while the machine was away.
                let frames = (late.as_micros() / ptime(terms.frame).as_micros()) as u32;
                self.sender.skip(frames * u32::from(terms.frame));
                (self.sender.due, self.output.fresh) = (now, true);
            }
            let next = self.sender.due + ptime(terms.frame);
            if !self.key_frame(now, terms, out) {
                self.sound_frame(now, terms, music, out);
            }
            self.sender.due = next;
        }
    }

    fn sound_frame(&mut self, now: Mono, terms: Terms, music: &Clip, out: &mut Outbox) {
        let mut frame = [0; FRAME_MAX];
        let frame = &mut frame[..usize::from(terms.frame)];
        let (is_sound, played) = match &mut self.output.feed {
            Feed::Made => {
                let played = self.output.player.fill(frame, music);
                (played.is_sound, played)
            }
            Feed::Mix(mixer) => (mixer.fill(frame), Default::default()),
            Feed::Live(live) => {
                (live.filling, live.key_until) = (true, None);
                live.residue.clear();
                live.displace();
                (false, Default::default())
            }
        };
        let is_first = is_sound || !matches!(self.output.feed, Feed::Mix(_));
        let marker = self.output.fresh && is_first && self.output.waiting.is_none() || self.sender.packets == 0;
        let head = self.sender.append(marker, terms.payload_type, u32::from(terms.frame));
        let fate = if is_sound { Fate::SentMade } else { Fate::SentSilence };
        self.emit(now, head, fate, out, |arena| arena.extend(frame.iter().map(|sample| terms.codec.encode(*sample))));
        let (room, port) = (self.room, self.port);
        if let Some(play) = played.started {
            out.event(Event::PlayStarted { room, port, play, at: now });
        }
        if let Some(play) = played.ended {
            out.event(Event::PlayEnded { room, port, play, at: now });
        }
    }

    fn report(&mut self, now: Mono, out: &mut Outbox) {
        let Some(hearing) = &mut self.hearing else { return };
        let to = hearing.origin.destination();
        let (channel, to) = match hearing.agreed.rtcp_mux {
            true => (Channel::Rtp, to),
            false if to == hearing.agreed.remote => (Channel::Rtcp, hearing.agreed.remote_rtcp),
            false => (Channel::Rtcp, std::net::SocketAddr::new(to.ip(), to.port().saturating_add(1))),
        };
        let sent = Sent { timestamp: self.sender.timestamp_at(now), packets: self.sender.packets, octets: self.sender.octets };
        let report = Report {
            ssrc: self.sender.ssrc,
            sent: (sent.packets > 0).then_some(sent),
            heard: hearing.window.report(),
            last: hearing.last_report,
        };
        if !to.ip().is_unspecified() {
            out.packet(self.port, channel, to, |arena| report.write(now, arena));
        }
    }
}

/// What is to be known of a key press that may pass on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyPass {
    pub(crate) passes: bool,
    pub(crate) first: bool,
    /// The swap count of the room when the press began.
    pub(crate) since: u64,
}

fn ptime(frame: u16) -> Duration {
    Duration::from_micros(u64::from(frame) * 125)
}

/// How much longer than its packet time a leg may be quiet before silence takes its place.
const PAUSE_MAX: Duration = Duration::from_millis(30);
/// How long a key press may be quiet before silence takes its place.
const KEY_PAUSE_MAX: Duration = Duration::from_millis(200);
/// Sound of our own that is later than this is not made up for.
const LATE_MAX: Duration = Duration::from_millis(200);
/// How often we report.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Lost packets that become silence where packets are cut anew; more are left out.
const CONCEALED_MAX: u16 = 5;
/// Samples of the longest packet: 60 ms.
const FRAME_MAX: usize = 480;
