//! The screen-pop: what an AE reads while the phone rings. Plain HTML behind a signed link, nothing loaded from anywhere.

mod screen;

use std::sync::LazyLock;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_contract::{Command, LinkError, Problem, Reply, TransferId};
use maud::Markup;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::app::{App, misfit};
use crate::failure::Failure;
use crate::path::{self, Raw};

/// The one style sheet, inlined in each page.
const STYLE: &str = include_str!("style.css");

/// Allows the style sheet, by its digest, and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    HeaderValue::from_str(&policy).expect("the policy is ASCII")
});

/// The signature of a link.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Signed {
    #[serde(default)]
    sig: String,
}

/// The page of a transfer, or for a browser a page that says why there is none.
pub(crate) async fn show(
    State(app): State<App>,
    id: Result<Raw, Failure>,
    signed: Result<Query<Signed>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let raw = id.map(|Raw(raw)| raw).unwrap_or_default();
    let sig = signed.map(|Query(signed)| signed.sig).unwrap_or_default();
    match find(&app, &raw, &sig).await {
        Ok(page) => html(StatusCode::OK, &page),
        Err(Failure(problem)) if wants_html(&headers) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            html(status, &screen::refusal(&problem))
        }
        Err(failure) => failure.into_response(),
    }
}

async fn find(app: &App, raw: &str, sig: &str) -> Result<Markup, Failure> {
    let id: TransferId = path::parse(raw)?;
    app.settings.links.check(id, sig, app.control.now()).map_err(refuse)?;
    let Reply::Pop { transfer, call, context } = app.ask(Command::Pop(id)).await? else { return Err(misfit()) };
    Ok(screen::page(&transfer, &call, &context))
}

fn refuse(error: LinkError) -> Failure {
    let detail = error.to_string();
    Failure(match error {
        LinkError::Forged => Problem::new("bad-link", "Not a link of ours", 403, detail),
        LinkError::Expired => Problem::new("link-expired", "Link expired", 410, detail),
    })
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn html(status: StatusCode, page: &Markup) -> Response {
    let mut response = (status, page.0.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}
