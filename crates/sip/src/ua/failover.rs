//! Other servers of one peer (RFC 3263 §4.3), and where a 3xx leads.

use baton_time::Mono;

use super::door::Response;
use super::session::{Cancel, Dialing, OwnerDecides, Session, Stage};
use super::tables::AskAgain;
use super::{Event, SessionId, UserAgent, VerbError};
use crate::dialog::{Dialog, Place};
use crate::transaction::ClientKey;
use crate::transport::Hop;
use crate::wire::{NameAddr, Uri};

impl UserAgent {
    /// The servers of a peer in the order in which they are tried: those that did not answer a short while ago come last.
    pub(crate) fn ranked(&self, first: Hop, others: Vec<Hop>) -> (Hop, Vec<Hop>) {
        let mut all: Vec<Hop> = std::iter::once(first).chain(others).collect();
        all.sort_by_key(|hop| self.shunned.contains(hop.addr));
        let first = all.remove(0);
        (first, all)
    }

    /// An INVITE is about to be sent: while there is another server, this one must be heard of soon.
    pub(crate) fn watch_server(&self, now: Mono, session: &mut Session, ask: &AskAgain) {
        let waits = !session.elsewhere.others.is_empty();
        session.elsewhere.next_at = waits.then(|| now + self.settings.server_patience);
        session.elsewhere.ask = waits.then(|| Box::new(ask.clone()));
    }

    /// A server has said something. True: it is one that was given up, and has been dealt with.
    pub(crate) fn server_answered(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: &Response) -> bool {
        let addr = session.invites.iter().find(|invite| invite.key == key).map(|invite| invite.dialog.hop.addr);
        if let Some(addr) = addr {
            match response.status {
                503 => self.shunned.insert(now, addr),
                _ => self.shunned.remove(addr),
            }
        }
        if self.loser_answered(now, session, key, response) {
            return true;
        }
        let Stage::Dialing(dialing) = &session.stage else { return false };
        if dialing.runs(key) {
            session.elsewhere.next_at = None;
            return false;
        }
        match response.status {
            100..=199 => {
                let cancel = ClientKey { is_cancel: true, ..key };
                if self.transactions.client(cancel).is_none() {
                    self.send_cancel(now, session.id, key, None);
                }
            }
            200..=299 => self.let_go_at_once(now, session, key, response),
            _ => {}
        }
        true
    }

    /// Somebody has answered who was not wanted any more: the call is elsewhere.
    pub(crate) fn let_go_at_once(&mut self, now: Mono, session: &mut Session, key: ClientKey, response: &Response) {
        let Some(invite) = session.invites.iter().find(|invite| invite.key == key) else { return };
        let dialog = response.dialog(&invite.dialog);
        let is_new = !invite.acks.iter().any(|(tag, _)| *tag == dialog.remote_tag);
        self.acknowledge(session, key, &dialog, None);
        if is_new {
            self.send_stray_bye(now, session.id, dialog);
        }
    }

    /// A server is silent: the next one.
    pub(crate) fn server_due(&mut self, now: Mono, session: &mut Session) {
        if session.elsewhere.next_at.is_none_or(|at| at > now) {
            return;
        }
        session.elsewhere.next_at = None;
        self.next_server(now, session);
    }

    /// Sends the INVITE to the next server of its peer; false if there is none, or nobody wants it any more.
    pub(crate) fn next_server(&mut self, now: Mono, session: &mut Session) -> bool {
        session.elsewhere.next_at = None;
        let Stage::Dialing(Dialing { key, ending: Cancel::No, heard, .. }) = &session.stage else { return false };
        let (key, heard) = (*key, *heard);
        let Some(mut half) = session.invites.iter().find(|invite| invite.key == key).map(|invite| invite.dialog.clone()) else {
            return false;
        };
        let place = session.elsewhere.others.iter().position(|hop| self.listen_towards(hop).is_some());
        let (Some(place), Some(ask)) = (place, session.elsewhere.ask.clone()) else { return false };
        let hop = session.elsewhere.others.remove(place);
        self.shunned.insert(now, half.hop.addr);
        self.transactions.hush(key);
        self.sources.befriend(now, hop.addr);
        if let Some(listen) = self.listen_towards(&hop) {
            half.local_addr = listen.addr;
        }
        (half.hop, half.connection) = (hop, None);
        let key = self.send_first_invite(now, session, half, *ask);
        session.stage = Stage::Dialing(Dialing::new(key, heard));
        true
    }

    /// A 3xx has come: true if the owner is asked where the call may go.
    pub(crate) fn ask_owner(
        &mut self,
        session: &mut Session,
        again: &Option<Box<AskAgain>>,
        half: &Dialog,
        response: &Response,
    ) -> bool {
        let (Some(left), Some(ask)) = (session.redirects.checked_sub(1), again.clone()) else { return false };
        if !matches!(session.elsewhere.owner_decides, OwnerDecides::When3xx) {
            return false;
        }
        let mut contacts = response.message.contacts();
        let rank = |contact: &NameAddr| contact.params.value("q").and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
        contacts.sort_by(|one, other| rank(other).total_cmp(&rank(one)));
        let contacts: Vec<Uri> = contacts.iter().map(|contact| contact.uri.without_headers()).collect();
        if contacts.is_empty() {
            return false;
        }
        session.redirects = left;
        session.elsewhere.owner_decides =
            OwnerDecides::Asked { half: Box::new(half.clone()), ask, refusal: response.message.clone() };
        self.tell(Event::Redirected { session: session.id, contacts });
        true
    }

    /// Sends a call of ours that got a 3xx elsewhere, or (none) takes the 3xx for a refusal.
    ///
    /// # Errors
    /// When nobody has asked for it.
    pub fn redirect(&mut self, now: Mono, session: SessionId, to: Option<(Uri, Hop)>) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let decides = std::mem::take(&mut session.elsewhere.owner_decides);
        let result = match (decides, to) {
            (OwnerDecides::Asked { mut half, ask, .. }, Some((target, hop))) if self.listen_towards(&hop).is_some() => {
                half.remote_target = target.to_string();
                (half.hop, half.connection, half.place) = (hop, None, Place::AsSaid);
                session.elsewhere.owner_decides = OwnerDecides::When3xx;
                let key = self.send_first_invite(now, &mut session, *half, *ask);
                session.stage = Stage::Dialing(Dialing::new(key, true));
                Ok(())
            }
            (OwnerDecides::Asked { refusal, .. }, _) => {
                session.stage = Stage::Over;
                let (id, status, phrase) = (session.id, refusal.status(), refusal.phrase().to_owned());
                self.tell(Event::Refused { session: id, status, phrase, local: false, message: Some(refusal) });
                Ok(())
            }
            (OwnerDecides::Never | OwnerDecides::When3xx, _) => Err(VerbError::WrongState),
        };
        self.put(now, session);
        result
    }
}
