//! The media of one call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;

use crate::hearing::Heard;
use crate::key::{KeyEvent, Press, Pressing, code_of, digit_of};
use crate::leg::{KeyPass, Leg, Sound};
use crate::output::Feed;
use crate::quiet::Quiet;
use crate::rtp::{Rtp, is_rtcp};
use crate::sabotage::{Sabotage, Saboteur};
use crate::{Channel, Clip, Codec, Command, Digits, Event, Fate, Outbox, Port, RoomId, Scene, Source};

/// What all rooms have in common.
#[derive(Debug, Clone)]
pub struct RoomSettings {
    /// The music on hold, looped.
    pub music: Arc<Clip>,
    /// After which times without RTP a leg is told as lost, rising.
    pub lost_after: Vec<Duration>,
    /// Breaks the media on purpose: the self-test of the demo.
    pub sabotage: Option<Sabotage>,
}

impl RoomSettings {
    /// The usual settings: lost after 1, 2 and 10 s.
    pub fn new(music: Arc<Clip>) -> RoomSettings {
        let lost_after = vec![Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(10)];
        RoomSettings { music, lost_after, sabotage: None }
    }
}

/// The media of one call: told packets, commands and the time; puts packets and events into an [`Outbox`].
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    settings: Arc<RoomSettings>,
    music: Arc<Clip>,
    scene: Scene,
    /// How often the scene was swapped.
    swap: u64,
    pub(crate) legs: Vec<Leg>,
    saboteur: Option<Saboteur>,
}

impl Room {
    /// An empty room.
    pub fn new(id: RoomId, settings: Arc<RoomSettings>) -> Room {
        let saboteur = settings.sabotage.map(Saboteur::new);
        let music = Arc::clone(&settings.music);
        let music = saboteur.as_ref().map_or(Arc::clone(&music), |saboteur| saboteur.music(music));
        Room { id, settings, music, scene: Scene::default(), swap: 0, legs: Vec::new(), saboteur }
    }

    /// Does what a command says; one for another room, or for a leg that is not there, is ignored.
    pub fn command(&mut self, now: Mono, command: Command, out: &mut Outbox) {
        if command.room() != self.id {
            return;
        }
        match command {
            Command::Open { port, role, sources, seed, .. } => {
                if self.index(port).is_none() {
                    self.legs.reserve_exact(1);
                    self.legs.push(Leg::new(self.id, port, role, sources, seed));
                    self.swap_leg(self.legs.len() - 1);
                }
            }
            Command::Connect { port, negotiated, .. } => {
                if let Some(leg) = self.leg(port) {
                    leg.connect(now, negotiated, out);
                }
            }
            Command::Resume { port, mark, .. } => {
                if let Some(leg) = self.leg(port) {
                    leg.take_up(now, mark, out);
                }
            }
            Command::Scene { scene, .. } => self.set_scene(now, scene, out),
            Command::SendDigit { port, digit, .. } => {
                if let (Some(leg), Some(code)) = (self.leg(port), code_of(digit)) {
                    leg.keypad.press(code);
                }
            }
            Command::Tap { port, tap, .. } => {
                if let Some(leg) = self.leg(port) {
                    leg.tap = tap;
                }
            }
            Command::AwaitQuiet { port, after, .. } => {
                if let Some(leg) = self.leg(port) {
                    leg.quiet = after.map(|after| Quiet::new(now, after));
                }
            }
            Command::Close { port, .. } => self.close(port, out),
            Command::CloseRoom { .. } => {
                while let Some(port) = self.legs.first().map(|leg| leg.port) {
                    self.close(port, out);
                }
            }
        }
    }

    fn set_scene(&mut self, now: Mono, scene: Scene, out: &mut Outbox) {
        let roles: Vec<_> = self.legs.iter().map(|leg| (leg.port, leg.role)).collect();
        self.scene = match &mut self.saboteur {
            Some(saboteur) => saboteur.scene(now, scene, &roles),
            None => scene,
        };
        self.swap += 1;
        for index in 0..self.legs.len() {
            if self.swap_leg(index) {
                let (room, port, serial) = (self.id, self.legs[index].port, self.scene.serial);
                out.event(Event::Switched { room, port, serial, live: true, gap_us: None, at: now });
            }
        }
    }

    /// Gives a leg its part of the scene; says whether it goes on hearing another leg that it hears already.
    fn swap_leg(&mut self, index: usize) -> bool {
        let leg = &mut self.legs[index];
        let source = self.scene.hears.get(&leg.port).unwrap_or(&Source::Silence);
        let waited = leg.output.waiting;
        let goes_on = leg.output.swap(source, self.scene.serial);
        if leg.output.waiting.is_some() && leg.output.waiting != waited {
            leg.lose = self.saboteur.as_ref().map_or(0, |saboteur| saboteur.lose(leg.role));
        }
        let digits = self.scene.digits.get(&leg.port).copied().unwrap_or_default();
        if leg.digits != digits {
            (leg.digits, leg.held) = (digits, None);
        }
        goes_on
    }

    fn close(&mut self, port: Port, out: &mut Outbox) {
        let Some(index) = self.index(port) else { return };
        let leg = self.legs.remove(index);
        out.event(Event::Closed { room: self.id, port, stats: leg.stats() });
    }

    /// Takes a datagram that came to a leg's socket from `from`.
    pub fn on_packet(&mut self, now: Mono, port: Port, channel: Channel, from: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        let Some(index) = self.index(port) else { return };
        let leg = &mut self.legs[index];
        let Some(hearing) = &mut leg.hearing else { return };
        if channel == Channel::Rtcp || is_rtcp(bytes) {
            if !hearing.hear_report(now, from, bytes) {
                leg.count(Fate::Spoofed, out);
            }
            return;
        }
        let (heard, news) = hearing.hear(now, from, bytes);
        let epoch = hearing.window.epoch;
        if let Some(to) = news.locked {
            out.latch(port, to);
        }
        if news.first {
            out.event(Event::FirstPacket { room: self.id, port, at: now });
        }
        if news.back {
            out.event(Event::Back { room: self.id, port });
        }
        let sound = |codec, rtp| Sound { from: port, codec, rtp, epoch, swap: self.swap };
        match heard {
            Heard::Sound(codec, rtp) => {
                let sound = sound(codec, rtp);
                self.on_sound(now, index, &sound, out);
            }
            Heard::Key(event, rtp) => {
                let sound = sound(Codec::Pcmu, rtp);
                self.on_key(now, index, event, &sound, out);
            }
            Heard::Comfort => self.skip(index, &sound(Codec::Pcmu, EMPTY), bytes, out),
            Heard::Dropped(fate) => self.legs[index].count(fate, out),
        }
    }

    fn on_sound(&mut self, now: Mono, index: usize, sound: &Sound<'_>, out: &mut Outbox) {
        let role = self.legs[index].role;
        let is_received = self.legs[index].hearing.as_ref().is_some_and(|hearing| hearing.agreed.direction.receives());
        if let Some(saboteur) = &mut self.saboteur {
            saboteur.heard(role, sound);
        }
        if let Some(tap) = self.legs[index].tap.filter(|_| is_received) {
            out.tap(tap, now, sound.codec, sound.rtp.payload);
        }
        if let Some(quiet) = self.legs[index].quiet.as_mut().filter(|_| is_received) {
            quiet.hear(now, sound.codec, sound.rtp.payload);
        }
        let mut is_heard = false;
        for (other, leg) in self.legs.iter_mut().enumerate() {
            if other == index || !is_received {
                continue;
            }
            is_heard |= match &mut self.saboteur {
                Some(saboteur) if leg.output.hears(sound.from) => {
                    let instead = saboteur.instead(now, role, leg.role, sound);
                    leg.forward(now, &instead, out)
                }
                Some(_) | None => leg.forward(now, sound, out),
            };
        }
        self.legs[index].count(if is_heard { Fate::Forwarded } else { Fate::Unheard }, out);
        self.listen_for_tones(now, index, sound, out);
    }

    fn listen_for_tones(&mut self, now: Mono, index: usize, sound: &Sound<'_>, out: &mut Outbox) {
        let (room, port) = (self.id, sound.from);
        let Some(tones) = self.legs[index].hearing.as_mut().and_then(|hearing| hearing.tones.as_mut()) else { return };
        for octet in sound.rtp.payload {
            if let Some(digit) = tones.hear(sound.codec.decode(*octet)) {
                out.event(Event::Digit { room, port, digit, at: now });
            }
        }
    }

    fn on_key(&mut self, now: Mono, index: usize, event: KeyEvent, sound: &Sound<'_>, out: &mut Outbox) {
        let swap = self.swap;
        self.legs[index].count(Fate::Key, out);
        let Some(hearing) = &mut self.legs[index].hearing else { return };
        let press = match &mut hearing.pressing {
            Some(pressing) => pressing.judge(event, sound.rtp.timestamp),
            None => Press::New,
        };
        if press == Press::New {
            hearing.pressing = Some(Pressing::begin(event, sound.rtp.timestamp, swap));
            let passes = self.begin_press(now, index, event.code, out);
            if let Some(pressing) = self.legs[index].hearing.as_mut().and_then(|hearing| hearing.pressing.as_mut()) {
                pressing.passes = passes;
            }
        }
        let pressing = self.legs[index].hearing.as_ref().and_then(|hearing| hearing.pressing);
        let passes = press != Press::Stale && pressing.is_some_and(|pressing| pressing.passes);
        let pass = KeyPass { passes, first: press == Press::New, since: pressing.map_or(swap, |pressing| pressing.since) };
        for (other, leg) in self.legs.iter_mut().enumerate() {
            if other != index {
                leg.forward_key(now, sound, event, pass, out);
            }
        }
    }

    /// Tells of a press, and says whether it passes on as it comes.
    fn begin_press(&mut self, now: Mono, index: usize, code: u8, out: &mut Outbox) -> bool {
        let leg = &mut self.legs[index];
        let Some(digit) = digit_of(code) else { return false };
        out.event(Event::Digit { room: self.id, port: leg.port, digit, at: now });
        let (port, held) = (leg.port, leg.held.take());
        match leg.digits {
            Digits::Consume => false,
            Digits::Pass => true,
            Digits::HoldPair(pair) if held.is_some() && digit == pair.then => false,
            Digits::HoldPair(pair) if digit == pair.first => {
                leg.held = Some((code, now + pair.wait));
                if held.is_some() {
                    self.press_for_hearers(port, code);
                }
                false
            }
            Digits::HoldPair(_) => match held {
                Some((first, _)) => {
                    self.press_for_hearers(port, first);
                    self.press_for_hearers(port, code);
                    false
                }
                None => true,
            },
        }
    }

    fn press_for_hearers(&mut self, port: Port, code: u8) {
        for leg in &mut self.legs {
            if matches!(&leg.output.feed, Feed::Live(live) if live.port == port) {
                leg.keypad.press(code);
            }
        }
    }

    /// Takes a packet without sound out of the numbers of those who hear the leg.
    fn skip(&mut self, index: usize, sound: &Sound<'_>, bytes: &[u8], out: &mut Outbox) {
        let Some(rtp) = Rtp::parse(bytes) else { return };
        for leg in &mut self.legs {
            if let Feed::Live(live) = &mut leg.output.feed
                && live.port == sound.from
            {
                live.skip(&leg.sender, rtp.seq);
            }
        }
        self.legs[index].count(Fate::Unheard, out);
    }

    /// Does everything that is due at `now`.
    pub fn tick(&mut self, now: Mono, out: &mut Outbox) {
        for index in 0..self.legs.len() {
            let leg = &mut self.legs[index];
            if let Some((code, _)) = leg.held.take_if(|(_, until)| *until <= now) {
                let port = leg.port;
                self.press_for_hearers(port, code);
            }
        }
        for leg in &mut self.legs {
            leg.tick(now, &self.music, &self.settings.lost_after, out);
        }
    }

    /// When [`Room::tick`] must be called next; it may be later than said before.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.legs.iter().filter_map(|leg| leg.poll_timeout(&self.settings.lost_after)).min()
    }

    /// Takes note that the system did not take a packet of a leg.
    pub fn send_failed(&mut self, port: Port, out: &mut Outbox) {
        if let Some(leg) = self.leg(port) {
            leg.count(Fate::SendFailed, out);
        }
    }

    /// Whether no leg is left.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    fn index(&self, port: Port) -> Option<usize> {
        self.legs.iter().position(|leg| leg.port == port)
    }

    fn leg(&mut self, port: Port) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.port == port)
    }
}

/// Stands for a packet without sound.
const EMPTY: Rtp<'static> = Rtp { marker: false, payload_type: 0, seq: 0, timestamp: 0, ssrc: 0, payload: &[] };

#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_keys;
