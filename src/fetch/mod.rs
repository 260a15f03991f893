//! Requests to other people's HTTP servers: webhooks, voices, transcripts. Redirects are not followed, and everything has an end.

mod connect;
mod reach;
#[cfg(test)]
pub(crate) mod stage;
mod target;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

pub(crate) use reach::Reach;
pub(crate) use target::{Target, TargetError};

use target::Scheme;

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Connections that are kept for a next request at most, over all targets.
const KEPT_MAX: usize = 64;

/// How long a connection is kept without a request.
const KEPT_FOR: Duration = Duration::from_secs(20);

/// The most of a body that is read although nobody wants to know it, in bytes.
const SKIPPED_MAX: usize = 16 * 1024;

/// How long that may take.
const SKIPPED_WITHIN: Duration = Duration::from_millis(250);

/// What an asker says of itself.
const AGENT: &str = concat!("baton/", env!("CARGO_PKG_VERSION"));

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Whom.
    pub(crate) target: Target,
    /// Which addresses it may stand for.
    pub(crate) reach: Reach,
    /// Headers beside `Host`, `Content-Length` and `User-Agent`.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What is posted.
    pub(crate) body: Bytes,
    /// By when the answer must be there whole.
    pub(crate) within: Duration,
    /// The longest body of an answer that is read, in bytes; `None` where nobody wants to know it, however long it is.
    pub(crate) answer_max: Option<usize>,
}

/// What is answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// How long to wait before the next request, if it says so in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// The body.
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The name stands for nothing.
    #[error("the host name stands for no address")]
    NoSuchHost,
    /// The address is one that requests may not go to.
    #[error("{0} is a private address")]
    Forbidden(IpAddr),
    /// Nobody listens there, or the network is down.
    #[error("cannot connect: {0}")]
    Unreachable(io::ErrorKind),
    /// TLS did not come about.
    #[error("TLS: {0}")]
    Untrusted(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The answer is longer than anybody wants.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The connection ended, or what came is no HTTP.
    #[error("no answer that can be read: {0}")]
    Broken(String),
}

/// Asks, and keeps connections for the next question.
pub(crate) struct Fetch {
    /// Whom this machine trusts: hundreds of certificates, which are read when the first one is wanted.
    tls: OnceLock<TlsConnector>,
    kept: Mutex<Vec<Kept>>,
}

/// A connection that waits for its next request.
struct Kept {
    place: Place,
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// What a connection leads to. One that was made under another reach is another connection.
type Place = (Scheme, String, Reach);

impl Fetch {
    /// Nothing was asked yet.
    pub(crate) fn new() -> Fetch {
        Fetch { tls: OnceLock::new(), kept: Mutex::new(Vec::new()) }
    }

    /// Posts, and waits for the whole answer. Dropping the future ends it all.
    pub(crate) async fn post(&self, question: Question) -> Result<Answer, FetchError> {
        let within = question.within;
        tokio::time::timeout(within, self.ask(question)).await.unwrap_or(Err(FetchError::Late(within)))
    }

    async fn ask(&self, question: Question) -> Result<Answer, FetchError> {
        let place = (question.target.scheme(), question.target.authority().to_owned(), question.reach);
        let mut request = request(&question)?;
        // A kept connection may have ended meanwhile; a request that was not sent comes back and takes a new one.
        while let Some(mut sender) = self.take(&place) {
            match sender.try_send_request(request).await {
                Ok(response) => return self.read(place, sender, response, question.answer_max).await,
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(&failed.into_error())),
                },
            }
        }
        let wire = connect::connect(|| self.tls.get_or_init(connect::tls), &question.target, question.reach).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake::<_, Full<Bytes>>(TokioIo::new(wire))
            .await
            .map_err(|error| broken(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection has ended");
            }
        });
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        self.read(place, sender, response, question.answer_max).await
    }

    async fn read(
        &self,
        place: Place,
        sender: SendRequest<Full<Bytes>>,
        response: Response<hyper::body::Incoming>,
        answer_max: Option<usize>,
    ) -> Result<Answer, FetchError> {
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let reading = Limited::new(response.into_body(), answer_max.unwrap_or(SKIPPED_MAX)).collect();
        let body = match answer_max {
            Some(max) => match reading.await {
                Ok(body) => Some(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => return Err(FetchError::TooLong(max)),
                Err(error) => return Err(FetchError::Broken(error.to_string())),
            },
            // It is read only so that the connection can be used again.
            None => tokio::time::timeout(SKIPPED_WITHIN, reading).await.ok().and_then(Result::ok).map(|_| Bytes::new()),
        };
        if body.is_some() {
            self.keep(place, sender);
        }
        let body = body.unwrap_or_default();
        Ok(Answer { status, retry_after: seconds.map(Duration::from_secs), body })
    }

    fn take(&self, place: &Place) -> Option<SendRequest<Full<Bytes>>> {
        let mut kept = self.kept.lock();
        kept.retain(|one| one.since.elapsed() < KEPT_FOR && !one.sender.is_closed());
        let index = kept.iter().position(|one| one.place == *place && one.sender.is_ready())?;
        Some(kept.swap_remove(index).sender)
    }

    fn keep(&self, place: Place, sender: SendRequest<Full<Bytes>>) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push(Kept { place, sender, since: Instant::now() });
    }
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetch").field("kept", &self.kept.lock().len()).finish_non_exhaustive()
    }
}

fn request(question: &Question) -> Result<Request<Full<Bytes>>, FetchError> {
    let target = &question.target;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target.path())
        .header(HOST, target.authority())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_LENGTH, question.body.len())
        .body(Full::new(question.body.clone()))
        .map_err(|error| FetchError::Broken(error.to_string()))?;
    request.headers_mut().extend(question.headers.iter().cloned());
    Ok(request)
}

fn broken(error: &hyper::Error) -> FetchError {
    FetchError::Broken(error.to_string())
}
