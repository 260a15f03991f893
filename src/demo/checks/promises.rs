//! What people are promised: a briefing, a page, a time, a call back.

use std::time::Duration;

use baton_party::{Pilot, RATE, find};
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
    let is_warm = evidence.aes().any(|ae| ae.noted("answers").is_some()); // without a briefing there are fewer stages
    let missing = evidence.story.bridges() && found.len() < if is_warm { WORST_MS.len() } else { 1 };
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

/// A callback comes when it was promised, rings the AE first, and brings nobody together before the caller has confirmed.
pub(super) fn callback_in_order(evidence: &Evidence) -> Option<Finding> {
    const LATE_MAX: Duration = Duration::from_secs(5);
    let callback = evidence.book.callback.as_ref()?;
    let (ae, pilot) = evidence.taker()?;
    let caller = evidence.caller()?;
    let promised = callback["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let begun = evidence.event("call.started").and_then(|event| event.event["at"].as_str()?.parse::<jiff::Timestamp>().ok());
    let late = promised.zip(begun).map(|(promised, begun)| begun.duration_since(promised).as_secs_f64());
    let accepted = ae.noted("accepts");
    let dialled = caller.saw("INVITE", false);
    let in_order = accepted.zip(dialled).is_some_and(|(accepted, dialled)| accepted <= dialled);
    let confirmed = evidence.accepted().unwrap_or(evidence.end());
    let early = caller.first_heard(pilot, Mono::ZERO, confirmed).or(ae.first_heard(Pilot::Caller, Mono::ZERO, confirmed));
    let told = evidence.event("callback.kept").is_some();
    let in_time = late.is_some_and(|late| (-1.0..=LATE_MAX.as_secs_f64()).contains(&late));
    let says = format!(
        "begun {} after its time; the caller was dialled {} the AE had accepted; {} before the caller's key; callback.kept was {}",
        late.map_or("never".to_owned(), |late| format!("{late:.1} s")),
        if in_order { "after" } else { "before" },
        if early.is_none() { "nobody heard the other" } else { "they heard each other" },
        if told { "told" } else { "not told" }
    );
    Some(Finding::new("callback-in-order", in_time && in_order && early.is_none() && told, says))
}

/// A caller is told what to do, and the message that they have left holds speech.
pub(super) fn message(evidence: &Evidence) -> Option<Finding> {
    const TONE_DBFS: f64 = -30.0;
    if evidence.story.outcome != "voicemail" {
        return None;
    }
    let caller = evidence.caller()?;
    let asked = evidence.asked()?;
    let spoke = caller.noted("jamie-voicemail").unwrap_or(evidence.end());
    let loud = |heard: &&crate::demo::evidence::Heard| heard.at >= asked && heard.at < spoke && heard.loudness_dbfs > TONE_DBFS;
    let told = caller.heard.iter().filter(loud).count();
    let transfer = evidence.book.transfer.clone().unwrap_or_default();
    let [kept, speech] = ["duration_ms", "speech_ms"].map(|key| transfer["message"][key].as_u64().unwrap_or(0));
    let ended = evidence.event("transfer.ended").map(|event| event.at);
    let ok = told > 20 && kept >= 1_000 && speech >= 1_000 && ended.is_some() && transfer["outcome"] == "voicemail";
    let says = format!(
        "the caller was told what to do, and left a message of {:.1} s with {:.1} s of speech",
        kept as f64 / 1e3,
        speech as f64 / 1e3
    );
    Some(Finding::new("message", ok, says))
}
