//! Records that nobody waits for are gathered for a moment: a call writes a handful of them within a few milliseconds, and each commit wakes
//! two threads and the disk.

use std::time::Duration;

use baton_contract::{CommitLevel, OutboxStep, Record};
use baton_time::Mono;

/// How long the first of them waits at most where somebody listens to events: they are told when their lines are on record.
const LINGER_HEARD: Duration = Duration::from_millis(5);
/// How long where nobody does.
const LINGER: Duration = Duration::from_millis(200);
/// As many as this wait for nothing.
const RECORDS_MAX: usize = 512;

/// Whether anybody is to hear of events at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listeners {
    /// They are written down for later.
    #[default]
    None,
    /// Somebody follows them, or a webhook wants them.
    Some,
}

/// Records that are handed over together.
#[derive(Debug, PartialEq)]
pub(super) struct Lot {
    pub(super) level: CommitLevel,
    pub(super) listeners: Listeners,
    pub(super) records: Vec<Record>,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Linger {
    records: Vec<Record>,
    level: Option<CommitLevel>,
    listeners: Listeners,
    until: Option<Mono>,
}

impl Linger {
    /// Whether records may wait: events, and calls as they stand. Whatever somebody else carries on from goes at once.
    pub(super) fn takes(records: &[Record]) -> bool {
        records.iter().all(|record| matches!(record, Record::Audit(_) | Record::Call(_) | Record::Outbox(OutboxStep::Due { .. })))
    }

    /// Puts records behind those that wait.
    pub(super) fn put(&mut self, now: Mono, listeners: Listeners, level: CommitLevel, records: Vec<Record>) {
        let until = match listeners {
            Listeners::Some => now + LINGER_HEARD,
            // At multiples, so that the engine wakes once for all that waits.
            Listeners::None => now.rounded_up(LINGER),
        };
        self.until = Some(self.until.map_or(until, |set| set.min(until)));
        self.level = self.level.max(Some(level));
        self.listeners = self.listeners.max(listeners);
        self.records.extend(records);
    }

    /// Whether they have waited long enough, or are many.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.until.is_some_and(|until| until <= now) || self.records.len() >= RECORDS_MAX
    }

    /// Until when they wait, if there are any.
    pub(super) fn until(&self) -> Option<Mono> {
        self.until
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Option<Lot> {
        self.until = None;
        let level = self.level.take()?;
        Some(Lot { level, listeners: std::mem::take(&mut self.listeners), records: std::mem::take(&mut self.records) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_contract::AeId;

    #[test]
    fn what_waits_goes_together_at_the_higher_level_and_in_time() {
        let mut linger = Linger::default();
        let start = Mono::from_micros(5);
        assert!(linger.take().is_none() && !linger.is_due(start));
        linger.put(start, Listeners::None, CommitLevel::Power, Vec::new());
        linger.put(start + LINGER / 2, Listeners::None, CommitLevel::Process, Vec::new());
        assert_eq!(linger.until(), Some(start.rounded_up(LINGER)));
        assert!(!linger.is_due(start + LINGER / 2) && linger.is_due(start + LINGER));
        let lot = Lot { level: CommitLevel::Power, listeners: Listeners::None, records: Vec::new() };
        assert_eq!(linger.take(), Some(lot));
        assert!(linger.until().is_none() && linger.take().is_none());
    }

    #[test]
    fn whoever_begins_to_listen_hears_at_once_what_waited_for_nobody() {
        let mut linger = Linger::default();
        let start = Mono::from_micros(5);
        linger.put(start, Listeners::None, CommitLevel::Power, Vec::new());
        linger.put(start + LINGER_HEARD, Listeners::Some, CommitLevel::Power, Vec::new());
        assert_eq!(linger.until(), Some(start + LINGER_HEARD * 2));
        assert_eq!(linger.take().map(|lot| lot.listeners), Some(Listeners::Some));
    }

    #[test]
    fn what_others_carry_on_from_does_not_wait() {
        let ae = AeId::from("ae");
        assert!(!Linger::takes(&[Record::Release { ae, epoch: 1 }]));
        assert!(Linger::takes(&[]));
    }
}
