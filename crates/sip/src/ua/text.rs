//! MESSAGE both ways within a dialog: short texts beside a call (RFC 3428).

use baton_time::Mono;
use bytes::Bytes;

use super::door::Request;
use super::options::QUESTIONS_MAX;
use super::session::Session;
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, Gone, QuestionId, SessionId, UserAgent, VerbError};
use crate::transaction::ServerKey;
use crate::wire::{Header, Name};

/// The longest text, in bytes: with its headers it still goes by UDP (RFC 3428 §8).
pub const TEXT_BYTES_MAX: usize = 1_000;

/// What we send.
const PLAIN: &str = "text/plain;charset=UTF-8";
/// What we read.
const ACCEPT: &str = "text/plain";

impl UserAgent {
    /// Sends a text within a session that is up. What is answered to it is not told: a phone that takes no texts has its call all the same.
    ///
    /// # Errors
    /// When the session is not up.
    pub fn text(&mut self, now: Mono, session: SessionId, text: &str) -> Result<(), VerbError> {
        let ask = AskAgain::new(Vec::new(), Some((PLAIN.to_owned(), Bytes::copy_from_slice(text.as_bytes()))));
        self.ask_within(now, session, Purpose::Text, ask)
    }

    /// Answers a text: 200 where it went on to somebody, 202 where it is only kept, 300 to 699 where nobody has it (RFC 3428 §7).
    pub fn answer_text(&mut self, now: Mono, question: QuestionId, status: u16) {
        if let Some((key, request)) = self.questions.remove(&question) {
            self.respond(now, key, &request, Reply::new(status));
        }
    }

    pub(crate) fn on_text(&mut self, now: Mono, session: &Session, key: ServerKey, request: &Request) {
        let content_type = request.header(Name::ContentType).unwrap_or_default();
        let is_plain = content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(ACCEPT));
        let is_coded = request.header(Name::ContentEncoding).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        let refusal = match std::str::from_utf8(request.message.body()) {
            _ if !is_plain || is_coded => Reply::new(415).with(Header::new("Accept", ACCEPT)),
            Err(_) => Reply::new(415).with(Header::new("Accept", PLAIN)),
            Ok(text) if text.len() > TEXT_BYTES_MAX => Reply::new(413),
            Ok(_) if self.questions.len() >= QUESTIONS_MAX => Reply::retry_after(self.settings.limits.retry_after),
            Ok(text) => {
                self.last_errand += 1;
                let question = QuestionId(self.last_errand);
                self.questions.insert(question, (key, request.clone()));
                return self.tell(Event::Text { session: session.id, question, text: text.to_owned() });
            }
        };
        self.respond(now, key, request, refusal);
    }

    /// Only 481 is about the dialog (RFC 5057 §5.2). Whoever knows no texts may leave one unanswered, and still has their call.
    pub(crate) fn text_settled(&mut self, now: Mono, session: &mut Session, status: u16) {
        if status == 481 {
            self.lose(now, session, Gone::TimedOut);
        }
    }
}
