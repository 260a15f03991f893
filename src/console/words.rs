//! Names, times and spans as people say them.

use std::time::Duration;

use baton_contract::{AeState, At, CallState, CallbackState, Driver, LegRole, LegState, Presence, TransferState};
use baton_time::Wall;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where and when something is told.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    /// The zone in which times are told.
    pub(crate) zone: TimeZone,
    /// The time.
    pub(crate) now: Wall,
}

impl Here {
    /// `2026-03-02 09:00:00`, here.
    pub(crate) fn time(&self, at: At) -> String {
        local(at, self.zone.clone(), "%Y-%m-%d %H:%M:%S")
    }

    /// `09:00:00`, here.
    pub(crate) fn clock(&self, at: At) -> String {
        local(at, self.zone.clone(), "%H:%M:%S")
    }

    /// From `at` to now.
    pub(crate) fn since(&self, at: At) -> Duration {
        between(at, At(self.now))
    }
}

/// `Mon 2026-03-02 08:00 America/Chicago`: the time as it is there; nothing where there is no such zone.
pub(crate) fn time_in(at: At, zone: &str) -> String {
    TimeZone::get(zone).map(|known| format!("{} {zone}", local(at, known, "%a %Y-%m-%d %H:%M"))).unwrap_or_default()
}

fn local(at: At, zone: TimeZone, form: &str) -> String {
    let at = Timestamp::from_microsecond(at.0.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(zone).strftime(form).to_string()
}

/// From `from` to `to`; nothing where that is backwards.
pub(crate) fn between(from: At, to: At) -> Duration {
    Duration::from_micros(u64::try_from(to.0.as_micros() - from.0.as_micros()).unwrap_or(0))
}

/// `210 ms`, `4.0 s`, `2 min 5 s`.
pub(crate) fn span(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis / 1_000 % 60),
    }
}

/// `0:04`, `2:05`, `1:00:09`.
pub(crate) fn stopwatch(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `no call`, `1 call`, `3 calls`.
pub(crate) fn count_of_calls(count: usize) -> String {
    match count {
        0 => "no call".to_owned(),
        1 => "1 call".to_owned(),
        _ => format!("{count} calls"),
    }
}

/// `text` on one line, without anything that steers a terminal or turns the reading direction.
pub(crate) fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    text.chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn call_state(state: CallState) -> &'static str {
    match state {
        CallState::Connecting => "connecting",
        CallState::Active => "up",
        CallState::Ended => "ended",
    }
}

/// Who may speak to the caller.
pub(crate) fn driver(driver: Driver) -> &'static str {
    match driver {
        Driver::Ai => "the AI",
        Driver::Human => "a human",
        Driver::Paused => "nobody",
    }
}

pub(crate) fn role(role: LegRole) -> &'static str {
    match role {
        LegRole::Caller => "caller",
        LegRole::Ai => "AI",
        LegRole::Ae => "AE",
    }
}

pub(crate) fn leg_state(state: LegState) -> &'static str {
    match state {
        LegState::Trying => "dialled",
        LegState::Ringing => "ringing",
        LegState::Up => "up",
        LegState::Ended => "ended",
    }
}

pub(crate) fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Available => "available",
        Presence::Dnd => "do not disturb",
        Presence::Away => "away",
    }
}

pub(crate) fn ae_state(state: AeState) -> &'static str {
    match state {
        AeState::Available => "free",
        AeState::Dnd => "do not disturb",
        AeState::Away => "away",
        AeState::OffHours => "outside working hours",
        AeState::Offered => "being asked",
        AeState::OnCall => "on a call",
        AeState::WrapUp => "finishing up",
    }
}

pub(crate) fn callback_state(state: CallbackState) -> &'static str {
    match state {
        CallbackState::Scheduled => "promised",
        CallbackState::Cancelled => "called off",
        CallbackState::Running => "being made",
        CallbackState::Kept => "kept",
        CallbackState::Missed => "missed",
    }
}

pub(crate) fn transfer_state(state: TransferState) -> &'static str {
    match state {
        TransferState::Requested => "asked for, nobody is dialled yet",
        TransferState::Dialing => "an AE is being dialled",
        TransferState::Ringing => "an AE's phone rings",
        TransferState::Answered => "an AE has answered",
        TransferState::Briefing => "an AE is being briefed",
        TransferState::Accepted => "an AE has accepted, the bridge is being made",
        TransferState::Introducing => "the AI introduces caller and AE",
        TransferState::Bridged => "caller and AE hear each other",
        TransferState::Offering => "the caller is offered other ways",
        TransferState::Recording => "the caller leaves a message",
        TransferState::Ended => "over",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_as_finely_as_they_matter() {
        let told = |millis| span(Duration::from_millis(millis));
        assert_eq!(
            [0, 210, 999, 4_003, 119_999, 125_900].map(told),
            ["0 ms", "210 ms", "999 ms", "4.0 s", "119.9 s", "2 min 5 s"]
        );
        let told = |seconds| stopwatch(Duration::from_secs(seconds));
        assert_eq!([4, 125, 3_609].map(told), ["0:04", "2:05", "1:00:09"]);
    }

    #[test]
    fn times_are_told_here_and_there() {
        let at = At(Wall::from_seconds(1_772_460_000));
        let here = Here { zone: TimeZone::UTC, now: Wall::from_seconds(1_772_460_065) };
        assert_eq!(here.time(at), "2026-03-02 14:00:00");
        assert_eq!(here.clock(at), "14:00:00");
        assert_eq!(here.since(at), Duration::from_secs(65));
        assert_eq!(time_in(at, "America/Chicago"), "Mon 2026-03-02 08:00 America/Chicago");
        assert_eq!(time_in(at, "Mars/Olympus"), "");
        assert_eq!(between(At(here.now), at), Duration::ZERO, "a clock that was set back");
    }
}
