//! Several phones of one person, which ring at once or round after round: what a proxy that forks does (RFC 3261 §16.6, §16.7), done by whoever calls.

use baton_time::Mono;

use super::dial::hop;
use super::door::Response;
use super::print::phrase;
use super::session::{Cancel, Dialing, LaterPhones, Refusal, Session, Stage};
use super::tables::AskAgain;
use super::verb::Beside;
use super::{Event, UserAgent};
use crate::dialog::{Dialog, Place};
use crate::transaction::ClientKey;

/// Why the others stop ringing when one has answered (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// Why they stop when one has declined for all.
const DECLINED: &str = "SIP;cause=603;text=\"Declined\"";

impl UserAgent {
    /// Our halves of the dialogs with further phones; one that cannot be reached from here, or for which there is no room, is left out.
    pub(crate) fn halves_beside(&mut self, now: Mono, first: &Dialog, phones: Vec<Beside>) -> Vec<Dialog> {
        let mut halves = Vec::new();
        for phone in phones {
            let Ok(hop) = hop(&phone.target, phone.route) else { continue };
            let Some(local_addr) = self.listen_towards(&hop).map(|listen| listen.addr) else { continue };
            if self.transactions.is_full() {
                break;
            }
            self.sources.befriend(now, hop.addr);
            let mut half = Dialog {
                remote_target: phone.target.to_string(),
                route_set: phone.routes,
                hop,
                connection: phone.flow,
                local_addr,
                place: Place::AsSaid,
                ..first.clone()
            };
            if half.hop_of(&phone.target).is_some_and(|said| said.addr != half.hop.addr) {
                half.place = Place::AsKnown;
            }
            halves.push(half);
        }
        halves
    }

    /// One has answered: the others stop ringing. Gives the tags that have said BYE already.
    pub(crate) fn let_others_go(&mut self, now: Mono, session: &mut Session, winner: ClientKey, dialing: Dialing) -> Vec<String> {
        let all = std::iter::once(dialing.key).chain(dialing.beside);
        for key in all.filter(|key| *key != winner) {
            self.take_back(now, session, key, Some(ELSEWHERE.to_owned()));
        }
        dialing.byed
    }

    /// Takes one INVITE back while the session goes on; the CANCEL waits for a provisional answer if there is none yet (RFC 3261 §9.1).
    pub(crate) fn take_back(&mut self, now: Mono, session: &mut Session, key: ClientKey, reason: Option<String>) {
        let may = self.may_cancel(key);
        let Some(invite) = session.invites.iter_mut().find(|invite| invite.key == key) else { return };
        invite.ending = if may { Cancel::Sent } else { Cancel::Held(reason.clone()) };
        session.abandon_at = Some(now + self.settings.timing.patience());
        if may {
            self.send_cancel(now, session.id, key, reason.as_deref());
        }
    }

    /// A phone has said something whose INVITE was taken back. False: this is not one of those.
    pub(crate) fn loser_answered(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: &Response) -> bool {
        let invite = session.invites.iter_mut().find(|invite| invite.key == key);
        let Some(invite) = invite.filter(|invite| invite.ending != Cancel::No) else { return false };
        match response.status {
            100..=199 => {
                if let Cancel::Held(reason) = std::mem::replace(&mut invite.ending, Cancel::Sent) {
                    session.abandon_at = Some(now + self.settings.timing.patience());
                    self.send_cancel(now, session.id, key, reason.as_deref());
                }
            }
            200..=299 => self.let_go_at_once(now, session, key, response),
            _ => {}
        }
        true
    }

    /// A phone does not take the call. The others ring on, unless it has declined for all (RFC 3261 §16.7, step 5); when the last one of a round does
    /// not take it either, the next round rings; when there is none, the best of the refusals is the answer.
    pub(crate) fn phone_refused(&mut self, now: Mono, session: &mut Session, key: ClientKey, refusal: Refusal) {
        let Stage::Dialing(dialing) = &mut session.stage else { return };
        let best = match dialing.refusal.take() {
            Some(other) if rank(other.status) <= rank(refusal.status) => other,
            Some(_) | None => refusal,
        };
        let is_for_all = best.status >= 600;
        let rings_on = dialing.without(key);
        if !is_for_all && (rings_on || self.next_round(now, session, key)) {
            if let Stage::Dialing(dialing) = &mut session.stage {
                dialing.refusal = Some(best);
            }
            return;
        }
        let rest: Vec<ClientKey> = match &mut session.stage {
            Stage::Dialing(dialing) if rings_on => {
                std::iter::once(dialing.key).chain(std::mem::take(&mut dialing.beside)).collect()
            }
            Stage::Dialing(_) | Stage::Called(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over => Vec::new(),
        };
        session.stage = Stage::Over;
        session.abandon_at = None;
        for key in rest {
            self.take_back(now, session, key, Some(DECLINED.to_owned()));
        }
        let said = best.message.as_ref().map(|message| message.phrase().to_owned());
        self.tell(Event::Refused {
            session: session.id,
            status: best.status,
            phrase: said.unwrap_or_else(|| phrase(best.status).to_owned()),
            local: best.message.is_none(),
            message: best.message,
        });
    }
}

impl UserAgent {
    /// The phones of the next round ring, with the CSeq that follows that of the round before; false if there is none that can be reached.
    fn next_round(&mut self, now: Mono, session: &mut Session, key: ClientKey) -> bool {
        let Stage::Dialing(Dialing { heard, ending: Cancel::No, .. }) = &session.stage else { return false };
        let heard = *heard;
        let half = session.invites.iter().find(|invite| invite.key == key).map(|invite| invite.dialog.clone());
        let Some(half) = half else { return false };
        while let Some(later) = session.elsewhere.later.take() {
            let LaterPhones { phones, ask } = *later;
            let round = phones.iter().map(|phone| phone.round).min().unwrap_or_default();
            let (next, rest): (Vec<_>, Vec<_>) = phones.into_iter().partition(|phone| phone.round == round);
            session.elsewhere.later = LaterPhones::of(rest, &ask);
            let halves = self.halves_beside(now, &half, next).into_iter();
            let mut keys: Vec<_> = halves.map(|half| self.send_first_invite(now, session, half, ask.clone())).collect();
            if !keys.is_empty() {
                let mut dialing = Dialing::new(keys.remove(0), heard);
                dialing.beside = keys;
                session.stage = Stage::Dialing(dialing);
                return true;
            }
        }
        false
    }
}

impl LaterPhones {
    /// Those that ring later, and what they are sent; none if nobody does.
    pub(crate) fn of(phones: Vec<Beside>, ask: &AskAgain) -> Option<Box<LaterPhones>> {
        (!phones.is_empty()).then(|| Box::new(LaterPhones { phones, ask: ask.clone() }))
    }
}

/// Which refusal is told where there are several (RFC 3261 §16.7, step 6): one for all first, then what tells of a person, then what tells of a
/// phone.
fn rank(status: u16) -> u8 {
    match status {
        600.. => 0,
        486 => 1,
        300..=399 => 2,
        480 => 3,
        408 | 481 | 487 => 5,
        400..=499 => 4,
        _ => 6,
    }
}
