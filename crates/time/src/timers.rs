//! A set of named alarms.

use std::collections::{BTreeMap, BTreeSet};

use crate::Mono;

/// Alarms by key: at most one for each key, handed out in the order of their times.
#[derive(Debug, Clone)]
pub struct Timers<K> {
    by_time: BTreeSet<(Mono, K)>,
    by_key: BTreeMap<K, Mono>,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Timers { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets the alarm of `key`, in place of the one it had.
    pub fn set(&mut self, key: K, at: Mono) {
        match self.by_key.insert(key.clone(), at) {
            Some(set) if set == at => return,
            Some(set) => {
                self.by_time.remove(&(set, key.clone()));
            }
            None => {}
        }
        self.by_time.insert((at, key));
    }

    /// Takes the alarm of `key` away; says whether there was one.
    pub fn clear(&mut self, key: &K) -> bool {
        match self.by_key.remove(key) {
            Some(at) => self.by_time.remove(&(at, key.clone())),
            None => false,
        }
    }

    /// When the alarm of `key` rings, if it is set.
    pub fn get(&self, key: &K) -> Option<Mono> {
        self.by_key.get(key).copied()
    }

    /// The next alarm.
    pub fn next(&self) -> Option<(Mono, &K)> {
        self.by_time.first().map(|(at, key)| (*at, key))
    }

    /// Takes the next alarm that is due at `now`; call until it yields none.
    pub fn pop_due(&mut self, now: Mono) -> Option<(Mono, K)> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (at, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some((at, key))
    }

    /// How many alarms are set.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no alarm is set.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_twice_rings_once_at_the_later_setting() {
        let mut timers = Timers::default();
        timers.set("ring", Mono::from_millis(10));
        timers.set("ring", Mono::from_millis(30));
        assert_eq!(timers.pop_due(Mono::from_millis(20)), None);
        assert_eq!(timers.pop_due(Mono::from_millis(30)), Some((Mono::from_millis(30), "ring")));
        assert!(timers.is_empty());
    }

    #[test]
    fn alarms_ring_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        timers.set("b", Mono::from_millis(2));
        timers.set("a", Mono::from_millis(1));
        assert_eq!(timers.next(), Some((Mono::from_millis(1), &"a")));
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(Mono::from_millis(9))).map(|(_, key)| key).collect();
        assert_eq!(order, ["a", "b"]);
    }
}
