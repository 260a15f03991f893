//! Who carries events to one webhook: what is due is read from the store, sent, and struck off.
//!
//! The store is the queue, so there is nothing to lose and nothing to grow: a courier holds only what is under way.

use std::sync::Arc;
use std::time::Duration;

use baton_contract::{At, CommitLevel, Event, IdSource, OutboxStep, Record};
use baton_store::{Batch, Parcel, Store, WhenLate};
use baton_time::Wall;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::load::{Came, Load, Look, READ_AT_ONCE, SIDE_BY_SIDE};
use super::{Hook, Hooks, Receipts, schedule};
use crate::clock::Clock;
use crate::fetch::{Fetch, FetchError, Question};
use crate::metrics::Metrics;

/// How long a receiver may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The outbox is looked through at least this often, for the wall clock may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long a courier waits before it asks an ill store again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// What couriers share.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) store: Arc<Store>,
    pub(crate) receipts: Arc<Receipts>,
    pub(crate) fetch: Arc<Fetch>,
    pub(crate) metrics: Arc<Mutex<Metrics>>,
    pub(crate) clock: Clock,
}

/// The running couriers, one for each webhook.
pub(crate) struct Couriers(Vec<JoinHandle<()>>);

impl Couriers {
    /// Begins with what was left over from the last run. What waits for a webhook that is no longer configured is forgotten.
    pub(crate) fn start(hooks: &Hooks, post: &Post, seed: u64) -> Couriers {
        let names: Vec<String> = hooks.hooks.iter().map(|(name, ..)| name.clone()).collect();
        let only = tokio::spawn({
            let post = post.clone();
            async move { post.write(&[OutboxStep::Only { hooks: names }]).await }
        });
        let mut dice = IdSource::seeded(seed);
        let couriers = hooks.hooks.iter().map(|(name, hook, bell)| {
            let courier = Courier { name: name.clone(), hook: hook.clone(), post: post.clone(), dice: Mutex::new(dice.clone()) };
            dice.bits();
            tokio::spawn(Arc::new(courier).run(bell.clone()))
        });
        let mut all: Vec<_> = couriers.collect();
        all.push(only);
        Couriers(all)
    }

    /// One more task that works over the store and ends with them.
    pub(crate) fn beside(mut self, task: JoinHandle<()>) -> Couriers {
        self.0.push(task);
        self
    }

    /// Ends all of them. What is under way is sent again after the next start.
    pub(crate) async fn stop(self) {
        for courier in self.0 {
            courier.abort();
            if courier.await.is_err_and(|error| error.is_panic()) {
                tracing::error!("a courier of webhooks had panicked");
            }
        }
    }
}

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    /// The receiver has it.
    Delivered,
    /// The receiver wants no more of it.
    Gone,
    /// It may work later.
    Failed(Option<Duration>),
    /// The address is none that we connect to. Names can change what they stand for.
    Refused,
}

struct Courier {
    name: String,
    hook: Hook,
    post: Post,
    dice: Mutex<IdSource>,
}

impl Courier {
    async fn run(self: Arc<Self>, bell: Arc<Notify>) {
        let mut load = Load::default();
        load.look.want();
        loop {
            let wait = self.set_out(&mut load);
            tokio::select! {
                () = bell.notified() => load.look.want(),
                Some(came) = load.under_way.join_next(), if !load.under_way.is_empty() => load.take(came),
                () = tokio::time::sleep_until(Instant::now() + wait) => load.look.want(),
            }
            // Whatever else is done meanwhile saves a commit.
            while let Some(came) = load.under_way.try_join_next() {
                load.take(came);
            }
        }
    }

    /// Sends what is due, as far as there is room; yields when to look again.
    fn set_out(self: &Arc<Self>, load: &mut Load) -> Duration {
        if load.commits == 0 && !load.unwritten.is_empty() {
            let (seqs, steps) = std::mem::take(&mut load.unwritten).into_iter().unzip();
            load.commits += 1;
            load.under_way.spawn(self.clone().strike_off(seqs, steps));
        }
        self.send_ready(load);
        let now = self.post.clock.now().wall;
        if load.due.is_some_and(|due| due <= now) {
            load.due = None;
            load.look.want();
        }
        if load.look == Look::Wanted && load.ready.len() < SIDE_BY_SIDE {
            load.look = Look::Asked;
            load.under_way.spawn(self.clone().ask(At(now)));
        }
        load.due.map_or(LOOK_EVERY, |due| since(now, due)).min(LOOK_EVERY)
    }

    /// Asks the store what is due; an ill one not too often.
    async fn ask(self: Arc<Self>, now: At) -> Came {
        let (store, hook) = (&self.post.store, self.name.as_str());
        let found = match store.parcels(hook, now, READ_AT_ONCE).await {
            Ok(parcels) => store.next_parcel_at(hook, now).await.map(|due| (parcels, due)),
            Err(error) => Err(error),
        };
        if let Err(error) = &found {
            tracing::warn!(%error, "webhooks wait for the store");
            tokio::time::sleep_until(Instant::now() + STORE_AGAIN).await;
        }
        Came::Found(found)
    }

    /// Sends what waits, as far as there is room.
    fn send_ready(self: &Arc<Self>, load: &mut Load) {
        while load.sent < SIDE_BY_SIDE
            && let Some(parcel) = load.next()
        {
            load.sent += 1;
            load.under_way.spawn(self.clone().carry(parcel));
        }
    }

    /// Writes down what became of events.
    async fn strike_off(self: Arc<Self>, seqs: Vec<u64>, steps: Vec<OutboxStep>) -> Came {
        self.post.write(&steps).await;
        Came::Written(seqs)
    }

    /// Sends one event, and says what is to be written down of it.
    async fn carry(self: Arc<Self>, parcel: Parcel) -> Came {
        let seq = parcel.seq;
        let tried = self.send(&parcel).await;
        let tries = parcel.tries.saturating_add(1);
        let now = self.post.clock.now().wall;
        let retry_after = if let Try::Failed(retry_after) = tried { retry_after } else { None };
        let wait = match tried {
            Try::Delivered | Try::Gone => None,
            Try::Failed(_) | Try::Refused => {
                let dice = self.dice.lock().bits();
                schedule::wait(tries, since(parcel.since.0, now), retry_after, dice)
            }
        };
        let result = match (tried, wait) {
            (Try::Delivered, _) => "delivered",
            (Try::Gone, _) | (Try::Failed(_) | Try::Refused, None) => "given_up",
            (Try::Failed(_), Some(_)) => "failed",
            (Try::Refused, Some(_)) => "refused",
        };
        self.post.metrics.lock().add("baton_webhooks_total", &[("result", result)], 1.0);
        if result == "given_up" {
            tracing::warn!(webhook = self.hook.target.place(), seq, tries, "webhook-given-up");
        }
        let (hook, again) = (self.name.clone(), wait.map(|wait| now + wait));
        let step = match again {
            Some(due) => OutboxStep::Later { hook, seq, tries, due: At(due) },
            None => OutboxStep::Done { hook, seq },
        };
        Came::Back { seq, before_next_of: parcel.before_next_of, step, again }
    }

    async fn send(&self, parcel: &Parcel) -> Try {
        let Ok(event) = serde_json::from_str::<Event>(&parcel.body) else { return Try::Gone };
        let timestamp = self.post.clock.now().wall.as_micros() / 1_000_000;
        let signature = self.hook.key.sign(&event.id, timestamp, parcel.body.as_bytes());
        let header = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
            (HeaderName::from_static(name), value)
        };
        let question = Question {
            target: self.hook.target.clone(),
            reach: self.hook.reach,
            headers: vec![
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                header("webhook-id", &event.id),
                header("webhook-timestamp", &timestamp.to_string()),
                header("webhook-signature", &signature),
            ],
            body: Bytes::from(parcel.body.clone()),
            within: ANSWER_WITHIN,
            answer_max: None,
        };
        let answer = self.post.fetch.post(question).await;
        let webhook = self.hook.target.place();
        match answer {
            Ok(answer) if answer.status.is_success() => Try::Delivered,
            Ok(answer) => {
                let status = answer.status.as_u16();
                tracing::info!(webhook, status, seq = parcel.seq, tries = parcel.tries + 1, "webhook-failed");
                if answer.status == StatusCode::GONE { Try::Gone } else { Try::Failed(answer.retry_after) }
            }
            Err(FetchError::Forbidden(_)) => {
                tracing::warn!(webhook, seq = parcel.seq, "webhook-refused: a private address, and `allow_private` is false");
                Try::Refused
            }
            Err(error) => {
                tracing::info!(webhook, %error, seq = parcel.seq, tries = parcel.tries + 1, "webhook-failed");
                Try::Failed(None)
            }
        }
    }
}

impl Post {
    /// Writes steps down, however long the store needs: what was delivered must not be delivered again because a disk is full.
    async fn write(&self, steps: &[OutboxStep]) {
        loop {
            let (ticket, written) = self.receipts.ticket();
            let records = steps.iter().cloned().map(Record::Outbox).collect();
            let submitted =
                self.store.submit(Batch { ticket, level: CommitLevel::Process, when_late: WhenLate::Refuse, records });
            if submitted.is_ok() && written.await.unwrap_or(false) {
                return;
            }
            self.receipts.forget(ticket);
            tokio::time::sleep_until(Instant::now() + STORE_AGAIN).await;
        }
    }
}

/// The time from one moment to a later one.
fn since(from: Wall, to: Wall) -> Duration {
    Duration::from_micros(u64::try_from(to.as_micros() - from.as_micros()).unwrap_or(0))
}
