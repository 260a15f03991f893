//! Traces for OpenTelemetry: off unless `[telemetry]` names a collector. Nothing waits for them.

mod otlp;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use baton_contract::Event;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::config::Secret;
use crate::fetch::{Fetch, Question, Reach, Target};
use crate::metrics::Metrics;
use spans::{Span, Spans};

/// How often what is over is told.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How many spans are told in one request.
const AT_ONCE_MAX: usize = 512;

/// How many spans may wait for a collector that does not answer; further ones are lost, and counted.
const WAITING_MAX: usize = 8_192;

/// How long a collector may take.
const WITHIN: Duration = Duration::from_secs(5);

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TelemetrySettings {
    /// What `/v1/traces` is appended to.
    pub(crate) target: Target,
    /// The bearer token.
    pub(crate) key: Option<Secret>,
}

/// Listens to events until the engine has ended, and tells the collector what took how long.
pub(crate) struct Teller {
    settings: TelemetrySettings,
    node: String,
    fetch: Arc<Fetch>,
    metrics: Arc<Mutex<Metrics>>,
    spans: Spans,
    waiting: Vec<Span>,
}

impl Teller {
    pub(crate) fn new(settings: TelemetrySettings, node: &str, fetch: Arc<Fetch>, metrics: Arc<Mutex<Metrics>>) -> Teller {
        Teller { settings, node: node.to_owned(), fetch, metrics, spans: Spans::default(), waiting: Vec::new() }
    }

    /// Until nobody publishes any more.
    pub(crate) async fn run(mut self, mut events: Receiver<Event>) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => self.take(&event),
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "traces miss events"),
                    Err(RecvError::Closed) => break,
                },
                _ = ticks.tick() => self.tell().await,
            }
        }
        self.tell().await;
    }

    fn take(&mut self, event: &Event) {
        let over = self.spans.on(event);
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        self.count("lost", over.len().saturating_sub(room));
        self.waiting.extend(over.into_iter().take(room));
    }

    /// Tells what waits; what a collector does not take waits on.
    async fn tell(&mut self) {
        while !self.waiting.is_empty() {
            let now = self.waiting.len().min(AT_ONCE_MAX);
            match self.fetch.post(self.question(&self.waiting[..now])).await {
                Ok(answer) if answer.status.is_success() => self.count("sent", now),
                Ok(answer) if answer.status.is_client_error() => {
                    tracing::warn!(status = answer.status.as_u16(), "the collector refuses traces");
                    self.count("refused", now);
                }
                Ok(answer) => return tracing::debug!(status = answer.status.as_u16(), "the collector takes no traces now"),
                Err(fault) => return tracing::debug!(%fault, "the collector does not answer"),
            }
            self.waiting.drain(..now);
        }
    }

    fn question(&self, spans: &[Span]) -> Question {
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let key = self.settings.key.as_ref().and_then(|key| HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok());
        if let Some(mut value) = key {
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        Question {
            target: self.settings.target.join("/v1/traces"),
            reach: Reach::Anywhere,
            headers,
            body: Bytes::from(otlp::body(spans, &self.node).to_string()),
            within: WITHIN,
            answer_max: None,
        }
    }

    fn count(&self, result: &'static str, spans: usize) {
        if spans > 0 {
            self.metrics.lock().add(
                "baton_spans_total",
                &[("result", result)],
                f64::from(u32::try_from(spans).unwrap_or(u32::MAX)),
            );
        }
    }
}
