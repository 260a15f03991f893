//! What a courier has in hand, and what it does not know of yet.

use std::collections::{BTreeSet, VecDeque};

use baton_contract::{At, CallId, OutboxStep};
use baton_store::{Parcel, ReadError};
use baton_time::Wall;
use tokio::task::{JoinError, JoinSet};

/// Events that are under way to one webhook at the same time; of one call never more than one.
pub(super) const SIDE_BY_SIDE: usize = 16;

/// Events that are read at once: more than are under way, for of a call only one may be.
pub(super) const READ_AT_ONCE: u32 = 8 * SIDE_BY_SIDE as u32;

/// Whether the store may have events that are not in hand.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// None that we know of.
    #[default]
    Seen,
    /// Perhaps: it is asked as soon as there is room.
    Wanted,
    /// It is being asked.
    Asked,
    /// It is being asked, and something has happened since.
    AskedTooEarly,
}

impl Look {
    /// Something has happened that may let events go.
    pub(super) fn want(&mut self) {
        *self = match self {
            Look::Seen | Look::Wanted => Look::Wanted,
            Look::Asked | Look::AskedTooEarly => Look::AskedTooEarly,
        };
    }

    /// The store has answered, with everything it has or with a part.
    fn answered(&mut self, part: Part) {
        *self = match (&self, part) {
            (Look::AskedTooEarly, _) | (_, Part::First) => Look::Wanted,
            (_, Part::Whole) => Look::Seen,
        };
    }
}

/// How much of what is due an answer of the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    First,
}

/// What a courier has in hand.
#[derive(Default)]
pub(super) struct Load {
    /// Read, and waiting for room, or for the event before it.
    pub(super) ready: VecDeque<Parcel>,
    /// Calls whose next event must wait: one is being sent, or has failed and nothing of it is on record yet.
    busy: BTreeSet<CallId>,
    /// Events that have failed, with their calls.
    failed: Vec<(u64, CallId)>,
    /// How many are being sent.
    pub(super) sent: usize,
    /// Sent, and not yet struck off: written together, so that one commit strikes off whatever came back meanwhile.
    pub(super) unwritten: Vec<(u64, OutboxStep)>,
    /// How many commits are under way: one at most.
    pub(super) commits: usize,
    /// What is sent and what is written.
    pub(super) under_way: JoinSet<Came>,
    /// The numbers of all of them.
    carried: BTreeSet<u64>,
    /// When something comes back that failed, or is due that was put off in the last run.
    pub(super) due: Option<Wall>,
    /// Whether the store is to be asked. While it is, deliveries go on.
    pub(super) look: Look,
    /// Written since it was asked: its answer may be older than that, and is held against what was under way then.
    written: Vec<u64>,
}

/// What has come to its end.
pub(super) enum Came {
    /// An event is delivered, given up, or comes again.
    Back { seq: u64, before_next_of: Option<CallId>, step: OutboxStep, again: Option<Wall> },
    /// Events are struck off.
    Written(Vec<u64>),
    /// The store was asked what is due, and when the next will be.
    Found(Result<(Vec<Parcel>, Option<At>), ReadError>),
}

impl Load {
    /// Takes note of what has come to its end.
    pub(super) fn take(&mut self, came: Result<Came, JoinError>) {
        match came {
            Ok(Came::Back { seq, before_next_of, step, again }) => {
                self.sent -= 1;
                self.unwritten.push((seq, step));
                self.due = [self.due, again].into_iter().flatten().min();
                match (before_next_of, again) {
                    (Some(call), Some(_)) => self.put_back(seq, call),
                    (Some(call), None) => {
                        self.busy.remove(&call);
                    }
                    (None, _) => {}
                }
            }
            Ok(Came::Written(seqs)) => {
                self.commits -= 1;
                self.written.extend(seqs);
                if !matches!(self.look, Look::Asked | Look::AskedTooEarly) {
                    self.let_go();
                }
                self.look.want();
            }
            Ok(Came::Found(found)) => {
                let part = match found {
                    Ok((parcels, due)) => {
                        self.due = [self.due, due.map(|at| at.0)].into_iter().flatten().min();
                        self.stow(parcels)
                    }
                    Err(_) => Part::First,
                };
                self.look.answered(part);
                self.let_go();
            }
            // Nobody can say what it had in hand. The store can: events go at least once.
            Err(error) => {
                tracing::error!(%error, "webhooks begin again");
                *self = Load::default();
            }
        }
    }

    /// Takes what the store has found, but what is in hand already, and what waits for something that has failed.
    fn stow(&mut self, parcels: Vec<Parcel>) -> Part {
        let (found, before) = (parcels.len(), self.ready.len());
        for parcel in parcels {
            let may_wait = parcel.before_next_of.is_none_or(|call| !self.failed.iter().any(|(_, failed)| *failed == call));
            if may_wait && self.carried.insert(parcel.seq) {
                self.ready.push_back(parcel);
            }
        }
        if found == READ_AT_ONCE as usize && self.ready.len() > before { Part::First } else { Part::Whole }
    }

    /// Forgets what is written, now that no answer of the store is older than that.
    fn let_go(&mut self) {
        let written = std::mem::take(&mut self.written);
        self.carried.retain(|seq| !written.contains(seq));
        for (_, call) in self.failed.extract_if(.., |(seq, _)| written.contains(seq)) {
            self.busy.remove(&call);
        }
    }

    /// An event has failed: those that wait for it stay in the store, which says when they may go.
    fn put_back(&mut self, seq: u64, call: CallId) {
        self.failed.push((seq, call));
        let carried = &mut self.carried;
        self.ready.retain(|parcel| {
            let stays = parcel.before_next_of != Some(call);
            if !stays {
                carried.remove(&parcel.seq);
            }
            stays
        });
    }

    /// The next event that may be sent.
    pub(super) fn next(&mut self) -> Option<Parcel> {
        let may_go = |parcel: &Parcel| parcel.before_next_of.is_none_or(|call| !self.busy.contains(&call));
        let place = self.ready.iter().position(may_go)?;
        let parcel = self.ready.remove(place)?;
        self.busy.extend(parcel.before_next_of);
        Some(parcel)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_contract::IdSource;

    use super::*;

    const NOW: Wall = Wall::from_seconds(50);

    fn call(number: u64) -> CallId {
        CallId::new(&mut IdSource::seeded(number), NOW)
    }

    fn parcel(seq: u64, of: u64) -> Parcel {
        Parcel { seq, before_next_of: Some(call(of)), tries: 0, since: At(NOW), body: String::new() }
    }

    fn found(parcels: Vec<Parcel>) -> Result<Came, JoinError> {
        Ok(Came::Found(Ok((parcels, None))))
    }

    fn back(seq: u64, of: u64, again: Option<Wall>) -> Result<Came, JoinError> {
        let step = OutboxStep::Done { hook: "crm".to_owned(), seq };
        Ok(Came::Back { seq, before_next_of: Some(call(of)), step, again })
    }

    /// What is sent, one after the other, until nothing more may go.
    fn sent(load: &mut Load) -> Vec<u64> {
        std::iter::from_fn(|| load.next()).map(|parcel| parcel.seq).collect()
    }

    /// A load whose store was just asked, and that has these in hand and has set out with what may go.
    fn asked(parcels: Vec<Parcel>) -> (Load, Vec<u64>) {
        let mut load = Load { look: Look::Asked, ..Load::default() };
        load.take(found(parcels));
        let gone = sent(&mut load);
        load.sent = gone.len();
        load.commits = 1;
        load.look = Look::Asked;
        (load, gone)
    }

    #[test]
    fn an_answer_that_is_older_than_a_delivery_does_not_deliver_again() {
        let (mut load, gone) = asked(vec![parcel(1, 1), parcel(2, 2)]);
        assert_eq!(gone, [1, 2]);
        load.take(back(1, 1, None));
        load.take(Ok(Came::Written(vec![1])));
        assert_eq!(load.look, Look::AskedTooEarly, "what was written may let others go");
        load.take(found(vec![parcel(1, 1), parcel(2, 2), parcel(3, 1)]));
        assert_eq!(sent(&mut load), [3]);
        assert_eq!(load.look, Look::Wanted);
        assert_eq!(Vec::from_iter(load.carried), [2, 3]);
    }

    #[test]
    fn an_answer_that_is_older_than_a_failure_lets_nothing_overtake() {
        let (mut load, gone) = asked(vec![parcel(1, 1), parcel(2, 1)]);
        assert_eq!(gone, [1]);
        load.take(back(1, 1, Some(NOW + Duration::from_secs(5))));
        load.commits = 1;
        load.take(Ok(Came::Written(vec![1])));
        load.take(found(vec![parcel(1, 1), parcel(2, 1), parcel(3, 1)]));
        assert_eq!(sent(&mut load), [0; 0]);
        load.look = Look::Asked;
        load.take(found(vec![parcel(1, 1)]));
        assert_eq!(sent(&mut load), [1], "the store says when it may go again");
    }

    #[tokio::test]
    async fn a_part_that_has_panicked_leaves_nothing_that_is_waited_for() {
        let (mut load, _) = asked(vec![parcel(1, 1), parcel(2, 2)]);
        let died = tokio::spawn(async { panic!("on purpose") }).await;
        load.take(died);
        assert_eq!((load.look, load.sent, load.commits), (Look::Seen, 0, 0));
        load.take(found(vec![parcel(1, 1)]));
        assert_eq!(sent(&mut load), [1], "what was in hand goes again");
    }

    #[test]
    fn an_answer_that_is_full_is_followed_by_another_question_only_if_it_held_something_new() {
        let many: Vec<Parcel> = (0..u64::from(READ_AT_ONCE)).map(|seq| parcel(seq, seq)).collect();
        let mut load = Load { look: Look::Asked, ..Load::default() };
        load.take(found(many.clone()));
        assert_eq!(load.look, Look::Wanted);
        load.look = Look::Asked;
        load.take(found(many));
        assert_eq!(load.look, Look::Seen);
    }
}
