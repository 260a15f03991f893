//! OPTIONS, and what we say of ourselves.

use std::time::Duration;

use baton_time::Mono;

use super::door::Request;
use super::event::whole_seconds;
use super::tables::Reply;
use super::{Accepting, Rejected, UserAgent};
use crate::transaction::ServerKey;
use crate::wire::Header;

/// The methods that we serve.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REFER, NOTIFY, UPDATE, PRACK";
/// The extensions that we have, as Supported says them; a request may require any of them.
pub(crate) const SUPPORTED: &str = "100rel, timer, replaces, norefersub, tdialog";
/// The same without 100rel: in an INVITE that makes no offer.
pub(crate) const SUPPORTED_LATER: &str = "timer, replaces, norefersub, tdialog";
/// The same, one by one.
pub(crate) const EXTENSIONS: [&str; 5] = ["100rel", "timer", "replaces", "norefersub", "tdialog"];
/// The body types that we read.
const ACCEPT: &str = "application/sdp, message/sipfrag;version=2.0";

impl UserAgent {
    /// Answers OPTIONS: 200 with our abilities, 503 while no new calls are taken (RFC 3261 §11.2: as an INVITE would be).
    pub(crate) fn on_options(&mut self, now: Mono, key: ServerKey, request: &Request) {
        let reply = match self.accepting {
            Accepting::No { retry_after } if request.to_tag().is_none() => Reply::retry_after(retry_after),
            Accepting::No { .. } | Accepting::Yes => {
                let headers = [
                    ("Allow", ALLOW),
                    ("Supported", SUPPORTED),
                    ("Accept", ACCEPT),
                    ("Accept-Encoding", "identity"),
                    ("Accept-Language", "en"),
                ];
                headers.into_iter().fold(Reply::new(200), |reply, (name, value)| reply.with(Header::new(name, value)))
            }
        };
        self.respond(now, key, request, reply);
    }

    pub(crate) fn bad_method(&mut self, now: Mono, key: ServerKey, request: &Request) {
        self.reject(now, key, request, Reply::new(405).with(Header::new("Allow", ALLOW)), Rejected::Method);
    }

    /// RFC 3261 §8.2.2.3: an extension that we would have to know.
    pub(crate) fn bad_extension(&mut self, now: Mono, key: ServerKey, request: &Request) {
        let unsupported = request.unknown_extensions().collect::<Vec<_>>().join(", ");
        self.reject(now, key, request, Reply::new(420).with(Header::new("Unsupported", unsupported)), Rejected::Extension);
    }
}

impl Reply {
    /// 503, with when to try again.
    pub(crate) fn retry_after(span: Duration) -> Reply {
        Reply::new(503).with(Header::new("Retry-After", whole_seconds(span).to_string()))
    }
}
