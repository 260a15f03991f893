//! Which classes of faults worlds have met, and how often.

/// A class of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// F1: a datagram is lost, doubled or late.
    Datagram,
    /// F2: a final code on the consult INVITE.
    FinalCode,
    /// F3: somebody never answers.
    NoAnswer,
    /// F4: somebody hangs up.
    HangUp,
    /// F5: an answer crosses the CANCEL.
    Crossing,
    /// F5: forks and late provisional responses.
    Fork,
    /// F6: two offers meet.
    Glare,
    /// F6: hold and resume.
    Hold,
    /// F7: an ACK, a BYE or the answer to a BYE is lost, doubled or late.
    Farewell,
    /// F8: messages that no sound phone sends.
    Malformed,
    /// F9: a session is to be refreshed, or nobody does it.
    SessionTimer,
    /// F10: REFERs, wanted and not.
    Refer,
    /// F11: RTP stops.
    RtpStops,
    /// F12: SDP that is missing, refused or strange.
    Sdp,
    /// F15: the store refuses or is silent.
    Store,
    /// F16: the wall clock steps.
    Clock,
    /// F18: a message cannot be sent at all.
    SendFails,
    /// F20: no media port is left.
    NoPorts,
    /// F21: the AI leaves, refuses or is silent.
    AiGone,
    /// F21: no briefing can be rendered.
    Voice,
    /// F22: two callers, one AE.
    TwoCallers,
    /// F22: presence changes in mid-transfer.
    Presence,
    /// F23: a callback is promised.
    Callback,
    /// F23: a callback is carried out.
    CallbackRun,
    /// F25: a drain in mid-transfer.
    Drain,
    /// F26: another node has claimed the callback, or the store has a newer epoch.
    OtherNode,
    /// Somebody writes: no fault, but something more that may go wrong.
    Text,
}

impl Fault {
    /// All classes.
    pub const ALL: [Fault; 27] = [
        Fault::Datagram,
        Fault::FinalCode,
        Fault::NoAnswer,
        Fault::HangUp,
        Fault::Crossing,
        Fault::Fork,
        Fault::Glare,
        Fault::Hold,
        Fault::Farewell,
        Fault::Malformed,
        Fault::SessionTimer,
        Fault::Refer,
        Fault::RtpStops,
        Fault::Sdp,
        Fault::Store,
        Fault::Clock,
        Fault::SendFails,
        Fault::NoPorts,
        Fault::AiGone,
        Fault::Voice,
        Fault::TwoCallers,
        Fault::Presence,
        Fault::Callback,
        Fault::CallbackRun,
        Fault::Drain,
        Fault::OtherNode,
        Fault::Text,
    ];

    /// Its name, which begins with its class.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Datagram => "F1-datagram",
            Fault::FinalCode => "F2-final-code",
            Fault::NoAnswer => "F3-no-answer",
            Fault::HangUp => "F4-hang-up",
            Fault::Crossing => "F5-cancel-crosses-200",
            Fault::Fork => "F5-fork",
            Fault::Glare => "F6-glare",
            Fault::Hold => "F6-hold",
            Fault::Farewell => "F7-farewell",
            Fault::SessionTimer => "F9-session-timer",
            Fault::SendFails => "F18-send-fails",
            Fault::CallbackRun => "F23-callback-run",
            Fault::OtherNode => "F26-other-node",
            Fault::Malformed => "F8-malformed",
            Fault::Refer => "F10-refer",
            Fault::RtpStops => "F11-rtp-stops",
            Fault::Sdp => "F12-sdp",
            Fault::Store => "F15-store",
            Fault::Clock => "F16-clock",
            Fault::NoPorts => "F20-ports",
            Fault::AiGone => "F21-ai-gone",
            Fault::Voice => "F21-voice",
            Fault::TwoCallers => "F22-two-callers",
            Fault::Presence => "F22-presence",
            Fault::Callback => "F23-callback",
            Fault::Drain => "F25-drain",
            Fault::Text => "texts",
        }
    }
}

/// How often each class was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally([u64; Fault::ALL.len()]);

impl Tally {
    pub(super) fn reach(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Tally) {
        self.0.iter_mut().zip(other.0).for_each(|(own, more)| *own += more);
    }

    /// Every class with its count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Fault::ALL.iter().map(|fault| (fault.name(), self.0[*fault as usize]))
    }
}
