//! Which times can be offered for a callback, how they are told, and what the AE's calendar gets.

use std::time::Duration;

use baton_contract::{AeId, At, CallbackState, CallbackView, Slot};
use baton_time::{Now, Wall};
use icalendar::{Calendar, Component, Event, EventStatus};
use jiff::ToSpan;
use jiff::civil::Date;

use crate::{Hour, Hours, Line, Minute, Roster, Weekday, Zone};

/// How long an AE keeps free for a callback, in minutes; slots begin on multiples of it.
const SLOT_MINUTES: u16 = 30;

/// Nobody is called back sooner than this: the AE must learn of it first.
const NOTICE: Duration = Duration::from_secs(30 * 60);

/// The second slot is at least this much later than the first, so that there is a choice, where the hours allow it.
const APART: Duration = Duration::from_secs(2 * 3_600);

/// How many days ahead are looked at: everything that can be told as a weekday, or as one of next week.
const DAYS_AHEAD: i64 = 8;

/// The next two times at which this AE could call back, soonest first, told in `zone` (absent: the AE's own).
///
/// Fewer where their hours have no room in the next week. None lies outside of `window`, the hours in which the caller may be called.
pub fn slots(roster: &Roster, now: Now, ae: &AeId, zone: Option<&Zone>, window: &Hours) -> Vec<Slot> {
    let Some(told_in) = zone.or_else(|| roster.find(ae).map(|ae| &ae.timezone)) else { return Vec::new() };
    let mut free = free(roster, now, ae).filter(|at| window.contain(*at, told_in));
    let Some(first) = free.next() else { return Vec::new() };
    let mut second = None;
    for at in free {
        second.get_or_insert(at);
        if at >= first + APART {
            second = Some(at);
            break;
        }
    }
    let slot = |at: Wall| Slot { ae: ae.clone(), at: At(at), timezone: told_in.name().to_owned(), local: local(at, told_in) };
    std::iter::once(first).chain(second).map(slot).collect()
}

/// Whether this AE could call back at any time at all.
pub(crate) fn has_slots(roster: &Roster, now: Now, ae: &AeId) -> bool {
    free(roster, now, ae).next().is_some()
}

/// Every beginning of a slot in the days that are looked at, soonest first. There are hundreds, and two are wanted: each is looked for when its turn comes.
fn free<'a>(roster: &'a Roster, now: Now, ae: &'a AeId) -> impl Iterator<Item = Wall> + use<'a> {
    let earliest = now.wall + NOTICE;
    let days = roster.find(ae).into_iter().flat_map(move |settings| {
        let today = settings.timezone.at(now.wall).date();
        let days = (0..DAYS_AHEAD).filter_map(move |ahead| today.checked_add(ahead.days()).ok());
        days.flat_map(|day| settings.hours.beginnings(day, &settings.timezone, SLOT_MINUTES))
    });
    // Where the clocks go forward two local times can mean one instant.
    let mut last = None;
    let apart = days.filter(move |at| last.replace(*at) != Some(*at));
    apart.filter(move |at| *at >= earliest && !roster.is_booked(ae, At(*at)))
}

/// `at` as people read it in `zone`: `Monday, March 2, 10:00`.
pub fn local(at: Wall, zone: &Zone) -> String {
    zone.at(at).strftime("%A, %B %-d, %H:%M").to_string()
}

/// `at` as it is said to somebody in `zone`; `None` where it cannot be put together from pieces: in the past, more than two weeks
/// ahead, or at an odd minute.
pub fn spoken(now: Now, at: At, zone: &Zone) -> Option<Vec<Line>> {
    let (today, then) = (zone.at(now.wall).date(), zone.at(at.0));
    let mut lines = spoken_day(today, then.date())?;
    let (hour, minute) = (u8::try_from(then.hour()).ok()?, u8::try_from(then.minute()).ok()?);
    lines.push(Line::Hour(Hour::of_day(hour)));
    match (minute, Minute::new(minute)) {
        (_, Some(minute)) => lines.push(Line::Minute(minute)),
        (0, None) => lines.push(Line::OClock),
        (_, None) => return None,
    }
    lines.push(if hour < 12 { Line::Am } else { Line::Pm });
    Some(lines)
}

fn spoken_day(today: Date, day: Date) -> Option<Vec<Line>> {
    let ahead = today.until(day).ok()?.get_days();
    let weekday = Weekday::ALL[usize::try_from(day.weekday().to_monday_zero_offset()).ok()? % 7];
    match ahead {
        0 => Some(vec![Line::Today]),
        1 => Some(vec![Line::Tomorrow]),
        2..=6 => Some(vec![Line::Day(weekday)]),
        7..=13 => Some(vec![Line::Day(weekday), Line::NextWeek]),
        _ => None,
    }
}

/// The callback as an iCalendar object (RFC 5545): half an hour of the AE, with a reminder that is up to their calendar.
pub fn ics(callback: &CallbackView, roster: &Roster) -> String {
    let name = callback.context.caller.as_ref().and_then(|caller| caller.name.as_deref()).unwrap_or(&callback.caller);
    let ae = roster.find(&callback.ae).map_or(callback.ae.as_str(), |ae| ae.name.as_str());
    let summary = format!("Call back {}", plain(name, SUMMARY_CHARS_MAX));
    let mut about =
        vec![format!("Call: {}", plain(&callback.caller, SUMMARY_CHARS_MAX)), format!("AE: {}", plain(ae, SUMMARY_CHARS_MAX))];
    about.extend(callback.context.intent.as_deref().map(|intent| format!("Intent: {}", plain(intent, SUMMARY_CHARS_MAX))));
    about.extend(callback.context.summary.as_deref().map(|summary| plain(summary, DESCRIPTION_CHARS_MAX)));
    let status = match callback.state {
        CallbackState::Cancelled => EventStatus::Cancelled,
        CallbackState::Scheduled | CallbackState::Running | CallbackState::Kept | CallbackState::Missed => EventStatus::Confirmed,
    };
    let event = Event::new()
        .uid(&format!("{}@baton", callback.id))
        .summary(&summary)
        .description(&about.join("\n"))
        .status(status)
        .add_property("DTSTAMP", basic(callback.created_at.0))
        .add_property("DTSTART", basic(callback.at.0))
        .add_property("DTEND", basic(callback.at.0 + Duration::from_secs(u64::from(SLOT_MINUTES) * 60)))
        .done();
    Calendar::new().push(event).done().to_string()
}

/// How much of a name goes into a calendar, in characters.
const SUMMARY_CHARS_MAX: usize = 100;

/// How much of a summary goes into a calendar, in characters.
const DESCRIPTION_CHARS_MAX: usize = 1_000;

fn plain(text: &str, chars_max: usize) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(chars_max).collect::<String>().trim().to_owned()
}

/// A UTC time as RFC 5545 §3.3.5 writes it, form 2.
fn basic(at: Wall) -> String {
    Zone::UTC.at(at).strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use baton_contract::{CallbackId, Context, IdSource};
    use baton_time::Mono;

    use super::*;
    use crate::roster::tests::ae;

    fn wall(text: &str) -> Wall {
        serde_json::from_value::<At>(text.into()).unwrap().0
    }

    fn roster(hours: &str, zone: &str) -> Roster {
        let mut michael = ae("michael", None);
        michael.hours = hours.parse().unwrap();
        michael.timezone = zone.parse().unwrap();
        Roster::new(vec![michael], vec![])
    }

    fn offered(hours: &str, at: &str, told_in: &str) -> Vec<(String, String)> {
        let roster = roster(hours, "America/New_York");
        let now = Now { mono: Mono::ZERO, wall: wall(at) };
        let slots = slots(&roster, now, &"michael".into(), told_in.parse().ok().as_ref(), &Hours::always());
        slots.into_iter().map(|slot| (slot.at.to_string(), slot.local)).collect()
    }

    fn pair(at: &str, local: &str) -> (String, String) {
        (at.to_owned(), local.to_owned())
    }

    #[test]
    fn two_slots_within_the_ae_s_hours_are_told_in_the_caller_s_zone() {
        assert_eq!(
            offered("Mon-Fri 09:00-17:00", "2026-03-02T20:05:00Z", "America/Chicago"),
            [
                pair("2026-03-02T21:00:00.000000Z", "Monday, March 2, 15:00"),
                pair("2026-03-03T14:00:00.000000Z", "Tuesday, March 3, 08:00"),
            ]
        );
    }

    #[test]
    fn slots_follow_the_clock_when_it_is_set_forward_and_back() {
        // Friday before and Monday after the night in which New York goes to summer time; Berlin goes three weeks later.
        assert_eq!(
            offered("Mon-Fri 09:00-11:00", "2026-03-06T23:00:00Z", "Europe/Berlin"),
            [
                pair("2026-03-09T13:00:00.000000Z", "Monday, March 9, 14:00"),
                pair("2026-03-10T13:00:00.000000Z", "Tuesday, March 10, 14:00"),
            ]
        );
        // 02:00-03:00 does not exist on 8 March 2026 in New York, and comes twice on 1 November.
        let gap = offered("Sun 02:00-03:00", "2026-03-08T05:00:00Z", "UTC");
        assert_eq!(gap[0].0, "2026-03-08T07:00:00.000000Z");
        let fold = offered("Sun 01:00-02:00", "2026-11-01T04:00:00Z", "America/New_York");
        assert_eq!(fold[0], pair("2026-11-01T05:00:00.000000Z", "Sunday, November 1, 01:00"));
        assert_eq!(fold[1], pair("2026-11-08T06:00:00.000000Z", "Sunday, November 8, 01:00"));
    }

    #[test]
    fn there_is_half_an_hour_of_notice_and_no_slot_past_the_end() {
        let slots = offered("Mon-Fri 09:00-17:00", "2026-03-06T21:15:00Z", "America/New_York");
        assert_eq!(slots[0].1, "Monday, March 9, 09:00");
        assert_eq!(offered("Mon 09:00-09:20", "2026-03-06T21:15:00Z", "UTC"), []);
    }

    #[test]
    fn a_slot_that_is_promised_is_not_offered_again() {
        let mut roster = roster("Mon-Fri 09:00-17:00", "UTC");
        let now = Now { mono: Mono::ZERO, wall: wall("2026-03-02T08:00:00Z") };
        let id = AeId::from("michael");
        let first = slots(&roster, now, &id, None, &Hours::always())[0].at;
        roster.book(&id, first);
        assert!(!free(&roster, now, &id).any(|at| At(at) == first));
        roster.unbook(&id, first);
        assert_eq!(slots(&roster, now, &id, None, &Hours::always())[0].at, first);
    }

    #[test]
    fn a_time_is_put_together_from_pieces() {
        let zone: Zone = "America/Chicago".parse().unwrap();
        let now = Now { mono: Mono::ZERO, wall: wall("2026-03-02T15:00:00Z") };
        let said = |at: &str| {
            spoken(now, At(wall(at)), &zone).map(|lines| lines.iter().map(|line| line.text()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(said("2026-03-02T21:00:00Z").as_deref(), Some("today at three o'clock p.m."));
        assert_eq!(said("2026-03-03T06:30:00Z").as_deref(), Some("tomorrow at twelve thirty a.m."));
        assert_eq!(said("2026-03-05T18:05:00Z").as_deref(), Some("on Thursday at twelve oh five p.m."));
        assert_eq!(said("2026-03-09T13:00:00Z").as_deref(), Some("on Monday next week at eight o'clock a.m."));
        assert_eq!(said("2026-03-20T13:00:00Z"), None);
        assert_eq!(said("2026-03-01T13:00:00Z"), None);
        assert_eq!(said("2026-03-03T13:01:00Z"), None);
    }

    #[test]
    fn a_calendar_entry_cannot_be_broken_out_of() {
        let mut ids = IdSource::seeded(4);
        let context: Context =
            serde_json::from_str(r#"{"caller":{"name":"Jamie\r\nATTENDEE:mailto:x@y"},"summary":"Wants; a, quote\\."}"#).unwrap();
        let callback = CallbackView {
            id: CallbackId::new(&mut ids, wall("2026-03-02T08:00:00Z")),
            state: CallbackState::Scheduled,
            call: None,
            transfer: None,
            ae: "michael".into(),
            caller: "+15550123".into(),
            at: At(wall("2026-03-03T14:00:00Z")),
            timezone: "America/Chicago".into(),
            context,
            created_at: At(wall("2026-03-02T08:00:00Z")),
            progress: Default::default(),
        };
        let text = ics(&callback, &roster("Mon-Fri 09:00-17:00", "UTC"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"DTSTART:20260303T140000Z"), "{text}");
        assert!(lines.contains(&"DTEND:20260303T143000Z"), "{text}");
        assert!(lines.contains(&"DTSTAMP:20260302T080000Z"), "{text}");
        assert!(!lines.iter().any(|line| line.starts_with("ATTENDEE")), "{text}");
        assert_eq!(text, ics(&callback, &roster("Mon-Fri 09:00-17:00", "UTC")), "the same callback gives the same bytes");
        assert_eq!(lines.iter().filter(|line| line.starts_with("BEGIN:VEVENT")).count(), 1, "{text}");
    }
}
