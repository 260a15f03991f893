//! Who may cost us memory: whoever is nobody's friend yet may only ask so often.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use baton_time::{Mono, Timers};

use super::Limits;

/// How many friends, and how many strangers, are told apart.
const SOURCES_MAX: usize = 4_096;
/// How long a friend stays one without being heard of.
const FRIENDSHIP: Duration = Duration::from_secs(3_600);
/// How many seconds' worth of requests may come at once.
const BURST_SECONDS: u32 = 4;

/// How often the owner is told of one that floods us.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// An address. On the loopback, where everybody has the same one, the port tells them apart.
pub(crate) type Source = (IpAddr, u16);

/// Everybody who asks for something outside of what we already have with them.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Those whose INVITEs the owner has not forbidden, and those whom we have called.
    friends: Timers<Source>,
    strangers: BTreeMap<Source, Stranger>,
    all_strangers: Bucket,
    one: Rate,
    all: Rate,
}

/// Somebody whom we do not know.
#[derive(Debug, Clone, Copy, Default)]
struct Stranger {
    bucket: Bucket,
    /// When it was last told of.
    told_at: Option<Mono>,
}

/// What becomes of a request that belongs to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is looked at.
    Granted,
    /// It is dropped.
    Dropped,
    /// It is dropped, and it is time to say so.
    DroppedAloud,
}

/// A token bucket, as the time at which it is full again.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    full_at: Mono,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    /// The time that one request costs.
    cost: Duration,
    /// How much may be owed.
    depth: Duration,
}

impl Sources {
    pub(crate) fn new(limits: &Limits) -> Sources {
        let (one, all) = (Rate::new(limits.stranger_rate), Rate::new(limits.strangers_rate));
        Sources { friends: Timers::default(), strangers: BTreeMap::new(), all_strangers: Bucket::default(), one, all }
    }

    /// Whether a request that belongs to nothing may be looked at.
    pub(crate) fn admit(&mut self, now: Mono, addr: SocketAddr) -> Admission {
        let source = source(addr);
        if self.friends.get(&source).is_some_and(|until| until > now) {
            return Admission::Granted;
        }
        if self.strangers.len() >= SOURCES_MAX && !self.strangers.contains_key(&source) {
            self.strangers.retain(|_, stranger| stranger.bucket.full_at > now);
        }
        let has_room = self.strangers.len() < SOURCES_MAX || self.strangers.contains_key(&source);
        if has_room {
            let stranger = self.strangers.entry(source).or_default();
            if !stranger.bucket.take(now, self.one) {
                return stranger.dropped(now);
            }
        }
        // Those who are too many to be told apart share what there is.
        if self.all_strangers.take(now, self.all) { Admission::Granted } else { Admission::Dropped }
    }

    /// The owner deals with whoever is there.
    pub(crate) fn befriend(&mut self, now: Mono, addr: SocketAddr) {
        let source = source(addr);
        if self.friends.len() >= SOURCES_MAX
            && self.friends.get(&source).is_none()
            && let Some(oldest) = self.friends.next().map(|(_, source)| *source)
        {
            self.friends.clear(&oldest);
        }
        self.friends.set(source, now + FRIENDSHIP);
        self.strangers.remove(&source);
    }
}

impl Stranger {
    fn dropped(&mut self, now: Mono) -> Admission {
        if self.told_at.is_some_and(|at| at + TOLD_EVERY > now) {
            return Admission::Dropped;
        }
        self.told_at = Some(now);
        Admission::DroppedAloud
    }
}

impl Rate {
    fn new(per_second: u32) -> Rate {
        let cost = Duration::from_secs(1) / per_second.max(1);
        Rate { cost, depth: cost * per_second.max(1).saturating_mul(BURST_SECONDS) }
    }
}

impl Bucket {
    fn take(&mut self, now: Mono, rate: Rate) -> bool {
        let full_at = self.full_at.max(now) + rate.cost;
        let fits = full_at.since(now) <= rate.depth;
        if fits {
            self.full_at = full_at;
        }
        fits
    }
}

/// The source that this address belongs to.
pub(crate) fn source(addr: SocketAddr) -> Source {
    (network_of(addr.ip()), if addr.ip().is_loopback() { addr.port() } else { 0 })
}

/// Whom an address stands for where sources are counted: itself, or its /64, for a single customer of IPv6 has all of that.
pub fn network_of(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(addr) if !addr.is_loopback() => IpAddr::V6((addr.to_bits() >> 64 << 64).into()),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}
