//! Ids in paths. One that cannot be an id names nothing: 404, like one that nobody has.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use baton_contract::{CallId, CallbackId, Problem, TransferId};

use crate::failure::Failure;
use crate::text::clean;

/// The longest id that is quoted back, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// Something that has an id in a path.
pub(crate) trait Named: FromStr {
    const WHAT: &'static str;
}

impl Named for CallId {
    const WHAT: &'static str = "call";
}

impl Named for TransferId {
    const WHAT: &'static str = "transfer";
}

impl Named for CallbackId {
    const WHAT: &'static str = "callback";
}

/// The id in a path.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

/// The last part of a path as it stands there.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Raw {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Raw, Failure> {
        let unreadable = |_| Failure(Problem::new("no-such-path", "No such path", 404, "the path is not UTF-8".to_owned()));
        Path::<String>::from_request_parts(parts, state).await.map(|Path(raw)| Raw(raw)).map_err(unreadable)
    }
}

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id<T>, Failure> {
        let Raw(raw) = Raw::from_request_parts(parts, state).await?;
        parse(&raw).map(Id)
    }
}

/// The id that `raw` is.
pub(crate) fn parse<T: Named>(raw: &str) -> Result<T, Failure> {
    raw.parse().map_err(|_| Failure(Problem::not_found(T::WHAT, &clean(raw, QUOTED_CHARS_MAX))))
}
