//! What the AE is told about the caller, as text to be spoken: whole sentences, the most important first.

use std::time::Duration;

use baton_contract::Context;

use crate::phrases::{Language, Phrasebook, Phrases, REASONS};
use serde::{Deserialize, Serialize};

/// A briefing, safe to be spoken: one line of letters, digits and common punctuation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Briefing {
    /// All of it.
    pub full: String,
    /// Its first sentence.
    pub short: String,
    /// The language of the words around what is known: whoever speaks it speaks that.
    pub language: Language,
}

/// How much of a name, a company or a role is spoken, in characters.
const NAME_CHARS_MAX: usize = 60;

/// How much of any other field is read at all, in characters: more could never be spoken.
const FIELD_CHARS_MAX: usize = 1_200;

/// Longer words are no words: keys, addresses, noise.
const WORD_CHARS_MAX: usize = 34;

/// Speech that is taken for one word when its time is reckoned, in characters.
const WORD_CHARS_MEAN: usize = 6;

/// What a pause between sentences takes, in words.
const PAUSE_WORDS: usize = 1;

/// The rate that is reckoned with where the voice's is not known, in words per second.
pub const WORDS_PER_SECOND: f64 = 2.5;

/// Composes the briefing for a caller in English, so that it takes at most `max` at `words_per_second`.
///
/// The order is: who and about what, why a human, the summary, what to do next, the signals, the rest. A sentence that does not fit
/// is left out whole; the first one always stays.
pub fn compose(context: &Context, reason: Option<&str>, from: &str, words_per_second: f64, max: Duration) -> Briefing {
    compose_in(&Phrasebook::default(), Language::ENGLISH, context, reason, from, words_per_second, max)
}

/// The same in the words of another language, which stand around what is known; what is known stays as it is.
pub fn compose_in(
    book: &Phrasebook,
    language: Language,
    context: &Context,
    reason: Option<&str>,
    from: &str,
    words_per_second: f64,
    max: Duration,
) -> Briefing {
    let phrases = &*book.of(language);
    let mut sentences = vec![who(phrases, context, from)];
    sentences.extend(context.reason.as_deref().or(reason).and_then(|reason| why(phrases, reason)));
    sentences.extend(context.summary.as_deref().map(sentences_of).unwrap_or_default());
    sentences.extend(context.next_step.as_deref().and_then(|next| labelled(&phrases.next_step, next)));
    sentences.extend(signals(phrases, context));
    sentences.extend(rest(phrases, context));
    fitted(language, sentences, words_per_second, max)
}

/// A briefing in somebody else's words, made safe and as long as fits; absent where nothing is left of them.
pub fn given(text: &str, language: Language, words_per_second: f64, max: Duration) -> Option<Briefing> {
    let sentences = sentences_of(text);
    (!sentences.is_empty()).then(|| fitted(language, sentences, words_per_second, max))
}

fn who(phrases: &Phrases, context: &Context, from: &str) -> String {
    let caller = context.caller.as_ref();
    let field = |text: Option<&str>| text.map(|text| safe(text, NAME_CHARS_MAX)).filter(|text| !text.is_empty());
    let name = field(caller.and_then(|caller| caller.name.as_deref()));
    let role = field(caller.and_then(|caller| caller.role.as_deref()));
    let company = field(caller.and_then(|caller| caller.company.as_deref()));
    let known = name.is_some() || company.is_some();
    let number = caller.and_then(|caller| caller.number.as_deref()).unwrap_or(from);
    let mut words = match (name, number_spoken(number)) {
        (Some(name), _) => name,
        (None, Some(number)) if !known => phrases.a_caller_from.replace("{}", &number),
        (None, Some(_) | None) => phrases.a_caller.to_string(),
    };
    match (role, company) {
        (Some(role), Some(company)) => words.push_str(&format!(", {role} {} {company},", phrases.at)),
        (Some(role), None) => words.push_str(&format!(", {role},")),
        (None, Some(company)) => words.push_str(&phrases.of.replace("{}", &company)),
        (None, None) => {}
    }
    match field(context.intent.as_deref()) {
        Some(intent) => words.push_str(&phrases.about.replace("{}", &unjoined(&intent))),
        None => words.push_str(&phrases.on_the_line),
    }
    closed(words)
}

/// Why a human is needed: the known reasons in words, any other as it is.
fn why(phrases: &Phrases, reason: &str) -> Option<String> {
    match REASONS.iter().position(|known| *known == reason) {
        Some(place) => Some(phrases.reasons[place].to_string()),
        None => labelled(&phrases.reason, &unjoined(reason)),
    }
}

fn signals(phrases: &Phrases, context: &Context) -> Vec<String> {
    let Some(signals) = context.signals.as_ref() else { return Vec::new() };
    let named = [(&phrases.pain, &signals.pain), (&phrases.timeline, &signals.timeline), (&phrases.budget, &signals.budget)];
    named.into_iter().filter_map(|(name, text)| labelled(name, text.as_deref()?)).collect()
}

fn rest(phrases: &Phrases, context: &Context) -> Vec<String> {
    let objections = context.objections.iter().filter_map(|text| labelled(&phrases.objection, text));
    let decides = context.decision_maker.map(|decides| match decides {
        true => phrases.decides.to_string(),
        false => phrases.decides_not.to_string(),
    });
    objections.take(3).chain(decides).collect()
}

fn labelled(label: &str, text: &str) -> Option<String> {
    let text = safe(text, FIELD_CHARS_MAX);
    (!text.is_empty()).then(|| closed(format!("{label}: {text}")))
}

/// Words joined as programs join them, as people say them.
fn unjoined(text: &str) -> String {
    text.replace('_', " ")
}

fn closed(mut sentence: String) -> String {
    let end = sentence.trim_end_matches([' ', ',', ';', ':', '-']).len();
    sentence.truncate(end);
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// The sentences of a text, each made safe and closed.
fn sentences_of(text: &str) -> Vec<String> {
    let text = safe(text, FIELD_CHARS_MAX);
    let mut sentences = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.match_indices(['.', '!', '?']).map(|(at, _)| at + 1).find(|end| rest[*end..].starts_with(' '));
        let (sentence, after) = rest.split_at(end.unwrap_or(rest.len()));
        if sentence.chars().any(char::is_alphanumeric) {
            sentences.push(closed(sentence.trim().to_owned()));
        }
        rest = after.trim_start();
    }
    sentences
}

/// The sentences that fit, in their order; the first one always does.
fn fitted(language: Language, sentences: Vec<String>, words_per_second: f64, max: Duration) -> Briefing {
    let rate = if words_per_second.is_finite() && words_per_second >= 0.5 { words_per_second } else { WORDS_PER_SECOND };
    let mut left = max.as_secs_f64() * rate;
    let mut full = String::new();
    let mut short = String::new();
    for sentence in sentences {
        let cost = words(&sentence) as f64;
        if full.is_empty() {
            short.clone_from(&sentence);
            full = sentence;
        } else if cost <= left {
            full.push(' ');
            full.push_str(&sentence);
        } else {
            continue;
        }
        left -= cost;
    }
    Briefing { full, short, language }
}

/// How many words a sentence takes to say, its pause included. Digits are said one by one or in pairs, and take longer than letters.
fn words(sentence: &str) -> usize {
    let digits = sentence.chars().filter(char::is_ascii_digit).count();
    let by_length = sentence.chars().count().div_ceil(WORD_CHARS_MEAN);
    sentence.split_whitespace().count().max(by_length) + digits / 2 + PAUSE_WORDS
}

/// A number as it is said: digit by digit. Absent where `from` holds none.
fn number_spoken(from: &str) -> Option<String> {
    let user = from.rsplit_once(':').map_or(from, |(_, rest)| rest);
    let user = user.split(['@', ';', '?']).next().unwrap_or(user);
    let digits: Vec<String> = user.chars().filter(char::is_ascii_digit).take(15).map(String::from).collect();
    (digits.len() >= 3).then(|| digits.join(" "))
}

/// `text` as one line that can be spoken: at most `chars_max` characters, cut between words; no control characters, markup or emoji,
/// no word of absurd length, and a letter or digit first, so that it can be mistaken for nothing else.
fn safe(text: &str, chars_max: usize) -> String {
    let spoken = text.chars().take(chars_max * 2).map(|sign| if is_spoken(sign) { sign } else { ' ' }).collect::<String>();
    let mut line = String::new();
    for word in spoken.split_whitespace().filter(|word| word.chars().count() <= WORD_CHARS_MAX) {
        if line.chars().count() + 1 + word.chars().count() > chars_max {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.trim_start_matches(|sign: char| !sign.is_alphanumeric()).trim_end().to_owned()
}

fn is_spoken(sign: char) -> bool {
    sign.is_alphanumeric()
        || matches!(
            sign,
            ' ' | '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '’' | '-' | '%' | '$' | '€' | '£' | '&' | '+' | '/' | '_'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(30);

    fn brief(context: &str) -> Briefing {
        compose(&serde_json::from_str(context).unwrap(), None, "+15550123", WORDS_PER_SECOND, MAX)
    }

    #[test]
    fn a_briefing_says_who_why_and_what_next_in_that_order() {
        let briefing = brief(
            r#"{"caller":{"name":"Jamie","company":"NovaCorp","role":"VP Ops"},"intent":"pricing","reason":"explicit_request",
                "summary":"They run 500 seats. They want a quote","next_step":"offer the annual plan",
                "signals":{"pain":"manual work","timeline":"Q2"},"decision_maker":true}"#,
        );
        assert_eq!(briefing.short, "Jamie, VP Ops at NovaCorp, is calling about pricing.");
        assert_eq!(
            briefing.full,
            "Jamie, VP Ops at NovaCorp, is calling about pricing. They asked for a person. They run 500 seats. They want a quote. \
             Next step: offer the annual plan. Pain: manual work. Timeline: Q2. They make the decision."
        );
    }

    #[test]
    fn the_words_around_what_is_known_are_of_the_language_that_is_asked_for() {
        let context = r#"{"caller":{"name":"Jamie","company":"NovaCorp","role":"VP Ops"},"intent":"pricing","reason":"vip",
            "summary":"They run 500 seats.","next_step":"offer the annual plan","decision_maker":false}"#;
        let context: Context = serde_json::from_str(context).unwrap();
        let book = Phrasebook::default();
        let brief = |language| compose_in(&book, language, &context, None, "+15550123", WORDS_PER_SECOND, MAX).full;
        assert_eq!(
            brief(Language::GERMAN),
            "Jamie, VP Ops bei NovaCorp, ruft an, es geht um pricing. Das ist ein besonders wichtiger Kunde. They run 500 seats. \
             Nächster Schritt: offer the annual plan. Die Entscheidung trifft jemand anderes."
        );
        for language in [Language::SPANISH, Language::FRENCH] {
            assert!(brief(language).starts_with("Jamie, VP Ops "), "{}", brief(language));
        }
        let nobody = compose_in(&book, Language::FRENCH, &Context::default(), None, "+15550123", WORDS_PER_SECOND, MAX);
        assert_eq!(nobody.full, "Quelqu'un au numéro 1 5 5 5 0 1 2 3 est en ligne.");
    }

    #[test]
    fn an_empty_context_still_says_who_is_waiting() {
        assert_eq!(brief("{}").full, "A caller from 1 5 5 5 0 1 2 3 is on the line.");
        let nobody = compose(&Context::default(), None, "anonymous", 0.0, MAX);
        assert_eq!(nobody.full, "A caller is on the line.");
    }

    #[test]
    fn what_does_not_fit_is_left_out_in_whole_sentences() {
        let long = format!("{} end. Short one.", "many words here ".repeat(60));
        let context = Context { summary: Some(long), next_step: Some("call the boss".into()), ..Context::default() };
        let briefing = compose(&context, Some("vip"), "sip:jamie@example", 2.0, Duration::from_secs(15));
        assert_eq!(briefing.full, "A caller is on the line. This is a VIP account. Short one. Next step: call the boss.");
        let none = compose(&context, None, "", 2.0, Duration::ZERO);
        assert_eq!(none.full, "A caller is on the line.");
    }

    #[test]
    fn odd_and_huge_input_is_made_safe_for_speech() {
        let context: Context = serde_json::from_value(serde_json::json!({
            "caller": {"name": "--flag \u{7}\r\nJa\u{0}mie<break/>\u{1b}[31m 🎉", "company": "x".repeat(100_000)},
            "intent": "💥",
            "summary": "…!!! Line one.\nLine\ttwo? ".repeat(9_000),
            "next_step": "see https://example.com/a/very/long/path/that/nobody/can/say?q=1",
            "objections": vec!["too dear"; 1_000],
        }))
        .unwrap();
        for rate in [f64::NAN, f64::INFINITY, -3.0, 0.0, 2.5, 1e9] {
            let briefing = compose(&context, Some("…"), "", rate, MAX);
            assert!(briefing.full.chars().all(is_spoken), "{}", briefing.full);
            assert!(briefing.full.len() < 6_000, "{}", briefing.full.len());
            assert!(briefing.full.starts_with(&briefing.short) && briefing.full.ends_with(['.', '?', '!']), "{}", briefing.full);
        }
        let briefing = compose(&context, None, "", WORDS_PER_SECOND, MAX);
        assert!(briefing.short.starts_with("flag Ja mie break/ 31m is on the line."), "{}", briefing.short);
        assert!(!briefing.full.contains("  "), "{}", briefing.full);
        assert!(words(&briefing.full) <= 76 + briefing.full.matches(['.', '?']).count(), "{}", briefing.full);
    }

    #[test]
    fn a_given_text_is_spoken_as_it_is() {
        let briefing = given("Jamie wants out.  Be kind!", Language::ENGLISH, WORDS_PER_SECOND, MAX).unwrap();
        assert_eq!((briefing.full.as_str(), briefing.short.as_str()), ("Jamie wants out. Be kind!", "Jamie wants out."));
        assert_eq!(given("\u{7} ... ", Language::ENGLISH, WORDS_PER_SECOND, MAX), None);
    }
}
