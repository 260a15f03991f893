//! The flusher: makes what the pen has written survive a loss of power, and acknowledges it then.

use std::sync::Arc;

use baton_contract::CommitLevel;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::ledger::{Flush, Undo};
use crate::writer::{Desk, GROUP_MAX, PROBE_EVERY};
use crate::{Refusal, WhenLate};

/// A power-level batch that the pen is done with: written, with what takes it back, or refused.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) ticket: u64,
    pub(crate) when_late: WhenLate,
    pub(crate) weight: usize,
    pub(crate) since: Instant,
    pub(crate) result: Result<Vec<Undo>, Refusal>,
}

/// The task that flushes.
pub(crate) struct Flusher<F> {
    disk: F,
    desk: Arc<Desk>,
    undone: Sender<Vec<Undo>>,
    /// Written and to be kept, and still without a flush that came through.
    kept: Vec<Written>,
}

impl<F: Flush> Flusher<F> {
    /// Flushes over a disk; what must be taken back goes to `undone`.
    pub(crate) fn new(disk: F, desk: Arc<Desk>, undone: Sender<Vec<Undo>>) -> Flusher<F> {
        Flusher { disk, desk, undone, kept: Vec::new() }
    }

    /// Flushes until the pen has gone and nothing waits any more.
    pub(crate) async fn run(mut self, mut written: Receiver<Written>) {
        let mut probe = interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                first = written.recv() => match first {
                    Some(first) => self.flush_group(first, &mut written).await,
                    None => break,
                },
                _ = probe.tick(), if self.is_troubled() => self.flush(Vec::new(), &mut written).await,
            }
        }
        if !self.kept.is_empty() {
            let result = self.disk.flush().await;
            let kept = std::mem::take(&mut self.kept);
            kept.into_iter().for_each(|one| self.answer(one, result));
        }
    }

    fn is_troubled(&self) -> bool {
        self.desk.gauges.flush_trouble().is_some() || !self.kept.is_empty()
    }

    async fn flush_group(&mut self, first: Written, written: &mut Receiver<Written>) {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(next) = written.try_recv() else { break };
            group.push(next);
        }
        if group.iter().any(|one| one.result.is_ok()) {
            self.flush(group, written).await;
        } else {
            group.into_iter().for_each(|one| self.answer(one, Ok(())));
        }
    }

    /// Flushes once for the group and for what was kept before it.
    async fn flush(&mut self, group: Vec<Written>, written: &mut Receiver<Written>) {
        let give_up_at = Instant::now() + self.desk.stall_max;
        let mut flushing = self.disk.flush();
        if let Ok(result) = timeout_at(give_up_at, &mut flushing).await {
            drop(flushing);
            self.note(result);
            return self.settle(group, result).await;
        }
        if self.desk.gauges.set_flush_trouble(Some(Refusal::Stalled)) {
            tracing::error!(refusal = Refusal::Stalled.name(), "store refuses promises");
        }
        // What comes while the flush is under way may not be part of it.
        let (mut undos, mut later) = (Vec::new(), Vec::new());
        put_off(&self.desk, group, Refusal::Stalled, &mut undos, &mut self.kept);
        let late = loop {
            tokio::select! {
                result = &mut flushing => break result,
                Some(late) = written.recv() => put_off(&self.desk, vec![late], Refusal::Stalled, &mut undos, &mut later),
            }
        };
        drop(flushing);
        self.take_back(undos).await;
        match late {
            Ok(()) => self.settle(Vec::new(), Ok(())).await,
            Err(_) => self.note(late),
        }
        self.kept.append(&mut later);
    }

    fn note(&self, result: Result<(), Refusal>) {
        if result.is_ok() {
            self.desk.gauges.count_flush();
        }
        if self.desk.gauges.set_flush_trouble(result.err()) {
            match result {
                Err(refusal) => tracing::error!(refusal = refusal.name(), "store refuses promises"),
                Ok(()) => tracing::info!("store takes promises again"),
            }
        }
    }

    /// Answers what was kept and then the group, or puts off what the flush did not carry.
    async fn settle(&mut self, group: Vec<Written>, flushed: Result<(), Refusal>) {
        let mut undos = Vec::new();
        match flushed {
            Ok(()) => {
                let kept = std::mem::take(&mut self.kept);
                kept.into_iter().chain(group).for_each(|one| self.answer(one, Ok(())));
            }
            Err(refusal) => put_off(&self.desk, group, refusal, &mut undos, &mut self.kept),
        }
        self.take_back(undos).await;
    }

    fn answer(&self, one: Written, flushed: Result<(), Refusal>) {
        let result = one.result.and(flushed);
        self.desk.answer(one.ticket, CommitLevel::Power, (one.when_late, one.weight), one.since, result);
    }

    async fn take_back(&mut self, undos: Vec<Undo>) {
        if !undos.is_empty() && self.undone.send(undos).await.is_err() {
            tracing::error!("refused promises could not be taken back: the writer has gone");
        }
    }
}

/// Refuses what a flush did not carry and what somebody waits for, which must be taken back; the rest is kept for the next flush.
fn put_off(desk: &Desk, group: Vec<Written>, refusal: Refusal, undos: &mut Vec<Undo>, kept: &mut Vec<Written>) {
    for one in group {
        let result = match (one.when_late, one.result) {
            (WhenLate::Keep, Ok(undo)) => {
                kept.push(Written { result: Ok(undo), ..one });
                continue;
            }
            (WhenLate::Refuse, Ok(undo)) => {
                undos.extend(undo);
                Err(refusal)
            }
            (WhenLate::Keep | WhenLate::Refuse, Err(refusal)) => Err(refusal),
        };
        desk.answer(one.ticket, CommitLevel::Power, (one.when_late, one.weight), one.since, result);
    }
}
