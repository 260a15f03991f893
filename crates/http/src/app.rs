//! What every request can reach.

use std::sync::Arc;
use std::time::Duration;

use baton_contract::{Command, PopLink, Problem, Reply};

use crate::Control;
use crate::failure::Failure;

/// How the API is served.
#[derive(Clone)]
pub struct HttpSettings {
    /// The bearer token that callers must show; `None` lets everybody in.
    pub token: Option<String>,
    /// Checks the signatures of screen-pop links.
    pub links: PopLink,
    /// The longest body that is read, in bytes.
    pub body_max: usize,
    /// How long a body may take to come.
    pub body_within: Duration,
    /// A comment is sent to subscribers of events after this long without an event.
    pub heartbeat: Duration,
}

impl HttpSettings {
    /// The defaults: no token, bodies up to 1 MiB within 10 s, a heartbeat every 15 s.
    pub fn new(links: PopLink) -> HttpSettings {
        HttpSettings {
            token: None,
            links,
            body_max: 1 << 20,
            body_within: Duration::from_secs(10),
            heartbeat: Duration::from_secs(15),
        }
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
