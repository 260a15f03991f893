//! The words around what is known about a caller, in the languages that briefings are spoken in.

use std::str::FromStr;

/// A language that briefings are composed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// Spanish.
    Spanish,
    /// French.
    French,
}

/// A text that names no language which briefings are composed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("briefings are composed in `en`, `de`, `es` and `fr`")]
pub struct LanguageError;

impl Language {
    /// Its tag (RFC 5646), as the configuration and voices name it.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
            Language::Spanish => "es",
            Language::French => "fr",
        }
    }

    pub(crate) const fn phrases(self) -> &'static Phrases {
        match self {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
            Language::Spanish => &SPANISH,
            Language::French => &FRENCH,
        }
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(tag: &str) -> Result<Language, LanguageError> {
        let all = [Language::English, Language::German, Language::Spanish, Language::French];
        all.into_iter().find(|language| language.tag() == tag).ok_or(LanguageError)
    }
}

/// The templates of one language; `{}` stands for what is known.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// Somebody without a name.
    pub(crate) a_caller: &'static str,
    /// Somebody of whom only the number is known.
    pub(crate) a_caller_from: &'static str,
    /// Between a role and a company.
    pub(crate) at: &'static str,
    /// A company, behind a name.
    pub(crate) of: &'static str,
    /// What they call about, behind who they are.
    pub(crate) about: &'static str,
    /// The same where that is not known.
    pub(crate) on_the_line: &'static str,
    /// Why a human is needed, in the order of [`REASONS`].
    pub(crate) reasons: [&'static str; REASONS.len()],
    pub(crate) reason: &'static str,
    pub(crate) next_step: &'static str,
    pub(crate) pain: &'static str,
    pub(crate) timeline: &'static str,
    pub(crate) budget: &'static str,
    pub(crate) objection: &'static str,
    pub(crate) decides: &'static str,
    pub(crate) decides_not: &'static str,
}

/// The reasons that have words of their own.
pub(crate) const REASONS: [&str; 9] =
    ["explicit_request", "sentiment", "confidence", "policy", "vip", "high_intent", "loop", "time", "competitor"];

const ENGLISH: Phrases = Phrases {
    a_caller: "A caller",
    a_caller_from: "A caller from {}",
    at: "at",
    of: " from {}",
    about: " is calling about {}",
    on_the_line: " is on the line",
    reasons: [
        "They asked for a person.",
        "They are getting upset.",
        "The assistant was not sure enough to go on.",
        "This has to be handled by a person.",
        "This is a VIP account.",
        "They are close to buying.",
        "The conversation was going round in circles.",
        "The conversation was taking too long.",
        "They brought up a competitor.",
    ],
    reason: "Reason",
    next_step: "Next step",
    pain: "Pain",
    timeline: "Timeline",
    budget: "Budget",
    objection: "Objection",
    decides: "They make the decision.",
    decides_not: "Somebody else makes the decision.",
};

const GERMAN: Phrases = Phrases {
    a_caller: "Jemand",
    a_caller_from: "Jemand mit der Nummer {}",
    at: "bei",
    of: " von {}",
    about: " ruft an wegen {}",
    on_the_line: " ist in der Leitung",
    reasons: [
        "Gewünscht ist ein Mensch.",
        "Die Stimmung wird schlechter.",
        "Der Assistent war nicht sicher genug.",
        "Das muss ein Mensch übernehmen.",
        "Das ist ein besonders wichtiger Kunde.",
        "Ein Kauf steht kurz bevor.",
        "Das Gespräch drehte sich im Kreis.",
        "Das Gespräch dauerte zu lange.",
        "Ein Wettbewerber wurde genannt.",
    ],
    reason: "Grund",
    next_step: "Nächster Schritt",
    pain: "Problem",
    timeline: "Zeitplan",
    budget: "Budget",
    objection: "Einwand",
    decides: "Die Entscheidung liegt dort.",
    decides_not: "Die Entscheidung trifft jemand anderes.",
};

const SPANISH: Phrases = Phrases {
    a_caller: "Alguien",
    a_caller_from: "Alguien con el número {}",
    at: "en",
    of: " de {}",
    about: " llama por {}",
    on_the_line: " está en la línea",
    reasons: [
        "Ha pedido hablar con una persona.",
        "Se está molestando.",
        "El asistente no estaba bastante seguro para seguir.",
        "Esto lo tiene que atender una persona.",
        "Es una cuenta muy importante.",
        "Está a punto de comprar.",
        "La conversación daba vueltas.",
        "La conversación duraba demasiado.",
        "Ha mencionado a un competidor.",
    ],
    reason: "Motivo",
    next_step: "Próximo paso",
    pain: "Problema",
    timeline: "Plazo",
    budget: "Presupuesto",
    objection: "Objeción",
    decides: "Toma la decisión.",
    decides_not: "La decisión la toma otra persona.",
};

const FRENCH: Phrases = Phrases {
    a_caller: "Quelqu'un",
    a_caller_from: "Quelqu'un au numéro {}",
    at: "chez",
    of: " de {}",
    about: " appelle au sujet de {}",
    on_the_line: " est en ligne",
    reasons: [
        "Il faut parler à une personne, c'est une demande.",
        "L'humeur se dégrade.",
        "L'assistant n'était pas assez sûr pour continuer.",
        "Une personne doit s'en occuper.",
        "C'est un compte très important.",
        "L'achat est proche.",
        "La conversation tournait en rond.",
        "La conversation durait trop longtemps.",
        "Un concurrent a été mentionné.",
    ],
    reason: "Motif",
    next_step: "Prochaine étape",
    pain: "Problème",
    timeline: "Calendrier",
    budget: "Budget",
    objection: "Objection",
    decides: "La décision se prend là.",
    decides_not: "Quelqu'un d'autre prend la décision.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_its_places() {
        for language in [Language::English, Language::German, Language::Spanish, Language::French] {
            let phrases = language.phrases();
            for with_place in [phrases.a_caller_from, phrases.of, phrases.about] {
                assert_eq!(with_place.matches("{}").count(), 1, "{language:?}: {with_place}");
            }
            assert!(phrases.reasons.iter().all(|sentence| sentence.ends_with('.')), "{language:?}");
            assert_eq!(language.tag().parse(), Ok(language));
        }
        assert_eq!("xx".parse::<Language>(), Err(LanguageError));
    }
}
