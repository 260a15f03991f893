//! `/v1/callbacks`

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use baton_contract::{CallbackId, CallbackView, Command, NewCallback, Page, UpdateCallback};

use crate::app::{App, take};
use crate::body::Json;
use crate::failure::Failure;
use crate::page::Window;
use crate::path::{Id, Raw, parse};

type Shown = Result<Answer<Box<CallbackView>>, Failure>;

pub(crate) async fn list(State(app): State<App>, window: Window) -> Result<Answer<Page<CallbackView>>, Failure> {
    let callbacks = take!(app.ask(Command::Callbacks).await?, Callbacks)?;
    window.cut(
        callbacks,
        |callback| (callback.at.0.as_micros(), callback.id),
        |place, cursor| place > cursor,
        |text| text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?))),
        |(at, id)| format!("{at}.{id}"),
    )
}

pub(crate) async fn promise(State(app): State<App>, Json(wanted): Json<Box<NewCallback>>) -> Result<Response, Failure> {
    let callback = take!(app.ask(Command::NewCallback(wanted)).await?, Callback)?;
    let location = [(LOCATION, format!("/v1/callbacks/{}", callback.id))];
    Ok((StatusCode::CREATED, location, Answer(callback)).into_response())
}

/// A callback, or with `.ics` behind the id its iCalendar object.
pub(crate) async fn show(State(app): State<App>, Raw(raw): Raw) -> Result<Response, Failure> {
    if let Some(id) = raw.strip_suffix(".ics") {
        return calendar(&app, parse(id)?).await;
    }
    let id = parse(&raw)?;
    take!(app.ask(Command::Callback(id)).await?, Callback).map(|callback| Answer(callback).into_response())
}

async fn calendar(app: &App, id: CallbackId) -> Result<Response, Failure> {
    let text = take!(app.ask(Command::CallbackCalendar(id)).await?, Calendar)?;
    let headers = [
        (CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.ics\"")),
    ];
    Ok((headers, text).into_response())
}

pub(crate) async fn update(State(app): State<App>, Id(id): Id<CallbackId>, Json(update): Json<UpdateCallback>) -> Shown {
    take!(app.ask(Command::UpdateCallback { id, update }).await?, Callback).map(Answer)
}

pub(crate) async fn cancel(State(app): State<App>, Id(id): Id<CallbackId>) -> Shown {
    take!(app.ask(Command::CancelCallback(id)).await?, Callback).map(Answer)
}
