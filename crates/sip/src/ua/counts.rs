//! What has come and gone, for the metrics.

use std::collections::BTreeMap;

use super::Rejected;

/// Numbers since the start. All labels come from closed sets, so that they have an end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    messages: BTreeMap<MessageCount, u64>,
    rejected: BTreeMap<Rejected, u64>,
    pub(crate) repeated: u64,
}

/// One kind of message, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageCount {
    /// The method in its usual spelling; `other` for those that we do not know.
    pub method: &'static str,
    /// The status of a response, 0 for a request.
    pub code: u16,
    /// Which way it went.
    pub direction: Direction,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

impl Direction {
    /// `in` or `out`.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

impl Counts {
    /// Messages by method, code and direction, in their order.
    pub fn messages(&self) -> Vec<(MessageCount, u64)> {
        self.messages.iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// Messages that were not let in, by the name of the reason.
    pub fn rejected(&self) -> Vec<(&'static str, u64)> {
        self.rejected.iter().map(|(reason, count)| (reason.name(), *count)).collect()
    }

    /// Messages of ours that were sent again by a timer.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    pub(crate) fn message(&mut self, method: &str, code: u16, direction: Direction) {
        const KNOWN: [&str; 14] = [
            "INVITE",
            "ACK",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "INFO",
            "REFER",
            "NOTIFY",
            "REGISTER",
            "SUBSCRIBE",
            "MESSAGE",
            "UPDATE",
            "PRACK",
            "PUBLISH",
        ];
        let method = KNOWN.into_iter().find(|known| *known == method).unwrap_or("other");
        // A status outside of the defined range is counted by its class at most: the label must not grow by a peer's whim.
        let code = if code < 700 { code } else { 999 };
        *self.messages.entry(MessageCount { method, code, direction }).or_default() += 1;
    }

    pub(crate) fn reject(&mut self, reason: Rejected) {
        *self.rejected.entry(reason).or_default() += 1;
    }
}
