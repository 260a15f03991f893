//! Calls whose caller we dial: those that we place for an AI, and callbacks.

use std::time::Duration;

use baton_contract::{CallId, EventKind, LegId, LegRole};
use baton_media::RoomId;
use baton_sip::wire::Header;
use baton_sip::{Hop, Reason, Transport};
use baton_time::Now;
use serde_json::{Map, json};

use crate::beginning::Beginning;
use crate::call::{Call, Phase};
use crate::destinations::Destination;
use crate::inbound::Dialling;
use crate::switchboard::Switchboard;

/// A call that is about to be.
#[derive(Debug)]
pub(crate) struct Opening {
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
    /// No media port is free, or the table of sessions is full.
    #[error("no port, no address or no room for another call")]
    NoRoom,
}

impl Switchboard {
    /// Puts a call without legs among the others, writes it down and tells everyone.
    pub(crate) fn open_call(&mut self, now: Now, opening: Opening) -> CallId {
        let id = CallId::new(&mut self.ids, now.wall);
        self.room_count += 1;
        let room = RoomId(self.room_count);
        self.rooms.insert(room, id);
        let mut data = Map::new();
        data.insert("from".into(), json!(opening.from));
        data.insert("to".into(), json!(opening.to));
        let call = Call::new(id, room, opening, now.wall);
        let _span = self.span(id, None).entered();
        tracing::info!("call started");
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
        let to = Dialling {
            target: dial.to.uri,
            route: Hop { transport: Transport::Udp, addr: dial.to.address },
            from: self.caller_address(call, None).ok_or(NotDialled::NoRoom)?,
            headers: dial.headers,
            credentials: trunk.answers(),
            trunk: Some(dial.to.trunk),
        };
        let leg = self.dial_leg(now, id, LegRole::Caller, None, to).ok_or(NotDialled::NoRoom)?;
        self.set_caller_alarm(id, now.mono + ring_max);
        Ok(leg)
    }

    /// Whom we call is being rung.
    pub(crate) fn caller_rings(&mut self, _now: Now, _id: CallId, _status: u16) {}

    /// Whom we call has answered; their media is connected.
    pub(crate) fn caller_answered(&mut self, now: Now, id: CallId, leg: LegId) {
        self.clear_caller_alarm(id);
        match self.calls.get(&id).map(|call| call.beginning.clone()) {
            Some(Beginning::Callback(callback)) => self.callback_caller_answered(now, id, callback, leg),
            Some(Beginning::Inbound | Beginning::Outbound(_)) | None => self.swap_scene(id),
        }
    }

    /// Whom we call has refused, or did not answer in time: that leg is over.
    pub(crate) fn caller_refused(&mut self, now: Now, id: CallId, leg: LegId, status: u16, phrase: &str) {
        self.clear_caller_alarm(id);
        match self.calls.get(&id).map(|call| call.beginning.clone()) {
            Some(Beginning::Callback(callback)) => self.callback_caller_refused(now, id, callback, leg, status, phrase),
            Some(Beginning::Inbound | Beginning::Outbound(_)) | None => self.end_call(now, id),
        }
    }

    /// Whom we call did not answer in time.
    pub(crate) fn caller_took_too_long(&mut self, now: Now, id: CallId) {
        let caller = self.calls.get(&id).and_then(Call::caller).filter(|leg| leg.is_live() && !leg.is_up());
        let Some(leg) = caller.map(|leg| leg.id) else { return };
        self.end_leg(now, id, leg, Some(Reason::sip(480, "No answer")));
        self.caller_refused(now, id, leg, 408, "No answer");
        self.settle(now, id);
    }
}
