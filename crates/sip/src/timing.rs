//! The intervals of RFC 3261 §17, and the reasons for being woken.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The base intervals of RFC 3261 §17.1.1.1 from which all timers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The estimated round trip: the first interval between two sendings.
    pub t1: Duration,
    /// The longest interval between two sendings of a non-INVITE request or of an INVITE's answer.
    pub t2: Duration,
    /// How long a message may live in the network.
    pub t4: Duration,
    /// How long a 100 waits for something better to say, where the INVITE came as a datagram; RFC 3261 §17.2.1 leaves 200 ms.
    #[serde(default)]
    pub trying: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying: Duration::from_millis(20),
        }
    }
}

impl Timing {
    /// 64 times T1: how long an unanswered message is repeated (timers B, F, H), and how long an answered one is remembered (J, L, M).
    pub fn patience(self) -> Duration {
        self.t1 * if baton_time::bug!(26) { 4 } else { 64 }
    }

    /// Timer D: how long the final answer of an INVITE may be repeated by the far side: 32 s or more over datagrams.
    pub(crate) fn timer_d(self) -> Duration {
        if baton_time::bug!(27) { Duration::ZERO } else { self.patience() }
    }
}

/// Why a user agent wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// A message has not been answered yet and is sent again (timers A, E, G).
    SendAgain,
    /// An INVITE has not been answered yet: 100 says that it is heard (RFC 3261 §17.2.1).
    Trying,
    /// A message has not been answered for 32 s: given up (timers B, F, H).
    GiveUp,
    /// An answered transaction need not be remembered any longer (timers D, I, J, K, L, M).
    Forget,
    /// Our 2xx has not got its ACK yet and is sent again (RFC 3261 §13.3.1.4).
    AnswerAgain,
    /// Our 2xx has not got its ACK for 32 s.
    AckNeverCame,
    /// A re-INVITE that met another one is tried again (RFC 3261 §14.1).
    OfferAgain,
    /// A reliable provisional answer has not got its PRACK yet and is sent again (RFC 3262 §3).
    ProvisionalAgain,
    /// A reliable provisional answer has not got its PRACK for 32 s.
    PrackNeverCame,
    /// The session is to be refreshed by us (RFC 4028).
    Refresh,
    /// Nobody has refreshed the session.
    SessionExpired,
    /// A cancelled INVITE has got no final answer for 32 s (RFC 3261 §9.1).
    CancelUnanswered,
    /// A registration or subscription is to be refreshed, a binding ends, or a question has had no answer.
    Errand,
    /// A server has not answered: the next one is tried (RFC 3263 §4.3).
    NextServer,
}
