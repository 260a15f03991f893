//! A caller is passed on without a briefing: by a REFER to their trunk, or by a call of our own whose early media they hear.

use baton_contract::{CallId, LegId, LegRole};
use baton_media::Command;
use baton_sip::ReferId;
use baton_sip::wire::{Header, NameAddr, Uri};
use baton_time::Now;
use baton_transfer::{Callee, ColdBy, Event, SceneName};
use bytes::Bytes;

use crate::call::Call;
use crate::destinations::Over;
use crate::inbound::Dialling;
use crate::leg::Agreement;
use crate::payload::user_to_user;
use crate::settings::ColdWay;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// How the caller of this call would be passed on.
    pub(crate) fn cold_by(&self, call: &Call) -> ColdBy {
        let trunk = call.caller().and_then(|leg| leg.trunk).and_then(|place| self.settings.trunks.get(place));
        match trunk.map(|trunk| trunk.cold_by) {
            Some(ColdWay::Refer) => ColdBy::Refer,
            Some(ColdWay::Bridge) | None => ColdBy::Bridge,
        }
    }

    /// Asks the caller's trunk to take the call on. The caller's leg stays as it is until that has come about.
    pub(crate) fn refer_caller(&mut self, now: Now, id: CallId, to: &Callee) {
        match self.send_refer(now, id, to) {
            Some(refer) => {
                self.referrals.insert(refer, id);
            }
            None => self.tell(now, id, Event::ReferFailed { status: 503 }),
        }
    }

    fn send_refer(&mut self, now: Now, id: CallId, to: &Callee) -> Option<ReferId> {
        let call = self.calls.get(&id)?;
        let caller = call.caller().filter(|leg| leg.is_up())?;
        let (session, trunk) = (caller.session, caller.trunk?);
        let target: Uri = match to {
            Callee::Ae(ae) => self.settings.aes.get(ae)?.uri.clone(),
            Callee::Outside(to) => self.settings.destination(to, Over::Trunk(trunk)).ok()?.uri,
        };
        let ours: Uri = format!("sip:{}@{}", crate::identity::escaped_user(call.ours()), self.settings.domain).parse().ok()?;
        let mut headers = vec![Header::new("Referred-By", format!("<{ours}>"))];
        let trusted = matches!(to, Callee::Ae(ae) if self.settings.aes.get(ae).is_some_and(|line| line.trusted));
        if let Some(transfer) = self.running_id(id).filter(|_| trusted) {
            headers.push(Header::new("X-Baton-Transfer", transfer.to_string()));
            headers.push(Header::new("User-to-User", user_to_user(transfer)));
        }
        let sent = self.agent.refer(now.mono, session, &NameAddr::new(None, target), headers);
        sent.inspect_err(|fault| tracing::warn!(%fault, "cannot refer the caller")).ok()
    }

    /// The trunk has answered our REFER.
    pub(crate) fn on_refer_answered(&mut self, now: Now, refer: ReferId, status: u16) {
        let Some(id) = self.referrals.get(&refer).copied() else { return };
        let _span = self.span(id, None).entered();
        if (200..300).contains(&status) {
            return self.tell(now, id, Event::ReferAccepted);
        }
        self.referrals.remove(&refer);
        tracing::info!(status, "the trunk refuses the REFER");
        self.tell(now, id, Event::ReferFailed { status });
    }

    /// The trunk tells how our REFER goes on.
    pub(crate) fn on_notified(&mut self, now: Now, refer: ReferId, status: u16) {
        let Some(id) = self.referrals.get(&refer).copied() else { return };
        let _span = self.span(id, None).entered();
        if status < 200 {
            return self.tell(now, id, Event::ReferProgress(status));
        }
        self.referrals.remove(&refer);
        self.tell(now, id, if status < 300 { Event::ReferDone } else { Event::ReferFailed { status } });
    }

    /// The INVITE to somebody outside, if they may be dialled.
    pub(crate) fn outside_dialling(&self, id: CallId, to: &str) -> Option<Dialling> {
        let call = self.calls.get(&id)?;
        let denied = |denied| self.dial_reject("transfer", denied);
        let to = self.settings.destination(to, Over::Any).map_err(denied).ok()?;
        let identity = self.identity_over(call, to.trunk, None, None, &to.uri)?;
        Some(Dialling {
            target: to.uri,
            way: self.way_over(to.trunk)?,
            from: identity.from,
            headers: identity.headers,
            credentials: self.settings.trunks.get(to.trunk)?.answers(),
            trunk: Some(to.trunk),
        })
    }

    /// A human who is dialled says before their answer where their sound comes from. A caller who is passed on to them hears it; in a
    /// consult nobody does. They themselves hear nothing.
    pub(crate) fn early_media(&mut self, id: CallId, leg_id: LegId, sdp: &Bytes) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (room, is_heard) = (call.room, call.scene == SceneName::PassingOn);
        let Some(leg) = call.leg_mut(leg_id).filter(|leg| leg.role == LegRole::Ae) else { return };
        let (Agreement::Offered(offer) | Agreement::Early(offer, _)) = &leg.media else { return };
        let Ok(negotiated) = baton_media::sdp::accept(offer, sdp) else { return };
        leg.media = Agreement::Early(offer.clone(), negotiated.clone());
        let port = leg.port();
        if is_heard {
            self.media(Command::Connect { room, port, negotiated });
            self.swap_scene(id);
        }
    }
}
