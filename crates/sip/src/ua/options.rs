//! OPTIONS, and what we say of ourselves.

use std::time::Duration;

use baton_time::Mono;

use super::door::Request;
use super::event::whole_seconds;
use super::tables::Reply;
use super::{Accepting, Event, OptionsFor, Rejected, UserAgent};
use crate::transaction::ServerKey;
use crate::wire::Header;

/// The methods that we serve.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, REFER, NOTIFY, UPDATE, PRACK";
/// The extensions that we have, as Supported says them; a request may require any of them.
pub(crate) const SUPPORTED: &str = "100rel, timer, replaces, norefersub, nosub, tdialog";
/// The same without 100rel: in an INVITE that makes no offer.
pub(crate) const SUPPORTED_LATER: &str = "timer, replaces, norefersub, nosub, tdialog";
/// The same, one by one.
pub(crate) const EXTENSIONS: [&str; 6] = ["100rel", "timer", "replaces", "norefersub", "nosub", "tdialog"];
/// The body types that we read.
const ACCEPT: &str = "application/sdp, message/sipfrag;version=2.0, text/plain";

/// How many questions may wait for the owner; they are answered in the same turn.
pub(crate) const QUESTIONS_MAX: usize = 1_024;

/// Names one OPTIONS or MESSAGE that waits for the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub(super) u64);

/// What becomes of an OPTIONS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionsAnswer {
    /// It is answered as everybody's are.
    Abilities,
    /// 403.
    Forbidden,
    /// Nothing: whoever asks at random learns nothing.
    Silence,
}

impl UserAgent {
    /// An OPTIONS outside of all dialogs.
    pub(crate) fn on_options_outside(&mut self, now: Mono, key: ServerKey, request: Request) {
        match self.settings.options {
            OptionsFor::WhomOwnerSays if self.questions.len() < QUESTIONS_MAX => {
                self.last_errand += 1;
                let question = QuestionId(self.last_errand);
                let source = request.source;
                self.questions.insert(question, (key, request));
                self.tell(Event::Options { question, source });
            }
            OptionsFor::WhomOwnerSays => self.counts.reject(Rejected::Full),
            OptionsFor::Everybody => self.on_options(now, key, &request),
        }
    }

    /// Answers an OPTIONS, or does not.
    pub fn answer_options(&mut self, now: Mono, question: QuestionId, answer: OptionsAnswer) {
        let Some((key, request)) = self.questions.remove(&question) else { return };
        match answer {
            OptionsAnswer::Abilities => self.on_options(now, key, &request),
            OptionsAnswer::Forbidden => {
                self.counts.reject(Rejected::Unasked);
                self.respond(now, key, &request, Reply::new(403));
            }
            OptionsAnswer::Silence => self.counts.reject(Rejected::Unasked),
        }
    }

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
