//! The application and its socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use baton_contract::PopLink;
use tokio::net::TcpListener;

use crate::Control;

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

/// The whole application.
pub fn router(_control: Arc<dyn Control>, _settings: HttpSettings) -> Router {
    Router::new()
}

/// Serves `router` on `listener` until `shutdown` comes, and then for at most two seconds what is under way.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
