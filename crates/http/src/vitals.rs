//! Is it alive, is it ready, how is it doing?

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use baton_contract::{Command, DrainView, Problem};
use serde_json::{Value, json};

use crate::Readiness;
use crate::app::{App, take};
use crate::body::{MaybeJson, Nothing};
use crate::failure::Failure;

/// Alive: the process answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

/// Ready to take calls; 503 with the reason otherwise.
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let why = match app.control.ready() {
        Readiness::Ready => return Ok(Json(json!({"status": "ready"}))),
        Readiness::Starting => "not yet up",
        Readiness::Draining => "draining: no new calls are taken",
        Readiness::StoreIll => "the store takes no promises",
    };
    Err(Failure(Problem::unavailable(why)))
}

/// Whether Baton is being emptied, and what is left.
pub(crate) async fn draining(State(app): State<App>) -> Result<Json<DrainView>, Failure> {
    take!(app.ask(Command::Draining).await?, Drain).map(Json)
}

/// Takes no new calls from now on.
pub(crate) async fn drain(State(app): State<App>, MaybeJson(Nothing {}): MaybeJson<Nothing>) -> Result<Json<DrainView>, Failure> {
    take!(app.ask(Command::Drain(true)).await?, Drain).map(Json)
}

/// Takes new calls again.
pub(crate) async fn undrain(State(app): State<App>) -> Result<Json<DrainView>, Failure> {
    take!(app.ask(Command::Drain(false)).await?, Drain).map(Json)
}

/// All metrics in Prometheus' text format.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.control.metrics()).into_response()
}
