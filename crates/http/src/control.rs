//! What this crate needs from whoever runs the engine.

use std::pin::Pin;

use async_trait::async_trait;
use baton_contract::{CallId, CallView, Command, Event, Problem, Reply, SipMessageView, TransferId};
use baton_time::Wall;
use futures_util::stream::{Stream, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio_stream::wrappers::BroadcastStream;

/// Events, in the order of their numbers.
pub type EventStream = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// The engine, as HTTP sees it.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Carries a command out, or answers a question.
    async fn ask(&self, command: Command) -> Result<Reply, Problem>;

    /// At most `limit` calls that are on record, those before `before`, newest first; some of them may be up.
    async fn recorded_calls(&self, _before: Option<CallId>, _limit: u32) -> Result<Vec<CallView>, Problem> {
        Ok(Vec::new())
    }

    /// Events from now on; with `after`, first those that came after that number. [`follow`] joins the two.
    fn events(&self, after: Option<u64>) -> EventStream;

    /// What has happened in a transfer, in its order; 404 where there is no such transfer.
    async fn events_of(&self, transfer: TransferId) -> Result<Vec<Event>, Problem>;

    /// The SIP messages of a call that are still remembered, in their order.
    fn ladder(&self, _call: &CallView) -> Vec<SipMessageView> {
        Vec::new()
    }

    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Whether calls are taken.
    fn ready(&self) -> Readiness;

    /// The time on the wall, for links that expire.
    fn now(&self) -> Wall;
}

/// Whether calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Calls are taken.
    Ready,
    /// Not yet up.
    Starting,
    /// Being emptied or shut down.
    Draining,
    /// Promises cannot be kept: the store is ill.
    StoreIll,
}

/// Events that happen from now on.
pub fn from_now(live: Receiver<Event>) -> EventStream {
    follow(futures_util::stream::empty(), live)
}

/// Joins events of the past with those to come: none twice, none out of order.
///
/// `live` must have been subscribed before `past` is read. A subscriber that is too slow is let go: the stream ends, and a
/// client that comes back with `Last-Event-ID` misses nothing.
pub fn follow(past: impl Stream<Item = Event> + Send + 'static, live: Receiver<Event>) -> EventStream {
    let live =
        BroadcastStream::new(live).take_while(|event| std::future::ready(event.is_ok())).filter_map(|event| async { event.ok() });
    let mut last_seq = 0;
    Box::pin(past.chain(live).filter(move |event| {
        let is_new = event.seq > last_seq;
        last_seq = last_seq.max(event.seq);
        std::future::ready(is_new)
    }))
}
