//! The writer: gathers what waits into one transaction, and answers each batch once.
//!
//! Tasks on a thread of their own. The pen writes groups and acknowledges process-level batches; the flusher takes the written
//! power-level batches on, flushes the disk once for all that wait, and acknowledges them. So an INVITE never waits for a flush.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use baton_contract::CommitLevel;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::health::Gauges;
use crate::ledger::{Flush, Ledger, Tidy, Undo};
use crate::{Ack, Batch, OnAck, Refusal};

/// Batches that are written in one transaction at most.
const GROUP_MAX: usize = 256;

/// How often an ill store is tried again.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// How often the log is carried into the database file.
const TIDY_EVERY: Duration = Duration::from_secs(2);

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) batch: Batch,
    pub(crate) since: Instant,
}

/// What both tasks and the store's door share.
pub(crate) struct Desk {
    pub(crate) gauges: Gauges,
    /// Submitted and not yet acknowledged.
    pub(crate) waiting: AtomicUsize,
    pub(crate) on_ack: OnAck,
    pub(crate) stall_max: Duration,
}

impl Desk {
    fn answer(&self, ticket: u64, level: CommitLevel, since: Instant, result: Result<(), Refusal>) {
        let took = since.elapsed();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        match result {
            Ok(()) => self.gauges.note_latency(level, took),
            Err(refusal) => tracing::debug!(ticket, refusal = refusal.name(), "commit refused"),
        }
        (self.on_ack)(Ack { ticket, level, result, took });
    }
}

/// A power-level batch that the pen is done with: written, with what takes it back, or refused.
#[derive(Debug)]
pub(crate) struct Written {
    ticket: u64,
    since: Instant,
    result: Result<Vec<Undo>, Refusal>,
}

/// The task that writes.
pub(crate) struct Pen<L> {
    pub(crate) ledger: L,
    pub(crate) desk: Arc<Desk>,
    pub(crate) to_flush: Sender<Written>,
    /// Writes that must be taken back before anything else is written.
    pub(crate) owed: Vec<Undo>,
}

impl<L: Ledger> Pen<L> {
    /// Writes until the door is closed and nothing waits any more.
    pub(crate) async fn run(mut self, mut work: Receiver<Work>, mut undone: Receiver<Vec<Undo>>) {
        let mut probe = interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(undos) = undone.recv() => {
                    self.owed.extend(undos);
                    self.settle(&mut work).await;
                }
                first = work.recv() => match first {
                    Some(first) => self.write_group(first, &mut work).await,
                    None => break,
                },
                _ = probe.tick(), if self.is_troubled() => self.probe(&mut work).await,
            }
        }
        drop(self.to_flush);
        while let Some(undos) = undone.recv().await {
            self.owed.extend(undos);
        }
        if let Err(refusal) = self.ledger.undo(&self.owed).await {
            tracing::error!(refusal = refusal.name(), count = self.owed.len(), "refused promises could not be taken back");
        }
    }

    fn is_troubled(&self) -> bool {
        self.desk.gauges.write_trouble().is_some() || !self.owed.is_empty()
    }

    /// Takes back what is owed.
    async fn settle(&mut self, work: &mut Receiver<Work>) {
        if self.owed.is_empty() {
            return;
        }
        let undoing = self.ledger.undo(&self.owed);
        match refuse_while_late(&self.desk, &self.to_flush, work, undoing).await {
            Ok(()) => self.owed.clear(),
            Err(refusal) => self.note(Some(refusal)),
        }
    }

    /// Sees whether an ill store is well again: it is if it answers, and in time.
    async fn probe(&mut self, work: &mut Receiver<Work>) {
        self.settle(work).await;
        if self.owed.is_empty() {
            let since = Instant::now();
            let trouble = refuse_while_late(&self.desk, &self.to_flush, work, self.ledger.probe()).await.err();
            self.note(trouble.or((since.elapsed() > self.desk.stall_max).then_some(Refusal::Stalled)));
        }
    }

    fn note(&self, trouble: Option<Refusal>) {
        if self.desk.gauges.set_write_trouble(trouble) {
            match trouble {
                Some(refusal) => tracing::error!(refusal = refusal.name(), "store refuses commits"),
                None => tracing::info!("store takes commits again"),
            }
        }
    }

    async fn write_group(&mut self, first: Work, work: &mut Receiver<Work>) {
        self.settle(work).await;
        let (mut group, mut since) = (vec![first.batch], vec![first.since]);
        while group.len() < GROUP_MAX {
            let Ok(next) = work.try_recv() else { break };
            group.push(next.batch);
            since.push(next.since);
        }
        let give_up_at = Instant::now() + self.desk.stall_max;
        let mut writing = self.ledger.write(&group);
        match timeout_at(give_up_at, &mut writing).await {
            Ok(result) => {
                drop(writing);
                self.deliver(&group, &since, result);
            }
            Err(_) => {
                refuse_all(&self.desk, &self.to_flush, &group, &since);
                let late = refuse_while(&self.desk, &self.to_flush, work, &mut writing).await;
                drop(writing);
                self.owed.extend(late.into_iter().flatten().flatten().flatten());
                self.settle(work).await;
            }
        }
    }

    fn deliver(&mut self, group: &[Batch], since: &[Instant], result: Result<Vec<Result<Vec<Undo>, Refusal>>, Refusal>) {
        self.note(result.as_ref().err().copied());
        if result.is_ok() {
            self.desk.gauges.count_commit();
        }
        let results = result.unwrap_or_else(|refusal| vec![Err(refusal); group.len()]);
        for ((batch, since), result) in group.iter().zip(since).zip(results) {
            hand_on(&self.desk, &self.to_flush, batch, *since, result);
        }
    }
}

/// Waits for the database, and once that takes too long, refuses what arrives meanwhile.
async fn refuse_while_late<T>(
    desk: &Desk,
    to_flush: &Sender<Written>,
    work: &mut Receiver<Work>,
    mut answer: impl Future<Output = T> + Unpin,
) -> T {
    match timeout_at(Instant::now() + desk.stall_max, &mut answer).await {
        Ok(answer) => answer,
        Err(_) => refuse_while(desk, to_flush, work, answer).await,
    }
}

/// Refuses what arrives while the database hangs.
async fn refuse_while<T>(
    desk: &Desk,
    to_flush: &Sender<Written>,
    work: &mut Receiver<Work>,
    mut answer: impl Future<Output = T> + Unpin,
) -> T {
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            Some(work) = work.recv() => refuse_all(desk, to_flush, &[work.batch], &[work.since]),
        }
    }
}

/// Refuses batches that have waited too long for the disk.
fn refuse_all(desk: &Desk, to_flush: &Sender<Written>, group: &[Batch], since: &[Instant]) {
    if desk.gauges.set_write_trouble(Some(Refusal::Stalled)) {
        tracing::error!(refusal = Refusal::Stalled.name(), "store refuses commits");
    }
    for (batch, since) in group.iter().zip(since) {
        hand_on(desk, to_flush, batch, *since, Err(Refusal::Stalled));
    }
}

/// Answers a process-level batch; hands a power-level one to the flusher, so that their acks stay in order.
fn hand_on(desk: &Desk, to_flush: &Sender<Written>, batch: &Batch, since: Instant, result: Result<Vec<Undo>, Refusal>) {
    let ticket = batch.ticket;
    match batch.level {
        CommitLevel::Process => desk.answer(ticket, batch.level, since, result.map(drop)),
        CommitLevel::Power => {
            // The channel holds as many as may wait at all, so it is never full; it is closed only after the pen has gone.
            if to_flush.try_send(Written { ticket, since, result }).is_err() {
                desk.answer(ticket, batch.level, since, Err(Refusal::Closed));
            }
        }
    }
}

/// The task that keeps house, beside the others and in nobody's way.
pub(crate) struct Keeper<K> {
    pub(crate) house: K,
    pub(crate) desk: Arc<Desk>,
}

impl<K: Tidy> Keeper<K> {
    /// Tidies every now and then, where there have been commits; never ends.
    pub(crate) async fn run(mut self) {
        let mut clock = interval(TIDY_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidied = 0;
        loop {
            clock.tick().await;
            let commits = self.desk.gauges.commits();
            if commits != tidied {
                tidied = commits;
                self.house.tidy().await;
            }
        }
    }
}

/// The task that flushes.
pub(crate) struct Flusher<F> {
    pub(crate) disk: F,
    pub(crate) desk: Arc<Desk>,
    pub(crate) undone: Sender<Vec<Undo>>,
}

impl<F: Flush> Flusher<F> {
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
                _ = probe.tick(), if self.desk.gauges.flush_trouble().is_some() => self.flush(&mut [], &mut written).await,
            }
        }
    }

    async fn flush_group(&mut self, first: Written, written: &mut Receiver<Written>) {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(next) = written.try_recv() else { break };
            group.push(next);
        }
        if group.iter().any(|one| one.result.is_ok()) {
            self.flush(&mut group, written).await;
        } else {
            self.answer(&mut group, Ok(())).await;
        }
    }

    async fn flush(&mut self, group: &mut [Written], written: &mut Receiver<Written>) {
        let give_up_at = Instant::now() + self.desk.stall_max;
        let mut flushing = self.disk.flush();
        let in_time = timeout_at(give_up_at, &mut flushing).await;
        if let Ok(result) = in_time {
            drop(flushing);
            self.note(result);
            self.answer(group, result).await;
            return;
        }
        let mut undos = refuse_written(&self.desk, group);
        let late = loop {
            tokio::select! {
                result = &mut flushing => break result,
                Some(mut late) = written.recv() => undos.extend(refuse_written(&self.desk, std::slice::from_mut(&mut late))),
            }
        };
        drop(flushing);
        self.take_back(undos).await;
        if late.is_err() {
            self.note(late);
        }
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

    async fn answer(&mut self, group: &mut [Written], flushed: Result<(), Refusal>) {
        let mut undos = Vec::new();
        for one in group {
            let result = match (std::mem::replace(&mut one.result, Ok(Vec::new())), flushed) {
                (Ok(_), Ok(())) => Ok(()),
                (Ok(undo), Err(refusal)) => {
                    undos.extend(undo);
                    Err(refusal)
                }
                (Err(refusal), _) => Err(refusal),
            };
            self.desk.answer(one.ticket, CommitLevel::Power, one.since, result);
        }
        self.take_back(undos).await;
    }

    async fn take_back(&mut self, undos: Vec<Undo>) {
        if !undos.is_empty() && self.undone.send(undos).await.is_err() {
            tracing::error!("refused promises could not be taken back: the writer has gone");
        }
    }
}

/// Refuses what a flush has kept waiting for too long; yields what must be taken back.
fn refuse_written(desk: &Desk, group: &mut [Written]) -> Vec<Undo> {
    if desk.gauges.set_flush_trouble(Some(Refusal::Stalled)) {
        tracing::error!(refusal = Refusal::Stalled.name(), "store refuses promises");
    }
    let mut undos = Vec::new();
    for one in group {
        let refusal = match std::mem::replace(&mut one.result, Ok(Vec::new())) {
            Ok(undo) => {
                undos.extend(undo);
                Refusal::Stalled
            }
            Err(refusal) => refusal,
        };
        desk.answer(one.ticket, CommitLevel::Power, one.since, Err(refusal));
    }
    undos
}
