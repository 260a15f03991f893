//! Who may come in.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use baton_contract::Problem;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::failure::Failure;

/// Lets requests with the token in, and none that a foreign web page sends from somebody's browser.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        let detail = "another site's page may not use this API".to_owned();
        return Failure(Problem::new("foreign-origin", "Not from there", 403, detail)).into_response();
    }
    if app.settings.token.as_ref().is_some_and(|token| !shows(request.headers(), token)) {
        let detail = "this call needs the header \"Authorization: Bearer …\" with the token of the configuration".to_owned();
        let mut response = Failure(Problem::new("unauthorized", "Token needed", 401, detail)).into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"baton\""));
        return response;
    }
    next.run(request).await
}

/// Whether the request shows the token. Digests are compared, so that the time taken tells neither its text nor its length.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let Some(shown) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else { return false };
    let Some((scheme, shown)) = shown.split_once(' ') else { return false };
    let same = Sha256::digest(shown.trim()).ct_eq(&Sha256::digest(token));
    scheme.eq_ignore_ascii_case("bearer") && bool::from(same)
}

/// Whether a browser says that another site's page sends this. Other clients say nothing of the kind.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    let origin = headers.get(ORIGIN).map(text);
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let is_other_host = origin.is_some_and(|origin| origin.split_once("://").is_none_or(|(_, authority)| authority != host));
    is_other_host || headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}
