//! What the AE is told about the caller, as text to be spoken.

use std::time::Duration;

use baton_contract::Context;

/// A briefing: whole sentences, the most important first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Briefing {
    /// All of it.
    pub full: String,
    /// Its first sentence.
    pub short: String,
}

/// Composes the briefing for a caller from their context, so that it takes at most `max` at `words_per_second`.
pub fn compose(_context: &Context, _from: &str, _words_per_second: f64, _max: Duration) -> Briefing {
    Briefing { full: "A caller is waiting.".to_owned(), short: "A caller is waiting.".to_owned() }
}
