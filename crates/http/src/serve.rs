//! The application and its socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;

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

/// Serves `router` on `listener` until `shutdown` comes, and then for at most two seconds what is under way.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (close, mut closing) = watch::channel(false);
    let signal = async move {
        shutdown.await;
        close.send_replace(true);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(signal);
    let give_up = async move {
        if closing.wait_for(|is_closing| *is_closing).await.is_ok() {
            tokio::time::timeout(FAREWELL_MAX, std::future::pending::<()>()).await.ok();
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = serving.into_future() => ended,
        () = give_up => Ok(()),
    }
}
