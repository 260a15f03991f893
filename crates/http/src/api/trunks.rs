//! `/v1/trunks`

use axum::Json as Answer;
use axum::extract::State;
use baton_contract::{Command, Page, TrunkView};

use crate::app::{App, take};
use crate::failure::Failure;
use crate::page::whole;

pub(crate) async fn list(State(app): State<App>) -> Result<Answer<Page<TrunkView>>, Failure> {
    take!(app.ask(Command::Trunks).await?, Trunks).map(whole)
}
