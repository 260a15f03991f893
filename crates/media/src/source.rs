//! Whose packets are a leg's: learned, then locked.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use baton_time::Mono;

use crate::Sources;

/// Where a leg's packets come from, and where those for it go.
///
/// The signalled address counts from its first packet on. Anybody else is taken after [`PACKETS_TO_LEARN`] consecutive packets of
/// one SSRC, and only where the signalled address has not been heard. Once locked only the source itself counts; after
/// [`SILENCE_TO_RELEARN`] without a packet another port of the same IP address can be learned.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    rule: Sources,
    signalled: SocketAddr,
    state: State,
    heard_at: Option<Mono>,
}

#[derive(Debug, Clone)]
enum State {
    Learning(Learning),
    Locked(SocketAddr),
}

#[derive(Debug, Clone)]
struct Learning {
    /// Counts from its first packet on.
    preferred: SocketAddr,
    /// Nobody else may be learned than somebody from here.
    only: Option<IpAddr>,
    candidates: [Option<Candidate>; CANDIDATES_MAX],
    next: usize,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    seq: u16,
    count: u8,
}

/// Whether a packet is the leg's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Own,
    /// It is, and from here on the socket can be connected to its source.
    OwnAndLocked(SocketAddr),
    /// It is somebody else's.
    Foreign,
}

impl Origin {
    /// A leg whose far end said that it is at `signalled`.
    pub(crate) fn new(rule: Sources, signalled: SocketAddr) -> Origin {
        Origin { rule, signalled, state: State::Learning(Learning::new(signalled, None)), heard_at: None }
    }

    /// Takes a new description; says whether the socket must be open to everybody again.
    pub(crate) fn signal(&mut self, signalled: SocketAddr) -> bool {
        if signalled == self.signalled || signalled.ip().is_unspecified() {
            return false;
        }
        let was_connected = self.is_connected();
        *self = Origin::new(self.rule, signalled);
        was_connected
    }

    /// Judges a packet.
    pub(crate) fn judge(&mut self, now: Mono, from: SocketAddr, ssrc: u32, seq: u16) -> Verdict {
        let quiet = self.heard_at.is_none_or(|at| now.since(at) >= SILENCE_TO_RELEARN);
        let (is_own, is_learned) = match &mut self.state {
            State::Locked(source) => (from == *source, false),
            State::Learning(learning) if from == learning.preferred => (true, learning.count(from, ssrc, seq)),
            State::Learning(learning) => {
                let learned = quiet && learning.may_be(from) && learning.count(from, ssrc, seq);
                (learned, learned)
            }
        };
        if !is_own {
            return Verdict::Foreign;
        }
        self.heard_at = Some(now);
        if !is_learned {
            return Verdict::Own;
        }
        self.state = State::Locked(from);
        match self.rule {
            Sources::Symmetric => Verdict::OwnAndLocked(from),
            Sources::Signalled => Verdict::Own,
        }
    }

    /// When the lock is opened for another port of the same address, if nothing comes until then.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        match &self.state {
            State::Locked(_) => self.heard_at.map(|at| at + SILENCE_TO_RELEARN),
            State::Learning(_) => None,
        }
    }

    /// Opens the lock if it is time to; says whether the socket must be open to everybody again.
    pub(crate) fn tick(&mut self, now: Mono) -> bool {
        match self.state {
            State::Locked(source) if self.poll_timeout().is_some_and(|at| at <= now) => {
                let was_connected = self.is_connected();
                self.state = State::Learning(Learning::new(source, Some(source.ip())));
                was_connected
            }
            State::Locked(_) | State::Learning(_) => false,
        }
    }

    /// The source that was learned.
    pub(crate) fn learned(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Locked(source) => Some(*source),
            State::Learning(_) => None,
        }
    }

    /// Takes a source for learned; says whether the socket can be connected to it.
    pub(crate) fn lock(&mut self, source: SocketAddr) -> bool {
        self.state = State::Locked(source);
        self.is_connected()
    }

    /// Where packets for the leg go.
    pub(crate) fn destination(&self) -> SocketAddr {
        match (&self.state, self.rule) {
            (State::Locked(source), Sources::Symmetric) => *source,
            (State::Learning(learning), Sources::Symmetric) => learning.preferred,
            (State::Locked(_) | State::Learning(_), Sources::Signalled) => self.signalled,
        }
    }

    fn is_connected(&self) -> bool {
        matches!((&self.state, self.rule), (State::Locked(_), Sources::Symmetric))
    }
}

impl Learning {
    fn new(preferred: SocketAddr, only: Option<IpAddr>) -> Learning {
        Learning { preferred, only, candidates: [None; CANDIDATES_MAX], next: 0 }
    }

    fn may_be(&self, from: SocketAddr) -> bool {
        self.only.is_none_or(|ip| ip == from.ip())
    }

    /// Counts a packet of `from`; says whether there have now been enough on end.
    fn count(&mut self, from: SocketAddr, ssrc: u32, seq: u16) -> bool {
        let known = self.candidates.iter_mut().flatten().find(|candidate| candidate.from == from);
        let Some(candidate) = known else {
            self.candidates[self.next] = Some(Candidate { from, ssrc, seq, count: 1 });
            self.next = (self.next + 1) % CANDIDATES_MAX;
            return false;
        };
        let is_next = candidate.ssrc == ssrc && seq == candidate.seq.wrapping_add(1);
        *candidate = Candidate { from, ssrc, seq, count: if is_next { candidate.count + 1 } else { 1 } };
        candidate.count >= PACKETS_TO_LEARN
    }
}

/// Consecutive packets of one SSRC that make a source.
const PACKETS_TO_LEARN: u8 = 4;
/// Strangers that are counted at the same time; an older one makes room.
const CANDIDATES_MAX: usize = 4;
/// After this time without RTP another port of the same address may be the leg.
const SILENCE_TO_RELEARN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "192.0.2.1:4000";
    const NAT: &str = "198.51.100.7:61000";
    const NAT_LATER: &str = "198.51.100.7:61002";
    const THIEF: &str = "203.0.113.9:5000";

    fn judge(origin: &mut Origin, at_ms: u64, from: &str, seq: u16) -> Verdict {
        origin.judge(Mono::from_millis(at_ms), from.parse().unwrap(), 1, seq)
    }

    fn phone() -> Origin {
        Origin::new(Sources::Symmetric, PHONE.parse().unwrap())
    }

    #[test]
    fn the_signalled_address_is_heard_at_once_and_locked_after_four() {
        let mut origin = phone();
        for seq in 0..3 {
            assert_eq!(judge(&mut origin, 0, PHONE, seq), Verdict::Own);
        }
        assert_eq!(judge(&mut origin, 60, PHONE, 3), Verdict::OwnAndLocked(PHONE.parse().unwrap()));
        assert_eq!(judge(&mut origin, 80, THIEF, 4), Verdict::Foreign);
        assert_eq!(judge(&mut origin, 80, PHONE, 4), Verdict::Own);
    }

    #[test]
    fn an_address_behind_nat_is_learned_by_four_consecutive_packets() {
        let mut origin = phone();
        for (seq, verdict) in
            [(0, Verdict::Foreign), (1, Verdict::Foreign), (5, Verdict::Foreign), (6, Verdict::Foreign), (7, Verdict::Foreign)]
        {
            assert_eq!(judge(&mut origin, 0, NAT, seq), verdict, "{seq}");
        }
        assert_eq!(judge(&mut origin, 0, NAT, 8), Verdict::OwnAndLocked(NAT.parse().unwrap()));
        assert_eq!(origin.destination(), NAT.parse().unwrap());
    }

    #[test]
    fn nobody_takes_a_leg_over_while_the_signalled_address_talks() {
        let mut origin = phone();
        assert_eq!(judge(&mut origin, 0, PHONE, 0), Verdict::Own);
        for seq in 0..50 {
            assert_eq!(judge(&mut origin, 20, THIEF, seq), Verdict::Foreign);
        }
        assert_eq!(origin.destination(), PHONE.parse().unwrap());
    }

    #[test]
    fn after_two_seconds_of_silence_only_the_same_address_is_learned_anew() {
        let mut origin = phone();
        for seq in 0..4 {
            judge(&mut origin, 0, NAT, seq);
        }
        assert!(!origin.tick(Mono::from_millis(1_999)));
        assert!(origin.tick(Mono::from_millis(2_000)));
        for seq in 0..10 {
            assert_eq!(judge(&mut origin, 2_100, THIEF, seq), Verdict::Foreign);
        }
        for seq in 0..3 {
            assert_eq!(judge(&mut origin, 2_100, NAT_LATER, seq), Verdict::Foreign);
        }
        assert_eq!(judge(&mut origin, 2_100, NAT_LATER, 3), Verdict::OwnAndLocked(NAT_LATER.parse().unwrap()));
    }

    #[test]
    fn a_new_description_opens_the_lock_and_the_same_one_does_not() {
        let mut origin = phone();
        for seq in 0..4 {
            judge(&mut origin, 0, PHONE, seq);
        }
        assert!(!origin.signal(PHONE.parse().unwrap()));
        assert!(!origin.signal("0.0.0.0:4000".parse().unwrap()));
        assert!(origin.signal(NAT.parse().unwrap()));
        assert_eq!(judge(&mut origin, 10, PHONE, 5), Verdict::Foreign);
        assert_eq!(judge(&mut origin, 10, NAT, 0), Verdict::Own);
    }

    #[test]
    fn an_asymmetric_gateway_gets_its_packets_where_it_said() {
        let mut origin = Origin::new(Sources::Signalled, PHONE.parse().unwrap());
        for seq in 0..4 {
            judge(&mut origin, 0, NAT, seq);
        }
        assert_eq!(judge(&mut origin, 0, NAT, 4), Verdict::Own);
        assert_eq!(origin.destination(), PHONE.parse().unwrap());
    }
}
