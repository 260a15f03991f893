//! `/v1/aes`

use axum::Json as Answer;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use baton_contract::{AeId, AeView, Command, Page, Presence, Slot};
use serde::Deserialize;

use crate::app::{App, take};
use crate::body::Json;
use crate::failure::{Failure, bad_request};
use crate::page::whole;
use crate::path::Raw;

/// What an AE says of themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPresence {
    presence: Presence,
}

/// Where the listener of the slots lives.
#[derive(Debug, Deserialize)]
pub(crate) struct ToldIn {
    timezone: Option<String>,
}

pub(crate) async fn list(State(app): State<App>) -> Result<Answer<Page<AeView>>, Failure> {
    take!(app.ask(Command::Aes).await?, Aes).map(whole)
}

pub(crate) async fn set_presence(
    State(app): State<App>,
    Raw(id): Raw,
    Json(NewPresence { presence }): Json<NewPresence>,
) -> Result<Answer<Box<AeView>>, Failure> {
    take!(app.ask(Command::SetPresence { ae: AeId(id), presence }).await?, Ae).map(Answer)
}

pub(crate) async fn slots(
    State(app): State<App>,
    Raw(id): Raw,
    told_in: Result<Query<ToldIn>, QueryRejection>,
) -> Result<Answer<Page<Slot>>, Failure> {
    let Query(ToldIn { timezone }) = told_in.map_err(|_| bad_request("`timezone` is the IANA name of one time zone"))?;
    take!(app.ask(Command::Slots { ae: AeId(id), timezone }).await?, Slots).map(whole)
}
