//! Somebody takes the place of the AE who has the caller: an INVITE with Replaces (RFC 3891), as phones send it at the end of an
//! attended transfer among themselves.

use baton_contract::{LegId, LegRole};
use baton_media::sdp;
use baton_sip::{InviteRequest, SessionId};
use baton_time::Now;
use baton_transfer::{Event, SceneName};

use crate::leg::{Agreement, Leg};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Takes the new leg in place of the old one, if that is the AE's who has the caller.
    pub(crate) fn replace_ae(&mut self, now: Now, session: SessionId, old: SessionId, invite: &InviteRequest) {
        let Some((id, old)) = self.call_of(old) else { return self.refuse(now, session, 481, Vec::new()) };
        let has_caller = self
            .calls
            .get(&id)
            .is_some_and(|call| matches!(call.scene, SceneName::Human | SceneName::AeHolds) && call.ae_leg() == Some(old));
        if !has_caller {
            return self.refuse(now, session, 403, Vec::new());
        }
        let Some(local) = self.take_port() else { return self.refuse_for_now(now, session) };
        let media = match &invite.sdp {
            None => Agreement::None,
            Some(offer) => match sdp::answer(offer, &local, &sdp::Capabilities::default()) {
                Ok((answer, negotiated)) => Agreement::Answering(answer, negotiated),
                Err(fault) => {
                    self.ports.give_back(local.port);
                    return self.refuse(now, session, fault.status(), Vec::new());
                }
            },
        };
        let port = local.port;
        let leg = LegId::new(&mut self.ids, now.wall);
        let mut taker = Leg::new(leg, LegRole::Ae, session, invite.call_id.clone(), local);
        taker.media = media;
        self.sessions.insert(session, (id, leg));
        if let Some(call) = self.calls.get_mut(&id) {
            call.add_leg(taker);
        }
        self.open_media(id, LegRole::Ae, port, None);
        let _span = self.span(id, Some(leg)).entered();
        if self.answer_leg(now, id, leg, Vec::new()) {
            tracing::info!("the AE's leg is replaced");
            self.tell(now, id, Event::AeReplaced { leg });
        } else {
            self.end_leg(now, id, leg, None);
        }
    }
}
