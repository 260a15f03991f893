//! What somebody means who was asked to say yes.

/// What was said, as far as it is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Spoken {
    /// They want to be connected.
    Yes,
    /// They do not.
    No,
    /// Neither: something else, too much, or nothing.
    Unclear,
}

/// More words than these are no answer: a mailbox talks, and may well say yes somewhere.
const WORDS_MAX: usize = 4;

/// In the languages that Baton has words for.
const YES: [&str; 33] = [
    "yes",
    "yeah",
    "yep",
    "yup",
    "sure",
    "ok",
    "okay",
    "please",
    "certainly",
    "absolutely",
    "connect",
    "ja",
    "jawohl",
    "gerne",
    "gern",
    "klar",
    "natürlich",
    "genau",
    "sí",
    "si",
    "claro",
    "vale",
    "bueno",
    "adelante",
    "oui",
    "ouais",
    "volontiers",
    "accord",
    "bien",
    "sim",
    "sì",
    "certo",
    "da",
];

const NO: [&str; 14] =
    ["no", "nope", "not", "don't", "wrong", "nein", "nicht", "nee", "non", "pas", "nunca", "não", "later", "später"];

/// What `text` means: few words, one of them a yes, and none of them a no.
pub(super) fn meaning(text: &str) -> Spoken {
    let lower = text.to_lowercase().replace('’', "'");
    let is_letter = |sign: char| sign.is_alphanumeric() || sign == '\'';
    let words: Vec<&str> =
        lower.split(|sign| !is_letter(sign)).map(|word| word.trim_matches('\'')).filter(|word| !word.is_empty()).collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    match (words.len(), has(&NO), has(&YES)) {
        (0, _, _) => Spoken::Unclear,
        (count, _, _) if count > WORDS_MAX => Spoken::Unclear,
        (_, true, _) => Spoken::No,
        (_, false, true) => Spoken::Yes,
        (_, false, false) => Spoken::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_words_with_a_yes_are_a_yes_and_a_mailbox_is_none() {
        for (text, meant) in [
            ("Yes.", Spoken::Yes),
            ("Yeah, sure!", Spoken::Yes),
            ("Oui, d'accord", Spoken::Yes),
            ("Sí.", Spoken::Yes),
            ("Ja, gerne", Spoken::Yes),
            ("No.", Spoken::No),
            ("Yes, no, later", Spoken::No),
            ("Not now please", Spoken::No),
            ("Hello?", Spoken::Unclear),
            ("", Spoken::Unclear),
            ("...", Spoken::Unclear),
            ("Yes, you have reached the voicemail of Jamie", Spoken::Unclear),
            ("Please leave a message after the tone", Spoken::Unclear),
            ("yesterday", Spoken::Unclear),
        ] {
            assert_eq!(meaning(text), meant, "{text:?}");
        }
    }
}
