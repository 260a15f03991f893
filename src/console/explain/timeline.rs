//! Every event of a transfer, one a line.

use baton_contract::{Event, EventKind};

use super::{Case, number, text};
use crate::console::table::table;
use crate::console::words::between;

impl Case {
    /// When, counted from the request, and what.
    pub(super) fn timeline(&self) -> String {
        let row = |event: &Event| {
            let millis = between(self.transfer.requested_at, event.at).as_millis();
            [format!("{:>9}", format!("+{}.{:03} s", millis / 1_000, millis % 1_000)), self.happened(event)]
        };
        if self.events.is_empty() {
            return String::new();
        }
        table(["    AFTER", "EVENT"], self.events.iter().map(row).collect())
    }

    fn happened(&self, event: &Event) -> String {
        let who = text(event, "ae").map_or("the AE", |ae| self.name(ae));
        let of = |name| text(event, name).unwrap_or("?");
        match event.kind {
            EventKind::TransferRequested => "the transfer is asked for".to_owned(),
            EventKind::AttemptStarted => format!("{who} is dialled"),
            EventKind::Ringing => match number(event, "sip_status") {
                Some(status) => format!("{who}'s phone rings (SIP {status})"),
                None => format!("{who}'s phone rings"),
            },
            EventKind::Answered => format!("{who} answers"),
            EventKind::BriefingStarted => format!("{who} hears the first words"),
            EventKind::Accepted => format!("{who} accepts ({})", of("by")),
            EventKind::Bridged => format!("caller and {who} hear each other"),
            EventKind::AttemptFailed => format!("the attempt ends: {}", of("outcome")),
            EventKind::TransferEnded => format!("the transfer ends: {}", of("outcome")),
            EventKind::BudgetMissed => format!("the budget's {} of stage {} is missed", of("limit"), of("stage")),
            EventKind::DriverChanged => format!("who may speak to the caller: {}", of("driver")),
            EventKind::Texted => format!("a text by {}", of("author")),
            EventKind::CallbackScheduled => format!("a callback by {who} is promised"),
            EventKind::PresenceChanged => format!("{who} says {}", of("presence")),
            EventKind::CallbackReminded
            | EventKind::CallbackKept
            | EventKind::CallbackMissed
            | EventKind::CallbackTried
            | EventKind::CallbackMoved
            | EventKind::CallbackCancelled
            | EventKind::Transcribed
            | EventKind::FeedbackReceived
            | EventKind::CallStarted
            | EventKind::CallEnded => event.kind.name().to_owned(),
        }
    }
}
