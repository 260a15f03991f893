//! A caller leaves a message: what they say is written down until they are done.

use std::time::Duration;

use baton_contract::{CallId, LegRole};
use baton_media::{Command, TapId};
use baton_time::Now;
use baton_transfer::{Event, Message};

use crate::recording::Taking;
use crate::switchboard::Switchboard;
use crate::{Output, RecordFault, RecordKind, RecordOrder, Recorded, Track};

impl Switchboard {
    /// Records what the caller says from now on.
    pub(crate) fn take_message(&mut self, now: Now, id: CallId, max: Duration, silence_max: Duration) {
        let tap = TapId(self.next_ticket());
        let transfer = self.running_id(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some((leg, port)) = call.caller().filter(|leg| leg.is_up()).map(|leg| (leg.id, leg.port())) else {
            return self.tell(now, id, Event::RecordFailed);
        };
        call.message = Some(Taking { tap, port });
        let room = call.room;
        let track = Track { tap, call: id, leg, role: LegRole::Caller, kind: RecordKind::Voicemail, transfer };
        self.messages.insert(tap, id);
        self.emit(Output::Record(RecordOrder::Open(track)));
        self.media(Command::Tap { room, port, tap: Some(tap) });
        self.media(Command::AwaitQuiet { room, port, after: Some(silence_max) });
        self.set_message_alarm(id, now.mono + max);
    }

    /// The message is at its end: by a key, a silence, a limit, or the caller's farewell. What there is of it is kept.
    pub(crate) fn end_message(&mut self, id: CallId) {
        self.clear_message_alarm(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(Taking { tap, port }) = call.message.take() else { return };
        let room = call.room;
        let track = call.caller().and_then(|leg| leg.track).map(|track| track.tap);
        let tap_again = track.filter(|_| call.is_recorded_now());
        self.media(Command::AwaitQuiet { room, port, after: None });
        self.media(Command::Tap { room, port, tap: tap_again });
        self.emit(Output::Record(RecordOrder::Close(tap)));
    }

    /// The writer is done with a message, or cannot write it; any other track is nothing to it.
    pub(crate) fn message_recorded(&mut self, now: Now, tap: TapId, result: &Result<Recorded, RecordFault>) {
        let Some(id) = self.messages.remove(&tap) else { return };
        let _span = self.span(id, None).entered();
        if self.calls.get(&id).and_then(|call| call.message).is_some_and(|taking| taking.tap == tap) {
            self.end_message(id);
        }
        let event = match result {
            Ok(recorded) => Event::Recorded(Message {
                file: recorded.file.clone(),
                duration: Duration::from_millis(recorded.duration_ms),
                speech: Duration::from_millis(recorded.speech_ms),
            }),
            Err(_) => Event::RecordFailed,
        };
        self.tell(now, id, event);
    }
}
