//! Bodies on their way in: JSON, checked member by member.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use baton_contract::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::failure::{Failure, bad_request};

/// A JSON body. Whatever is wrong with it is a 422 that names the member.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be left out where everything in it is optional.
#[derive(Debug)]
pub(crate) struct MaybeJson<T>(pub(crate) T);

/// The body of an order that has nothing to say: none, or `{}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Json<T>, Failure> {
        parse(&read(request, app).await?).map(Json).map_err(Failure)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for MaybeJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<MaybeJson<T>, Failure> {
        let body = read(request, app).await?;
        if body.is_empty() { Ok(MaybeJson(T::default())) } else { parse(&body).map(MaybeJson).map_err(Failure) }
    }
}

async fn read(request: Request, app: &App) -> Result<Bytes, Failure> {
    let reading = tokio::time::timeout(app.settings.body_within, Bytes::from_request(request, app));
    let late = |_| Failure(Problem::new("too-slow", "The body is too slow", 408, "the body did not come in time".to_owned()));
    reading.await.map_err(late)?.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("a body has at most {} bytes", app.settings.body_max);
            Failure(Problem::new("too-large", "The body is too large", 413, detail))
        } else {
            bad_request("the body could not be read to its end")
        }
    })
}

/// The name that stands for the whole body where no member is to blame.
const WHOLE: &str = "body";

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        blame(&path, error.inner())
    })?;
    json.end().map_err(|error| blame(".", &error))?;
    Ok(value)
}

fn blame(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::invalid(WHOLE, format!("the body is not JSON: {error}"));
    }
    let why = error.to_string();
    let missing = why.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
    let field = match (path, missing) {
        (".", Some(missing)) => missing.to_owned(),
        (".", None) => WHOLE.to_owned(),
        (path, Some(missing)) => format!("{path}.{missing}"),
        (path, None) => path.to_owned(),
    };
    Problem::invalid(&field, why)
}
