//! Server-sent events, resumable.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use baton_contract::Event;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::app::App;
use crate::failure::{Failure, bad_request};

/// The number of the last event that the subscriber has seen: the header that browsers send by themselves, or `?after=`.
#[derive(Debug)]
pub(crate) struct Seen(Option<u64>);

#[derive(Deserialize)]
struct Asked {
    after: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Seen, Failure> {
        if let Some(last) = parts.headers.get("last-event-id") {
            let seq = last.to_str().ok().and_then(|text| text.trim().parse().ok());
            return seq.map(|seq| Seen(Some(seq))).ok_or_else(|| bad_request("Last-Event-ID is the number of an event"));
        }
        let asked = Query::<Asked>::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Seen(asked.after)).map_err(|_| bad_request("`after` is the number of an event"))
    }
}

/// The stream of events; without a number, from now on.
pub(crate) async fn subscribe(State(app): State<App>, Seen(after): Seen) -> Response {
    let frames = app.control.events(after).map(|event| Ok::<Frame, Infallible>(frame(&event)));
    let beat = KeepAlive::new().interval(app.settings.heartbeat).text("still here");
    ([("x-accel-buffering", "no")], Sse::new(frames).keep_alive(beat)).into_response()
}

fn frame(event: &Event) -> Frame {
    let json = serde_json::to_string(event).unwrap_or_default();
    Frame::default().id(event.seq.to_string()).event(event.kind.name()).data(json)
}
