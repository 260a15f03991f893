//! What comes from one leg: whose it is, in which order, sound or keys, and for how long nothing came.

use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;

use crate::key::{KeyEvent, Pressing};
use crate::rtcp::{LastReport, last_report};
use crate::rtp::Rtp;
use crate::source::{Origin, Verdict};
use crate::tone::ToneDetector;
use crate::window::{Order, Window};
use crate::{Codec, Fate, Negotiated, Sources};

/// The receiving side of a leg that is connected.
#[derive(Debug)]
pub(crate) struct Hearing {
    pub(crate) agreed: Negotiated,
    pub(crate) origin: Origin,
    pub(crate) window: Window,
    pub(crate) pressing: Option<Pressing>,
    pub(crate) tones: Option<Box<ToneDetector>>,
    pub(crate) last_report: Option<LastReport>,
    /// Whether any packet was accepted.
    pub(crate) ever: bool,
    heard_at: Mono,
    lost_told: usize,
    allowance: Allowance,
}

/// What a datagram turned out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Heard<'a> {
    /// Sound.
    Sound(Codec, Rtp<'a>),
    /// Part of a key press.
    Key(KeyEvent, Rtp<'a>),
    /// A sign of life without sound.
    Comfort,
    /// Nothing to go on with.
    Dropped(Fate),
}

/// What a datagram says about the leg beside what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The socket can be connected to this source.
    pub(crate) locked: Option<SocketAddr>,
    /// It is the first packet of the leg's life.
    pub(crate) first: bool,
    /// The leg was told as lost.
    pub(crate) back: bool,
}

impl Hearing {
    /// A leg that has agreed on something for the first time.
    pub(crate) fn new(now: Mono, agreed: Negotiated, sources: Sources) -> Hearing {
        Hearing {
            origin: Origin::new(sources, agreed.remote),
            window: Window::default(),
            pressing: None,
            tones: agreed.dtmf.is_none().then(Box::default),
            last_report: None,
            ever: false,
            heard_at: now,
            lost_told: 0,
            allowance: Allowance { left: BURST_MAX, at: now },
            agreed,
        }
    }

    /// Takes a new agreement; says whether the socket must be open to everybody again.
    pub(crate) fn renew(&mut self, now: Mono, agreed: Negotiated) -> bool {
        if agreed.direction.receives() && !self.agreed.direction.receives() {
            self.heard_at = now;
        }
        if agreed.dtmf.is_none() != self.tones.is_some() {
            self.tones = agreed.dtmf.is_none().then(Box::default);
        }
        let opens = self.origin.signal(agreed.remote);
        self.agreed = agreed;
        opens
    }

    /// Takes a datagram.
    pub(crate) fn hear<'a>(&mut self, now: Mono, from: SocketAddr, bytes: &'a [u8]) -> (Heard<'a>, News) {
        let mut news = News::default();
        let Some(rtp) = Rtp::parse(bytes) else { return (Heard::Dropped(Fate::Malformed), news) };
        match self.origin.judge(now, from, rtp.ssrc, rtp.seq) {
            Verdict::Own => {}
            Verdict::OwnAndLocked(source) => news.locked = Some(source),
            Verdict::Foreign => return (Heard::Dropped(Fate::Spoofed), news),
        }
        if !self.allowance.take(now) {
            return (Heard::Dropped(Fate::Flood), news);
        }
        (news.first, news.back) = (!self.ever, self.lost_told > 0);
        (self.ever, self.heard_at, self.lost_told) = (true, now, 0);
        (self.tell_apart(now, rtp), news)
    }

    fn tell_apart<'a>(&mut self, now: Mono, rtp: Rtp<'a>) -> Heard<'a> {
        match self.window.judge(now, rtp.ssrc, rtp.seq, rtp.timestamp) {
            Order::Next | Order::Overtaken => {}
            Order::Duplicate => return Heard::Dropped(Fate::Duplicate),
            Order::Late => return Heard::Dropped(Fate::Late),
        }
        if self.agreed.dtmf.is_some_and(|keys| keys.payload_type == rtp.payload_type) {
            return KeyEvent::parse(rtp.payload).map_or(Heard::Dropped(Fate::Malformed), |event| Heard::Key(event, rtp));
        }
        if rtp.payload_type == COMFORT_NOISE || rtp.payload.is_empty() {
            return Heard::Comfort;
        }
        let agreed = (rtp.payload_type == self.agreed.payload_type).then_some(self.agreed.codec);
        match agreed.or_else(|| Codec::of_payload_type(rtp.payload_type)) {
            Some(codec) if rtp.payload.len() <= PAYLOAD_MAX => Heard::Sound(codec, rtp),
            Some(_) | None => Heard::Dropped(Fate::Malformed),
        }
    }

    /// Takes a datagram of RTCP; says whether it was the leg's own.
    pub(crate) fn hear_report(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) -> bool {
        let is_own = [self.origin.destination().ip(), self.agreed.remote_rtcp.ip()].contains(&from.ip());
        if is_own && let Some(report) = last_report(bytes, now) {
            self.last_report = Some(report);
        }
        is_own
    }

    /// When the next threshold of silence is reached.
    pub(crate) fn lost_at(&self, thresholds: &[Duration]) -> Option<Mono> {
        let threshold = thresholds.get(self.lost_told)?;
        self.agreed.direction.receives().then(|| self.heard_at + *threshold)
    }

    /// The threshold of silence that has been reached by now; call until it yields none.
    pub(crate) fn poll_lost(&mut self, now: Mono, thresholds: &[Duration]) -> Option<Duration> {
        let is_due = self.lost_at(thresholds).is_some_and(|at| at <= now);
        is_due.then(|| {
            self.lost_told += 1;
            thresholds[self.lost_told - 1]
        })
    }
}

/// How much a leg may send: a burst, and then twice what the shortest packet time needs.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    left: u64,
    at: Mono,
}

impl Allowance {
    fn take(&mut self, now: Mono) -> bool {
        let earned = now.since(self.at).as_micros() as u64 / PACKET_EARNED_US;
        if earned > 0 {
            (self.left, self.at) = ((self.left + earned).min(BURST_MAX), now);
        }
        let has = self.left > 0;
        self.left -= u64::from(has);
        has
    }
}

/// Packets that may come at once: a second of them.
const BURST_MAX: u64 = 50;
/// The time in which one more packet may come, in microseconds.
const PACKET_EARNED_US: u64 = 5_000;
/// The most sound in one packet, in octets: 120 ms.
const PAYLOAD_MAX: usize = 960;
/// RFC 3389.
const COMFORT_NOISE: u8 = 13;
