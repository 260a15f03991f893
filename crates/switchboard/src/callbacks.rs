//! Callbacks asked for through the API: durable before they are answered.

mod kept;
mod listening;
mod run;

use baton_contract::{
    At, CallId, CallbackId, CallbackState, CallbackView, CommitLevel, EventKind, LegId, NewCallback, Problem, Record, Reply,
    UpdateCallback,
};
use baton_time::Now;
use baton_transfer::{CallbackEvent, Change, Event, Zone};
use serde_json::{Map, Value};

pub(crate) use self::run::Runs;
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
        let zone = timezone.parse::<Zone>().map_err(|fault| Problem::invalid("timezone", fault.to_string()))?;
        self.check_time(now, new.at, &zone)?;
        if let Err(denied) = self.settings.destination(&caller, self.callbacks_go_over()) {
            return Err(Problem::invalid("caller", format!("\"{caller}\" cannot be called: {denied}")));
        }
        if let Some(id) = new.call {
            let call = self.calls.get_mut(&id).ok_or_else(|| Problem::invalid("call", "this call has ended, or never was"))?;
            if let Some(running) = call.transfer.as_mut().filter(|running| !running.transfer.slots().is_empty()) {
                if !running.transfer.slots().iter().any(|slot| slot.at == new.at) {
                    return Err(Problem::conflict("the caller is being offered other times"));
                }
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
        let callback = self.changeable(now, id)?;
        let ae = update.ae.unwrap_or(callback.ae);
        self.roster.find(&ae).ok_or_else(|| Problem::invalid("ae", format!("there is no AE \"{ae}\"")))?;
        let named = update.timezone.unwrap_or(callback.timezone);
        let zone = named.parse::<Zone>().map_err(|fault| Problem::invalid("timezone", fault.to_string()))?;
        let at = update.at.unwrap_or(callback.at);
        self.check_time(now, at, &zone)?;
        self.ask_run(now, id, asker, Change::Move { ae, at, timezone: zone.name().to_owned() });
        Ok(())
    }

    pub(crate) fn cancel_callback(&mut self, now: Now, asker: u64, id: CallbackId) -> Result<(), Problem> {
        self.changeable(now, id)?;
        self.ask_run(now, id, asker, Change::Cancel);
        Ok(())
    }

    /// A callback that is open, with its run: also where it lies too far ahead to be held otherwise.
    fn changeable(&mut self, now: Now, id: CallbackId) -> Result<CallbackView, Problem> {
        let callback = self.callback_view(id)?;
        match callback.state {
            CallbackState::Scheduled | CallbackState::Running => {
                self.take_up_now(now, id);
                Ok(callback)
            }
            CallbackState::Cancelled | CallbackState::Kept | CallbackState::Missed => {
                Err(Problem::conflict("this callback is over"))
            }
        }
    }

    /// Whether somebody in `zone` may be called then.
    fn check_time(&self, now: Now, at: At, zone: &Zone) -> Result<(), Problem> {
        if at.0 <= now.wall {
            return Err(Problem::invalid("at", format!("{at} has gone by")));
        }
        let window = &self.settings.transfer.callback.window;
        if !window.contain(at.0, zone) {
            let local = baton_transfer::callback::local(at.0, zone);
            let detail = format!("{local} in {zone} is outside of the hours in which callers may be called, \"{window}\"");
            return Err(Problem::invalid("at", detail));
        }
        Ok(())
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
        self.show(callback.clone());
        self.take_up(now, callback.id);
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
    /// The caller's phone works on the INVITE.
    pub(crate) fn callback_caller_is_there(&mut self, now: Now, id: CallId, leg: LegId) {
        if let Some(callback) = self.callback_of(id).filter(|_| self.is_callers(id, leg)) {
            self.tell_run(now, callback, CallbackEvent::Trying { leg });
        }
    }

    /// The caller's phone rings.
    pub(crate) fn callback_caller_rings(&mut self, now: Now, id: CallId, leg: LegId, status: u16) {
        if let Some(callback) = self.callback_of(id) {
            self.tell_run(now, callback, CallbackEvent::Ringing { leg, status });
        }
    }

    fn is_callers(&self, id: CallId, leg: LegId) -> bool {
        self.calls.get(&id).and_then(|call| call.caller()).is_some_and(|caller| caller.id == leg)
    }

    /// The caller has answered; their media is connected.
    pub(crate) fn callback_caller_answered(&mut self, now: Now, id: CallId, callback: CallbackId, leg: LegId) {
        self.swap_scene(id);
        self.tell_run(now, callback, CallbackEvent::Answered { leg });
    }

    /// The caller has refused, or did not answer in time: 408.
    pub(crate) fn callback_caller_refused(&mut self, now: Now, callback: CallbackId, leg: LegId, status: u16, phrase: &str) {
        self.tell_run(now, callback, CallbackEvent::Refused { leg, status, phrase: phrase.to_owned() });
    }
}
