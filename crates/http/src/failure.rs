//! Errors on their way out, each as `application/problem+json` (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use baton_contract::Problem;

use crate::text::clean;

/// A problem as a response.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure(problem)
    }
}

/// Seconds after which one may ask again what was refused for now.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("5");

/// The longest detail that is sent, in characters: it may quote what somebody sent us.
const DETAIL_CHARS_MAX: usize = 500;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Failure(mut problem) = self;
        problem.detail = clean(&problem.detail, DETAIL_CHARS_MAX);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
        }
        response
    }
}

/// 404: nothing lives under this path.
pub(crate) async fn no_such_path(uri: Uri) -> Failure {
    Failure(Problem::new("no-such-path", "No such path", 404, format!("nothing lives under {}", uri.path())))
}

/// 405: something lives there, but it does not do that. `Allow` says what it does.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Failure {
    Failure(Problem::new("wrong-method", "Wrong method", 405, format!("{} does not answer {method}", uri.path())))
}

/// 400: a header or a query parameter cannot be understood.
pub(crate) fn bad_request(detail: impl Into<String>) -> Failure {
    Failure(Problem::new("bad-request", "The request is not valid", 400, detail.into()))
}
