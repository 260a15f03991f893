//! `/v1/calls`

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use baton_contract::{
    CallId, CallState, CallView, Command, Context, Driver, NewCall, NewText, Page, RecordingView, SetRecording, SipMessageView,
    TextView, TransferRequest,
};
use serde::Deserialize;

use crate::app::{App, take};
use crate::body::{Json, MaybeJson};
use crate::failure::{Failure, bad_request};
use crate::page::Window;
use crate::path::Id;

/// The longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// Which calls are wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    live: Option<bool>,
}

/// Calls that are up, and those that are over, in this run of Baton or in one before.
pub(crate) async fn list(
    State(app): State<App>,
    which: Result<Query<Which>, QueryRejection>,
    window: Window,
) -> Result<Answer<Page<CallView>>, Failure> {
    let Query(Which { live }) = which.map_err(|_| bad_request("`live` is `true` or `false`"))?;
    let only_live = live == Some(true);
    // The record comes first: who has ended meanwhile is still known to the engine.
    let recorded = if only_live {
        Vec::new()
    } else {
        let limit = u32::try_from(window.and_one()).unwrap_or(u32::MAX);
        app.control.recorded_calls(window.place(|text| text.parse().ok())?, limit).await?
    };
    let known = take!(app.ask(Command::Calls).await?, Calls)?;
    let all: BTreeMap<CallId, CallView> =
        recorded.into_iter().map(CallView::only_on_record).chain(known).map(|call| (call.id, call)).collect();
    let calls = all.into_values().rev().filter(|call| !only_live || call.state != CallState::Ended).collect();
    window.cut(calls, |call| call.id, |id, cursor| id < cursor, |text| text.parse().ok(), CallId::to_string)
}

pub(crate) async fn place(
    State(app): State<App>,
    headers: HeaderMap,
    Json(request): Json<Box<NewCall>>,
) -> Result<Response, Failure> {
    let idempotency_key = idempotency_key(&headers)?;
    let call = take!(app.ask(Command::PlaceCall { request, idempotency_key }).await?, Call)?;
    let location = [(LOCATION, format!("/v1/calls/{}", call.id))];
    Ok((StatusCode::CREATED, location, Answer(call)).into_response())
}

pub(crate) async fn show(State(app): State<App>, Id(id): Id<CallId>) -> Result<Answer<Box<CallView>>, Failure> {
    take!(app.ask(Command::Call(id)).await?, Call).map(Answer)
}

pub(crate) async fn ladder(State(app): State<App>, Id(id): Id<CallId>) -> Result<Answer<Page<SipMessageView>>, Failure> {
    let call = take!(app.ask(Command::Call(id)).await?, Call)?;
    Ok(Answer(Page { items: app.control.ladder(&call), next: None }))
}

pub(crate) async fn hang_up(State(app): State<App>, Id(id): Id<CallId>) -> Result<Answer<Box<CallView>>, Failure> {
    take!(app.ask(Command::HangUp(id)).await?, Call).map(Answer)
}

pub(crate) async fn context(State(app): State<App>, Id(call): Id<CallId>) -> Result<Answer<Box<Context>>, Failure> {
    take!(app.ask(Command::Context(call)).await?, Context).map(Answer)
}

pub(crate) async fn put_context(
    State(app): State<App>,
    Id(call): Id<CallId>,
    Json(context): Json<Box<Context>>,
) -> Result<Answer<Box<Context>>, Failure> {
    take!(app.ask(Command::PutContext { call, context }).await?, Context).map(Answer)
}

pub(crate) async fn set_recording(
    State(app): State<App>,
    Id(call): Id<CallId>,
    Json(wanted): Json<SetRecording>,
) -> Result<Answer<RecordingView>, Failure> {
    take!(app.ask(Command::SetRecording { call, state: wanted.state }).await?, Recording).map(Answer)
}

pub(crate) async fn request_transfer(
    State(app): State<App>,
    Id(call): Id<CallId>,
    headers: HeaderMap,
    MaybeJson(request): MaybeJson<Box<TransferRequest>>,
) -> Result<Response, Failure> {
    let idempotency_key = idempotency_key(&headers)?;
    let transfer = take!(app.ask(Command::RequestTransfer { call, request, idempotency_key }).await?, Transfer)?;
    let location = [(LOCATION, format!("/v1/transfers/{}", transfer.id))];
    Ok((StatusCode::ACCEPTED, location, Answer(transfer)).into_response())
}

/// What an AE wants the AI to know.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HandBack {
    note: Option<String>,
}

pub(crate) async fn hand_back(
    State(app): State<App>,
    Id(call): Id<CallId>,
    MaybeJson(HandBack { note }): MaybeJson<HandBack>,
) -> Result<Answer<Box<CallView>>, Failure> {
    take!(app.ask(Command::HandBack { call, note }).await?, Call).map(Answer)
}

/// Who is to speak to the caller.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetDriver {
    driver: Driver,
}

pub(crate) async fn set_driver(
    State(app): State<App>,
    Id(call): Id<CallId>,
    Json(SetDriver { driver }): Json<SetDriver>,
) -> Result<Answer<Box<CallView>>, Failure> {
    take!(app.ask(Command::SetDriver { call, driver }).await?, Call).map(Answer)
}

pub(crate) async fn texts(State(app): State<App>, Id(call): Id<CallId>) -> Result<Answer<Page<TextView>>, Failure> {
    take!(app.ask(Command::Texts(call)).await?, Texts).map(|items| Answer(Page { items, next: None }))
}

pub(crate) async fn send_text(
    State(app): State<App>,
    Id(call): Id<CallId>,
    Json(text): Json<NewText>,
) -> Result<(StatusCode, Answer<TextView>), Failure> {
    let text = take!(app.ask(Command::SendText { call, text }).await?, Text)?;
    Ok((StatusCode::CREATED, Answer(text)))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(bad_request(format!("Idempotency-Key has 1 to {KEY_CHARS_MAX} printable ASCII characters"))),
    }
}
