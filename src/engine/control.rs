//! The engine as HTTP sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use baton_contract::{At, CallId, CallView, Command, Event, LegView, Problem, Reply, SipMessageView, TransferId, Way};
use baton_http::{Control, EventStream, Readiness};
use baton_store::Store;
use baton_time::Wall;
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot};

use super::turn::overloaded;
use super::{Door, Request, Snapshot};
use crate::capture::{Book, Direction, Remembered};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// How long a command may take: longer than the store may stall.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How many events of the past one subscriber is given.
const PAST_EVENTS_MAX: u32 = 10_000;

/// How many callbacks are listed at most: the latest ones.
const CALLBACKS_MAX: u32 = 10_000;

/// How many events of one transfer are told: more than any transfer has.
const TRANSFER_EVENTS_MAX: u32 = 1_000;

/// Commands in, answers, events and metrics out.
pub(crate) struct EngineControl {
    pub(crate) door: Door,
    pub(crate) store: Arc<Store>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) metrics: Arc<Mutex<Metrics>>,
    pub(crate) clock: Clock,
    pub(crate) phase: Arc<Phase>,
    pub(crate) gauges: Arc<Mutex<Snapshot>>,
    pub(crate) book: Arc<Book>,
}

const STARTING: u8 = 0;
const UP: u8 = 1;
const DRAINING: u8 = 2;
const ENDING: u8 = 3;

/// How far the daemon has come.
#[derive(Debug, Default)]
pub(crate) struct Phase(AtomicU8);

impl Phase {
    /// Calls are taken from now on.
    pub(crate) fn is_up(&self) {
        self.0.store(UP, Ordering::Release);
    }

    /// The process is about to end: no more calls are taken, whatever is asked for from now on.
    pub(crate) fn is_ending(&self) {
        self.0.store(ENDING, Ordering::Release);
    }

    /// Whether somebody wants calls to be taken or not; says whether that may still be chosen.
    fn drain(&self, on: bool) -> bool {
        let (from, to) = if on { (UP, DRAINING) } else { (DRAINING, UP) };
        let before = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        before.is_ok() || before == Err(to)
    }
}

impl EngineControl {
    async fn ask_engine(&self, command: Command) -> Result<Reply, Problem> {
        let (sender, answer) = oneshot::channel();
        self.door.send(Request::Ask(Box::new(command), sender)).map_err(|_| overloaded())?;
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Problem::unavailable("Baton is being shut down")),
            Err(_) => Err(Problem::unavailable("no answer in time; ask again to learn what became of it")),
        }
    }

    /// What only the store knows whole: all callbacks, for the engine holds those of the next day, and calls that were placed under a
    /// key in a former run.
    async fn ask_record(&self, command: &Command) -> Result<Option<Reply>, Problem> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these are looked up first")]
        match command {
            Command::Callbacks => {
                let mut callbacks = self.store.callbacks(CALLBACKS_MAX).await.map_err(unreadable)?;
                callbacks.sort_by_key(|callback| (callback.at.0, callback.id));
                Ok(Some(Reply::Callbacks(callbacks)))
            }
            Command::PlaceCall { request, idempotency_key: Some(key) } => {
                let Some(row) = self.store.placed(key).await.map_err(unreadable)? else { return Ok(None) };
                if row.request != **request {
                    return Err(Problem::invalid("Idempotency-Key", "this key has placed another call already"));
                }
                let known = Command::Call(row.call);
                match self.ask_engine(known.clone()).await {
                    Ok(reply) => Ok(Some(reply)),
                    Err(problem) => self.ask_store(&known, problem).await.map(Some),
                }
            }
            _ => Ok(None),
        }
    }

    /// What the engine no longer holds may be in the store.
    async fn ask_store(&self, command: &Command, problem: Problem) -> Result<Reply, Problem> {
        if problem.status != 404 {
            return Err(problem);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these are on record")]
        let found = match command {
            Command::Call(id) => {
                let view = self.store.call(*id).await.map_err(unreadable)?;
                view.map(|view| Reply::Call(Box::new(view.only_on_record())))
            }
            Command::Transfer(id) => {
                self.store.transfer(*id).await.map_err(unreadable)?.map(|view| Reply::Transfer(Box::new(view)))
            }
            Command::Callback(id) => {
                self.store.callback(*id).await.map_err(unreadable)?.map(|view| Reply::Callback(Box::new(view)))
            }
            Command::RequestTransfer { call, .. } | Command::PutContext { call, .. } => {
                if self.store.call(*call).await.map_err(unreadable)?.is_some() {
                    return Err(Problem::conflict("this call has ended"));
                }
                None
            }
            _ => None,
        };
        found.ok_or(problem)
    }
}

/// A message as a part of its leg.
fn rung(row: Remembered, leg: &LegView) -> SipMessageView {
    SipMessageView {
        at: At(row.at),
        leg: leg.id,
        role: leg.role,
        way: match row.direction {
            Direction::In => Way::In,
            Direction::Out => Way::Out,
        },
        transport: row.transport.name().to_owned(),
        peer: row.remote.to_string(),
        title: row.title.into(),
        bytes: row.bytes,
    }
}

#[async_trait]
impl Control for EngineControl {
    async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        if let Command::Drain(on) = command
            && !self.phase.drain(on)
        {
            return Err(Problem::conflict("Baton is being started or shut down"));
        }
        if let Some(known) = self.ask_record(&command).await? {
            return Ok(known);
        }
        match self.ask_engine(command.clone()).await {
            Ok(reply) => Ok(reply),
            Err(problem) => self.ask_store(&command, problem).await,
        }
    }

    async fn recorded_calls(&self, before: Option<CallId>, limit: u32) -> Result<Vec<CallView>, Problem> {
        match self.store.calls(before, limit).await {
            Ok(page) => Ok(page.items),
            Err(fault) => {
                // Whoever wants to know what is going on must not be kept from it by a disk.
                tracing::warn!(%fault, "the calls on record cannot be read");
                Ok(Vec::new())
            }
        }
    }

    fn events(&self, after: Option<u64>) -> EventStream {
        let live = self.events.subscribe();
        match after {
            None => baton_http::from_now(live),
            Some(after) => baton_http::follow(baton_store::past_events(self.store.clone(), after, PAST_EVENTS_MAX), live),
        }
    }

    async fn events_of(&self, transfer: TransferId) -> Result<Vec<Event>, Problem> {
        let events = self.store.events_of(transfer, TRANSFER_EVENTS_MAX).await.map_err(unreadable)?;
        if events.is_empty() {
            self.ask(Command::Transfer(transfer)).await?;
        }
        Ok(events)
    }

    fn ladder(&self, call: &CallView) -> Vec<SipMessageView> {
        let call_ids: Vec<String> = call.legs.iter().map(|leg| leg.sip_call_id.clone()).collect();
        let rung = |row: Remembered| {
            let leg = call.legs.iter().find(|leg| leg.sip_call_id == *row.call_id)?;
            Some(rung(row, leg))
        };
        self.book.of(&call_ids).into_iter().filter_map(rung).collect()
    }

    fn metrics(&self) -> String {
        let snapshot = self.gauges.lock().clone();
        let mut metrics = self.metrics.lock();
        metrics.show(&snapshot, self.ready() == Readiness::Draining);
        let mut text = metrics.render();
        text.push_str(&self.store.prometheus());
        text
    }

    fn ready(&self) -> Readiness {
        match (self.phase.0.load(Ordering::Acquire), self.store.health().trouble) {
            (STARTING, _) => Readiness::Starting,
            (UP, None) => Readiness::Ready,
            (UP, Some(_)) => Readiness::StoreIll,
            (_, _) => Readiness::Draining,
        }
    }

    fn now(&self) -> Wall {
        self.clock.now().wall
    }
}

fn unreadable(fault: baton_store::ReadError) -> Problem {
    Problem::unavailable(format!("the store cannot be read: {fault}"))
}
