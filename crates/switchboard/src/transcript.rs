//! What is said in a voicemail, once somebody has written it down.

use baton_contract::{CommitLevel, EventKind, Record, TransferId};
use baton_time::Now;
use serde_json::{Map, Value};

use crate::Output;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Somebody has written down what is said in a voicemail: it is kept with the transfer, whose call is over as a rule.
    pub(crate) fn on_transcribed(&mut self, now: Now, id: TransferId, text: String) {
        let live = self.transfers.get(&id).and_then(|call| self.calls.get(call)).and_then(|call| call.transfer_view(id));
        let view = live.or_else(|| self.ended.by_transfer(id).map(|(.., view)| view.clone()));
        let Some(mut view) = view else {
            return tracing::warn!(transfer = %id, "a transcript of a transfer that is no longer known");
        };
        let Some(message) = &mut view.message else {
            return tracing::warn!(transfer = %id, "a transcript of a transfer without a message");
        };
        message.transcript = Some(text.clone());
        match self.calls.get_mut(&view.call) {
            Some(call) => call.past.iter_mut().filter(|past| past.id == id).for_each(|past| *past = view.clone()),
            None => self.ended.refresh(&view),
        }
        let data = Map::from_iter([("text".to_owned(), Value::String(text))]);
        self.publish(now, EventKind::Transcribed, Some(view.call), Some(id), data);
        let records = vec![Record::Transfer(Box::new(view))];
        self.emit(Output::Commit { ticket: None, level: CommitLevel::Process, records });
    }
}
