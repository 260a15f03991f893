//! Plays: requests through the whole application, with a scripted engine behind it.

mod api;
mod contract;
mod doors;
mod events;
mod limits;
mod pop;

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use baton_contract::{
    AeId, AeState, AeView, At, CallDirection, CallId, CallState, CallView, CallbackId, CallbackState, CallbackView, Command,
    Context, Driver, Event, EventKind, IdSource, Mode, PopLink, Presence, Problem, Reply, Slot, TransferId, TransferState,
    TransferView,
};
use baton_time::Wall;
use parking_lot::Mutex;
use serde_json::Value;
use tower::ServiceExt;

use crate::{Control, EventStream, HttpSettings, Readiness, Router, router};

/// The time in all plays.
pub(super) const NOW: Wall = Wall::from_seconds(1_772_460_000);

/// An engine that notes what it is asked and answers what it was told to.
pub(super) struct Engine {
    pub(super) asked: Mutex<Vec<Command>>,
    pub(super) answer: Mutex<Option<Result<Reply, Problem>>>,
    pub(super) readiness: Mutex<Readiness>,
    /// Calls on record.
    pub(super) recorded: Mutex<Vec<CallView>>,
}

#[async_trait]
impl Control for Engine {
    async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        self.asked.lock().push(command);
        self.answer.lock().clone().unwrap_or_else(|| Err(Problem::not_found("thing", "it")))
    }

    async fn recorded_calls(&self, before: Option<CallId>, limit: u32) -> Result<Vec<CallView>, Problem> {
        let recorded = self.recorded.lock();
        let behind = recorded.iter().filter(|call| before.is_none_or(|before| call.id < before));
        Ok(behind.take(limit as usize).cloned().collect())
    }

    fn events(&self, after: Option<u64>) -> EventStream {
        let from = after.map_or(3, |after| after + 1);
        Box::pin(futures_util::stream::iter((from..=4).map(event)))
    }

    async fn events_of(&self, transfer: TransferId) -> Result<Vec<Event>, Problem> {
        let known = ids().1;
        if transfer == known { Ok(vec![event(3), event(4)]) } else { Err(Problem::not_found("transfer", &transfer.to_string())) }
    }

    fn metrics(&self) -> String {
        "baton_draining 0\n".to_owned()
    }

    fn ready(&self) -> Readiness {
        *self.readiness.lock()
    }

    fn now(&self) -> Wall {
        NOW
    }
}

/// The application with its engine.
pub(super) struct Stage {
    pub(super) engine: Arc<Engine>,
    router: Router,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks that this is a problem of this status, about this field.
    pub(super) fn expect_problem(&self, status: u16, field: Option<&str>) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!((self.status, problem.status, problem.field.as_deref()), (status, status, field), "{}", self.body);
        assert!(problem.kind.starts_with("urn:baton:problem:"));
        assert!(!problem.title.is_empty() && !problem.detail.is_empty());
    }
}

impl Stage {
    pub(super) fn new() -> Stage {
        Stage::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut HttpSettings)) -> Stage {
        let readiness = Mutex::new(Readiness::Ready);
        let recorded = Mutex::default();
        let engine = Arc::new(Engine { asked: Mutex::default(), answer: Mutex::default(), readiness, recorded });
        let mut settings = HttpSettings::new(links());
        change(&mut settings);
        Stage { router: router(Arc::clone(&engine) as Arc<dyn Control>, settings), engine }
    }

    pub(super) fn will_answer(self, reply: Reply) -> Stage {
        *self.engine.answer.lock() = Some(Ok(reply));
        self
    }

    pub(super) fn with_recorded(self, calls: Vec<CallView>) -> Stage {
        *self.engine.recorded.lock() = calls;
        self
    }

    pub(super) fn will_refuse(self, problem: Problem) -> Stage {
        *self.engine.answer.lock() = Some(Err(problem));
        self
    }

    pub(super) fn asked(&self) -> Vec<Command> {
        self.engine.asked.lock().clone()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap()).await
    }
}

pub(super) fn links() -> PopLink {
    PopLink::new([7; 32])
}

pub(super) fn ids() -> (CallId, TransferId, CallbackId) {
    let mut ids = IdSource::seeded(5);
    (CallId::new(&mut ids, NOW), TransferId::new(&mut ids, NOW), CallbackId::new(&mut ids, NOW))
}

pub(super) fn call() -> CallView {
    CallView {
        id: ids().0,
        state: CallState::Active,
        driver: Driver::Ai,
        from: "+15550123".to_owned(),
        to: "+15550100".to_owned(),
        started_at: At(NOW),
        ended_at: None,
        legs: Vec::new(),
        transfer: Some(ids().1),
        direction: CallDirection::Inbound,
        end: None,
    }
}

pub(super) fn transfer() -> TransferView {
    TransferView {
        id: ids().1,
        call: ids().0,
        mode: Mode::Warm,
        state: TransferState::Ringing,
        outcome: None,
        class: None,
        say_to_caller: None,
        reason: Some("explicit_request".to_owned()),
        requested_at: At(NOW),
        stages_ms: Default::default(),
        ai_drop_ms: None,
        attempts: Vec::new(),
        callback: None,
        message: None,
    }
}

pub(super) fn callback() -> CallbackView {
    CallbackView {
        id: ids().2,
        state: CallbackState::Scheduled,
        call: None,
        transfer: None,
        ae: AeId::from("michael"),
        caller: "+15550123".to_owned(),
        at: At(NOW),
        timezone: "America/Chicago".to_owned(),
        context: Context::default(),
        created_at: At(NOW),
        progress: Default::default(),
    }
}

pub(super) fn ae() -> AeView {
    AeView {
        id: AeId::from("michael"),
        name: "Michael".to_owned(),
        presence: Presence::Available,
        state: AeState::Available,
        phone: Default::default(),
        backup: Some(AeId::from("sara")),
        timezone: "America/New_York".to_owned(),
        hours: "Mon-Fri 09:00-17:00".to_owned(),
        skills: vec!["enterprise".to_owned()],
    }
}

pub(super) fn slot() -> Slot {
    Slot {
        ae: AeId::from("michael"),
        at: At(NOW),
        timezone: "America/Chicago".to_owned(),
        local: "Monday, March 2, 10:00".to_owned(),
    }
}

pub(super) fn event(seq: u64) -> Event {
    Event {
        id: format!("e{seq}"),
        seq,
        at: At(NOW),
        kind: EventKind::Ringing,
        call: Some(ids().0),
        transfer: None,
        data: serde_json::from_str(r#"{"note":"a\nb"}"#).unwrap(),
    }
}
