//! How legs and calls come to their end, by the far side or by us.

use baton_contract::{CallEnd, CallId, CallOutcome, LegId, LegRole, LegState};
use baton_media::Command;
use baton_sip::{Gone, SessionId};
use baton_time::Now;
use baton_transfer::{CallbackEvent, Event as Told, LegEnd};

use crate::call::Phase;
use crate::handback::NOBODY_TO_MOVE;
use crate::settings::Sabotage;
use crate::switchboard::{Leaving, Switchboard};

impl Switchboard {
    /// The far end has ended a leg, or it was lost.
    pub(crate) fn on_gone(&mut self, now: Now, session: SessionId, why: &Gone) {
        if self.invite_withdrawn(now, session) {
            return;
        }
        let Some((id, leg_id)) = self.call_of(session) else { return };
        self.sessions.remove(&session);
        let Some(role) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).map(|leg| leg.role) else { return };
        tracing::info!(?role, ?why, "leg gone");
        self.leg_ended(id, leg_id);
        match role {
            LegRole::Caller => {
                self.end_message(id);
                self.tell(now, id, Told::CallerGone);
            }
            LegRole::Ai => self.ai_gone(now, id, leg_id, why),
            LegRole::Ae => {
                let why = match why {
                    Gone::Bye { .. } | Gone::Cancelled { .. } => LegEnd::HungUp,
                    Gone::AckNeverCame | Gone::TimedOut | Gone::TransportFailed => LegEnd::Lost,
                };
                self.tell(now, id, Told::LegGone { leg: leg_id, why });
            }
        }
        self.settle(now, id);
    }

    /// The far end has agreed to the end of a leg.
    pub(crate) fn on_released(&mut self, now: Now, session: SessionId, status: Option<u16>) {
        let Some(leaving) = self.leaving.remove(&session) else { return };
        if let (Some(callback), Some(status)) = (leaving.callback, status.filter(|status| *status >= 300)) {
            let event = CallbackEvent::Refused { leg: leaving.leg, status, phrase: String::new() };
            self.tell_run(now, callback, event);
        }
        match (leaving.role, status) {
            (LegRole::Ai, _) => self.tell(now, leaving.call, Told::AiGone),
            (LegRole::Ae, Some(status)) if status >= 300 => self.evidence(now, leaving, status),
            (LegRole::Ae | LegRole::Caller, _) => {}
        }
        if let Some(transfer) = leaving.transfer.filter(|id| !self.is_awaited(*id)) {
            self.lingering.remove(&transfer);
        }
    }

    /// What the far end finally said to an INVITE that we took back: evidence, even after the transfer is over.
    fn evidence(&mut self, now: Now, leaving: Leaving, status: u16) {
        let event = Told::Refused { leg: leaving.leg, status, phrase: String::new() };
        if leaving.transfer.is_some() && self.running_id(leaving.call) == leaving.transfer {
            return self.tell(now, leaving.call, event);
        }
        let Some(mut transfer) = leaving.transfer.and_then(|id| self.lingering.remove(&id)) else { return };
        transfer.on(now, event, &self.settings.transfer, &mut self.roster);
        while let Some(action) = transfer.poll() {
            if let baton_transfer::Action::Commit { level, records, .. } = action {
                self.emit(crate::Output::Commit { ticket: None, level, records });
            }
        }
        let view = transfer.view();
        match self.calls.get_mut(&leaving.call) {
            Some(call) => call.past.iter_mut().filter(|past| past.id == view.id).for_each(|past| *past = view.clone()),
            None => self.ended.refresh(&view),
        }
        self.lingering.insert(view.id, transfer);
    }

    /// Whether a leg of this transfer is still being ended.
    pub(crate) fn is_awaited(&self, id: baton_contract::TransferId) -> bool {
        self.leaving.values().any(|leaving| leaving.transfer == Some(id))
    }

    /// Ends a leg of ours, in whatever state it is.
    pub(crate) fn end_leg(&mut self, now: Now, id: CallId, leg_id: LegId, reason: Option<baton_sip::Reason>) {
        let Some(leg) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).filter(|leg| leg.is_live()) else { return };
        let (session, role) = (leg.session, leg.role);
        let rings_on = self.settings.sabotage == Some(Sabotage::NoCancel) && role == LegRole::Ae && leg.state != LegState::Up;
        let transfer = self.running_id(id).filter(|_| role == LegRole::Ae);
        let callback = self.callback_of(id);
        self.leaving.insert(session, Leaving { call: id, leg: leg_id, role, transfer, callback });
        let hung_up = if rings_on { Ok(()) } else { self.agent.hang_up(now.mono, session, reason) };
        if let Err(fault) = hung_up {
            tracing::debug!(leg = %leg_id, %fault, "cannot hang up");
            self.leaving.remove(&session);
        }
        self.sessions.remove(&session);
        self.leg_ended(id, leg_id);
    }

    /// A leg is over: its port goes back, and nobody hears it any more.
    pub(crate) fn leg_ended(&mut self, id: CallId, leg_id: LegId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let room = call.room;
        let Some(leg) = call.leg_mut(leg_id).filter(|leg| leg.is_live()) else { return };
        leg.state = LegState::Ended;
        let (port, trunk) = (leg.port(), leg.trunk);
        if let Some(load) = trunk.and_then(|trunk| self.loads.get_mut(trunk)) {
            load.release();
        }
        self.follow_recording(id);
        if !baton_time::bug!(84) {
            self.media(Command::Close { room, port });
        }
    }

    /// Ends every leg that is left.
    pub(crate) fn end_call(&mut self, now: Now, id: CallId) {
        self.settle_move(now, id, &NOBODY_TO_MOVE);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.phase = Phase::Ending;
        let live: Vec<LegId> = call.legs.iter().filter(|leg| leg.is_live()).map(|leg| leg.id).collect();
        for leg in live {
            self.end_leg(now, id, leg, None);
        }
        self.settle(now, id);
    }

    pub(crate) fn hang_up_all(&mut self, now: Now) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            self.tell(now, id, Told::Cancel);
            self.tell(now, id, Told::CallerGone);
            self.end_call(now, id);
        }
    }

    /// Lets go of a call whose last leg has ended, and ends what is left without its caller.
    pub(crate) fn settle(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        if self.is_of_a_run(id) && !matches!(call.phase, Phase::Ending) {
            return;
        }
        let caller_up = call.caller().is_some_and(crate::leg::Leg::is_live);
        if call.transfer.is_none() && !caller_up && call.has_live_legs() && !baton_time::bug!(85) {
            return self.end_call(now, id);
        }
        if !call.has_live_legs() && call.transfer.is_none() {
            self.bury(now, id);
        }
    }

    fn bury(&mut self, now: Now, id: CallId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        self.clear_ai_alarm(id);
        self.clear_caller_alarm(id);
        self.clear_quiet_alarm(id);
        self.clear_message_alarm(id);
        self.clear_key_alarm(id);
        self.end_recording(&call);
        self.referrals.retain(|_, whose| *whose != id);
        self.forget_invited(now, id);
        self.set_transfer_alarm(now, id);
        if let crate::beginning::Beginning::Callback(callback) = call.beginning {
            self.callback_call_is_over(now, callback, id);
        }
        self.rooms.remove(&call.room);
        self.media(Command::CloseRoom { room: call.room });
        for view in &call.past {
            self.transfers.remove(&view.id);
        }
        let nobody = || CallEnd {
            outcome: CallOutcome::Cancelled,
            sip_status: None,
            reason: "hung up before anybody had answered".to_owned(),
        };
        call.end.get_or_insert_with(nobody);
        let view = call.view(Some(now.wall));
        tracing::debug!("call ended");
        self.ended.keep(&view, call.past, call.context);
        let mut data = serde_json::Map::new();
        data.insert(
            "duration_ms".into(),
            serde_json::json!(u64::try_from(now.wall.since(call.started).as_millis()).unwrap_or(u64::MAX)),
        );
        if let Some(end) = &view.end {
            data.insert("outcome".into(), serde_json::json!(end.outcome));
            data.insert("sip_status".into(), serde_json::json!(end.sip_status));
        }
        self.record_call(view);
        self.publish(now, baton_contract::EventKind::CallEnded, Some(id), None, data);
    }
}
