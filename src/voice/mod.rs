//! What Baton says and plays: shipped lines, hold music, and voices that speak briefings.

mod files;
mod http;
mod music;
mod program;
mod shipped;
mod sound;
mod wav;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_media::Clip;
use baton_transfer::{Language, Line};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::config::{HttpVoice, VoiceSpec};
use crate::fetch::Fetch;

use files::Files;
use http::Remote;
use program::Program;
pub(crate) use shipped::lines;
use wav::Wave;

/// The spoken lines, each with its recording.
pub(crate) fn prompts() -> BTreeMap<Line, Arc<Clip>> {
    shipped::prompts()
}

/// The hold music: a loop of 24 seconds.
pub(crate) fn music() -> Arc<Clip> {
    Arc::new(music::music())
}

/// Something that turns text into sound.
#[async_trait]
trait Voice: Send + Sync {
    /// What it is called in logs.
    fn name(&self) -> &'static str;

    /// Whether it speaks a language.
    fn speaks(&self, _language: Language) -> bool {
        true
    }

    /// The sound of `text`, which is one line without control characters, in a language that it speaks. Dropping the future ends the
    /// work.
    async fn render(&self, text: &str, language: Language) -> Result<Wave, VoiceError>;
}

/// Why a voice did not speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum VoiceError {
    /// There is no such program.
    #[error("{0} is not installed")]
    NotInstalled(&'static str),
    /// There is no recording of these words.
    #[error("nobody has recorded these words")]
    NoRecording,
    /// It did not work out.
    #[error("{voice}: {why}")]
    Failed {
        /// Whose fault it is.
        voice: &'static str,
        /// What it says.
        why: String,
    },
}

/// A text as sound, ready to be played.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    /// The sound: 8 kHz, levelled, beginning with its first sound.
    pub(crate) clip: Arc<Clip>,
    /// How fast it was spoken.
    pub(crate) words_per_second: f64,
    /// Which voice spoke.
    pub(crate) voice: &'static str,
}

/// Nobody could speak the text in time; a shipped line takes its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unrendered {
    /// There was no time left.
    #[error("no voice was ready within {0:?}")]
    Late(Duration),
    /// There is nothing to say.
    #[error("there is nothing to say")]
    Empty,
    /// Every voice failed; the reasons in their order.
    #[error("no voice could speak: {0}")]
    Failed(String),
}

/// The voices of this machine, tried in their order, and what they have said lately.
pub(crate) struct Voices {
    voices: Vec<Box<dyn Voice>>,
    cache: Mutex<Cache>,
    patience: Duration,
    language: Language,
}

impl fmt::Debug for Voices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.voices.iter().map(|voice| voice.name())).finish()
    }
}

/// The longest text that is spoken, in characters: half a minute and more.
const TEXT_CHARS_MAX: usize = 2_000;

/// How long a text may take.
const RENDER_MAX: Duration = Duration::from_secs(2);

/// What is left for the next voice after the slowest one has failed.
const AFTER_SLOWEST: Duration = Duration::from_secs(1);

/// How long the sample sentence may take.
const SAMPLE_DEADLINE: Duration = Duration::from_secs(2);
/// The sentence by which the speed of a voice is measured.
const SAMPLE: &str = "Jamie, head of operations at NovaCorp, is calling about pricing. They asked for a person. \
                      The next step is to offer the annual plan, and to agree on a date.";

impl Voices {
    /// The shipped recordings first, then the configured voices in their order.
    pub(crate) fn new(language: Language, specs: &[VoiceSpec], remote: &[HttpVoice], fetch: &Arc<Fetch>) -> Voices {
        let shipped: Box<dyn Voice> = Box::new(Files::shipped());
        let configured = specs.iter().filter_map(|spec| -> Option<Box<dyn Voice>> {
            Some(match spec {
                VoiceSpec::Files(directory) => Box::new(Files::in_directory(directory)),
                VoiceSpec::Flite(voice) => Box::new(Program::flite(voice)),
                VoiceSpec::EspeakNg(voice) => Box::new(Program::espeak_ng(voice)),
                VoiceSpec::Http(name) => Box::new(Remote::new(remote.iter().find(|voice| voice.name == *name)?, fetch)),
            })
        });
        let slowest = remote.iter().map(|voice| voice.within).max().unwrap_or_default();
        let patience = RENDER_MAX.max(slowest + AFTER_SLOWEST);
        Voices {
            voices: std::iter::once(shipped).chain(configured).collect(),
            cache: Mutex::new(Cache::default()),
            patience,
            language,
        }
    }

    /// How long a text may take altogether: the slowest voice over HTTP, and time for another one after it.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Speaks `text` in the usual language.
    pub(crate) async fn render(&self, text: &str, deadline: Duration) -> Result<Rendered, Unrendered> {
        self.render_in(self.language, text, deadline).await
    }

    /// Speaks `text` within `deadline`, or says why not. The same text is not rendered twice while it is remembered.
    pub(crate) async fn render_in(&self, language: Language, text: &str, deadline: Duration) -> Result<Rendered, Unrendered> {
        let text = clean(text);
        if !text.chars().any(char::is_alphanumeric) {
            return Err(Unrendered::Empty);
        }
        let key: Key = Sha256::new().chain_update(language.tag()).chain_update(text.as_bytes()).finalize().into();
        if let Some(rendered) = self.cache.lock().get(&key) {
            return Ok(rendered);
        }
        let rendered =
            tokio::time::timeout(deadline, self.speak(language, &text)).await.map_err(|_| Unrendered::Late(deadline))??;
        self.cache.lock().put(key, rendered.clone());
        Ok(rendered)
    }

    /// The measured speed of the voice that speaks here; the usual one where none is installed.
    pub(crate) async fn words_per_second(&self) -> f64 {
        match self.render(SAMPLE, SAMPLE_DEADLINE).await {
            Ok(rendered) => rendered.words_per_second,
            Err(error) => {
                tracing::warn!(%error, "no-briefing-voice");
                baton_transfer::briefing::WORDS_PER_SECOND
            }
        }
    }

    async fn speak(&self, language: Language, text: &str) -> Result<Rendered, Unrendered> {
        let mut reasons = Vec::new();
        for voice in &self.voices {
            if !voice.speaks(language) {
                continue;
            }
            let begun = Instant::now();
            match voice.render(text, language).await {
                Ok(wave) => match ready(wave).await {
                    Some(samples) => {
                        let rendered = Rendered::new(voice.name(), text, samples);
                        tracing::debug!(voice = rendered.voice, ms = begun.elapsed().as_millis(), "briefing-rendered");
                        return Ok(rendered);
                    }
                    None => reasons.push(format!("{} gave no sound", voice.name())),
                },
                Err(VoiceError::NoRecording) => {}
                Err(error @ (VoiceError::NotInstalled(_) | VoiceError::Failed { .. })) => reasons.push(error.to_string()),
            }
        }
        Err(Unrendered::Failed(if reasons.is_empty() { "no voice is configured".to_owned() } else { reasons.join(", ") }))
    }
}

/// Makes a voice's sound ready; the computing is kept away from the threads that wait for sockets.
async fn ready(wave: Wave) -> Option<Vec<i16>> {
    tokio::task::spawn_blocking(move || sound::speech(&wave)).await.ok().filter(|samples| !samples.is_empty())
}

impl Rendered {
    fn new(voice: &'static str, text: &str, samples: Vec<i16>) -> Rendered {
        let clip = Arc::new(Clip::new("briefing", samples));
        let seconds = clip.duration().as_secs_f64().max(0.1);
        let words_per_second = text.split_whitespace().count() as f64 / seconds;
        Rendered { clip, words_per_second, voice }
    }
}

/// The text as one line that no voice takes for anything but text.
fn clean(text: &str) -> String {
    let kept: String =
        text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() || "<>[]{}\\|`~^*".contains(c) { ' ' } else { c }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ").trim_start_matches(['-', ' ']).to_owned()
}

/// The hash of a text.
type Key = [u8; 32];

/// What was said lately, bounded by its sound: the least recently used goes first.
#[derive(Default)]
struct Cache {
    entries: BTreeMap<Key, (u64, Rendered)>,
    clock: u64,
    samples: usize,
}

/// The most sound that is remembered, in samples: four minutes, or 4 MB.
const CACHE_SAMPLES_MAX: usize = 2_000_000;

impl Cache {
    fn get(&mut self, key: &Key) -> Option<Rendered> {
        self.clock += 1;
        let (used, rendered) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(rendered.clone())
    }

    fn put(&mut self, key: Key, rendered: Rendered) {
        self.clock += 1;
        self.samples += rendered.clip.samples().len();
        if let Some((_, old)) = self.entries.insert(key, (self.clock, rendered)) {
            self.samples -= old.clip.samples().len();
        }
        while self.samples > CACHE_SAMPLES_MAX {
            let Some(oldest) = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key) else { return };
            if let Some((_, gone)) = self.entries.remove(&oldest) {
                self.samples -= gone.clip.samples().len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
