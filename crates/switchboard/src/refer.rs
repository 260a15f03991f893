//! An AI asks for a human over SIP, or an AE passes a caller on: REFER, and its progress (RFC 3515).

use baton_contract::{CallId, Context, LegId, LegRole, Mode};
use baton_sip::wire::{Header, Message, NameAddr, Uri};
use baton_sip::{ReferId, SessionId};
use baton_time::Now;
use baton_transfer::{Callee, Event, HandBackBy, Progress, SceneName, Target};

use crate::ask::{TRYING, Wanted, Wishes};
use crate::call::{Asked, Call, Phase, Referrer};
use crate::destinations::Over;
use crate::payload::{context_from, printable};
use crate::peer::Peer;
use crate::settings::Outsiders;
use crate::switchboard::Switchboard;

/// The longest Replaces header that is passed on, in bytes.
const REPLACES_BYTES_MAX: usize = 512;

impl Switchboard {
    /// A REFER inside one of our dialogs.
    pub(crate) fn on_refer(&mut self, now: Now, session: SessionId, refer: ReferId, refer_to: &NameAddr, message: &Message) {
        let referrer = Referrer::Refer { session, refer };
        let Some((id, leg)) = self.call_of(session) else { return self.answer_refer(now, referrer, 481) };
        match self.calls.get(&id).and_then(|call| call.leg(leg)).map(|leg| leg.role) {
            Some(LegRole::Ai) => self.on_ai_refer(now, id, leg, referrer, refer_to, message),
            Some(LegRole::Ae) => self.on_ae_refer(now, id, leg, referrer, refer_to),
            Some(LegRole::Caller) | None => self.answer_refer(now, referrer, 403),
        }
    }

    /// An AI asks for a human, or passes the caller on to somebody outside.
    fn on_ai_refer(&mut self, now: Now, id: CallId, leg: LegId, referrer: Referrer, refer_to: &NameAddr, message: &Message) {
        match self.refer_wanted(id, leg, refer_to) {
            Ok((target, mode)) => {
                let context = self.refer_context(referrer.session(), refer_to, message);
                let mode = asked_mode(message, refer_to).filter(|_| mode == Mode::Warm).unwrap_or(mode);
                let reason = context.reason.clone();
                let (briefing, wishes) = (None, Wishes::default());
                let wanted = Wanted { target, mode, reason, context: Some(context), briefing, wishes };
                let is_new = self.calls.get(&id).is_some_and(|call| call.transfer.is_none());
                self.begin_transfer(now, id, wanted, None, Some(referrer));
                if is_new {
                    self.take_replaces(id, refer_to);
                }
                self.spoken_acceptance(now, id);
            }
            Err(status) => self.answer_refer(now, referrer, status),
        }
    }

    /// An AI that briefs the AE itself says with a second REFER that they take the caller.
    fn spoken_acceptance(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id).filter(|call| call.scene == SceneName::ConsultLive) else { return };
        if call.transfer.as_ref().is_some_and(|running| running.transfer.can_be_accepted()) {
            self.tell(now, id, Event::Accept);
        }
    }

    /// Whom the REFER of an AI shall reach, and how, or the status that refuses.
    fn refer_wanted(&self, id: CallId, leg: LegId, refer_to: &NameAddr) -> Result<(Target, Mode), u16> {
        let call = self.calls.get(&id).ok_or(481_u16)?;
        let wanted = match self.roster.target(&refer_to.uri.to_string()) {
            Some(target) => (target, Mode::Warm),
            None => (self.outsider(call, leg, refer_to)?, Mode::Cold),
        };
        match (&call.phase, &call.transfer) {
            (Phase::Active, None) => Ok(wanted),
            (Phase::Active, Some(running)) if running.transfer.outcome().is_none() => Ok(wanted),
            (Phase::Active, Some(_)) => Err(403),
            (Phase::Placing | Phase::Connecting(_) | Phase::Ending, _) => Err(403),
        }
    }

    /// Somebody outside to whom an AI may pass its caller on.
    fn outsider(&self, call: &Call, leg: LegId, refer_to: &NameAddr) -> Result<Target, u16> {
        let status = no_target(refer_to);
        let ai = call.leg(leg).and_then(|leg| leg.ai).and_then(|place| self.settings.ais.get(place));
        if status == 404 || ai.is_none_or(|ai| ai.outsiders == Outsiders::Deny) {
            return Err(status);
        }
        self.outside(refer_to).map(Target::Outside)
    }

    /// The URI of somebody outside, if they may be dialled.
    fn outside(&self, refer_to: &NameAddr) -> Result<String, u16> {
        let uri = refer_to.uri.to_string();
        match self.settings.destination(&uri, Over::Any) {
            Ok(_) => Ok(uri),
            Err(denied) => {
                self.dial_reject("refer", denied);
                Err(no_target(refer_to))
            }
        }
    }

    /// The AE passes the caller on, or back to the AI.
    fn on_ae_refer(&mut self, now: Now, id: CallId, leg: LegId, referrer: Referrer, refer_to: &NameAddr) {
        match self.onward(id, leg, refer_to) {
            Ok(onward) => {
                self.answer_refer(now, referrer, 202);
                self.notify(now, referrer, &TRYING);
                if let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) {
                    running.moving = Some(referrer);
                }
                self.take_replaces(id, refer_to);
                let beside = self.beside(id, refer_to);
                let event = match onward {
                    Onward::Ai => Event::HandBack { by: HandBackBy::Refer, note: None },
                    Onward::To(to) => Event::AeRefers { to },
                };
                self.tell(now, id, event);
                let stays = |call: &&Call| matches!(call.scene, SceneName::Human | SceneName::AeHolds);
                if self.calls.get(&id).filter(stays).is_some() {
                    self.settle_move_back(now, id);
                } else if let Some(Beside::WithAi(other)) = beside {
                    self.end_call(now, other);
                }
            }
            Err(status) => self.answer_refer(now, referrer, status),
        }
    }

    /// A REFER that names a dialog in its target (`?Replaces=…`, RFC 3891, RFC 5589) is the end of an attended transfer: our INVITE
    /// takes the place of that dialog.
    fn take_replaces(&mut self, id: CallId, refer_to: &NameAddr) {
        let replaces = replaced_by(refer_to).filter(|value| self.agent.named_by(value).is_none());
        if let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) {
            running.replaces = replaces.filter(|value| value.contains("to-tag=") && value.contains("from-tag="));
        }
    }

    /// The call whose caller's dialog with us a REFER names: the AE has called us beside this call, and wants this caller in their place there.
    fn beside(&self, id: CallId, refer_to: &NameAddr) -> Option<Beside> {
        let session = self.agent.named_by(&replaced_by(refer_to)?)?;
        let (other, leg) = self.call_of(session)?;
        let call = self.calls.get(&other).filter(|_| other != id)?;
        let is_caller = call.caller().is_some_and(|caller| caller.id == leg);
        Some(if is_caller && call.scene == SceneName::Conversation { Beside::WithAi(other) } else { Beside::Elsewhere })
    }

    /// Where the AE who has the caller wants them to go, or the status that refuses.
    fn onward(&self, id: CallId, leg: LegId, refer_to: &NameAddr) -> Result<Onward, u16> {
        let call = self.calls.get(&id).ok_or(481_u16)?;
        let running = call.transfer.as_ref().ok_or(403_u16)?;
        let has_caller = matches!(call.scene, SceneName::Human | SceneName::AeHolds) && call.ae_leg() == Some(leg);
        if !has_caller || running.moving.is_some() {
            return Err(403);
        }
        match replaced_by(refer_to).and_then(|value| self.agent.named_by(&value)).map(|_| self.beside(id, refer_to)) {
            // A dialog of ours can be joined here, or nowhere: an INVITE of ours that names it would only come back to us.
            Some(Some(Beside::WithAi(_))) => return Ok(Onward::Ai),
            Some(Some(Beside::Elsewhere) | None) => return Err(603),
            None => {}
        }
        if self.is_our_ai(call, refer_to) {
            return Ok(Onward::Ai);
        }
        match self.roster.target(&refer_to.uri.to_string()) {
            Some(Target::Ae(ae)) => Ok(Onward::To(vec![Callee::Ae(ae)])),
            Some(Target::Group(name)) => {
                let group = self.roster.groups().iter().find(|group| group.name == name).ok_or(404_u16)?;
                Ok(Onward::To(group.aes.iter().cloned().map(Callee::Ae).collect()))
            }
            Some(Target::Anyone | Target::Outside(_)) | None => {
                self.outside(refer_to).map(|to| Onward::To(vec![Callee::Outside(to)]))
            }
        }
    }

    /// Whether a URI means the AI of this call: by its name, by its own URI's user, or by the number under which it was called.
    fn is_our_ai(&self, call: &Call, refer_to: &NameAddr) -> bool {
        let Some(user) = refer_to.uri.user_plain() else { return false };
        let ais = self.ais_of(call);
        let named = ais.iter().filter_map(|place| self.settings.ais.get(*place)).any(|ai| {
            let own: Option<Uri> = ai.uri.replace("{to}", "").parse().ok();
            ai.name == user || own.and_then(|own| own.user_plain().map(|own| own == user)).unwrap_or(false)
        });
        named || user == call.ours()
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

/// What a dialog of ours is that a REFER names.
enum Beside {
    /// That of a caller who talks with the AI.
    WithAi(CallId),
    /// Any other.
    Elsewhere,
}

/// The dialog that a REFER names in its target.
fn replaced_by(refer_to: &NameAddr) -> Option<String> {
    refer_to.uri.header("Replaces").map(|value| printable(&value, REPLACES_BYTES_MAX))
}

/// Where an AE wants the caller to go.
enum Onward {
    Ai,
    To(Vec<Callee>),
}

/// The mode that a REFER asks for with `X-Baton-Mode`, as a header or in its URI.
fn asked_mode(message: &Message, refer_to: &NameAddr) -> Option<Mode> {
    let embedded = refer_to.uri.embedded_headers();
    let in_uri = embedded.iter().find(|(name, _)| name.eq_ignore_ascii_case("X-Baton-Mode")).map(|(_, value)| value.as_str());
    let text = message.header("X-Baton-Mode").or(in_uri)?.trim().to_ascii_lowercase();
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

/// What a REFER to none of our people hears where it may not go outside. A number is somebody, anything else is nobody.
/// (A local number may hold the letters A to F, RFC 3966 §3; outside of `tel:` that is rather a name: `ae1`.)
fn no_target(refer_to: &NameAddr) -> u16 {
    let letters = |number: &str| number.contains(|sign: char| sign.is_ascii_alphabetic());
    let digits = |number: &str| number.contains(|sign: char| sign.is_ascii_digit());
    let is_number =
        refer_to.uri.tel().is_some_and(|tel| digits(&tel.number) && (!refer_to.uri.is_sip() || !letters(&tel.number)));
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
            ("<sip:ae1@example.net>", 404),
            ("<sip:example.net>", 404),
        ] {
            assert_eq!(no_target(&refer_to.parse().expect("an address")), status, "{refer_to}");
        }
    }
}
