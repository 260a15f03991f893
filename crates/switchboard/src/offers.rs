//! Offers and answers in the middle of a call: new codecs, new addresses, holds.

use baton_contract::{CallId, LegRole};
use baton_media::Command;
use baton_sip::SessionId;
use baton_time::Now;
use baton_transfer::Event as Told;
use bytes::Bytes;

use crate::inbound::answer_again;
use crate::leg::Agreement;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// The far end has answered an offer of ours.
    pub(crate) fn on_sdp_answer(&mut self, now: Now, session: SessionId, sdp: Option<Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.legs.iter_mut().find(|leg| leg.id == leg_id) else { return };
        let held_before = leg.holds();
        let (Some(answer), Agreement::Offered(offer) | Agreement::Reoffered(_, offer)) = (sdp, &leg.media) else { return };
        match baton_media::sdp::accept(offer, &answer) {
            Ok(negotiated) => {
                leg.media = Agreement::Agreed(negotiated.clone());
                let (role, room, port, holds) = (leg.role, call.room, leg.port(), leg.holds());
                self.media(Command::Connect { room, port, negotiated });
                self.swap_scene(id);
                self.tell_hold(now, id, role, held_before, holds);
            }
            Err(fault) => tracing::warn!(%fault, "the answer cannot be used"),
        }
    }

    /// The AE's hold is music for the caller.
    fn tell_hold(&mut self, now: Now, id: CallId, role: LegRole, before: bool, holds: bool) {
        if role == LegRole::Ae && holds != before {
            self.tell(now, id, if holds { Told::AeHeld } else { Told::AeResumed });
        }
    }

    pub(crate) fn forget_offer(&mut self, session: SessionId) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(leg_id)) else { return };
        if let Agreement::Reoffered(agreed, _) = &leg.media {
            leg.media = Agreement::Agreed(agreed.clone());
        }
    }

    /// A re-INVITE: codec, address or hold may have changed.
    pub(crate) fn on_offer(&mut self, now: Now, session: SessionId, sdp: Option<Bytes>) {
        let Some((id, leg_id)) = self.call_of(session) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.legs.iter_mut().find(|leg| leg.id == leg_id) else { return };
        let held_before = leg.holds();
        let (answer, connect) = match sdp {
            None => {
                leg.local.version += 1;
                let (media, offer) = match leg.agreed().cloned() {
                    Some(agreed) => {
                        let offer = baton_media::sdp::offer_again(&leg.local, &agreed);
                        (Agreement::Reoffered(agreed, offer.clone()), offer)
                    }
                    None => {
                        let offer = baton_media::sdp::offer(&leg.local, &baton_media::sdp::Capabilities::default());
                        (Agreement::Offered(offer.clone()), offer)
                    }
                };
                leg.media = media;
                (Ok(offer), None)
            }
            Some(offer) => match answer_again(leg, &offer) {
                Ok((answer, negotiated)) => {
                    leg.media = Agreement::Agreed(negotiated.clone());
                    (Ok(answer), Some(negotiated))
                }
                Err(fault) => (Err(fault.status()), None),
            },
        };
        let (role, port, holds, room) = (leg.role, leg.port(), leg.holds(), call.room);
        let sent = match answer {
            Ok(answer) => self.agent.answer_offer(now.mono, session, answer),
            Err(status) => self.agent.refuse_offer(now.mono, session, status),
        };
        if let Err(fault) = sent {
            tracing::debug!(%fault, "cannot answer the offer");
        }
        if let Some(negotiated) = connect {
            self.media(Command::Connect { room, port, negotiated });
            self.swap_scene(id);
        }
        self.tell_hold(now, id, role, held_before, holds);
    }
}
