//! Calls whose caller we dial: those that we place for an AI, and callbacks.

use std::time::Duration;

use baton_contract::{CallEnd, CallId, CallOutcome, EventKind, LegId, LegRole};
use baton_media::RoomId;
use baton_sip::Reason;
use baton_sip::wire::Header;
use baton_time::Now;
use serde_json::{Map, json};

use crate::beginning::{Beginning, Outbound, PlacedBy};
use crate::call::{Call, Phase};
use crate::destinations::Destination;
use crate::inbound::Dialling;
use crate::payload::printable;
use crate::switchboard::Switchboard;

/// A call that is about to be.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The id that it was promised under; none: a new one.
    pub(crate) id: Option<CallId>,
    /// Who calls, as the others are told.
    pub(crate) from: String,
    /// Whom.
    pub(crate) to: String,
    /// The name of the trunk that carries the caller.
    pub(crate) trunk: String,
    /// How it begins.
    pub(crate) beginning: Beginning,
    /// What it waits for first.
    pub(crate) phase: Phase,
}

/// A caller leg that we dial.
#[derive(Debug)]
pub(crate) struct CallerDial {
    /// The id that the leg was promised under; none: a new one.
    pub(crate) leg: Option<LegId>,
    /// Whom: somebody whom [`crate::Settings::destination`] has let through.
    pub(crate) to: Destination,
    /// How long they may ring; the trunk's `ring_max` where none is given.
    pub(crate) ring_max: Option<Duration>,
    /// Further headers.
    pub(crate) headers: Vec<Header>,
}

/// Why a caller could not be dialled at all: no INVITE has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDialled {
    /// The call is over.
    #[error("the call is over")]
    NoCall,
    /// No media port is free, the trunk is full, or the table of sessions is.
    #[error("no port, no channel or no room for another call")]
    NoRoom,
}

impl Switchboard {
    /// Puts a call without legs among the others, writes it down and tells everyone.
    pub(crate) fn open_call(&mut self, now: Now, opening: Opening) -> CallId {
        let id = opening.id.unwrap_or_else(|| CallId::new(&mut self.ids, now.wall));
        self.room_count += 1;
        let room = RoomId(self.room_count);
        self.rooms.insert(room, id);
        let mut data = Map::new();
        data.insert("from".into(), json!(opening.from));
        data.insert("to".into(), json!(opening.to));
        let call = Box::new(Call::new(id, room, opening, now.wall));
        let _span = self.span(id, None).entered();
        tracing::debug!("call started");
        self.record_call(call.view(None));
        self.calls.insert(id, call);
        self.publish(now, EventKind::CallStarted, Some(id), None, data);
        id
    }

    /// Dials the caller of a call. What follows is one of `caller_answered` and `caller_refused`, with `caller_rings` before it perhaps; a caller
    /// who does not answer in time is refused with 408 and what they finally say to our CANCEL is of no more interest.
    ///
    /// # Errors
    /// When no INVITE has left; nothing follows then.
    pub(crate) fn dial_caller(&mut self, now: Now, id: CallId, dial: CallerDial) -> Result<LegId, NotDialled> {
        let call = self.calls.get(&id).ok_or(NotDialled::NoCall)?;
        let trunk = self.settings.trunks.get(dial.to.trunk).ok_or(NotDialled::NoRoom)?;
        let ring_max = dial.ring_max.unwrap_or(trunk.ring_max);
        let identity = self.identity_over(call, dial.to.trunk, None, None, &dial.to.uri).ok_or(NotDialled::NoRoom)?;
        let way = self.way_over(dial.to.trunk).ok_or(NotDialled::NoRoom)?;
        let mut headers = dial.headers;
        headers.extend(identity.headers);
        let to = Dialling {
            target: dial.to.uri,
            way,
            from: identity.from,
            headers,
            credentials: trunk.answers(),
            trunk: Some(dial.to.trunk),
        };
        let leg = self.dial_leg(now, id, LegRole::Caller, dial.leg, to).ok_or(NotDialled::NoRoom)?;
        self.set_caller_alarm(id, now.mono + ring_max);
        Ok(leg)
    }

    /// Whom we call is being rung.
    pub(crate) fn caller_rings(&mut self, now: Now, id: CallId) {
        self.ring_placing_ai(now, id);
    }

    /// Whom we call has answered; their media is connected.
    pub(crate) fn caller_answered(&mut self, now: Now, id: CallId, leg: LegId) {
        self.clear_caller_alarm(id);
        match self.calls.get(&id).map(|call| call.beginning.clone()) {
            Some(Beginning::Callback(callback)) => self.callback_caller_answered(now, id, callback, leg),
            Some(Beginning::Outbound(Outbound { by: PlacedBy::Api, .. })) => self.fetch_ai(now, id),
            Some(Beginning::Outbound(Outbound { by: PlacedBy::Ai, .. })) => self.answer_placing_ai(now, id),
            Some(Beginning::Inbound) | None => self.swap_scene(id),
        }
    }

    /// Whom we call has refused: that leg is over.
    pub(crate) fn caller_refused(&mut self, now: Now, id: CallId, leg: LegId, status: u16, phrase: &str) {
        self.clear_caller_alarm(id);
        match self.calls.get(&id).map(|call| call.beginning.clone()) {
            Some(Beginning::Callback(callback)) => self.callback_caller_refused(now, callback, leg, status, phrase),
            Some(Beginning::Outbound(_)) => {
                self.conclude(id, outcome_of(status), Some(status), phrase);
                self.refuse_placing_ai(now, id, relayed(status));
                self.end_call(now, id);
            }
            Some(Beginning::Inbound) | None => self.end_call(now, id),
        }
    }

    /// Whom we call did not answer in time.
    pub(crate) fn caller_took_too_long(&mut self, now: Now, id: CallId) {
        let caller = self.calls.get(&id).and_then(Call::caller).filter(|leg| leg.is_live() && !leg.is_up());
        let Some(leg) = caller.map(|leg| leg.id).filter(|_| !baton_time::bug!(100)) else { return };
        self.end_leg(now, id, leg, Some(Reason::sip(480, "No answer")));
        self.caller_refused(now, id, leg, 408, "not answered within ring_max");
        self.settle(now, id);
    }

    /// Says how a call came out, for its end.
    pub(crate) fn conclude(&mut self, id: CallId, outcome: CallOutcome, sip_status: Option<u16>, reason: &str) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.end = Some(CallEnd { outcome, sip_status, reason: printable(reason, 128) });
    }
}

/// What the callee's final answer means.
fn outcome_of(status: u16) -> CallOutcome {
    match status {
        486 | 600 => CallOutcome::Busy,
        408 | 480 | 487 => CallOutcome::NoAnswer,
        401 | 403 | 407 | 433 | 603 | 607 | 608 => CallOutcome::Refused,
        404 | 410 | 413 | 484 | 485 | 500 | 502..=504 | 604 => CallOutcome::Unreachable,
        _ => CallOutcome::Failed,
    }
}

/// What an AI that has placed the call hears of the callee's final answer: the same, but for what concerns us and the trunk only.
fn relayed(status: u16) -> u16 {
    match status {
        300..=399 => 480,
        401 | 407 => 503,
        408 => 480,
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_callee_answers_is_typed() {
        for (status, outcome, relay) in [
            (486, CallOutcome::Busy, 486),
            (600, CallOutcome::Busy, 600),
            (408, CallOutcome::NoAnswer, 480),
            (603, CallOutcome::Refused, 603),
            (407, CallOutcome::Refused, 503),
            (404, CallOutcome::Unreachable, 404),
            (503, CallOutcome::Unreachable, 503),
            (302, CallOutcome::Failed, 480),
            (488, CallOutcome::Failed, 488),
        ] {
            assert_eq!((outcome_of(status), relayed(status)), (outcome, relay), "{status}");
        }
    }
}
