//! Provisional answers to an INVITE.

use baton_time::Mono;
use bytes::Bytes;

use super::dial::SDP;
use super::session::Stage;
use super::tables::Reply;
use super::{SessionId, UserAgent, VerbError};
use crate::random::token;
use crate::wire::Header;

impl UserAgent {
    /// Answers an INVITE provisionally: 180, 183 with early media …
    ///
    /// # Errors
    /// When the session is not one that waits for our answer, the status is not in 101 to 199, or too many answers wait for their PRACK.
    pub fn ring(
        &mut self,
        now: Mono,
        session: SessionId,
        status: u16,
        sdp: Option<Bytes>,
        headers: Vec<Header>,
    ) -> Result<(), VerbError> {
        if !(101..=199).contains(&status) {
            return Err(VerbError::WrongStatus);
        }
        let mut session = self.take(session)?;
        let tag = Some(token(session.tag));
        let result = match &mut session.stage {
            Stage::Called(called) => {
                let body = sdp.map(|sdp| (SDP.to_owned(), sdp));
                let reply = Reply { status, tag, makes_dialog: true, headers, body, ..Reply::default() };
                self.ring_called(now, called, reply)
            }
            Stage::Dialing(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over => Err(VerbError::WrongState),
        };
        self.put(now, session);
        result
    }
}
