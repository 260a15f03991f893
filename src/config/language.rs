//! `[[language]]`: what Baton says, and the words of briefings, in a language.

use std::path::PathBuf;

use baton_transfer::{Language, Phrases};

use super::value;
use super::walk::{Found, Section, Walk};

/// A language as it is configured.
#[derive(Debug)]
pub(super) struct Tongue {
    pub(super) language: Language,
    /// Where its recordings and texts lie.
    pub(super) prompts: Option<PathBuf>,
    pub(super) phrases: Phrases,
}

pub(super) fn read(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Option<Tongue>> {
    let language = at.required(walk, "tag", "\"nl\"", value::language);
    let prompts = at.text(walk, "prompts", value::plain).map(PathBuf::from);
    let mut phrases = Phrases::of(language.unwrap_or_default());
    for name in Phrases::NAMES {
        let words = at.text(walk, name, |text| Ok(text.to_owned()));
        if let Some(fault) = words.and_then(|words| phrases.set(name, &words).err()) {
            at.fault(walk, name, fault.to_string());
        }
    }
    at.finish(walk, &[], language.map(|language| Tongue { language, prompts, phrases }))
}
