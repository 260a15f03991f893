//! The application and its socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::{App, HttpSettings};
use crate::{Control, api, failure, gate};

/// The whole application.
pub fn router(control: Arc<dyn Control>, settings: HttpSettings) -> Router {
    let body_max = settings.body_max;
    let app = App { control, settings: Arc::new(settings) };
    let (mut open, mut guarded) = (Router::new(), Router::new());
    for operation in api::operations() {
        let side = if operation.is_open { &mut open } else { &mut guarded };
        *side = std::mem::take(side).route(operation.path, operation.handler);
    }
    open.merge(guarded.route_layer(from_fn_with_state(app.clone(), gate::check)))
        .fallback(failure::no_such_path)
        .method_not_allowed_fallback(failure::wrong_method)
        .layer(DefaultBodyLimit::max(body_max))
        .layer(axum::middleware::map_response(harden))
        .with_state(app)
}

/// Nothing that we answer is to be guessed at by a browser.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", axum::http::HeaderValue::from_static("nosniff"));
    response
}

/// How long answers under way are waited for at the end.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Connections that are open at the same time; a further one is told so and closed.
const CONNECTIONS_MAX: usize = 512;

/// How long the head of a request may take, and how long a connection may wait for its next request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What a connection is told for which there is no room.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Limits of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    pub(crate) head_within: Duration,
}

/// Serves `router` on `listener` until `shutdown` comes, and then for at most two seconds what is under way.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    serve_within(Limits { connections_max: CONNECTIONS_MAX, head_within: HEAD_WITHIN }, listener, router, shutdown).await
}

pub(crate) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (close, closing) = watch::channel(false);
    let (places, mut connections) = (Arc::new(Semaphore::new(limits.connections_max)), JoinSet::new());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    tracing::error!("a request has failed");
                }
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // One client's trouble, or no descriptor is left: the next one may have more luck.
                    tracing::warn!(%error, "no connection is taken");
                    tokio::time::timeout(ACCEPT_AGAIN, std::future::pending::<()>()).await.ok();
                    continue;
                }
            },
        };
        match places.clone().try_acquire_owned() {
            Ok(place) => {
                connections.spawn(converse(limits, stream, router.clone(), closing.clone(), place));
            }
            Err(_) => turn_away(&stream),
        }
    }
    drop(listener);
    close.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(FAREWELL_MAX, all_ended).await.ok();
    Ok(())
}

/// How long it takes until a connection is taken again where the system gave none.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Answers what comes on one connection.
async fn converse(
    limits: Limits,
    stream: TcpStream,
    router: Router,
    mut closing: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection has no options");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let told = async move { drop(closing.wait_for(|is_closing| *is_closing).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection has ended early");
    }
}

/// Says that there is no room, as far as that goes without waiting.
fn turn_away(stream: &TcpStream) {
    if stream.try_write(FULL).is_err() {
        tracing::trace!("whoever is turned away does not listen");
    }
    tracing::warn!("too many connections: one is turned away");
}
