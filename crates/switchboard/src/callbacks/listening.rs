//! A caller who is called back is asked to say yes: what they say is recorded, written down elsewhere, and forgotten.

use std::time::Duration;

use baton_contract::{CallbackId, LegRole};
use baton_media::{Command, TapId};
use baton_time::Now;
use baton_transfer::CallbackEvent;

use crate::recording::Taking;
use crate::switchboard::Switchboard;
use crate::{Output, RecordFault, RecordKind, RecordOrder, Recorded, Track};

impl Switchboard {
    /// Listens to the caller of a callback.
    pub(crate) fn listen_for(&mut self, now: Now, id: CallbackId, longest: Duration, silence_max: Duration) {
        self.stop_listening(id);
        let tap = TapId(self.next_ticket());
        let Some(call_id) = self.call_for(id) else { return };
        let Some(call) = self.calls.get_mut(&call_id) else { return };
        let Some((leg, port)) = call.caller().filter(|leg| leg.is_up()).map(|leg| (leg.id, leg.port())) else { return };
        call.message = Some(Taking { tap, port });
        let room = call.room;
        let track = Track { tap, call: call_id, leg, role: LegRole::Caller, kind: RecordKind::Answer, transfer: None };
        self.runs.answers.insert(tap, Some(id));
        self.emit(Output::Record(RecordOrder::Open(track)));
        self.media(Command::Tap { room, port, tap: Some(tap) });
        self.media(Command::AwaitQuiet { room, port, after: Some(silence_max) });
        self.set_message_alarm(call_id, now.mono + longest);
    }

    /// Listens no longer; what was said so far is forgotten.
    pub(crate) fn stop_listening(&mut self, id: CallbackId) {
        for wanted in self.runs.answers.values_mut().filter(|wanted| **wanted == Some(id)) {
            *wanted = None;
        }
        self.runs.texts.retain(|_, callback| *callback != id);
        if let Some(call) = self.call_for(id) {
            self.end_message(call);
        }
    }

    /// The writer is done with an answer, or cannot write it; says whether the track was one.
    pub(crate) fn answer_recorded(&mut self, now: Now, tap: TapId, result: &Result<Recorded, RecordFault>) -> bool {
        let Some(wanted) = self.runs.answers.remove(&tap) else { return false };
        let call = wanted.and_then(|id| self.call_for(id));
        if let Some(call) = call.filter(|call| self.calls.get(call).and_then(|call| call.message).is_some_and(|on| on.tap == tap))
        {
            self.end_message(call);
        }
        let language = call.and_then(|call| self.calls.get(&call)).map(|call| self.caller_language(call));
        match (result, wanted, language) {
            (Ok(recorded), Some(id), Some(language)) if recorded.speech_ms > 0 => {
                let ticket = self.next_ticket();
                self.runs.texts.insert(ticket, id);
                self.emit(Output::WriteDown { ticket, file: recorded.file.clone(), language });
            }
            (Ok(recorded), _, _) => {
                self.emit(Output::Forget { file: recorded.file.clone() });
                wanted.into_iter().for_each(|id| self.tell_run(now, id, CallbackEvent::Heard(None)));
            }
            (Err(_), _, _) => wanted.into_iter().for_each(|id| self.tell_run(now, id, CallbackEvent::Heard(None))),
        }
        true
    }

    /// Somebody has written an answer down, or cannot.
    pub(crate) fn on_written_down(&mut self, now: Now, ticket: u64, text: Option<String>) {
        if let Some(id) = self.runs.texts.remove(&ticket) {
            self.tell_run(now, id, CallbackEvent::Heard(text));
        }
    }
}
