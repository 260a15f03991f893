//! Speech to text, by an HTTP server that speaks as OpenAI's does: `POST …/audio/transcriptions`.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_transfer::Language;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::config::Transcriber as Spec;
use crate::fetch::{Fetch, FetchError, Question};

/// The longest recording that is sent, in bytes: what the servers take, and 25 minutes.
const FILE_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The longest text that is kept, in characters.
const TEXT_CHARS_MAX: usize = 20_000;

/// Recordings that are under way at the same time; a further one waits.
const AT_ONCE_MAX: usize = 2;

/// Recordings that may wait; a further one gets no text.
const WAITING_MAX: usize = 64;

/// Somebody who writes down what was said.
pub(crate) struct Transcriber {
    spec: Spec,
    fetch: Arc<Fetch>,
    slots: Semaphore,
    waiting: AtomicU64,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoText {
    /// The recording cannot be read.
    #[error("the recording cannot be read: {0}")]
    NoFile(#[from] std::io::Error),
    /// It is longer than anybody takes.
    #[error("the recording is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Too many of them wait already.
    #[error("too many recordings wait for a text")]
    TooMany,
    /// The server did not answer.
    #[error("{0}")]
    NoAnswer(#[from] FetchError),
    /// The server refused.
    #[error("the server answered {0}")]
    Refused(hyper::StatusCode),
    /// The answer is no transcript.
    #[error("the answer is no transcript")]
    Unreadable,
}

/// What a server answers, as far as anybody wants to know.
#[derive(Deserialize)]
struct Heard {
    text: String,
}

impl Transcriber {
    /// Asks the server of the configuration.
    pub(crate) fn new(spec: Spec, fetch: Arc<Fetch>) -> Transcriber {
        Transcriber { spec, fetch, slots: Semaphore::new(AT_ONCE_MAX), waiting: AtomicU64::new(0) }
    }

    /// What is said in a WAV file, in the configured language.
    pub(crate) async fn text_of(&self, file: &Path) -> Result<String, NoText> {
        self.text_in(file, None).await
    }

    /// What is said in a WAV file, in this language if there is none configured.
    pub(crate) async fn text_in(&self, file: &Path, spoken: Option<Language>) -> Result<String, NoText> {
        let _place = Place::take(&self.waiting)?;
        let _slot = self.slots.acquire().await.map_err(|_| NoText::TooMany)?;
        if tokio::fs::metadata(file).await?.len() > FILE_BYTES_MAX {
            return Err(NoText::TooLong);
        }
        let sound = tokio::fs::read(file).await?;
        let answer = self.fetch.post(self.question(&sound, spoken)).await?;
        if !answer.status.is_success() {
            return Err(NoText::Refused(answer.status));
        }
        let heard: Heard = serde_json::from_slice(&answer.body).map_err(|_| NoText::Unreadable)?;
        Ok(clean(&heard.text))
    }

    fn question(&self, sound: &[u8], spoken: Option<Language>) -> Question {
        let boundary = boundary(sound);
        let mut headers = Vec::new();
        if let Ok(value) = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}")) {
            headers.push((CONTENT_TYPE, value));
        }
        if let Some(mut value) =
            self.spec.key.as_ref().and_then(|key| HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok())
        {
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        let mut fields = vec![("model", self.spec.model.as_str()), ("response_format", "json")];
        let language = self.spec.language.as_deref().or(spoken.as_ref().map(Language::tag));
        fields.extend(language.map(|language| ("language", language)));
        Question {
            target: self.spec.target.join("/audio/transcriptions"),
            reach: self.spec.reach,
            headers,
            body: form(&boundary, &fields, sound),
            within: self.spec.within,
            answer_max: Some(ANSWER_BYTES_MAX),
        }
    }
}

impl std::fmt::Debug for Transcriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcriber").field("target", &self.spec.target).finish_non_exhaustive()
    }
}

/// A place among those who wait; given back when it is dropped.
struct Place<'a>(&'a AtomicU64);

impl Place<'_> {
    fn take(waiting: &AtomicU64) -> Result<Place<'_>, NoText> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX as u64 {
            return Err(NoText::TooMany);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A line that does not occur in the recording.
fn boundary(sound: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(sound);
    digest[..16].iter().fold("baton-".to_owned(), |text, octet| format!("{text}{octet:02x}"))
}

/// A form as browsers send it (RFC 7578).
fn form(boundary: &str, fields: &[(&str, &str)], sound: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(sound.len() + 1_024);
    for (name, value) in fields {
        let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"voicemail.wav\"\r\nContent-Type: audio/wav";
    body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
    body.extend_from_slice(sound);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Bytes::from(body)
}

/// The text as one line without control characters: it is shown, logged and spoken.
fn clean(text: &str) -> String {
    let kept: String = text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}
