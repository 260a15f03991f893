//! The tables about what lies beyond calls: webhooks, recordings, voices and transcripts over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use baton_switchboard::{RecordCalls, RecordConsult, RecordingSettings};
use hyper::header::HeaderValue;

use super::settings::{HttpVoice, Recording, Secret, Transcriber};
use super::value;
use super::walk::{Found, Parsed, Section, Walk};
use crate::fetch::{Reach, Target};
use crate::webhook::{EventPattern, Hook, SigningKey};

/// What comes before the dot in the types of events.
const EVENT_FAMILIES: [&str; 7] = ["call", "transfer", "budget", "callback", "ae", "feedback", "recording"];

/// How long a voice over HTTP may take unless the configuration says otherwise.
const VOICE_WITHIN: Duration = Duration::from_millis(1_500);

/// How long a transcript may take unless the configuration says otherwise.
const TRANSCRIPT_WITHIN: Duration = Duration::from_secs(60);

/// Reads a `[[webhook]]`.
pub(super) fn webhook(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Option<Hook>> {
    let target = at.required(walk, "url", "\"https://crm.example/baton\"", url);
    let key = at.required(walk, "secret", "\"${cred:webhook}\"", |text| {
        value::secret(text)?;
        SigningKey::new(text).map_err(|error| format!("{error}, write `whsec_` and base64, or any other text"))
    });
    let events = at.list(walk, "events", true, events);
    let reach = reach(walk, &mut at);
    let events = events.unwrap_or_else(|| vec![EventPattern::new("*")]);
    if events.is_empty() {
        at.fault(walk, "events", "is empty, write `[\"*\"]` or `[\"transfer.*\"]`");
    }
    let hook = target.zip(key).map(|(target, key)| Hook { target, key, events, reach });
    at.finish(walk, &[], hook)
}

/// Reads `[recording]`.
pub(super) fn recording(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Recording> {
    let dir = at.text(walk, "dir", |text| value::plain(text).map(PathBuf::from));
    let keep = at.text(walk, "keep", value::days);
    let calls = at.text(walk, "calls", |text| match text {
        "off" => Ok(RecordCalls::OnRequest),
        "on" => Ok(RecordCalls::All),
        _ => value::one_of(text, &["off", "on"], &[]),
    });
    let consult = match at.flag(walk, "consult") {
        Some(true) => RecordConsult::Yes,
        Some(false) | None => RecordConsult::No,
    };
    if dir.is_none() && calls == Some(RecordCalls::All) {
        at.fault(walk, "calls", "is \"on\" without a folder, write `dir = \"/var/lib/baton/recordings\"`");
    }
    let calls = if dir.is_some() { calls.unwrap_or(RecordCalls::OnRequest) } else { RecordCalls::Never };
    at.finish(walk, &[], Recording { dir, keep, settings: RecordingSettings { calls, consult } })
}

/// Reads a `[[voice]]`.
pub(super) fn voice(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Option<HttpVoice>> {
    let name = at.required(walk, "name", "\"studio\"", value::id);
    let target = at.required(walk, "url", "\"https://api.example/v1\"", url);
    let model = at.required(walk, "model", "\"tts-1\"", value::plain);
    let voice = at.required(walk, "voice", "\"alloy\"", value::plain);
    let key = at.text(walk, "key", bearer);
    let language = at.text(walk, "language", language);
    let within = at.text(walk, "within", value::span).unwrap_or(VOICE_WITHIN);
    let reach = reach(walk, &mut at);
    let voice =
        (|| Some(HttpVoice { name: name?, target: target?, model: model?, voice: voice?, key, language, within, reach }))();
    at.finish(walk, &[], voice)
}

/// Reads `[transcribe]`; without a URL there is nobody who writes down what was said.
pub(super) fn transcribe(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Option<Transcriber>> {
    let target = at.text(walk, "url", url);
    let model = at.text(walk, "model", value::plain);
    let key = at.text(walk, "key", bearer);
    let language = at.text(walk, "language", language);
    let within = at.text(walk, "within", value::span).unwrap_or(TRANSCRIPT_WITHIN);
    let reach = reach(walk, &mut at);
    let transcriber = match (target, model) {
        (Some(target), Some(model)) => Some(Transcriber { target, model, key, language, within, reach }),
        (None, None) => None,
        (Some(_), None) => at.incomplete(walk, "url", "model"),
        (None, Some(_)) => at.incomplete(walk, "model", "url"),
    };
    at.finish(walk, &[], transcriber)
}

fn reach(walk: &mut Walk<'_>, at: &mut Section<'_>) -> Reach {
    match at.flag(walk, "allow_private") {
        Some(true) => Reach::Anywhere,
        Some(false) | None => Reach::Public,
    }
}

pub(super) fn url(text: &str) -> Parsed<Target> {
    text.parse().map_err(|error: crate::fetch::TargetError| format!("`{text}` {error}"))
}

/// A key that goes into a header.
pub(super) fn bearer(text: &str) -> Parsed<Secret> {
    match HeaderValue::from_str(text) {
        Ok(_) => value::token(text),
        Err(_) => Err("cannot stand in a header, write one line of printable characters".to_owned()),
    }
}

/// `de` or `pt-BR`
fn language(text: &str) -> Parsed<String> {
    let is_tag =
        text.len() <= 16 && text.split('-').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()));
    let primary = text.split('-').next().unwrap_or_default();
    match is_tag && (2..=3).contains(&primary.len()) && primary.chars().all(|c| c.is_ascii_alphabetic()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("`{text}` is no language, write `en`, `de` or `pt-BR`")),
    }
}

/// `transfer.bridged`, `transfer.*` or `*`
fn events(text: &str) -> Parsed<EventPattern> {
    let exact = || serde_json::from_value::<baton_contract::EventKind>(serde_json::Value::String(text.to_owned())).is_ok();
    let family = text.strip_suffix(".*").is_some_and(|family| EVENT_FAMILIES.contains(&family));
    match text == "*" || family || exact() {
        true => Ok(EventPattern::new(text)),
        false => Err(format!("`{text}` describes no event, write `transfer.bridged`, `transfer.*` or `*`")),
    }
}
