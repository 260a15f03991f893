//! INFO both ways (RFC 6086; here mostly DTMF digits).

use baton_time::Mono;
use bytes::Bytes;

use super::door::Request;
use super::session::{Session, Stage};
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, Gone, SessionId, UserAgent, VerbError};
use crate::transaction::ServerKey;
use crate::wire::Name;

impl UserAgent {
    /// Sends an INFO within a session that is up. What is answered to it is not told, unless it means the end of the session.
    ///
    /// # Errors
    /// When the session is not up.
    pub fn info(&mut self, now: Mono, session: SessionId, content_type: &str, body: Bytes) -> Result<(), VerbError> {
        let ask = AskAgain::new(Vec::new(), Some((content_type.to_owned(), body)));
        self.ask_within(now, session, Purpose::Info, ask)
    }

    /// Sends a request within the dialog of a session that is up.
    pub(crate) fn ask_within(&mut self, now: Mono, session: SessionId, purpose: Purpose, ask: AskAgain) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let result = match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Up(mut up) => {
                self.ask(now, &session, &mut up.dialog, purpose, ask);
                session.stage = Stage::Up(up);
                Ok(())
            }
            other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        };
        self.put(now, session);
        result
    }

    pub(crate) fn on_info(&mut self, now: Mono, session: &Session, key: ServerKey, request: &Request) {
        self.respond(now, key, request, Reply::new(200));
        let content_type = request.header(Name::ContentType).unwrap_or_default();
        self.tell(Event::Info { session: session.id, content_type, body: request.message.body().clone() });
    }

    pub(crate) fn info_settled(&mut self, now: Mono, session: &mut Session, status: u16) {
        // RFC 5057 §5.1: these two say that the dialog is no more; any other failure is the INFO's alone.
        if matches!(status, 408 | 481) {
            self.lose(now, session, Gone::TimedOut);
        }
    }
}
