//! Replaces (RFC 3891): a call that takes the place of another one.

use super::door::Request;
use super::session::{Session, Stage};
use super::{SessionId, UserAgent};
use crate::dialog::Dialog;
use crate::wire::{Name, Replaces};

impl UserAgent {
    /// What a Replaces header says to the far side of a session that is up so that a call to it takes this one's place: for an INVITE of ours to it,
    /// or (`Uri::with_header` escapes it) for the Refer-To of a REFER to somebody who shall call it.
    pub fn replaces(&self, session: SessionId) -> Option<String> {
        let dialog = self.dialog(session)?;
        Some(format!("{};to-tag={};from-tag={}", dialog.call_id, dialog.remote_tag, dialog.local_tag))
    }

    /// The session of ours that a Replaces header names, as it would stand in an INVITE to us: its `to-tag` is our own.
    pub fn named_by(&self, replaces: &str) -> Option<SessionId> {
        let (call_id, params) = replaces.split_once(';')?;
        let tag = |name: &str| params.split(';').find_map(|param| param.trim().strip_prefix(name)?.strip_prefix('='));
        let id = self.by_tag(tag("to-tag")?)?;
        let is_it = |session: &Session| match &session.stage {
            Stage::Up(up) => session.call_id == call_id.trim() && Some(&*up.dialog.remote_tag) == tag("from-tag"),
            Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over => false,
        };
        self.sessions.get(&id).filter(|session| is_it(session)).map(|_| id)
    }

    /// The dialog of a session that is up.
    pub fn dialog(&self, session: SessionId) -> Option<&Dialog> {
        match &self.sessions.get(&session)?.stage {
            Stage::Up(up) => Some(&up.dialog),
            Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over => None,
        }
    }

    /// The session that an INVITE wants to replace, none if it wants to replace nothing, or the status that refuses it (RFC 3891 §3).
    pub(crate) fn replaced(&self, request: &Request) -> Result<Option<SessionId>, u16> {
        let count = request.message.headers(Name::Replaces).count();
        let Some(replaces) = request.message.replaces() else { return if count == 0 { Ok(None) } else { Err(400) } };
        if count > 1 {
            return Err(400);
        }
        let session = self.by_tag(&replaces.to_tag).and_then(|id| self.sessions.get(&id)).ok_or(481_u16)?;
        if session.call_id != *replaces.call_id {
            return Err(481);
        }
        may_be_replaced(session, &replaces).map(|()| Some(session.id))
    }
}

fn may_be_replaced(session: &Session, replaces: &Replaces) -> Result<(), u16> {
    let is_far = |tag: &str| tag == &*replaces.from_tag;
    match &session.stage {
        Stage::Up(up) if is_far(&up.dialog.remote_tag) => match replaces.early_only {
            true => Err(486),
            false => Ok(()),
        },
        // Only who has called may be picked up before the answer.
        Stage::Dialing(dialing) if dialing.early.iter().any(|early| is_far(&early.dialog.remote_tag)) => Ok(()),
        Stage::Ending(_) | Stage::Over => Err(603),
        Stage::Up(_) | Stage::Dialing(_) | Stage::Called(_) => Err(481),
    }
}
