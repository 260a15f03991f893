//! `/v1/transfers`

use axum::Json as Answer;
use axum::extract::State;
use baton_contract::{Command, Event, Page, TransferId, TransferView};
use serde::Deserialize;

use crate::app::{App, take};
use crate::body::{MaybeJson, Nothing};
use crate::failure::Failure;
use crate::page::whole;
use crate::path::Id;

/// Why an AE declines.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Decline {
    reason: Option<String>,
    /// In minutes: makes the attempt's outcome `later`.
    retry_after: Option<u32>,
}

type Shown = Result<Answer<Box<TransferView>>, Failure>;

pub(crate) async fn show(State(app): State<App>, Id(id): Id<TransferId>) -> Shown {
    take!(app.ask(Command::Transfer(id)).await?, Transfer).map(Answer)
}

pub(crate) async fn events(State(app): State<App>, Id(id): Id<TransferId>) -> Result<Answer<Page<Event>>, Failure> {
    Ok(whole(app.control.events_of(id).await?))
}

pub(crate) async fn cancel(State(app): State<App>, Id(id): Id<TransferId>) -> Shown {
    take!(app.ask(Command::CancelTransfer(id)).await?, Transfer).map(Answer)
}

pub(crate) async fn accept(State(app): State<App>, Id(id): Id<TransferId>, MaybeJson(Nothing {}): MaybeJson<Nothing>) -> Shown {
    take!(app.ask(Command::Accept(id)).await?, Transfer).map(Answer)
}

pub(crate) async fn proceed(State(app): State<App>, Id(id): Id<TransferId>, MaybeJson(Nothing {}): MaybeJson<Nothing>) -> Shown {
    take!(app.ask(Command::Proceed(id)).await?, Transfer).map(Answer)
}

pub(crate) async fn decline(
    State(app): State<App>,
    Id(transfer): Id<TransferId>,
    MaybeJson(Decline { reason, retry_after }): MaybeJson<Decline>,
) -> Shown {
    take!(app.ask(Command::Decline { transfer, reason, retry_after }).await?, Transfer).map(Answer)
}
