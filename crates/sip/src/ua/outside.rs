//! Requests of ours outside of all sessions: what REGISTER, OPTIONS and SUBSCRIBE have in common.

use std::time::Duration;

use baton_time::Mono;

use super::door::Response;
use super::tables::{AskAgain, Purpose};
use super::{SessionId, UserAgent, VerbError};
use crate::dialog::Dialog;
use crate::random::token;
use crate::transaction::ClientKey;
use crate::transport::Hop;
use crate::wire::Uri;

/// The session of a request that belongs to none: sessions count from 1.
pub(crate) const NO_SESSION: SessionId = SessionId(0);

/// The longest pause between two tries of something that fails (RFC 5626 §4.5).
const PAUSE_MAX: Duration = Duration::from_secs(1_800);
/// The first pause; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(30);

/// What is waited for outside of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    /// A registration of ours is to be refreshed or tried again.
    Register(super::RegistrationId),
    /// A question has had no answer.
    Ping(super::PingId),
    /// A subscription of ours is to be refreshed or tried again.
    Subscribe(super::SubscriptionId),
    /// The oldest binding of an account ends.
    Bindings,
}

impl UserAgent {
    /// Our half of whatever a request to `target` may become.
    ///
    /// # Errors
    /// When nothing listens on the transport, or the table of transactions is full.
    pub(crate) fn half(&mut self, now: Mono, hop: Hop, target: &Uri, local: &str, remote: &str) -> Result<Dialog, VerbError> {
        let hop = super::dial::hop(target, hop)?;
        let local_addr = self.listen_towards(&hop).ok_or(VerbError::NoTransport)?.addr;
        if self.transactions.is_full() {
            return Err(VerbError::Full);
        }
        self.sources.befriend(now, hop.addr);
        let tag = token(self.random.draw());
        Ok(Dialog {
            call_id: format!("{}{}", self.random.token(), self.random.token()),
            local: format!("{local};tag={tag}"),
            local_tag: tag,
            remote: remote.to_owned(),
            remote_target: target.to_string(),
            local_addr,
            ..Dialog::nowhere(hop)
        })
    }

    /// Sends a request outside of all sessions.
    pub(crate) fn ask_outside(&mut self, now: Mono, half: &mut Dialog, purpose: Purpose, ask: AskAgain) -> ClientKey {
        let seq = half.next_seq();
        let request = self.request(half, purpose.method(), seq, &ask.all_headers(), ask.body.as_ref());
        let key = request.key;
        self.begin(now, request, NO_SESSION, purpose, Some(Box::new(ask)));
        key
    }

    /// Does what is due.
    pub(crate) fn run_errands(&mut self, now: Mono) {
        self.shunned.forget(now);
        while let Some((_, errand)) = self.errands.pop_due(now) {
            match errand {
                Errand::Register(id) => self.register_due(now, id),
                Errand::Ping(id) => self.ping_late(now, id),
                Errand::Subscribe(id) => self.subscribe_due(now, id),
                Errand::Bindings => self.bindings_due(now),
            }
        }
    }

    /// An answer to a request outside of all sessions: true if it was one.
    pub(crate) fn answered_outside(
        &mut self,
        now: Mono,
        purpose: Purpose,
        again: &mut Option<Box<AskAgain>>,
        response: &Response,
    ) -> bool {
        match purpose {
            Purpose::Register(id) => self.registered(now, id, again.take(), response),
            Purpose::Ping(id) if response.status >= 200 => {
                self.pinged(now, id, again.take(), response.status, Some(&response.message));
            }
            Purpose::Ping(_) => {}
            Purpose::Subscribe(id) => self.subscribed(now, id, again.take(), response),
            Purpose::Invite
            | Purpose::Reinvite
            | Purpose::Cancel
            | Purpose::Bye
            | Purpose::StrayBye
            | Purpose::Info
            | Purpose::Text
            | Purpose::Update
            | Purpose::Prack
            | Purpose::Refer(_)
            | Purpose::Notify(_) => return false,
        }
        true
    }

    /// Nobody has answered a request outside of all sessions: true if it was one.
    pub(crate) fn unanswered_outside(&mut self, now: Mono, purpose: Purpose, status: u16) -> bool {
        match purpose {
            Purpose::Register(id) => self.register_unanswered(now, id, status),
            Purpose::Ping(id) => self.pinged(now, id, None, status, None),
            Purpose::Subscribe(id) => self.subscribe_unanswered(now, id),
            Purpose::Invite
            | Purpose::Reinvite
            | Purpose::Cancel
            | Purpose::Bye
            | Purpose::StrayBye
            | Purpose::Info
            | Purpose::Text
            | Purpose::Update
            | Purpose::Prack
            | Purpose::Refer(_)
            | Purpose::Notify(_) => return false,
        }
        true
    }

    /// The pause after so many failures in a row: between half and the whole of what doubles each time.
    pub(crate) fn pause(&mut self, failures: u32) -> Duration {
        let whole = PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_MAX);
        let half_ms = u64::try_from(whole.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half_ms + self.random.below(half_ms.max(1)))
    }
}
