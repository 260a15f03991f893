//! Challenges (RFC 3261 §22): answered once for each nonce.

use super::UserAgent;
use super::door::Response;
use super::session::Session;
use super::tables::AskAgain;
use crate::digest::{Ask, Credentials, challenges};
use crate::wire::{Message, Name};

/// Nonces that are answered for one request; a server that asks for more does not want us.
const NONCES_MAX: usize = 4;

impl UserAgent {
    /// The request again, with what the response says was missing: credentials, or a longer session interval.
    pub(crate) fn once_more(
        &mut self,
        session: &Session,
        again: Option<Box<AskAgain>>,
        method: &str,
        response: &Response,
    ) -> Option<AskAgain> {
        if response.status == 422 {
            return (*again?).with_longer_interval(&response.message);
        }
        self.authorize(session, again, method, response)
    }

    /// The request again with credentials, if the response is a challenge that has not been answered yet and we have any.
    fn authorize(
        &mut self,
        session: &Session,
        again: Option<Box<AskAgain>>,
        method: &str,
        response: &Response,
    ) -> Option<AskAgain> {
        let credentials = session.credentials.clone().filter(|_| matches!(response.status, 401 | 407))?;
        let uri = session.request_uri()?;
        self.answer_challenges(&credentials, &uri, *again?, method, &response.message)
    }

    /// A request again, with an answer to each challenge of the response whose nonce has not been answered yet; none if there is no such.
    pub(crate) fn answer_challenges(
        &mut self,
        credentials: &Credentials,
        uri: &str,
        mut ask: AskAgain,
        method: &str,
        response: &Message,
    ) -> Option<AskAgain> {
        let mut is_new = false;
        for challenge in challenges(response) {
            if ask.nonces.len() >= NONCES_MAX || ask.nonces.iter().any(|nonce| nonce == challenge.nonce()) {
                continue;
            }
            let name = if challenge.is_proxy() { Name::ProxyAuthorization } else { Name::Authorization };
            if !is_new {
                // What answered an older challenge of the same kind is worth nothing any more.
                ask.authorization.retain(|header| Name::of(&header.name) != name);
            }
            is_new = true;
            ask.nonces.push(challenge.nonce().to_owned());
            let body = ask.body.as_ref().map_or(&[][..], |(_, body)| body);
            let cnonce = self.random.token();
            let answer = credentials.answer(&challenge, &Ask { method, uri, body, nonce_count: 1, cnonce: &cnonce });
            ask.authorization.push(answer);
        }
        is_new.then_some(ask)
    }
}
