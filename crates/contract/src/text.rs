//! Texts that are written beside a call.

use serde::{Deserialize, Serialize};

use crate::At;

/// Who has written a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The caller, on their phone.
    Caller,
    /// The AI, on its leg or by the API.
    Ai,
    /// The AE on their phone, or anybody else by the API.
    Human,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextView {
    /// When it came.
    pub at: At,
    /// Whose it is.
    pub author: Author,
    /// What it says.
    pub text: String,
}

/// A text that is to go to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    /// Who writes: `ai` or `human`.
    pub author: Author,
    /// What: 1 to 1,000 bytes.
    pub text: String,
}
