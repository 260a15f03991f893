//! Working hours: `Mon-Fri 09:00-17:00, Sat 10:00-12:00`, in a time zone.

use std::fmt;
use std::str::FromStr;

use baton_time::Wall;
use jiff::civil::{self, Date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

/// Weekly hours. Ranges that overlap count once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    text: String,
    /// Open minutes of each day, Monday first: sorted, apart from each other, ends excluded.
    days: [Vec<Range>; 7],
}

/// Minutes of a day, the end excluded; 1440 is midnight at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Range {
    from: u16,
    to: u16,
}

/// A text that is no working hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Nothing at all.
    #[error("hours are missing; write `Mon-Fri 09:00-17:00`, several separated by a comma; `Mon-Sun 00:00-24:00` is always")]
    Empty,
    /// One of the ranges is not `Days Times`.
    #[error("\"{0}\" is not days and times; write `Mon-Fri 09:00-17:00`")]
    Shape(String),
    /// Not a day.
    #[error("\"{0}\" is no day; write one of Mon Tue Wed Thu Fri Sat Sun, or two of them as in `Mon-Fri`")]
    Day(String),
    /// Not a time of the day.
    #[error("\"{0}\" is no time of the day; write it from 00:00 to 24:00 as in `09:00`")]
    Time(String),
    /// It ends before it begins.
    #[error("\"{0}\" ends before it begins; for hours past midnight write two: `Fri 22:00-24:00, Sat 00:00-06:00`")]
    Backwards(String),
}

/// A time zone of the IANA database. It comes with Baton, never from the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text that is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no time zone; write its IANA name, as in `America/New_York`, `Europe/Berlin` or `UTC`")]
pub struct ZoneError(String);

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the clock on the wall says in this zone at `wall`.
    pub(crate) fn at(&self, wall: Wall) -> Zoned {
        Timestamp::from_microsecond(wall.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.0.clone())
    }

    /// When the clock on the wall says `minute` of `date` in this zone. In a gap the time after it counts, in a fold the first.
    fn instant(&self, date: Date, minute: u16) -> Option<Wall> {
        let midnight = date.at(0, 0, 0, 0);
        let local = midnight.checked_add(i64::from(minute).minutes()).ok()?;
        let at = local.to_zoned(self.0.clone()).ok()?;
        Some(Wall::from_micros(at.timestamp().as_microsecond()))
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Zone, ZoneError> {
        TimeZone::get(name).map(Zone).map_err(|_| ZoneError(name.to_owned()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Hours {
    /// Hours that never end.
    pub fn always() -> Hours {
        let all = vec![Range { from: 0, to: MINUTES_PER_DAY }];
        Hours { text: "Mon-Sun 00:00-24:00".to_owned(), days: std::array::from_fn(|_| all.clone()) }
    }

    /// The same hours on every day, in minutes from midnight; the end is excluded.
    pub(crate) fn daily(from: u16, to: u16) -> Hours {
        let text = format!("Mon-Sun {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
        Hours { text, days: std::array::from_fn(|_| vec![Range { from, to }]) }
    }

    /// The first instant at or after `wall` that lies within these hours, as the clock in `zone` tells; none within the next eight days.
    pub fn next_open(&self, wall: Wall, zone: &Zone) -> Option<Wall> {
        if self.contain(wall, zone) {
            return Some(wall);
        }
        let today = zone.at(wall).date();
        let days = (0..=DAYS_LOOKED_AT).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        let openings = days.flat_map(|day| self.of(day).iter().filter_map(move |range| zone.instant(day, range.from)));
        openings.filter(|at| *at > wall && self.contain(*at, zone)).min()
    }

    /// Whether `wall` lies within these hours, as the clock in `zone` tells.
    pub fn contain(&self, wall: Wall, zone: &Zone) -> bool {
        if self.never_end() {
            return true; // Whatever the clock says there.
        }
        let local = zone.at(wall);
        let minute = minute_of(local.time());
        self.of(local.date()).iter().any(|range| (range.from..range.to).contains(&minute))
    }

    /// Beginnings of `length` minutes each that lie wholly within these hours on `date`, on a grid of `length` minutes.
    pub(crate) fn beginnings(&self, date: Date, zone: &Zone, length: u16) -> impl Iterator<Item = Wall> {
        let ranges = self.of(date);
        ranges
            .iter()
            .flat_map(move |range| {
                let first = range.from.div_ceil(length) * length;
                (first..range.to).step_by(usize::from(length)).filter(move |minute| minute + length <= range.to)
            })
            .filter_map(move |minute| zone.instant(date, minute))
    }

    fn never_end(&self) -> bool {
        self.days.iter().all(|day| matches!(day[..], [Range { from: 0, to: MINUTES_PER_DAY }]))
    }

    fn of(&self, date: Date) -> &[Range] {
        &self.days[date.weekday().to_monday_zero_offset().rem_euclid(7) as usize]
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Hours, HoursError> {
        if text.trim().is_empty() {
            return Err(HoursError::Empty);
        }
        let mut days: [Vec<Range>; 7] = Default::default();
        for piece in text.split(',').map(str::trim) {
            let mut words = piece.split_whitespace();
            let (Some(span), Some(times), None) = (words.next(), words.next(), words.next()) else {
                return Err(HoursError::Shape(piece.to_owned()));
            };
            let range = parse_times(times)?;
            let (first, last) = parse_days(span)?;
            let count = (last + 7 - first) % 7 + 1;
            for day in (first..first + count).map(|day| day % 7) {
                days[day].push(range);
            }
        }
        Ok(Hours { text: text.trim().to_owned(), days: days.map(join) })
    }
}

const MINUTES_PER_DAY: u16 = 24 * 60;

/// How far an opening is looked for: every day of the week, and one day more for a day that the clocks cut short.
const DAYS_LOOKED_AT: i64 = 8;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn minute_of(time: civil::Time) -> u16 {
    u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or(0)
}

fn parse_days(text: &str) -> Result<(usize, usize), HoursError> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        DAYS.iter().position(|day| *day == name)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (day(first), day(last)) {
        (Some(first), Some(last)) => Ok((first, last)),
        (None, Some(_) | None) => Err(HoursError::Day(first.to_owned())),
        (Some(_), None) => Err(HoursError::Day(last.to_owned())),
    }
}

fn parse_times(text: &str) -> Result<Range, HoursError> {
    let (from, to) = text.split_once('-').ok_or_else(|| HoursError::Shape(text.to_owned()))?;
    let range = Range { from: parse_time(from)?, to: parse_time(to)? };
    if range.from < range.to { Ok(range) } else { Err(HoursError::Backwards(text.to_owned())) }
}

fn parse_time(text: &str) -> Result<u16, HoursError> {
    let wrong = || HoursError::Time(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return Err(wrong());
    }
    let (hour, minute): (u16, u16) = (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    let of_day = hour * 60 + minute;
    if minute < 60 && of_day <= MINUTES_PER_DAY { Ok(of_day) } else { Err(wrong()) }
}

fn join(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.from <= last.to => last.to = last.to.max(range.to),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> Wall {
        Wall::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn hours_are_those_of_the_ae_s_own_clock() {
        let hours: Hours = "Mon-Fri 09:00-17:00, Sat 10:00-12:00".parse().unwrap();
        let zone: Zone = "America/New_York".parse().unwrap();
        for (at, open) in [
            ("2026-03-02T13:59:59Z", false),
            ("2026-03-02T14:00:00Z", true),
            ("2026-03-02T21:59:59Z", true),
            ("2026-03-02T22:00:00Z", false),
            // The clocks went forward on the 8th: 09:00 is 13:00 in UTC.
            ("2026-03-09T13:00:00Z", true),
            ("2026-03-07T15:30:00Z", true),
            ("2026-03-08T15:30:00Z", false),
        ] {
            assert_eq!(hours.contain(wall(at), &zone), open, "{at}");
        }
    }

    #[test]
    fn a_wrong_text_is_told_what_would_be_right() {
        for (text, error) in [
            ("", HoursError::Empty),
            ("Mon-Fri", HoursError::Shape("Mon-Fri".into())),
            ("Mon-Fri 9-17 x", HoursError::Shape("Mon-Fri 9-17 x".into())),
            ("Mon-Fry 09:00-17:00", HoursError::Day("Fry".into())),
            ("Mo 09:00-17:00", HoursError::Day("Mo".into())),
            ("Mon 9:00-17:00", HoursError::Time("9:00".into())),
            ("Mon 09:00-24:01", HoursError::Time("24:01".into())),
            ("Mon 09:60-17:00", HoursError::Time("09:60".into())),
            ("Mon 09:00", HoursError::Shape("09:00".into())),
            ("Mon 17:00-09:00", HoursError::Backwards("17:00-09:00".into())),
            ("Mon 09:00-17:00,", HoursError::Shape(String::new())),
            ("Mon ٠٩:00-17:00", HoursError::Time("٠٩:00".into())),
        ] {
            assert_eq!(text.parse::<Hours>(), Err(error.clone()), "{text}");
            assert!(error.to_string().contains("write"), "{error}");
        }
        assert!("Mars/Olympus".parse::<Zone>().unwrap_err().to_string().contains("America/New_York"));
    }

    #[test]
    fn days_may_wrap_and_ranges_may_overlap() {
        let hours: Hours = "Sat-Mon 22:00-24:00, sat 00:00-06:00, Sat 05:00-07:00".parse().unwrap();
        assert_eq!(hours.days[5], [Range { from: 0, to: 420 }, Range { from: 1320, to: 1440 }]);
        assert_eq!(hours.days[0], [Range { from: 1320, to: 1440 }]);
        assert!(hours.days[1].is_empty());
        assert_eq!(Hours::always().days, "Mon-Sun 00:00-24:00".parse::<Hours>().unwrap().days);
    }
}
