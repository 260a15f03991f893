//! What a leg hears: the input of its sender, swapped between two packets.

use std::time::Duration;

use baton_time::Mono;

use crate::mixer::Mixer;
use crate::player::Player;
use crate::rtp::Rtp;
use crate::sender::Sender;
use crate::{Port, Source};

/// The input of a leg's sender.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) feed: Feed,
    pub(crate) player: Player,
    /// The leg whose first packet takes over from what Baton plays.
    pub(crate) waiting: Option<Port>,
    /// The scene that asked for the input.
    pub(crate) serial: u64,
    /// The next packet of the input is its first one.
    pub(crate) fresh: bool,
    wants: Source,
}

/// Where the sound comes from now.
#[derive(Debug)]
pub(crate) enum Feed {
    /// From the player, on the sender's clock.
    Made,
    /// From another leg, as its packets come.
    Live(Live),
    /// From several legs, on the sender's clock.
    Mix(Mixer),
}

/// Another leg's packets and their place in our stream.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) port: Port,
    /// The swap count of the room when this began.
    pub(crate) since: u64,
    /// The other leg pauses, and silence takes its place.
    pub(crate) filling: bool,
    /// How much longer than ours its packets are.
    pub(crate) slack: Duration,
    /// A key is passing: no silence before this time.
    pub(crate) key_until: Option<Mono>,
    /// Sound that does not fill a packet yet.
    pub(crate) residue: Vec<u8>,
    /// The last number that went into the residue.
    pub(crate) residue_seq: Option<u16>,
    place: Option<Place>,
    key: Option<(u32, u32)>,
}

/// Which of the other leg's numbers and timestamps is which of ours.
#[derive(Debug, Clone, Copy)]
struct Place {
    epoch: u64,
    seq: u16,
    our_seq: u16,
    timestamp: u32,
    our_timestamp: u32,
}

impl Output {
    /// An output that hears nobody yet.
    pub(crate) fn new() -> Output {
        let player = Player::default();
        Output { feed: Feed::Made, player, waiting: None, serial: 0, fresh: true, wants: Source::Silence }
    }

    /// Swaps the input; one that goes on as it was is left alone. Says whether that is another leg which is heard already.
    pub(crate) fn swap(&mut self, source: &Source, serial: u64) -> bool {
        self.serial = serial;
        if is_same(&self.wants, source) {
            return matches!(self.feed, Feed::Live(_)) || matches!(self.feed, Feed::Mix(_)) && !self.fresh;
        }
        let was_live = matches!(self.feed, Feed::Live(_) | Feed::Mix(_));
        (self.fresh, self.waiting) = (true, None);
        match source {
            Source::Silence => self.player.silence(),
            Source::Music => self.player.music(),
            Source::Play(list) => self.player.play(list.clone()),
            // Never another leg than the one that is asked for: what Baton played goes on until it talks, else silence.
            Source::Leg(port) if was_live => {
                self.player.silence();
                self.waiting = Some(*port);
            }
            Source::Leg(port) => self.waiting = Some(*port),
            Source::Mix(_) => self.player.silence(),
        }
        self.feed = match source {
            Source::Mix(ports) => Feed::Mix(Mixer::new(ports)),
            Source::Silence | Source::Music | Source::Leg(_) | Source::Play(_) => Feed::Made,
        };
        self.wants = source.clone();
        false
    }

    /// The other leg's stream, if that is heard; its first packet takes over from what was played while it was waited for.
    pub(crate) fn live_from(&mut self, port: Port, swap: u64) -> Option<&mut Live> {
        if self.waiting == Some(port) {
            self.waiting = None;
            self.feed = Feed::Live(Live::new(port, swap));
        }
        match &mut self.feed {
            Feed::Live(live) if live.port == port => Some(live),
            Feed::Live(_) | Feed::Made | Feed::Mix(_) => None,
        }
    }

    /// Whether this hears the packets of `port`, or will.
    pub(crate) fn hears(&self, port: Port) -> bool {
        let is_live = matches!(&self.feed, Feed::Live(live) if live.port == port);
        is_live || self.waiting == Some(port)
    }
}

fn is_same(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::Play(a), Source::Play(b)) => a.id == b.id,
        (Source::Silence | Source::Music | Source::Leg(_) | Source::Mix(_) | Source::Play(_), _) => a == b,
    }
}

impl Live {
    fn new(port: Port, since: u64) -> Live {
        Live {
            port,
            since,
            filling: false,
            slack: Duration::ZERO,
            key_until: None,
            residue: Vec::new(),
            residue_seq: None,
            place: None,
            key: None,
        }
    }

    /// The place of a packet in our stream; `None` if that place is gone.
    ///
    /// What is lost or overtaken on the way to us stays so for the hearer; after anything else was sent, the stream goes on where
    /// that ended.
    pub(crate) fn place(&mut self, sender: &Sender, rtp: &Rtp<'_>, epoch: u64) -> Option<(u16, u32)> {
        if let Some(place) = self.place.as_mut().filter(|place| place.epoch == epoch) {
            let ahead = rtp.seq.wrapping_sub(place.seq);
            if ahead >= 0x8000 {
                return None;
            }
            let seq = place.our_seq.wrapping_add(ahead);
            let timestamp = place.timestamp_of(rtp);
            if ahead > PLACE_KEPT {
                place.seq = place.seq.wrapping_add(ahead - PLACE_KEPT / 2);
                place.our_seq = place.our_seq.wrapping_add(ahead - PLACE_KEPT / 2);
            }
            if is_near(timestamp, sender) {
                return Some((seq, timestamp));
            }
        }
        let (our_seq, our_timestamp) = sender.next();
        self.place = Some(Place { epoch, seq: rtp.seq, our_seq, timestamp: rtp.timestamp, our_timestamp });
        Some((our_seq, our_timestamp))
    }

    /// Takes note that something else was sent: the next packet goes on where that ended.
    pub(crate) fn displace(&mut self) {
        self.place = None;
    }

    /// Takes note that a packet goes nowhere, or not by its number: the next one takes the next number.
    pub(crate) fn skip(&mut self, sender: &Sender, seq: u16) {
        if let Some(place) = &mut self.place {
            (place.seq, place.our_seq) = (seq.wrapping_add(1), sender.next().0);
        }
    }

    /// The timestamp of a key press in our stream: the same for all its packets.
    pub(crate) fn key_timestamp(&mut self, sender: &Sender, rtp: &Rtp<'_>) -> u32 {
        if let Some((_, ours)) = self.key.filter(|(theirs, _)| *theirs == rtp.timestamp) {
            return ours;
        }
        let mapped = self.place.map(|place| place.timestamp_of(rtp)).filter(|timestamp| is_near(*timestamp, sender));
        let ours = mapped.unwrap_or(sender.next().1);
        self.key = Some((rtp.timestamp, ours));
        ours
    }
}

impl Place {
    fn timestamp_of(&self, rtp: &Rtp<'_>) -> u32 {
        self.our_timestamp.wrapping_add(rtp.timestamp.wrapping_sub(self.timestamp))
    }
}

/// Whether a timestamp is from one second before to three seconds after the end of the stream.
fn is_near(timestamp: u32, sender: &Sender) -> bool {
    (-8_000..=24_000).contains(&(timestamp.wrapping_sub(sender.next().1) as i32))
}

/// How many packets a place is kept for before it moves on with the stream.
const PLACE_KEPT: u16 = 1_000;
