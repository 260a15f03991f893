//! The writer: gathers what waits into one transaction, and answers each batch once.
//!
//! Tasks on a thread of their own. The pen writes groups and acknowledges process-level batches; the flusher takes the written
//! power-level batches on, flushes the disk once for all that wait, and acknowledges them. So an INVITE never waits for a flush.
//! While the database cannot write, promises are refused in time, and facts are kept: they are the first that is written again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use baton_contract::CommitLevel;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::flusher::Written;
use crate::health::Gauges;
use crate::ledger::{Ledger, Tidy, Undo};
use crate::{Ack, Batch, OnAck, Refusal, WhenLate};

/// Batches that are written in one transaction at most.
pub(crate) const GROUP_MAX: usize = 256;

/// How often an ill store is tried again.
pub(crate) const PROBE_EVERY: Duration = Duration::from_millis(500);

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
    /// Submitted and not yet acknowledged, of those that are refused when late.
    pub(crate) waiting: AtomicUsize,
    /// The records of those that are kept.
    pub(crate) kept: AtomicUsize,
    pub(crate) on_ack: OnAck,
    pub(crate) stall_max: Duration,
}

impl Desk {
    /// Nothing waits yet.
    pub(crate) fn new(on_ack: OnAck, stall_max: Duration) -> Desk {
        Desk { gauges: Gauges::default(), waiting: AtomicUsize::new(0), kept: AtomicUsize::new(0), on_ack, stall_max }
    }

    pub(crate) fn answer(
        &self,
        ticket: u64,
        level: CommitLevel,
        (when_late, weight): (WhenLate, usize),
        since: Instant,
        result: Result<(), Refusal>,
    ) {
        let took = since.elapsed();
        match when_late {
            WhenLate::Refuse => self.waiting.fetch_sub(1, Ordering::AcqRel),
            WhenLate::Keep => self.kept.fetch_sub(weight, Ordering::AcqRel),
        };
        match result {
            Ok(()) => self.gauges.note_latency(level, took),
            Err(refusal) => tracing::debug!(ticket, refusal = refusal.name(), "commit refused"),
        }
        (self.on_ack)(Ack { ticket, level, result, took });
    }
}

/// The task that writes.
pub(crate) struct Pen<L> {
    ledger: L,
    desk: Arc<Desk>,
    to_flush: Sender<Written>,
    /// Writes that must be taken back before anything else is written.
    owed: Vec<Undo>,
    kept: Kept,
}

/// Facts that wait until the database is well, in their order.
#[derive(Default)]
struct Kept {
    line: VecDeque<Work>,
    /// So many of the first ones have failed together: they are tried one at a time, so that one that is itself at fault is found.
    alone: usize,
}

impl<L: Ledger> Pen<L> {
    /// Writes into a ledger; power-level batches go on to `to_flush`.
    pub(crate) fn new(ledger: L, desk: Arc<Desk>, to_flush: Sender<Written>) -> Pen<L> {
        Pen { ledger, desk, to_flush, owed: Vec::new(), kept: Kept::default() }
    }

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
        self.give_up_kept(&mut work).await;
        drop(self.to_flush);
        while let Some(undos) = undone.recv().await {
            self.owed.extend(undos);
        }
        if let Err(refusal) = self.ledger.undo(&self.owed).await {
            tracing::error!(refusal = refusal.name(), count = self.owed.len(), "refused promises could not be taken back");
        }
    }

    fn is_troubled(&self) -> bool {
        self.desk.gauges.write_trouble().is_some() || !self.owed.is_empty() || !self.kept.line.is_empty()
    }

    /// Takes back what is owed.
    async fn settle(&mut self, work: &mut Receiver<Work>) {
        if self.owed.is_empty() {
            return;
        }
        let undoing = self.ledger.undo(&self.owed);
        match put_off_while_late(&self.desk, &self.to_flush, work, &mut self.kept, undoing).await {
            Ok(()) => self.owed.clear(),
            Err(refusal) => self.note(Some(refusal)),
        }
    }

    /// Sees whether an ill store is well again: it is if it answers, and in time.
    async fn probe(&mut self, work: &mut Receiver<Work>) {
        self.settle(work).await;
        if self.owed.is_empty() && self.catch_up(work).await.is_ok() {
            self.ask(work).await;
        }
    }

    /// Writes something that means nothing.
    async fn ask(&mut self, work: &mut Receiver<Work>) {
        let since = Instant::now();
        let asking = self.ledger.probe();
        let trouble = put_off_while_late(&self.desk, &self.to_flush, work, &mut self.kept, asking).await.err();
        self.note(trouble.or((since.elapsed() > self.desk.stall_max).then_some(Refusal::Stalled)));
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
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(next) = work.try_recv() else { break };
            group.push(next);
        }
        match self.catch_up(work).await {
            Ok(()) => {
                if let Err(refusal) = self.write(group, work).await {
                    tracing::debug!(refusal = refusal.name(), "a group was not written");
                }
                self.settle(work).await;
            }
            // It would be no other for them, and what was kept goes first.
            Err(refusal) => group.into_iter().for_each(|one| put_off(&self.desk, &self.to_flush, one, refusal, &mut self.kept)),
        }
    }

    /// Writes what was kept, until nothing is left of it or the database refuses again.
    async fn catch_up(&mut self, work: &mut Receiver<Work>) -> Result<(), Refusal> {
        while !self.kept.line.is_empty() {
            let most = if self.kept.alone > 0 { 1 } else { GROUP_MAX };
            let group: Vec<Work> = self.kept.line.drain(..most.min(self.kept.line.len())).collect();
            self.write(group, work).await?;
            self.kept.alone = self.kept.alone.saturating_sub(1);
        }
        Ok(())
    }

    /// Writes a group. Where that fails, its facts are the first of what is kept.
    async fn write(&mut self, group: Vec<Work>, work: &mut Receiver<Work>) -> Result<(), Refusal> {
        let (batches, since): (Vec<Batch>, Vec<Instant>) = group.into_iter().map(|one| (one.batch, one.since)).unzip();
        let give_up_at = Instant::now() + self.desk.stall_max;
        let mut writing = self.ledger.write(&batches);
        let (result, is_late) = match timeout_at(give_up_at, &mut writing).await {
            Ok(result) => (result, false),
            Err(_) => {
                stall(&self.desk);
                for (batch, since) in batches.iter().zip(&since).filter(|(batch, _)| batch.when_late == WhenLate::Refuse) {
                    hand_on(&self.desk, &self.to_flush, batch, *since, Err(Refusal::Stalled));
                }
                (put_off_while(&self.desk, &self.to_flush, work, &mut self.kept, &mut writing).await, true)
            }
        };
        drop(writing);
        if !is_late {
            self.note(result.as_ref().err().copied());
        }
        match result {
            Ok(results) => {
                self.desk.gauges.count_commit();
                for ((batch, since), result) in batches.iter().zip(since).zip(results) {
                    match (is_late, batch.when_late) {
                        (true, WhenLate::Refuse) => self.owed.extend(result.into_iter().flatten()),
                        (true, WhenLate::Keep) | (false, _) => hand_on(&self.desk, &self.to_flush, batch, since, result),
                    }
                }
                Ok(())
            }
            Err(refusal) => self.failed(batches, &since, is_late, refusal, work).await,
        }
    }

    /// Refuses the promises of a group that could not be written, and keeps its facts, unless one is found that is itself at fault.
    async fn failed(
        &mut self,
        batches: Vec<Batch>,
        since: &[Instant],
        is_late: bool,
        refusal: Refusal,
        work: &mut Receiver<Work>,
    ) -> Result<(), Refusal> {
        let mut facts = Vec::new();
        for (batch, since) in batches.into_iter().zip(since) {
            match (batch.when_late, is_late) {
                (WhenLate::Keep, _) => facts.push(Work { batch, since: *since }),
                (WhenLate::Refuse, false) => hand_on(&self.desk, &self.to_flush, &batch, *since, Err(refusal)),
                (WhenLate::Refuse, true) => {}
            }
        }
        if let ([fact], 1.., Refusal::Broken, false) = (&facts[..], self.kept.alone, refusal, is_late) {
            self.ask(work).await;
            if self.desk.gauges.write_trouble().is_none() {
                tracing::error!(ticket = fact.batch.ticket, "a fact cannot be written, and the store is well");
                hand_on(&self.desk, &self.to_flush, &fact.batch, fact.since, Err(refusal));
                return Ok(());
            }
        }
        self.kept.alone = self.kept.alone.max(facts.len());
        facts.into_iter().rev().for_each(|fact| self.kept.line.push_front(fact));
        Err(refusal)
    }

    /// The end: what cannot be written even now is refused.
    async fn give_up_kept(&mut self, work: &mut Receiver<Work>) {
        if let Err(refusal) = self.catch_up(work).await {
            tracing::error!(refusal = refusal.name(), count = self.kept.line.len(), "facts could not be written");
            for fact in self.kept.line.drain(..) {
                hand_on(&self.desk, &self.to_flush, &fact.batch, fact.since, Err(refusal));
            }
        }
    }
}

/// Waits for the database, and once that takes too long, puts off what arrives meanwhile.
async fn put_off_while_late<T>(
    desk: &Desk,
    to_flush: &Sender<Written>,
    work: &mut Receiver<Work>,
    kept: &mut Kept,
    mut answer: impl Future<Output = T> + Unpin,
) -> T {
    match timeout_at(Instant::now() + desk.stall_max, &mut answer).await {
        Ok(answer) => answer,
        Err(_) => {
            stall(desk);
            put_off_while(desk, to_flush, work, kept, answer).await
        }
    }
}

/// Puts off what arrives while the database hangs.
async fn put_off_while<T>(
    desk: &Desk,
    to_flush: &Sender<Written>,
    work: &mut Receiver<Work>,
    kept: &mut Kept,
    mut answer: impl Future<Output = T> + Unpin,
) -> T {
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            Some(work) = work.recv() => put_off(desk, to_flush, work, Refusal::Stalled, kept),
        }
    }
}

/// Refuses a batch that somebody waits for; keeps any other.
fn put_off(desk: &Desk, to_flush: &Sender<Written>, work: Work, refusal: Refusal, kept: &mut Kept) {
    match work.batch.when_late {
        WhenLate::Refuse => hand_on(desk, to_flush, &work.batch, work.since, Err(refusal)),
        WhenLate::Keep => kept.line.push_back(work),
    }
}

/// The disk keeps everybody waiting.
fn stall(desk: &Desk) {
    if desk.gauges.set_write_trouble(Some(Refusal::Stalled)) {
        tracing::error!(refusal = Refusal::Stalled.name(), "store refuses commits");
    }
}

/// Answers a process-level batch; hands a power-level one to the flusher, so that their acks stay in order.
fn hand_on(desk: &Desk, to_flush: &Sender<Written>, batch: &Batch, since: Instant, result: Result<Vec<Undo>, Refusal>) {
    let (ticket, when_late, weight) = (batch.ticket, batch.when_late, batch.weight());
    match batch.level {
        CommitLevel::Process => desk.answer(ticket, batch.level, (when_late, weight), since, result.map(drop)),
        CommitLevel::Power => {
            // The channel holds as many as may wait at all, so it is never full; it is closed only after the pen has gone.
            if to_flush.try_send(Written { ticket, when_late, weight, since, result }).is_err() {
                desk.answer(ticket, batch.level, (when_late, weight), since, Err(Refusal::Closed));
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
