//! Callbacks asked for through the API: durable before they are answered.

use baton_contract::{
    CallId, CallbackId, CallbackState, CallbackView, CommitLevel, EventKind, LegId, NewCallback, Problem, Record, Reply,
    UpdateCallback,
};
use baton_time::Now;
use baton_transfer::{Event, Zone};
use serde_json::{Map, Value};

use crate::Output;
use crate::payload::printable;
use crate::switchboard::{Switchboard, Waiting};

impl Switchboard {
    /// Every callback that is held here, soonest first.
    pub(crate) fn callback_views(&self) -> Vec<CallbackView> {
        let mut views: Vec<CallbackView> = self.callbacks.values().cloned().collect();
        views.sort_by_key(|view| (view.at, view.id));
        views
    }

    pub(crate) fn callback_view(&self, id: CallbackId) -> Result<CallbackView, Problem> {
        self.callbacks.get(&id).cloned().ok_or_else(|| Problem::not_found("callback", &id.to_string()))
    }

    /// Promises a callback, or picks the slot where the call is being offered some.
    pub(crate) fn new_callback(&mut self, now: Now, asker: u64, new: NewCallback) -> Result<(), Problem> {
        let ae = self.roster.find(&new.ae).ok_or_else(|| Problem::invalid("ae", format!("there is no AE \"{}\"", new.ae)))?;
        let timezone = match &new.timezone {
            Some(name) => {
                name.parse::<Zone>().map_err(|fault| Problem::invalid("timezone", fault.to_string()))?.name().to_owned()
            }
            None => ae.timezone.name().to_owned(),
        };
        let caller = printable(&new.caller, 256);
        if caller.is_empty() {
            return Err(Problem::invalid("caller", "a number or a SIP URI to call is needed"));
        }
        if new.at.0 <= now.wall {
            return Err(Problem::invalid("at", format!("{} has gone by", new.at)));
        }
        if let Some(id) = new.call {
            let call = self.calls.get_mut(&id).ok_or_else(|| Problem::invalid("call", "this call has ended, or never was"))?;
            if let Some(running) = call.transfer.as_mut().filter(|running| !running.transfer.slots().is_empty()) {
                running.pickers.push(asker);
                self.tell(now, id, Event::SlotPicked(new.at));
                return Ok(());
            }
        }
        let call = new.call.and_then(|id| self.calls.get(&id));
        let callback = CallbackView {
            id: CallbackId::new(&mut self.ids, now.wall),
            state: CallbackState::Scheduled,
            call: new.call,
            transfer: None,
            ae: new.ae,
            caller,
            at: new.at,
            timezone,
            context: new.context.or_else(|| call.map(|call| call.context.clone())).unwrap_or_default(),
            created_at: now.wall.into(),
            progress: Default::default(),
        };
        self.commit_callback(asker, callback, true);
        Ok(())
    }

    pub(crate) fn update_callback(
        &mut self,
        now: Now,
        asker: u64,
        id: CallbackId,
        update: UpdateCallback,
    ) -> Result<(), Problem> {
        let mut callback = self.scheduled(id)?;
        if let Some(ae) = update.ae {
            self.roster.find(&ae).ok_or_else(|| Problem::invalid("ae", format!("there is no AE \"{ae}\"")))?;
            callback.ae = ae;
        }
        if let Some(at) = update.at {
            if at.0 <= now.wall {
                return Err(Problem::invalid("at", format!("{at} has gone by")));
            }
            callback.at = at;
        }
        if let Some(timezone) = update.timezone {
            let zone = timezone.parse::<Zone>().map_err(|fault| Problem::invalid("timezone", fault.to_string()))?;
            callback.timezone = zone.name().to_owned();
        }
        self.commit_callback(asker, callback, false);
        Ok(())
    }

    pub(crate) fn cancel_callback(&mut self, asker: u64, id: CallbackId) -> Result<(), Problem> {
        let callback = CallbackView { state: CallbackState::Cancelled, ..self.scheduled(id)? };
        self.commit_callback(asker, callback, false);
        Ok(())
    }

    fn scheduled(&self, id: CallbackId) -> Result<CallbackView, Problem> {
        let callback = self.callback_view(id)?;
        if callback.state == CallbackState::Scheduled {
            Ok(callback)
        } else {
            Err(Problem::conflict("only a scheduled callback can be changed"))
        }
    }

    fn commit_callback(&mut self, asker: u64, callback: CallbackView, is_new: bool) {
        let ticket = self.next_ticket();
        let callback = Box::new(callback);
        let records = vec![Record::Callback(callback.clone())];
        self.commits.insert(ticket, Waiting::Callback { asker, callback, is_new });
        self.emit(Output::Commit { ticket: Some(ticket), level: CommitLevel::Power, records });
    }

    pub(crate) fn callback_committed(&mut self, now: Now, asker: u64, callback: CallbackView, is_new: bool, written: bool) {
        if !written {
            let result = Err(Problem::unavailable("the store does not take promises right now"));
            return self.emit(Output::Answer { ticket: asker, result });
        }
        if let Some(before) = self.callbacks.get(&callback.id) {
            self.roster.unbook(&before.ae, before.at);
        }
        if callback.state == CallbackState::Scheduled {
            self.roster.book(&callback.ae, callback.at);
        }
        self.callbacks.insert(callback.id, callback.clone());
        if is_new {
            let data = match serde_json::to_value(&callback) {
                Ok(Value::Object(data)) => data,
                Ok(_) | Err(_) => Map::new(),
            };
            self.publish(now, EventKind::CallbackScheduled, callback.call, callback.transfer, data);
        }
        self.emit(Output::Answer { ticket: asker, result: Ok(Reply::Callback(Box::new(callback))) });
    }
}

/// What becomes of the caller whom a callback has us dial (`Switchboard::dial_caller`).
impl Switchboard {
    /// The caller has answered; their media is connected.
    pub(crate) fn callback_caller_answered(&mut self, _now: Now, id: CallId, callback: CallbackId, leg: LegId) {
        tracing::debug!(%callback, %leg, "the caller has answered");
        self.swap_scene(id);
    }

    /// The caller has refused, or did not answer in time: 408.
    pub(crate) fn callback_caller_refused(
        &mut self,
        now: Now,
        id: CallId,
        callback: CallbackId,
        leg: LegId,
        status: u16,
        phrase: &str,
    ) {
        tracing::debug!(%callback, %leg, status, phrase, "the caller was not reached");
        self.end_call(now, id);
    }
}
