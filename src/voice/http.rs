//! Voices behind an HTTP server that speaks as OpenAI's does: `POST …/audio/speech`.

use std::sync::Arc;

use async_trait::async_trait;
use baton_transfer::Language;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use tokio::sync::Semaphore;

use super::wav::{self, Wave};
use super::{Voice, VoiceError};
use crate::config::HttpVoice;
use crate::fetch::{Fetch, Question};

/// The most sound that a server may give, in bytes: a minute and a half at 48 kHz.
const WAV_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Requests to one voice at the same time; a further one waits within its deadline.
const AT_ONCE_MAX: usize = 4;

/// What voices over HTTP are called where it does not matter which one it is.
const NAME: &str = "http";

/// A voice over HTTP.
pub(super) struct Remote {
    spec: HttpVoice,
    fetch: Arc<Fetch>,
    slots: Semaphore,
}

impl Remote {
    pub(super) fn new(spec: &HttpVoice, fetch: &Arc<Fetch>) -> Remote {
        Remote { spec: spec.clone(), fetch: fetch.clone(), slots: Semaphore::new(AT_ONCE_MAX) }
    }

    fn question(&self, text: &str) -> Question {
        let asked = serde_json::json!({
            "model": self.spec.model,
            "voice": self.spec.voice,
            "input": text,
            "response_format": "wav",
        });
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        if let Some(key) = &self.spec.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).unwrap_or(HeaderValue::from_static(""));
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        Question {
            target: self.spec.target.join("/audio/speech"),
            reach: self.spec.reach,
            headers,
            body: Bytes::from(asked.to_string()),
            within: self.spec.within,
            answer_max: Some(WAV_BYTES_MAX),
        }
    }

    fn failed(&self, why: impl std::fmt::Display) -> VoiceError {
        VoiceError::Failed { voice: NAME, why: format!("{}: {why}", self.spec.name) }
    }
}

#[async_trait]
impl Voice for Remote {
    fn name(&self) -> &'static str {
        NAME
    }

    fn speaks(&self, language: Language) -> bool {
        self.spec.language.as_deref().is_none_or(|tag| Language::of_tag(tag) == Ok(language))
    }

    async fn render(&self, text: &str, _language: Language) -> Result<Wave, VoiceError> {
        // Waiting for a slot counts as waiting for the voice.
        let slot = tokio::time::timeout(self.spec.within, self.slots.acquire()).await;
        let _slot = slot.map_err(|_| self.failed("too many texts at once"))?.map_err(|_| self.failed("it is closed"))?;
        let answer = self.fetch.post(self.question(text)).await.map_err(|error| self.failed(error))?;
        if !answer.status.is_success() {
            return Err(self.failed(answer.status));
        }
        wav::read(&answer.body).map_err(|error| self.failed(error))
    }
}
