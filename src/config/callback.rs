//! `[callback]`: how promised callbacks are carried out.

use baton_transfer::{CallbackSettings, ConfirmBy, Hours};

use super::value;
use super::walk::{Found, Parsed, Section, Walk};

/// A callback that is tried more often than this is a nuisance.
const ATTEMPTS_MAX: u8 = 10;

/// The longest text that is spoken to a caller, in characters.
const TEXT_CHARS_MAX: usize = 500;

pub(super) fn read(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<CallbackSettings> {
    let default = CallbackSettings::default();
    let settings = CallbackSettings {
        attempts: at.count(walk, "attempts", 1..=ATTEMPTS_MAX).unwrap_or(default.attempts),
        retry_after: at.text(walk, "retry_after", value::span).unwrap_or(default.retry_after),
        reminder: at.text(walk, "reminder", value::duration).unwrap_or(default.reminder),
        grace: at.text(walk, "grace", value::span).unwrap_or(default.grace),
        ring_max: at.text(walk, "ring_max", value::span).unwrap_or(default.ring_max),
        confirm_max: at.text(walk, "confirm_max", value::span).unwrap_or(default.confirm_max),
        confirm: at.text(walk, "confirm", confirm).unwrap_or(default.confirm),
        confirm_key: at.text(walk, "confirm_key", value::key).unwrap_or(default.confirm_key),
        window: at.text(walk, "window", window).unwrap_or(default.window),
        greeting: at.text(walk, "greeting", sentence),
        message: at.text(walk, "message", sentence),
        trunk: at.text(walk, "trunk", value::id),
        node: default.node,
    };
    at.finish(walk, &[], settings)
}

/// `08:00-21:00` on every day, or hours as an AE has them.
fn window(text: &str) -> Parsed<Hours> {
    let daily = text.starts_with(|sign: char| sign.is_ascii_digit());
    if daily { value::hours(&format!("Mon-Sun {text}")) } else { value::hours(text) }
}

/// `key | speech`
fn confirm(text: &str) -> Parsed<ConfirmBy> {
    match text {
        "key" => Ok(ConfirmBy::Key),
        "speech" => Ok(ConfirmBy::Speech),
        _ => value::one_of(text, &["key", "speech"], &[]),
    }
}

fn sentence(text: &str) -> Parsed<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("is empty or longer than {TEXT_CHARS_MAX} characters, write one or two sentences to be spoken"));
    }
    Ok(text.to_owned())
}
