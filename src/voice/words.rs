//! What Baton itself says, in languages other than English: words that a voice speaks, or recordings of somebody's own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use baton_media::Clip;
use baton_transfer::{Language, Line};

use super::{Voices, sound, wav};

/// The longest recording or text of a line, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// After so many lines in a row that nobody could speak the others are not tried.
const FAILURES_MAX: usize = 3;

/// The built-in words of a language; none where it has none.
pub(super) fn built_in(language: Language) -> BTreeMap<Line, String> {
    let text = match language {
        Language::GERMAN => include_str!("words/de.toml"),
        Language::SPANISH => include_str!("words/es.toml"),
        Language::FRENCH => include_str!("words/fr.toml"),
        _ => return BTreeMap::new(),
    };
    // A test reads every one of them.
    let Ok(listing) = toml_edit::Document::parse(text) else { return BTreeMap::new() };
    let words = |line: Line| Some((line, listing.get(line.slug())?.as_str()?.to_owned()));
    Line::all().into_iter().filter_map(words).collect()
}

impl Voices {
    /// The lines in a language: `SLUG.wav` in `folder`, else what a voice of this language makes of `SLUG.txt` there, or of the built-in
    /// words. Lines that cannot be had are not among them.
    pub(crate) async fn lines_in(&self, language: Language, folder: Option<&Path>) -> BTreeMap<Line, Arc<Clip>> {
        let words = built_in(language);
        let (mut clips, mut failures) = (BTreeMap::new(), 0);
        for line in Line::all().into_iter().filter(|line| *line != Line::Beep) {
            let file = |kind: &str| folder.map(|folder| folder.join(format!("{}.{kind}", line.slug())));
            if let Some(clip) = file("wav").and_then(|path| recorded(line, &path)) {
                clips.insert(line, Arc::new(clip));
                continue;
            }
            let own = file("txt").and_then(|path| bounded(&path)).and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = own.or_else(|| words.get(&line).cloned()).filter(|_| failures < FAILURES_MAX) else { continue };
            match self.render_in(language, &text, self.patience()).await {
                Ok(rendered) => {
                    clips.insert(line, rendered.clip);
                    failures = 0;
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%language, line = line.slug(), %error, "line-not-spoken");
                }
            }
        }
        clips
    }
}

fn recorded(line: Line, path: &Path) -> Option<Clip> {
    let bytes = bounded(path)?;
    match wav::read(&bytes) {
        Ok(wave) => Some(Clip::new(line.slug(), sound::speech(&wave))).filter(|clip| !clip.samples().is_empty()),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "recording-unreadable");
            None
        }
    }
}

fn bounded(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_language_has_words_for_every_line() {
        for language in Language::BUILT_IN.into_iter().filter(|language| *language != Language::ENGLISH) {
            let words = built_in(language);
            for line in Line::all().into_iter().filter(|line| *line != Line::Beep) {
                assert!(words.get(&line).is_some_and(|text| !text.trim().is_empty()), "{language}: {}", line.slug());
            }
            let sentences = words.iter().filter(|(line, _)| line.text().ends_with('.') && !line.text().ends_with(".m."));
            for (line, text) in sentences {
                assert!(text.ends_with(['.', '?']), "{language}: {line:?} is a sentence");
            }
        }
        assert!(built_in(Language::ENGLISH).is_empty());
    }
}
