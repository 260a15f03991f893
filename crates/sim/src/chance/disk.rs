//! What the store of a random world holds: callbacks, which only whoever knows their epoch may change.

use std::time::Duration;

use baton_contract::{At, CallbackClaim, CallbackId, CallbackState, CallbackView, Record};
use baton_time::Wall;

/// Rows that a store would keep.
#[derive(Debug, Default)]
pub(super) struct Disk {
    callbacks: Vec<CallbackView>,
}

impl Disk {
    /// Writes all of these, or none.
    pub(super) fn write(&mut self, records: &[Record]) -> bool {
        let fits = |record: &Record| match record {
            Record::Claim { from, callback } => self.callback(callback.id).is_none_or(|row| row.progress.epoch == *from),
            Record::Journal { .. }
            | Record::Call(_)
            | Record::Transfer(_)
            | Record::Callback(_)
            | Record::Lease(_)
            | Record::Release { .. }
            | Record::Audit(_)
            | Record::Outbox(_)
            | Record::Placed(_)
            | Record::Forget(_) => true,
        };
        if !records.iter().all(fits) {
            return false;
        }
        for record in records {
            if let Record::Callback(row) | Record::Claim { callback: row, .. } = record {
                self.put((**row).clone());
            }
        }
        true
    }

    fn put(&mut self, row: CallbackView) {
        match self.callbacks.iter_mut().find(|known| known.id == row.id) {
            Some(known) => *known = row,
            None => self.callbacks.push(row),
        }
    }

    pub(super) fn callback(&self, id: CallbackId) -> Option<&CallbackView> {
        self.callbacks.iter().find(|row| row.id == id)
    }

    /// Every callback.
    pub(super) fn callbacks(&self) -> impl Iterator<Item = &CallbackView> {
        self.callbacks.iter()
    }

    /// What is open and due before then.
    pub(super) fn callbacks_before(&self, before: At) -> Vec<CallbackView> {
        self.callbacks.iter().filter(|row| is_open(row) && row.due_at() < before).cloned().collect()
    }

    pub(super) fn open_callbacks(&self) -> Vec<CallbackId> {
        self.callbacks.iter().filter(|row| is_open(row)).map(|row| row.id).collect()
    }

    pub(super) fn last_callback(&self) -> Option<CallbackId> {
        self.callbacks.last().map(|row| row.id)
    }

    /// Another node has claimed the last callback; false where there is none that could be.
    pub(super) fn claimed_elsewhere(&mut self, now: Wall) -> bool {
        let soon = At(now + Duration::from_secs(1));
        let is_due = |row: &&mut CallbackView| row.state == CallbackState::Scheduled && row.due_at() <= soon;
        let Some(row) = self.callbacks.last_mut().filter(is_due) else { return false };
        row.state = CallbackState::Running;
        row.progress.epoch += 1;
        row.progress.claim = Some(CallbackClaim { node: "baton-2".to_owned(), until: At(now + Duration::from_secs(30)) });
        true
    }
}

fn is_open(row: &CallbackView) -> bool {
    matches!(row.state, CallbackState::Scheduled | CallbackState::Running)
}
