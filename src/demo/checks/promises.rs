//! What people are promised: a briefing, a page, a time, a call back.

use std::time::Duration;

use baton_party::{RATE, find};
use baton_time::Mono;

use super::Finding;
use crate::demo::cast::Role;
use crate::demo::evidence::Evidence;
use crate::demo::wav::mulaw;

/// The first sound of the briefing after the answer.
const BRIEFING_WITHIN: Duration = Duration::from_millis(200);
/// Anything louder is a voice.
const VOICE_DBFS: f64 = -40.0;
/// The worst cases of the budget, in milliseconds (interface: `[budget]`).
const WORST_MS: [(&str, u64); 4] = [("start", 1_000), ("ringing", 5_000), ("accept", 60_000), ("total", 90_000)];

/// What Baton says once a callback is booked.
const CONFIRMATIONS: [&[u8]; 2] =
    [include_bytes!("../../voice/prompts/we-will-call-you.wav"), include_bytes!("../../voice/prompts/callback-noted.wav")];

/// The AE hears the briefing soon after the answer.
pub(super) fn briefing(evidence: &Evidence) -> Option<Finding> {
    let answers: Vec<_> = evidence.aes().filter_map(|ae| Some((ae, ae.noted("answers")?))).collect();
    let waits: Vec<Option<Duration>> = answers
        .iter()
        .map(|(ae, answered)| {
            let voice = ae.heard.iter().find(|heard| heard.at >= *answered && heard.loudness_dbfs > VOICE_DBFS)?;
            Some(evidence.unstalled(*answered, voice.at))
        })
        .collect();
    let worst = waits.iter().copied().max_by_key(|wait| wait.unwrap_or(Duration::MAX))?;
    let says = worst.map_or("an AE never heard the briefing".to_owned(), |worst| {
        format!("the AE hears the briefing {} ms after answering", worst.as_millis())
    });
    Some(Finding::new("briefing", worst.is_some_and(|worst| worst <= BRIEFING_WITHIN), says))
}

/// The screen-pop can be read before the phone rings, and says who is calling.
pub(super) fn screen_pop(evidence: &Evidence) -> Option<Finding> {
    let invited: Vec<_> = evidence.aes().filter(|ae| ae.saw("INVITE", false).is_some()).collect();
    let mut faults = Vec::new();
    for ae in &invited {
        let Role::Ae(id) = &ae.role else { continue };
        match (evidence.book.pops.get(id), ae.noted("rings")) {
            (None, _) => faults.push(format!("{id}: not looked at")),
            (Some(pop), _) if pop.status != 200 => faults.push(format!("{id}: {} {}", pop.status, brief(&pop.page))),
            (Some(pop), Some(rings)) if pop.at > rings => faults.push(format!("{id}: there only after the phone rang")),
            (Some(pop), _) if !pop.page.contains("Jamie") => faults.push(format!("{id}: the page does not say who is calling")),
            (Some(_), _) => {}
        }
    }
    let says =
        if faults.is_empty() { "readable before the phone rings, and says who is calling".to_owned() } else { faults.join("; ") };
    (!invited.is_empty()).then(|| Finding::new("screen-pop", faults.is_empty(), says))
}

fn brief(text: &str) -> String {
    text.chars().take(120).collect()
}

/// No stage took longer than its worst case.
pub(super) fn budget(evidence: &Evidence) -> Option<Finding> {
    let stages = evidence.book.transfer.as_ref().map(|transfer| transfer["stages_ms"].clone()).unwrap_or_default();
    let found: Vec<_> = WORST_MS.iter().filter_map(|(stage, worst)| Some((*stage, stages[*stage].as_u64()?, *worst))).collect();
    let missing = evidence.story.bridges() && found.len() < WORST_MS.len();
    let says = found.iter().map(|(stage, took, _)| format!("{stage} {took} ms")).collect::<Vec<_>>().join(", ");
    let says = if missing { format!("a stage has no figure: {says}") } else { says };
    Some(Finding::new("budget", !missing && found.iter().all(|(_, took, worst)| took <= worst), says))
}

/// The callback was committed before the caller was told.
pub(super) fn callback_kept_on_disk(evidence: &Evidence) -> Option<Finding> {
    const CLIP_SAMPLES: usize = 3_000;
    if evidence.story.outcome != "callback_scheduled" {
        return None;
    }
    let caller = evidence.caller()?;
    let picked = caller.noted("picks").unwrap_or(evidence.end());
    let heard = caller.record.heard.between(picked, evidence.end());
    let begin = |wav: &[u8]| mulaw(wav).into_iter().take(CLIP_SAMPLES).collect::<Vec<i16>>();
    let place = CONFIRMATIONS.into_iter().filter_map(|wav| find(&begin(wav), heard, 0.7)).min();
    let spoken = place.map(|place| picked + Duration::from_micros(place as u64 * 1_000_000 / u64::from(RATE)));
    let committed: Option<Mono> = evidence.event("callback.scheduled").map(|event| event.at);
    let ok = committed.zip(spoken).is_some_and(|(committed, spoken)| committed <= spoken);
    let after = |at: Option<Mono>| at.map_or("never".to_owned(), |at| format!("{} ms", at.since(picked).as_millis()));
    let says = format!("after the key: on disk {}, spoken {}", after(committed), after(spoken));
    Some(Finding::new("committed-before-spoken", ok, says))
}

/// The calendar entry of the callback is there.
pub(super) fn calendar(evidence: &Evidence) -> Option<Finding> {
    if evidence.story.outcome != "callback_scheduled" {
        return None;
    }
    let text = evidence.book.calendar.as_ref().map_or("", |(_, text)| text.as_str());
    let missing: Vec<&str> = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART", "UID", "END:VCALENDAR"]
        .into_iter()
        .filter(|part| !text.contains(part))
        .collect();
    let says = if missing.is_empty() {
        "callback.ics is there".to_owned()
    } else {
        format!("callback.ics lacks {}", missing.join(", "))
    };
    Some(Finding::new("calendar", missing.is_empty(), says))
}
