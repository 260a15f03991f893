//! `[[mode]]`: the decision table for transfers whose request does not say of which kind they are.

use baton_contract::Mode;
use baton_transfer::{Choice, Preference, Urgency};

use super::value;
use super::walk::{Found, Parsed, Section, Walk};

pub(super) fn read(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Option<Choice>> {
    let mode = at.required(walk, "mode", "\"scheduled\"", mode);
    let urgency = at.text(walk, "urgency", |text| named(text, &Urgency::NAMES));
    let preference = at.text(walk, "preference", |text| named(text, &Preference::NAMES));
    let (available, open) = (at.flag(walk, "available"), at.flag(walk, "open"));
    at.finish(walk, &[], mode.map(|mode| Choice { urgency, preference, available, open, mode }))
}

/// `warm | cold | scheduled | voicemail`
fn mode(text: &str) -> Parsed<Mode> {
    named(text, &[Mode::Warm, Mode::Cold, Mode::Scheduled, Mode::Voicemail].map(|mode| (mode.name(), mode)))
}

fn named<T: Copy>(text: &str, known: &[(&str, T)]) -> Parsed<T> {
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.map_or_else(|| value::one_of(text, &known.iter().map(|(name, _)| *name).collect::<Vec<_>>(), &[]), Ok)
}
