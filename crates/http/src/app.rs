//! The application and its socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use baton_contract::{Command, PopLink, Problem, Reply};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::failure::{self, Failure};
use crate::{Control, api, gate};

/// How the API is served.
#[derive(Clone)]
pub struct HttpSettings {
    /// The bearer token that callers must show; `None` lets everybody in.
    pub token: Option<String>,
    /// Checks the signatures of screen-pop links.
    pub links: PopLink,
    /// The longest body that is read, in bytes.
    pub body_max: usize,
    /// A comment is sent to subscribers of events after this long without an event.
    pub heartbeat: Duration,
}

impl HttpSettings {
    /// The defaults: no token, bodies up to 1 MiB, a heartbeat every 15 s.
    pub fn new(links: PopLink) -> HttpSettings {
        HttpSettings { token: None, links, body_max: 1 << 20, heartbeat: Duration::from_secs(15) }
    }
}

/// What every request can reach.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) settings: Arc<HttpSettings>,
}

impl App {
    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, Failure> {
        self.control.ask(command).await.map_err(Failure)
    }
}

/// Takes the one kind of reply that fits the question; another one is our own bug.
macro_rules! take {
    ($reply:expr, $kind:ident) => {
        if let baton_contract::Reply::$kind(view) = $reply { Ok(view) } else { Err($crate::app::misfit()) }
    };
}
pub(crate) use take;

/// 500: the engine answered another question.
pub(crate) fn misfit() -> Failure {
    tracing::error!("reply does not fit the question");
    Failure(Problem::new("internal", "Our fault", 500, "the engine's answer does not fit the question".to_owned()))
}

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
