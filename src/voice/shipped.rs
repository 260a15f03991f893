//! Recordings that are part of the program, and the words in them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use baton_media::Clip;
use baton_transfer::Line;

use super::wav;

/// A recording by its slug.
type Recording = (&'static str, &'static [u8]);

macro_rules! recordings {
    ($folder:literal: $($slug:literal,)*) => {
        &[$(($slug, include_bytes!(concat!($folder, $slug, ".wav")).as_slice())),*]
    };
}

/// The spoken lines, each with its recording.
pub(super) fn prompts() -> BTreeMap<Line, Arc<Clip>> {
    let by_slug: BTreeMap<&str, &[u8]> = PROMPTS.iter().copied().collect();
    let clip = |line: &Line| by_slug.get(line.slug()).map(|bytes| (*line, Arc::new(clip(line.slug(), bytes))));
    Line::all().iter().filter_map(clip).collect()
}

fn clip(slug: &str, bytes: &[u8]) -> Clip {
    // A test reads every recording that is shipped.
    Clip::new(slug, wav::read(bytes).map(|wave| wave.samples).unwrap_or_default())
}

/// What the people of the demo say.
pub(crate) mod lines {
    use super::{Arc, BTreeMap, Clip, LINES, OnceLock, clip};

    struct Spoken {
        text: String,
        speaker: String,
        clip: Arc<Clip>,
    }

    /// The text, the speaker and the recording of a line, by its slug.
    pub(crate) fn line(slug: &str) -> Option<(&'static str, &'static str, Arc<Clip>)> {
        static ALL: OnceLock<BTreeMap<String, Spoken>> = OnceLock::new();
        let spoken = ALL.get_or_init(read).get(slug)?;
        Some((&spoken.text, &spoken.speaker, Arc::clone(&spoken.clip)))
    }

    fn read() -> BTreeMap<String, Spoken> {
        let listing = toml_edit::Document::parse(include_str!("../demo/lines/lines.toml")).ok();
        let tables = listing.as_ref().and_then(|listing| listing.get("line")).and_then(toml_edit::Item::as_array_of_tables);
        let spoken = |table: &toml_edit::Table| {
            let field = |key: &str| table.get(key).and_then(toml_edit::Item::as_str).map(str::to_owned);
            let slug = field("slug")?;
            let (_, bytes) = LINES.iter().find(|(name, _)| *name == slug)?;
            let clip = Arc::new(clip(&slug, bytes));
            Some((slug, Spoken { text: field("text")?, speaker: field("speaker")?, clip }))
        };
        tables.into_iter().flatten().filter_map(spoken).collect()
    }
}

/// Briefings that are shipped, so that the demo's can be heard where no voice is installed: text and recording.
pub(super) fn briefings() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    BRIEFINGS.iter().map(|(text, bytes)| (text.trim(), *bytes))
}

macro_rules! briefings {
    ($($name:literal,)*) => {
        &[$((include_str!(concat!("briefings/", $name, ".txt")), include_bytes!(concat!("briefings/", $name, ".wav")).as_slice())),*]
    };
}

const BRIEFINGS: &[(&str, &[u8])] = briefings!(
    "warm",
    "warm-short",
    "backup",
    "backup-short",
    "callback",
    "callback-short",
    "decline",
    "decline-short",
    "abandon",
    "abandon-short",
    "refer",
    "refer-short",
);

const PROMPTS: &[Recording] = recordings!("prompts/":
    "one-moment",
    "still-trying",
    "trying-someone-else",
    "nobody-free",
    "press-one-for",
    "press-two-for",
    "to-hear-again-press",
    "we-will-call-you",
    "callback-noted",
    "not-booked",
    "back-to-assistant",
    "we-lost-them",
    "call-again-later",
    "goodbye",
    "caller-waiting",
    "to-accept-press",
    "to-decline-press",
    "caller-has-left",
    "no-longer-waiting",
    "callback-for-you",
    "to-be-connected-press",
    "or-say-yes",
    "this-is-your-callback",
    "calling-them",
    "not-reached",
    "we-tried-to-call",
    "when-to-call",
    "leave-message",
    "beep",
    "message-kept",
    "message-not-kept",
    "handing-back",
    "assistant-not-there",
    "today",
    "tomorrow",
    "next-week",
    "o-clock",
    "am",
    "pm",
    "key-0",
    "key-1",
    "key-2",
    "key-3",
    "key-4",
    "key-5",
    "key-6",
    "key-7",
    "key-8",
    "key-9",
    "key-star",
    "key-pound",
    "hour-1",
    "hour-2",
    "hour-3",
    "hour-4",
    "hour-5",
    "hour-6",
    "hour-7",
    "hour-8",
    "hour-9",
    "hour-10",
    "hour-11",
    "hour-12",
    "minute-05",
    "minute-10",
    "minute-15",
    "minute-20",
    "minute-25",
    "minute-30",
    "minute-35",
    "minute-40",
    "minute-45",
    "minute-50",
    "minute-55",
    "on-monday",
    "on-tuesday",
    "on-wednesday",
    "on-thursday",
    "on-friday",
    "on-saturday",
    "on-sunday",
);

const LINES: &[Recording] = recordings!("../demo/lines/":
    "ava-hello",
    "michael-pickup",
    "sara-pickup",
    "michael-take-it",
    "sara-take-it",
    "jamie-nice-music",
    "jamie-pricing",
    "ava-pricing",
    "jamie-person",
    "ava-bring-michael",
    "michael-pricing",
    "jamie-no-repeat",
    "michael-offer",
    "jamie-ten",
    "michael-bye",
    "jamie-security",
    "ava-security",
    "sara-security",
    "jamie-right",
    "sara-report",
    "jamie-thanks-sara",
    "sara-bye",
    "jamie-import",
    "ava-import",
    "jamie-first-one",
    "jamie-talk-then",
    "jamie-contract",
    "ava-contract",
    "sara-no",
    "ava-back",
    "jamie-fine",
    "ava-bye",
    "jamie-invoice",
    "ava-invoice",
    "jamie-must-run",
    "jamie-upgrade",
    "ava-upgrade",
    "michael-upgrade",
    "jamie-fifty",
    "michael-done",
    "jamie-service",
    "ava-sure",
    "jamie-thank-you",
    "jamie-address",
    "ava-through",
    "sara-address",
    "jamie-moved",
    "sara-noted",
    "jamie-yes",
    "michael-as-promised",
    "jamie-on-time",
    "jamie-message",
    "ava-message",
    "jamie-voicemail",
    "michael-survey",
    "ava-again",
    "jamie-monday",
    "ava-introduces",
    "ava-dies",
    "jamie-gone",
    "sara-gone",
    "ava-calls",
    "jamie-keep",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(text: &str) -> Vec<(String, String)> {
        let document = toml_edit::Document::parse(text).unwrap();
        let tables = document["line"].as_array_of_tables().unwrap();
        tables
            .iter()
            .map(|table| (table["slug"].as_str().unwrap().to_owned(), table["text"].as_str().unwrap().to_owned()))
            .collect()
    }

    fn loudness(clip: &Clip) -> f64 {
        let frames =
            clip.samples().chunks(80).map(|frame| frame.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum::<f64>() / 80.0);
        let spoken: Vec<f64> = frames.filter(|power| *power > 1e-4).collect();
        10.0 * (spoken.iter().sum::<f64>() / spoken.len() as f64).log10()
    }

    fn is_fit_to_be_heard(clip: &Clip) {
        let peak = clip.samples().iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        assert!(peak <= 16_800, "{clip:?} has a peak of {peak}");
        assert!((-23.0..-17.0).contains(&loudness(clip)), "{clip:?} has {} dBFS", loudness(clip));
        assert!(clip.samples()[..400].iter().any(|sample| sample.unsigned_abs() > 100), "{clip:?} begins late");
    }

    #[test]
    fn every_line_has_a_recording_of_exactly_its_words() {
        let recorded: BTreeMap<String, String> = listing(include_str!("prompts/prompts.toml")).into_iter().collect();
        let clips = prompts();
        for line in Line::all() {
            assert_eq!(recorded.get(line.slug()).map(String::as_str), Some(line.text()), "{line:?}");
            is_fit_to_be_heard(&clips[&line]);
        }
        assert_eq!(recorded.len(), Line::all().len(), "a recording of no line");
        assert_eq!(PROMPTS.len(), recorded.len());
    }

    #[test]
    fn what_an_ae_hears_when_nobody_waits_any_more_is_short() {
        let clips = prompts();
        for line in [Line::CallerHasLeft, Line::NoLongerWaiting, Line::NotReached] {
            assert!(clips[&line].duration() <= std::time::Duration::from_secs(2), "{line:?}");
        }
    }

    #[test]
    fn every_line_of_the_demo_has_a_recording() {
        let listed = listing(include_str!("../demo/lines/lines.toml"));
        assert_eq!(listed.len(), LINES.len());
        for (slug, text) in listed {
            let (words, speaker, clip) = lines::line(&slug).expect(&slug);
            assert_eq!(words, text);
            assert!(["jamie", "ava", "michael", "sara"].contains(&speaker), "{speaker}");
            is_fit_to_be_heard(&clip);
        }
        assert!(lines::line("nobody").is_none());
    }

    #[test]
    fn shipped_briefings_can_be_read() {
        for (text, bytes) in briefings() {
            assert!(!text.is_empty());
            is_fit_to_be_heard(&clip("briefing", bytes));
        }
    }
}
