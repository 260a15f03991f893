//! Ready recordings: a directory with `NAME.wav` and `NAME.txt`, and those that are shipped, looked up by their words.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use baton_transfer::Language;

use super::shipped;
use super::wav::{self, Wave};
use super::{Voice, VoiceError};

/// Files of a directory that are looked at; more are not a set of recordings.
const FILES_MAX: usize = 10_000;
/// The longest text or recording, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Recordings, by their words.
pub(super) struct Files {
    by_words: BTreeMap<String, Recording>,
}

enum Recording {
    Shipped(&'static [u8]),
    OnDisk(PathBuf),
}

impl Files {
    /// What is part of the program.
    pub(super) fn shipped() -> Files {
        let by_words = shipped::briefings().map(|(text, bytes)| (words(text), Recording::Shipped(bytes))).collect();
        Files { by_words }
    }

    /// What lies in a directory now; a directory that cannot be read has nothing.
    pub(super) fn in_directory(directory: &Path) -> Files {
        let mut by_words = BTreeMap::new();
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "voice-files-unreadable");
                return Files { by_words };
            }
        };
        for path in entries.flatten().take(FILES_MAX).map(|entry| entry.path()) {
            let recording = path.with_extension("wav");
            if path.extension().is_some_and(|extension| extension == "txt")
                && let Ok(text) = bounded(&path)
                && recording.is_file()
            {
                by_words.insert(words(&String::from_utf8_lossy(&text)), Recording::OnDisk(recording));
            }
        }
        Files { by_words }
    }
}

#[async_trait]
impl Voice for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    async fn render(&self, text: &str, _language: Language) -> Result<Wave, VoiceError> {
        let failed = |why: String| VoiceError::Failed { voice: "files", why };
        match self.by_words.get(&words(text)) {
            None => Err(VoiceError::NoRecording),
            Some(Recording::Shipped(bytes)) => wav::read(bytes).map_err(|error| failed(error.to_string())),
            Some(Recording::OnDisk(path)) => {
                let path = path.clone();
                let bytes =
                    tokio::task::spawn_blocking(move || bounded(&path)).await.map_err(|error| failed(error.to_string()))?;
                wav::read(&bytes.map_err(|error| failed(error.to_string()))?).map_err(|error| failed(error.to_string()))
            }
        }
    }
}

/// A text as it is looked up: its words in lower case, without punctuation.
fn words(text: &str) -> String {
    let bare: String =
        text.chars().map(|c| if c.is_alphanumeric() { c.to_lowercase().next().unwrap_or(c) } else { ' ' }).collect();
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_and_case_do_not_matter() {
        assert_eq!(words("Jamie, VP Ops at\nNovaCorp:  hello!"), "jamie vp ops at novacorp hello");
        assert_eq!(words("…"), "");
    }

    #[tokio::test]
    async fn what_nobody_recorded_is_left_to_the_next_voice() {
        assert!(matches!(Files::shipped().render("Something new.", Language::ENGLISH).await, Err(VoiceError::NoRecording)));
        let nowhere = Files::in_directory(Path::new("no/such/directory"));
        assert!(matches!(nowhere.render("Something new.", Language::ENGLISH).await, Err(VoiceError::NoRecording)));
    }

    #[tokio::test]
    async fn a_recording_is_found_by_its_words() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/voice/briefings");
        let files = Files::in_directory(&here);
        for (text, _) in shipped::briefings() {
            let wave = files.render(&text.to_uppercase(), Language::ENGLISH).await.expect(text);
            assert_eq!(wave, Files::shipped().render(text, Language::ENGLISH).await.expect(text));
        }
    }
}
