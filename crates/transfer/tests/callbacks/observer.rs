//! Looks at what the daemons do, and knows nothing of how they come to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_contract::{CallbackId, CallbackState, CallbackView, EventKind};
use baton_time::{Mono, Wall};
use jiff::Timestamp;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    Early,
    Late,
    Double,
    OutsideItsHours,
    TooOften,
    RemindedTwice,
    Forgotten,
}

const EARLY_MAX: Duration = Duration::from_secs(1);
const LATE_MAX: Duration = Duration::from_secs(5);
const HOURS: std::ops::Range<i8> = 8..21;
const TRIES_MAX: usize = 3;

/// What is known about one callback from outside.
struct Known {
    /// When it is to be tried next, as people were told.
    due: Wall,
    zone: String,
    /// Who is carrying it out: the daemon, and which life of it.
    busy: Option<(usize, u32)>,
    dialled_since_promised: usize,
    kept: usize,
    reminded: usize,
    /// The store has refused something, or a daemon has died over it: no promise about seconds then.
    excused: bool,
}

#[derive(Default)]
pub(crate) struct Observer {
    known: BTreeMap<CallbackId, Known>,
    pub(crate) wrong: Vec<(Wrong, String)>,
    ended: BTreeSet<CallbackId>,
    pub(crate) missed: usize,
    pub(crate) cancelled: usize,
    pub(crate) tries: usize,
    pub(crate) crashes: usize,
    pub(crate) steps: usize,
}

/// When a daemon could have known that a callback is due.
pub(crate) struct Ready {
    pub(crate) now: Mono,
    /// What its clock says.
    pub(crate) wall: Wall,
    /// It is up, and its clock untouched, since then.
    pub(crate) since: Mono,
}

impl Observer {
    pub(crate) fn promised(&mut self, row: &CallbackView) {
        let zone = row.timezone.clone();
        let (due, reminded) = (row.at.0, 0);
        self.known.insert(row.id, Known { due, zone, busy: None, dialled_since_promised: 0, kept: 0, reminded, excused: false });
    }

    pub(crate) fn kept(&self) -> usize {
        self.known.values().filter(|known| known.kept > 0).count()
    }

    fn fault(&mut self, kind: Wrong, id: CallbackId, what: impl std::fmt::Display) {
        self.wrong.push((kind, format!("{id}: {what}")));
    }

    pub(crate) fn excuse(&mut self, id: CallbackId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.excused = true;
        }
    }

    /// A daemon asks for the claim: this is when the callback is carried out.
    pub(crate) fn begins(&mut self, id: CallbackId, ready: &Ready) {
        let Some(known) = self.known.get(&id) else { return };
        let (due, excused) = (known.due, known.excused);
        if ready.wall + EARLY_MAX < due {
            let by = due.since(ready.wall);
            self.fault(Wrong::Early, id, format!("{by:?} before its time"));
        }
        // How long ago this daemon's clock said that it is time.
        let could = ready.now.since(ready.since).min(ready.wall.since(due));
        if could > LATE_MAX && !excused {
            self.fault(Wrong::Late, id, format!("{could:?} after it could have begun"));
        }
    }

    /// An INVITE leaves, to an AE or to the caller.
    pub(crate) fn dials(&mut self, id: CallbackId, who: (usize, u32), wall: Wall, to_caller: bool) {
        let Some(known) = self.known.get_mut(&id) else { return };
        let other = known.busy.is_some_and(|busy| busy != who);
        known.busy = Some(who);
        known.dialled_since_promised += usize::from(to_caller);
        let (kept, count, zone) = (known.kept, known.dialled_since_promised, known.zone.clone());
        if other {
            self.fault(Wrong::Double, id, "two daemons at once");
        }
        if kept > 0 {
            self.fault(Wrong::Double, id, "dialled after it was kept");
        }
        if count > TRIES_MAX {
            self.fault(Wrong::TooOften, id, format!("the caller is dialled for the {count}th time"));
        }
        let local = Timestamp::from_microsecond(wall.as_micros()).expect("a time").in_tz(&zone).expect("a zone");
        if to_caller && !HOURS.contains(&local.hour()) {
            self.fault(Wrong::OutsideItsHours, id, local);
        }
    }

    /// The legs of a try are gone.
    pub(crate) fn is_quiet(&mut self, id: CallbackId, who: (usize, u32)) {
        if let Some(known) = self.known.get_mut(&id).filter(|known| known.busy == Some(who)) {
            known.busy = None;
        }
    }

    pub(crate) fn crashed(&mut self, who: (usize, u32)) {
        self.crashes += 1;
        for known in self.known.values_mut().filter(|known| known.busy == Some(who)) {
            known.busy = None;
            known.excused = true;
        }
    }

    pub(crate) fn bridged(&mut self, id: CallbackId) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.kept += 1;
        if known.kept > 1 {
            self.fault(Wrong::Double, id, "kept twice");
        }
    }

    /// An event was published.
    pub(crate) fn hears(&mut self, id: CallbackId, kind: EventKind, row: &CallbackView) {
        let Some(known) = self.known.get_mut(&id) else { return };
        match kind {
            EventKind::CallbackReminded => {
                known.reminded += 1;
                if known.reminded > 1 {
                    self.fault(Wrong::RemindedTwice, id, "reminded twice");
                }
            }
            EventKind::CallbackTried => {
                self.tries += 1;
                (known.due, known.excused) = (row.due_at().0, false);
            }
            EventKind::CallbackMoved => {
                (known.due, known.zone) = (row.at.0, row.timezone.clone());
                (known.reminded, known.dialled_since_promised, known.excused) = (0, 0, false);
            }
            EventKind::CallbackMissed if self.ended.insert(id) => self.missed += 1,
            EventKind::CallbackCancelled if self.ended.insert(id) => self.cancelled += 1,
            _ => {}
        }
    }

    /// What the store says about the next try, where the daemon died before it could tell.
    pub(crate) fn reads(&mut self, row: &CallbackView) {
        if let Some(known) = self.known.get_mut(&row.id) {
            (known.due, known.zone) = (row.due_at().0, row.timezone.clone());
        }
    }

    /// The world is over.
    pub(crate) fn close(&mut self, rows: &BTreeMap<CallbackId, CallbackView>) {
        let open = |row: &&CallbackView| matches!(row.state, CallbackState::Scheduled | CallbackState::Running);
        for row in rows.values().filter(open) {
            self.fault(Wrong::Forgotten, row.id, format!("still {:?}, due {}", row.state, row.due_at()));
        }
        // What a daemon had no time to tell is counted from the store.
        for row in rows.values() {
            match row.state {
                CallbackState::Missed if self.ended.insert(row.id) => self.missed += 1,
                CallbackState::Cancelled if self.ended.insert(row.id) => self.cancelled += 1,
                CallbackState::Kept if self.known.get(&row.id).is_some_and(|known| known.kept == 0) => {
                    self.known.entry(row.id).and_modify(|known| known.kept = 1);
                }
                _ => {}
            }
        }
    }
}
