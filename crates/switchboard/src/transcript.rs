//! What is said in a voicemail, once somebody has written it down.

use baton_contract::{EventKind, TransferId};
use baton_time::Now;

use crate::switchboard::Switchboard;

impl Switchboard {
    /// Somebody has written down what is said in a voicemail, whose call is over as a rule.
    pub(crate) fn on_transcribed(&mut self, now: Now, transfer: TransferId, text: String) {
        let live = self.transfers.get(&transfer).copied();
        let call = live.or_else(|| self.ended.by_transfer(transfer).map(|(_, view)| view.call));
        let data = serde_json::Map::from_iter([("text".to_owned(), serde_json::Value::String(text))]);
        self.publish(now, EventKind::Transcribed, call, Some(transfer), data);
    }
}
