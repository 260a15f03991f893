//! What a party does, step by step: data, not code.

use std::time::Duration;

use crate::Pilot;

/// The steps of one call of one party.
///
/// When the last step is done the party stays on the line, sends silence with its pilot and answers what it is asked, until it is hung up on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Sends an INVITE with an offer.
    Call {
        /// The Request-URI.
        to: String,
        /// Further headers of the INVITE.
        headers: Vec<(String, String)>,
    },
    /// Sends an INVITE without an offer; the answer to the one that the 200 brings goes out with the ACK (RFC 3261 §13.2.1).
    CallWithoutOffer {
        /// The Request-URI.
        to: String,
    },
    /// Sends a provisional response to the INVITE that came, or waits for one to come first.
    Ring {
        /// 180 or another 18x.
        status: u16,
    },
    /// As [`Step::Ring`], with SDP: early media.
    RingWithSdp {
        /// 180 or another 18x.
        status: u16,
    },
    /// Answers the INVITE with 200 and SDP.
    Answer,
    /// Answers the INVITE with a final refusal.
    Refuse {
        /// 300 to 699.
        status: u16,
    },
    /// Does nothing for a while.
    Pause(Duration),
    /// Begins to speak a line; the next step follows at once, see [`Cue::Said`].
    Say(String),
    /// Waits, at most as long as told.
    WaitFor {
        /// For what.
        cue: Cue,
        /// How long: the script fails after it.
        within: Duration,
    },
    /// Presses a key.
    Press {
        /// `0` to `9`, `*`, `#`.
        key: char,
        /// How it travels.
        by: KeyPath,
    },
    /// Sends a text in the dialog (RFC 3428).
    Write(String),
    /// Sends a REFER in the dialog.
    Refer {
        /// The value of Refer-To, without angle brackets.
        to: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Sends a re-INVITE that says which way the audio is to go: hold and resume.
    Offer(Way),
    /// Sends no RTP from now on.
    Mute,
    /// CANCEL or BYE, by state.
    HangUp,
    /// BYE with this Reason (RFC 3326): `SIP;cause=503` says that something broke.
    HangUpBecause(String),
    /// Is gone without a word: sends nothing any more, neither RTP nor SIP, and answers nothing. The call is over for this party.
    Vanish,
    /// Tells the sender of the REFER that came what has become of it: a NOTIFY with this status in its sipfrag (RFC 3515 §2.4.4).
    Notify {
        /// 100 to 699; a final one ends the subscription.
        status: u16,
    },
    /// Tells everybody else, and the record, that this point is reached.
    Note(String),
}

/// Which way the audio of an offer goes, seen from the one who offers (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Both ways: a resume.
    SendRecv,
    /// Only from here: a hold.
    SendOnly,
    /// Neither way: a hold without music; nothing is sent either.
    Inactive,
}

impl Way {
    /// As SDP says it.
    pub const fn name(self) -> &'static str {
        match self {
            Way::SendRecv => "sendrecv",
            Way::SendOnly => "sendonly",
            Way::Inactive => "inactive",
        }
    }
}

/// How a key press travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPath {
    /// telephone-event packets; the audio goes on beside them (RFC 4733 §2.5.1.2 lets a sender do so).
    Rfc4733,
    /// An INFO with `application/dtmf-relay`.
    Info,
}

/// What a step can wait for.
#[derive(Debug, Clone, PartialEq)]
pub enum Cue {
    /// An INVITE has come.
    Invited,
    /// The far side rings (any 18x to our INVITE).
    Ringing,
    /// The call is answered.
    Up,
    /// The call is over, whoever ended it.
    Gone,
    /// The line that was begun last has been spoken.
    Said,
    /// A note of this name was told, before or during the wait.
    Told(String),
    /// This party's pilot is heard.
    Hears(Pilot),
    /// A voice (or music) is heard: anything well above a pilot.
    Voice,
    /// Nothing above a pilot has been heard for this long, counted from the beginning of the wait.
    Quiet(Duration),
    /// A NOTIFY with this status in its sipfrag has come.
    Notified(u16),
    /// A REFER has come, and was answered with 202.
    Referred,
}

impl Script {
    /// A script of these steps.
    pub fn new(steps: impl Into<Vec<Step>>) -> Script {
        Script { steps: steps.into() }
    }
}

impl Step {
    /// A [`Step::Call`] without further headers.
    pub fn call(to: impl Into<String>) -> Step {
        Step::Call { to: to.into(), headers: Vec::new() }
    }

    /// A [`Step::WaitFor`] of so many milliseconds at most.
    pub fn wait_for(cue: Cue, within_ms: u64) -> Step {
        Step::WaitFor { cue, within: Duration::from_millis(within_ms) }
    }

    /// A [`Step::Pause`] of so many milliseconds.
    pub const fn pause(millis: u64) -> Step {
        Step::Pause(Duration::from_millis(millis))
    }

    /// Says a line to its end: [`Step::Say`] and the wait for [`Cue::Said`].
    pub fn speak(line: impl Into<String>) -> [Step; 2] {
        [Step::Say(line.into()), Step::wait_for(Cue::Said, 60_000)]
    }

    /// A [`Step::Note`].
    pub fn note(label: impl Into<String>) -> Step {
        Step::Note(label.into())
    }
}
