//! The line that fail2ban reads, and how often it is written: a flood must not drown the log.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use baton_time::Mono;

/// One source is named so often at most: five lines ban it, in five seconds.
const ONE_EVERY: Duration = Duration::from_secs(1);

/// All together are named so often at most; the journal drops lines beyond some 300 a second, whoever wrote them.
const ANY_EVERY: Duration = Duration::from_millis(20);

/// How many may be named at once.
const ANY_AT_ONCE: u32 = 100;

/// How many sources are told apart; where there are more, all are named as often as the limit for all permits.
const SOURCES_MAX: usize = 4_096;

/// When whom was named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints {
    named_at: BTreeMap<IpAddr, Mono>,
    /// When as many as ever may be named at once.
    full_at: Mono,
}

impl Complaints {
    /// Whether a line about this source may be written now; if so it is.
    pub(crate) fn may_name(&mut self, now: Mono, source: IpAddr) -> bool {
        let source = baton_sip::network_of(source);
        let is_fresh = |at: &Mono| *at + ONE_EVERY > now;
        if self.named_at.get(&source).is_some_and(is_fresh) {
            return false;
        }
        let full_at = self.full_at.max(now) + ANY_EVERY;
        if full_at > now + ANY_EVERY * ANY_AT_ONCE {
            return false;
        }
        if self.named_at.len() >= SOURCES_MAX {
            self.named_at.retain(|_, at| is_fresh(at));
        }
        if self.named_at.len() < SOURCES_MAX {
            self.named_at.insert(source, now);
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_source_is_named_once_a_second_however_often_it_knocks() {
        let mut complaints = Complaints::default();
        let at = |ms: u64| Mono::from_micros(ms * 1_000);
        let named = (0..10_000).filter(|ms| complaints.may_name(at(*ms), address(7))).count();
        assert_eq!(named, 10);
        let six = |tail| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, tail]);
        let named = (0..1_000).filter(|tail| complaints.may_name(at(20_000), six(*tail))).count();
        assert_eq!(named, 1, "a /64 is one of them");
    }

    #[test]
    fn many_sources_do_not_fill_the_log_and_are_not_remembered_for_ever() {
        let mut complaints = Complaints::default();
        let now = |number: u32| Mono::from_micros(u64::from(number) * 100);
        let named = (0..100_000).filter(|number| complaints.may_name(now(*number), address(*number))).count();
        assert!((500..=601).contains(&named), "{named} in ten seconds: 50 a second, and 100 at once");
        assert!(complaints.named_at.len() <= SOURCES_MAX);
    }
}
