//! An AI asks for a human over SIP: REFER, and its progress (RFC 3515).

use baton_contract::{CallId, Context, LegRole, Mode};
use baton_sip::wire::{Header, Message, NameAddr};
use baton_sip::{ReferId, SessionId};
use baton_time::Now;
use baton_transfer::{Progress, Target};

use crate::ask::Wanted;
use crate::call::{Asked, Phase, Referrer};
use crate::payload::context_from;
use crate::peer::Peer;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// A REFER inside one of our dialogs.
    pub(crate) fn on_refer(&mut self, now: Now, session: SessionId, refer: ReferId, refer_to: &NameAddr, message: &Message) {
        let referrer = Referrer::Refer { session, refer };
        match self.refer_wanted(session, refer_to) {
            Ok((id, target)) => {
                let context = self.refer_context(session, refer_to, message);
                let reason = context.reason.clone();
                let wanted = Wanted { target, mode: Mode::Warm, reason, context: Some(context), briefing: None };
                self.begin_transfer(now, id, wanted, None, Some(referrer));
            }
            Err(status) => self.answer_refer(now, referrer, status),
        }
    }

    /// Which call is meant and whom it shall reach, or the status that refuses.
    fn refer_wanted(&self, session: SessionId, refer_to: &NameAddr) -> Result<(CallId, Target), u16> {
        let (id, leg) = self.call_of(session).ok_or(481_u16)?;
        let call = self.calls.get(&id).ok_or(481_u16)?;
        if call.leg(leg).is_none_or(|leg| leg.role != LegRole::Ai) {
            return Err(403);
        }
        let target = self.roster.target(&refer_to.uri.to_string()).ok_or_else(|| no_target(refer_to))?;
        match (&call.phase, &call.transfer) {
            (Phase::Active, None) => Ok((id, target)),
            (Phase::Active, Some(running)) if running.transfer.outcome().is_none() => Ok((id, target)),
            (Phase::Active, Some(_)) => Err(403),
            (Phase::Placing | Phase::Connecting(_) | Phase::Ending, _) => Err(403),
        }
    }

    /// The context on the REFER and in the URI that it refers to, where its sender is believed.
    fn refer_context(&self, session: SessionId, refer_to: &NameAddr, message: &Message) -> Context {
        let address = self.agent.remote_addr(session);
        let trusted = match address.map(|address| self.settings.peer(address)) {
            Some(Peer::Ai(ai)) => self.settings.ais[ai].trust_context,
            Some(Peer::Ae(_) | Peer::Trunk(_) | Peer::Stranger) | None => false,
        };
        if !trusted {
            return Context::default();
        }
        let mut context = context_from(message.all_headers());
        let embedded: Vec<(String, String)> = refer_to.uri.embedded_headers();
        context.merge(context_from(embedded.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
        context
    }

    pub(crate) fn answer_refer(&mut self, now: Now, referrer: Referrer, status: u16) {
        match referrer {
            Referrer::Refer { session, refer } => {
                if let Err(fault) = self.agent.answer_refer(now.mono, session, refer, status) {
                    tracing::debug!(%fault, status, "cannot answer the REFER");
                }
            }
            Referrer::Invite { session } if status >= 300 => {
                self.invited.remove(&session);
                self.refuse(now, session, status, Vec::new());
            }
            Referrer::Invite { .. } => {}
        }
    }

    /// Tells the AI how its REFER goes on.
    pub(crate) fn progress(&mut self, now: Now, id: CallId, progress: Progress) {
        let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) else { return };
        match &mut running.asked {
            Asked::Pending(progresses) => progresses.push(progress),
            Asked::Promised => {
                for referrer in running.referrers.clone() {
                    self.notify(now, referrer, &progress);
                }
            }
        }
    }

    pub(crate) fn notify(&mut self, now: Now, to: Referrer, progress: &Progress) {
        let (session, refer) = match to {
            Referrer::Refer { session, refer } => (session, refer),
            Referrer::Invite { session } => return self.answer_invited(now, session, progress),
        };
        let outcome = progress.outcome.map(|outcome| Header::new("X-Baton-Outcome", outcome.name()));
        let headers: Vec<Header> = outcome.into_iter().collect();
        let sent = self.agent.notify_refer(now.mono, session, refer, progress.status, progress.phrase, headers, progress.last);
        if let Err(fault) = sent {
            tracing::debug!(%fault, status = progress.status, "cannot notify");
        }
    }
}

/// What a REFER to none of our people hears. A number is somebody, but an AI may only ask for an AE or a group; anything else is nobody.
/// (A local number may be spelt with the letters A to F alone, RFC 3966 §3: that is rather a name.)
fn no_target(refer_to: &NameAddr) -> u16 {
    let is_number = refer_to.uri.tel().is_some_and(|tel| tel.number.contains(|sign: char| sign.is_ascii_digit()));
    if is_number { 403 } else { 404 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outside_number_is_forbidden_and_a_strange_name_is_nobody() {
        for (refer_to, status) in [
            ("<sip:+19005550100@example.net>", 403),
            ("<sip:5550100@example.net;user=phone>", 403),
            ("<tel:+1-900-555-0100>", 403),
            ("<sip:nobody@example.net>", 404),
            ("<sip:abe@example.net>", 404),
            ("<sip:example.net>", 404),
        ] {
            assert_eq!(no_target(&refer_to.parse().expect("an address")), status, "{refer_to}");
        }
    }
}
