//! What Baton itself can say: few lines, each a shipped recording; times are put together from pieces.

use crate::Key;
use serde::{Deserialize, Serialize};

/// A spoken line, or a piece of one. For each there is a shipped recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Line {
    /// To the caller, when a transfer begins.
    OneMoment,
    /// To the caller, while it goes on.
    StillTrying,
    /// To the caller, before the next AE is dialled.
    TryingSomeoneElse,
    /// To the caller, before slots are offered.
    NobodyFree,
    /// To the caller: opens the first slot.
    PressOneFor,
    /// To the caller: opens the second slot.
    PressTwoFor,
    /// To the caller: opens the key that repeats the slots; a [`Line::Key`] follows.
    ToHearAgainPress,
    /// To the caller: opens a promise; a time follows.
    WeWillCallYou,
    /// To the caller: the promise of a time that cannot be put together from pieces.
    CallbackNoted,
    /// To the caller: the promise could not be kept on record, so it is not made.
    NotBooked,
    /// To the caller, before the AI has them again.
    BackToAssistant,
    /// To the caller, when the AE was lost.
    WeLostThem,
    /// To the caller, when nothing is left to try.
    CallAgainLater,
    /// To the caller, last.
    Goodbye,
    /// To the AE, where no briefing could be rendered, or none yet.
    CallerWaiting,
    /// To the AE: opens the key that accepts; a [`Line::Key`] follows.
    ToAcceptPress,
    /// To the AE: opens the key that declines; a [`Line::Key`] follows.
    ToDeclinePress,
    /// To the AE, when the caller has hung up. At most two seconds long.
    CallerHasLeft,
    /// To the AE, when the transfer was called off. At most two seconds long.
    NoLongerWaiting,
    /// To the AE who is to make a callback, where no briefing could be rendered, or none yet.
    CallbackForYou,
    /// To the caller who is called back: opens the key that confirms; a [`Line::Key`] follows.
    ToBeConnectedPress,
    /// To the caller who is called back, behind the key, where what they say is listened to.
    OrSayYes,
    /// To the caller who is called back: who is calling.
    ThisIsYourCallback,
    /// To the AE who has accepted a callback: the caller is being dialled.
    CallingThem,
    /// To the AE, when the caller of a callback could not be had. At most two seconds long.
    NotReached,
    /// To a mailbox, or to whoever does not confirm a callback.
    WeTriedToCall,
    /// To the caller, before slots are offered to somebody who has asked for them.
    WhenToCall,
    /// To the caller, before a message is recorded.
    LeaveMessage,
    /// To the caller: the tone after which a message is recorded.
    Beep,
    /// To the caller, when their message is on record.
    MessageKept,
    /// To the caller, when their message could not be recorded or kept.
    MessageNotKept,
    /// To the AE who hands the caller back, while the AI is dialled. At most two seconds long.
    HandingBack,
    /// To the AE, when the AI that they hand the caller back to cannot be had.
    AssistantNotThere,
    /// A key.
    Key(Key),
    /// The day that is going on.
    Today,
    /// The day after.
    Tomorrow,
    /// `on Monday`, …
    Day(Weekday),
    /// Said after a day that lies a week or more ahead.
    NextWeek,
    /// The hour of a twelve-hour clock: `at nine`.
    Hour(Hour),
    /// Full hour.
    OClock,
    /// Minutes of the hour, in steps of five.
    Minute(Minute),
    /// Before noon.
    Am,
    /// After noon.
    Pm,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the days speak for themselves")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// An hour of a twelve-hour clock: 1 to 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hour(u8);

/// Minutes of the hour that have a recording: 5, 10 … 55.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Minute(u8);

impl Weekday {
    /// Monday to Sunday.
    pub const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// The name: `Monday`.
    pub const fn name(self) -> &'static str {
        WEEKDAYS[self as usize].0
    }
}

impl Hour {
    /// The hour as it is said for `hour` of a 24-hour clock.
    pub const fn of_day(hour: u8) -> Hour {
        match hour % 12 {
            0 => Hour(12),
            hour => Hour(hour),
        }
    }
}

impl Minute {
    /// The minutes, where there is a recording for them: full hours and odd minutes have none.
    pub const fn new(minute: u8) -> Option<Minute> {
        if minute > 0 && minute < 60 && minute.is_multiple_of(5) { Some(Minute(minute)) } else { None }
    }
}

impl Line {
    /// Every line that can be said.
    pub fn all() -> Vec<Line> {
        let keys = Key::ALL.into_iter().map(Line::Key);
        let days = Weekday::ALL.into_iter().map(Line::Day);
        let hours = (1..=12).map(|hour| Line::Hour(Hour(hour)));
        let minutes = (1..12).map(|fives| Line::Minute(Minute(fives * 5)));
        SIMPLE.into_iter().chain(keys).chain(days).chain(hours).chain(minutes).collect()
    }

    /// What is said, word for word.
    pub fn text(self) -> &'static str {
        match self {
            Line::OneMoment => "One moment, please. I'm getting someone for you.",
            Line::StillTrying => "Thank you for waiting. I'm still trying to reach someone for you.",
            Line::TryingSomeoneElse => "Thank you for your patience. I'll try someone else.",
            Line::NobodyFree => "I'm sorry, nobody is free right now. But we can call you back.",
            Line::PressOneFor => "Press one for",
            Line::PressTwoFor => "Press two for",
            Line::ToHearAgainPress => "To hear this again, press",
            Line::WeWillCallYou => "Thank you. We will call you back",
            Line::CallbackNoted => "Thank you. Your callback is booked.",
            Line::NotBooked => "I'm sorry, I can't book that right now.",
            Line::BackToAssistant => "I'm taking you back to the assistant.",
            Line::WeLostThem => "I'm sorry, we lost the connection. One moment, please.",
            Line::CallAgainLater => "I'm sorry, nobody can take your call right now. Please call again later.",
            Line::Goodbye => "Goodbye.",
            Line::CallerWaiting => "A caller is being transferred to you and is waiting.",
            Line::ToAcceptPress => "To accept, press",
            Line::ToDeclinePress => "To decline, press",
            Line::CallerHasLeft => "The caller has hung up.",
            Line::NoLongerWaiting => "The caller no longer needs you.",
            Line::CallbackForYou => "You promised somebody a call. It is time now.",
            Line::ToBeConnectedPress => "To be connected, press",
            Line::OrSayYes => "Or say yes.",
            Line::ThisIsYourCallback => "Hello. This is the call that we promised you.",
            Line::CallingThem => "Thank you. I'm calling them now.",
            Line::NotReached => "They could not be reached.",
            Line::WeTriedToCall => {
                "Hello. We promised to call you and could not reach you in person. Please call us again at any time."
            }
            Line::WhenToCall => "When may we call you back?",
            Line::LeaveMessage => "Please leave a message after the tone. When you are done, press pound.",
            Line::Beep => "Beep.",
            Line::MessageKept => "Thank you. Your message is saved.",
            Line::MessageNotKept => "I'm sorry, I couldn't save your message.",
            Line::HandingBack => "The assistant takes over.",
            Line::AssistantNotThere => "The assistant can't be reached. The caller is with you.",
            Line::Key(key) => KEYS[key.index()].0,
            Line::Today => "today",
            Line::Tomorrow => "tomorrow",
            Line::Day(day) => WEEKDAYS[day as usize].1,
            Line::NextWeek => "next week",
            Line::Hour(hour) => HOURS[usize::from(hour.0) - 1].0,
            Line::OClock => "o'clock",
            Line::Minute(minute) => MINUTES[usize::from(minute.0) / 5 - 1].0,
            Line::Am => "a.m.",
            Line::Pm => "p.m.",
        }
    }

    /// A stable name for files: lower case, digits and hyphens.
    pub fn slug(self) -> &'static str {
        match self {
            Line::OneMoment => "one-moment",
            Line::StillTrying => "still-trying",
            Line::TryingSomeoneElse => "trying-someone-else",
            Line::NobodyFree => "nobody-free",
            Line::PressOneFor => "press-one-for",
            Line::PressTwoFor => "press-two-for",
            Line::ToHearAgainPress => "to-hear-again-press",
            Line::WeWillCallYou => "we-will-call-you",
            Line::CallbackNoted => "callback-noted",
            Line::NotBooked => "not-booked",
            Line::BackToAssistant => "back-to-assistant",
            Line::WeLostThem => "we-lost-them",
            Line::CallAgainLater => "call-again-later",
            Line::Goodbye => "goodbye",
            Line::CallerWaiting => "caller-waiting",
            Line::ToAcceptPress => "to-accept-press",
            Line::ToDeclinePress => "to-decline-press",
            Line::CallerHasLeft => "caller-has-left",
            Line::NoLongerWaiting => "no-longer-waiting",
            Line::CallbackForYou => "callback-for-you",
            Line::ToBeConnectedPress => "to-be-connected-press",
            Line::OrSayYes => "or-say-yes",
            Line::ThisIsYourCallback => "this-is-your-callback",
            Line::CallingThem => "calling-them",
            Line::NotReached => "not-reached",
            Line::WeTriedToCall => "we-tried-to-call",
            Line::WhenToCall => "when-to-call",
            Line::LeaveMessage => "leave-message",
            Line::Beep => "beep",
            Line::MessageKept => "message-kept",
            Line::MessageNotKept => "message-not-kept",
            Line::HandingBack => "handing-back",
            Line::AssistantNotThere => "assistant-not-there",
            Line::Key(key) => KEYS[key.index()].1,
            Line::Today => "today",
            Line::Tomorrow => "tomorrow",
            Line::Day(day) => WEEKDAYS[day as usize].2,
            Line::NextWeek => "next-week",
            Line::Hour(hour) => HOURS[usize::from(hour.0) - 1].1,
            Line::OClock => "o-clock",
            Line::Minute(minute) => MINUTES[usize::from(minute.0) / 5 - 1].1,
            Line::Am => "am",
            Line::Pm => "pm",
        }
    }
}

const SIMPLE: [Line; 39] = [
    Line::OneMoment,
    Line::StillTrying,
    Line::TryingSomeoneElse,
    Line::NobodyFree,
    Line::PressOneFor,
    Line::PressTwoFor,
    Line::ToHearAgainPress,
    Line::WeWillCallYou,
    Line::CallbackNoted,
    Line::NotBooked,
    Line::BackToAssistant,
    Line::WeLostThem,
    Line::CallAgainLater,
    Line::Goodbye,
    Line::CallerWaiting,
    Line::ToAcceptPress,
    Line::ToDeclinePress,
    Line::CallerHasLeft,
    Line::NoLongerWaiting,
    Line::CallbackForYou,
    Line::ToBeConnectedPress,
    Line::OrSayYes,
    Line::ThisIsYourCallback,
    Line::CallingThem,
    Line::NotReached,
    Line::WeTriedToCall,
    Line::WhenToCall,
    Line::LeaveMessage,
    Line::Beep,
    Line::MessageKept,
    Line::MessageNotKept,
    Line::HandingBack,
    Line::AssistantNotThere,
    Line::Today,
    Line::Tomorrow,
    Line::NextWeek,
    Line::OClock,
    Line::Am,
    Line::Pm,
];

/// What is said for each key, and its slug.
const KEYS: [(&str, &str); 12] = [
    ("zero.", "key-0"),
    ("one.", "key-1"),
    ("two.", "key-2"),
    ("three.", "key-3"),
    ("four.", "key-4"),
    ("five.", "key-5"),
    ("six.", "key-6"),
    ("seven.", "key-7"),
    ("eight.", "key-8"),
    ("nine.", "key-9"),
    ("star.", "key-star"),
    ("pound.", "key-pound"),
];

/// The name of each day, what is said for it, and its slug.
const WEEKDAYS: [(&str, &str, &str); 7] = [
    ("Monday", "on Monday", "on-monday"),
    ("Tuesday", "on Tuesday", "on-tuesday"),
    ("Wednesday", "on Wednesday", "on-wednesday"),
    ("Thursday", "on Thursday", "on-thursday"),
    ("Friday", "on Friday", "on-friday"),
    ("Saturday", "on Saturday", "on-saturday"),
    ("Sunday", "on Sunday", "on-sunday"),
];

/// What is said for each hour from 1 on, and its slug.
const HOURS: [(&str, &str); 12] = [
    ("at one", "hour-1"),
    ("at two", "hour-2"),
    ("at three", "hour-3"),
    ("at four", "hour-4"),
    ("at five", "hour-5"),
    ("at six", "hour-6"),
    ("at seven", "hour-7"),
    ("at eight", "hour-8"),
    ("at nine", "hour-9"),
    ("at ten", "hour-10"),
    ("at eleven", "hour-11"),
    ("at twelve", "hour-12"),
];

/// What is said for each five minutes from 5 on, and its slug.
const MINUTES: [(&str, &str); 11] = [
    ("oh five", "minute-05"),
    ("ten", "minute-10"),
    ("fifteen", "minute-15"),
    ("twenty", "minute-20"),
    ("twenty-five", "minute-25"),
    ("thirty", "minute-30"),
    ("thirty-five", "minute-35"),
    ("forty", "minute-40"),
    ("forty-five", "minute-45"),
    ("fifty", "minute-50"),
    ("fifty-five", "minute-55"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_has_words_and_a_name_of_its_own() {
        let lines = Line::all();
        let slugs: BTreeSet<_> = lines.iter().map(|line| line.slug()).collect();
        assert_eq!(slugs.len(), lines.len());
        assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len());
        assert!(lines.iter().all(|line| !line.text().is_empty()));
    }

    #[test]
    fn hours_and_minutes_are_those_of_a_clock() {
        assert_eq!(Line::Hour(Hour::of_day(0)).text(), "at twelve");
        assert_eq!(Line::Hour(Hour::of_day(13)).text(), "at one");
        assert_eq!(Minute::new(30).map(|minute| Line::Minute(minute).text()), Some("thirty"));
        assert_eq!([0, 7, 60].map(Minute::new), [None, None, None]);
    }
}
