//! The languages that people are spoken to in, and the words around what is known about a caller in them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A language in which people are spoken to: two letters of ISO 639-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Language([u8; 2]);

/// A text that names no language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a language is named by two letters: `en`, `de`, `es`, `fr`")]
pub struct LanguageError;

impl Language {
    /// English: what Baton speaks where nothing else is said.
    pub const ENGLISH: Language = Language(*b"en");
    /// German.
    pub const GERMAN: Language = Language(*b"de");
    /// Spanish.
    pub const SPANISH: Language = Language(*b"es");
    /// French.
    pub const FRENCH: Language = Language(*b"fr");

    /// Those whose words are part of the program; any other one needs its words configured.
    pub const BUILT_IN: [Language; 4] = [Language::ENGLISH, Language::GERMAN, Language::SPANISH, Language::FRENCH];

    /// Its tag (RFC 5646), as the configuration and voices name it: lower case.
    pub fn tag(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("en")
    }

    /// The language of a longer tag: that of `de-AT` is German.
    ///
    /// # Errors
    /// When the tag does not begin with two letters.
    pub fn of_tag(tag: &str) -> Result<Language, LanguageError> {
        tag.split(['-', '_']).next().unwrap_or_default().parse()
    }
}

impl Default for Language {
    fn default() -> Language {
        Language::ENGLISH
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(tag: &str) -> Result<Language, LanguageError> {
        match tag.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Language([a.to_ascii_lowercase(), b.to_ascii_lowercase()]))
            }
            _ => Err(LanguageError),
        }
    }
}

/// The words around what is known, in the languages for which some were configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phrasebook(BTreeMap<Language, Phrases>);

impl Phrasebook {
    /// Takes the words of a language.
    pub fn put(&mut self, language: Language, phrases: Phrases) {
        self.0.insert(language, phrases);
    }

    /// The words of a language: those that were put in, else the built-in ones.
    pub fn of(&self, language: Language) -> Cow<'_, Phrases> {
        self.0.get(&language).map_or_else(|| Cow::Owned(Phrases::of(language)), Cow::Borrowed)
    }
}

/// A template that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no template of this name.
    #[error("there is no template of this name")]
    Unknown,
    /// What is known has no place, or two.
    #[error("has to have exactly one `{{}}`, where what is known will stand")]
    NoPlace,
    /// What is known would stand where nothing is known.
    #[error("takes no `{{}}`")]
    Place,
    /// It is no sentence.
    #[error("has to be a sentence, with a full stop at its end")]
    NoSentence,
}

type Text = Cow<'static, str>;

/// The templates of one language; `{}` stands for what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrases {
    /// Somebody without a name.
    pub(crate) a_caller: Text,
    /// Somebody of whom only the number is known.
    pub(crate) a_caller_from: Text,
    /// Between a role and a company.
    pub(crate) at: Text,
    /// A company, behind a name.
    pub(crate) of: Text,
    /// What they call about, behind who they are.
    pub(crate) about: Text,
    /// The same where that is not known.
    pub(crate) on_the_line: Text,
    /// Why a human is needed, in the order of [`REASONS`].
    pub(crate) reasons: [Text; REASONS.len()],
    pub(crate) reason: Text,
    pub(crate) next_step: Text,
    pub(crate) pain: Text,
    pub(crate) timeline: Text,
    pub(crate) budget: Text,
    pub(crate) objection: Text,
    pub(crate) decides: Text,
    pub(crate) decides_not: Text,
}

impl Phrases {
    /// The names of the templates; the reasons that have a sentence of their own are named as they are asked for.
    pub const NAMES: [&str; 23] = [
        "a_caller",
        "a_caller_from",
        "at",
        "of",
        "about",
        "on_the_line",
        "reason",
        "next_step",
        "pain",
        "timeline",
        "budget",
        "objection",
        "decides",
        "decides_not",
        "explicit_request",
        "sentiment",
        "confidence",
        "policy",
        "vip",
        "high_intent",
        "loop",
        "time",
        "competitor",
    ];

    /// The built-in templates of a language; English ones where it has none.
    pub fn of(language: Language) -> Phrases {
        match language {
            Language::GERMAN => GERMAN,
            Language::SPANISH => SPANISH,
            Language::FRENCH => FRENCH,
            _ => ENGLISH,
        }
    }

    /// Puts other words in place of a template.
    ///
    /// # Errors
    /// When there is no such template, or when what is known has no place in it, or one where it has none to have.
    pub fn set(&mut self, name: &str, words: &str) -> Result<(), TemplateError> {
        let places = words.matches("{}").count();
        match (matches!(name, "a_caller_from" | "of" | "about"), places) {
            (true, 1) | (false, 0) => {}
            (true, _) => return Err(TemplateError::NoPlace),
            (false, _) => return Err(TemplateError::Place),
        }
        let is_sentence = matches!(name, "decides" | "decides_not") || REASONS.contains(&name);
        if is_sentence && !words.trim_end().ends_with(['.', '!']) {
            return Err(TemplateError::NoSentence);
        }
        let field = match name {
            "a_caller" => &mut self.a_caller,
            "a_caller_from" => &mut self.a_caller_from,
            "at" => &mut self.at,
            "of" => &mut self.of,
            "about" => &mut self.about,
            "on_the_line" => &mut self.on_the_line,
            "reason" => &mut self.reason,
            "next_step" => &mut self.next_step,
            "pain" => &mut self.pain,
            "timeline" => &mut self.timeline,
            "budget" => &mut self.budget,
            "objection" => &mut self.objection,
            "decides" => &mut self.decides,
            "decides_not" => &mut self.decides_not,
            known => match REASONS.iter().position(|reason| *reason == known) {
                Some(place) => &mut self.reasons[place],
                None => return Err(TemplateError::Unknown),
            },
        };
        // Words that go on where others end are set apart from them.
        let apart = matches!(name, "of" | "about" | "on_the_line") && !words.starts_with([' ', ',']);
        *field = Cow::Owned(if apart { format!(" {words}") } else { words.to_owned() });
        Ok(())
    }
}

/// The reasons that have words of their own.
pub(crate) const REASONS: [&str; 9] =
    ["explicit_request", "sentiment", "confidence", "policy", "vip", "high_intent", "loop", "time", "competitor"];

const ENGLISH: Phrases = Phrases {
    a_caller: Cow::Borrowed("A caller"),
    a_caller_from: Cow::Borrowed("A caller from {}"),
    at: Cow::Borrowed("at"),
    of: Cow::Borrowed(" from {}"),
    about: Cow::Borrowed(" is calling about {}"),
    on_the_line: Cow::Borrowed(" is on the line"),
    reasons: [
        Cow::Borrowed("They asked for a person."),
        Cow::Borrowed("They are getting upset."),
        Cow::Borrowed("The assistant was not sure enough to go on."),
        Cow::Borrowed("This has to be handled by a person."),
        Cow::Borrowed("This is a VIP account."),
        Cow::Borrowed("They are close to buying."),
        Cow::Borrowed("The conversation was going round in circles."),
        Cow::Borrowed("The conversation was taking too long."),
        Cow::Borrowed("They brought up a competitor."),
    ],
    reason: Cow::Borrowed("Reason"),
    next_step: Cow::Borrowed("Next step"),
    pain: Cow::Borrowed("Pain"),
    timeline: Cow::Borrowed("Timeline"),
    budget: Cow::Borrowed("Budget"),
    objection: Cow::Borrowed("Objection"),
    decides: Cow::Borrowed("They make the decision."),
    decides_not: Cow::Borrowed("Somebody else makes the decision."),
};

const GERMAN: Phrases = Phrases {
    a_caller: Cow::Borrowed("Jemand"),
    a_caller_from: Cow::Borrowed("Jemand mit der Nummer {}"),
    at: Cow::Borrowed("bei"),
    of: Cow::Borrowed(" von {}"),
    about: Cow::Borrowed(" ruft an, es geht um {}"),
    on_the_line: Cow::Borrowed(" ist in der Leitung"),
    reasons: [
        Cow::Borrowed("Es wurde nach einem Menschen gefragt."),
        Cow::Borrowed("Die Stimmung wird schlechter."),
        Cow::Borrowed("Der Assistent war sich nicht sicher genug."),
        Cow::Borrowed("Das muss ein Mensch übernehmen."),
        Cow::Borrowed("Das ist ein besonders wichtiger Kunde."),
        Cow::Borrowed("Ein Kauf steht kurz bevor."),
        Cow::Borrowed("Das Gespräch drehte sich im Kreis."),
        Cow::Borrowed("Das Gespräch dauerte zu lange."),
        Cow::Borrowed("Ein Wettbewerber wurde genannt."),
    ],
    reason: Cow::Borrowed("Grund"),
    next_step: Cow::Borrowed("Nächster Schritt"),
    pain: Cow::Borrowed("Problem"),
    timeline: Cow::Borrowed("Zeitplan"),
    budget: Cow::Borrowed("Budget"),
    objection: Cow::Borrowed("Einwand"),
    decides: Cow::Borrowed("Die Entscheidung fällt dort."),
    decides_not: Cow::Borrowed("Die Entscheidung trifft jemand anderes."),
};

const SPANISH: Phrases = Phrases {
    a_caller: Cow::Borrowed("Alguien"),
    a_caller_from: Cow::Borrowed("Alguien con el número {}"),
    at: Cow::Borrowed("en"),
    of: Cow::Borrowed(" de {}"),
    about: Cow::Borrowed(" llama por {}"),
    on_the_line: Cow::Borrowed(" está en la línea"),
    reasons: [
        Cow::Borrowed("Ha pedido hablar con una persona."),
        Cow::Borrowed("Se está molestando."),
        Cow::Borrowed("El asistente no estaba lo bastante seguro como para seguir."),
        Cow::Borrowed("Esto lo tiene que atender una persona."),
        Cow::Borrowed("Es una cuenta muy importante."),
        Cow::Borrowed("Está a punto de comprar."),
        Cow::Borrowed("La conversación daba vueltas."),
        Cow::Borrowed("La conversación duraba demasiado."),
        Cow::Borrowed("Ha mencionado a un competidor."),
    ],
    reason: Cow::Borrowed("Motivo"),
    next_step: Cow::Borrowed("Próximo paso"),
    pain: Cow::Borrowed("Problema"),
    timeline: Cow::Borrowed("Plazo"),
    budget: Cow::Borrowed("Presupuesto"),
    objection: Cow::Borrowed("Objeción"),
    decides: Cow::Borrowed("Es quien toma la decisión."),
    decides_not: Cow::Borrowed("La decisión la toma otra persona."),
};

const FRENCH: Phrases = Phrases {
    a_caller: Cow::Borrowed("Quelqu'un"),
    a_caller_from: Cow::Borrowed("Quelqu'un au numéro {}"),
    at: Cow::Borrowed("chez"),
    of: Cow::Borrowed(" de {}"),
    about: Cow::Borrowed(" appelle pour {}"),
    on_the_line: Cow::Borrowed(" est en ligne"),
    reasons: [
        Cow::Borrowed("Un interlocuteur humain a été demandé."),
        Cow::Borrowed("L'humeur se dégrade."),
        Cow::Borrowed("L'assistant n'était pas assez sûr pour continuer."),
        Cow::Borrowed("Une personne doit s'en occuper."),
        Cow::Borrowed("C'est un compte très important."),
        Cow::Borrowed("L'achat est proche."),
        Cow::Borrowed("La conversation tournait en rond."),
        Cow::Borrowed("La conversation durait trop longtemps."),
        Cow::Borrowed("Un concurrent a été mentionné."),
    ],
    reason: Cow::Borrowed("Motif"),
    next_step: Cow::Borrowed("Prochaine étape"),
    pain: Cow::Borrowed("Problème"),
    timeline: Cow::Borrowed("Calendrier"),
    budget: Cow::Borrowed("Budget"),
    objection: Cow::Borrowed("Objection"),
    decides: Cow::Borrowed("C'est cette personne qui décide."),
    decides_not: Cow::Borrowed("Quelqu'un d'autre prend la décision."),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_its_places() {
        for language in Language::BUILT_IN {
            let phrases = Phrases::of(language);
            for with_place in [&phrases.a_caller_from, &phrases.of, &phrases.about] {
                assert_eq!(with_place.matches("{}").count(), 1, "{language:?}: {with_place}");
            }
            assert!(phrases.reasons.iter().all(|sentence| sentence.ends_with('.')), "{language:?}");
            assert_eq!(language.tag().parse(), Ok(language));
        }
        assert_eq!(Language::of_tag("DE-at"), Ok(Language::GERMAN));
        for tag in ["", "x", "deu", "d1", "-"] {
            assert_eq!(tag.parse::<Language>(), Err(LanguageError), "{tag}");
        }
    }

    #[test]
    fn templates_can_be_put_in_the_place_of_the_built_in_ones() {
        let dutch: Language = "nl".parse().expect("two letters");
        let mut phrases = Phrases::of(dutch);
        for name in Phrases::NAMES {
            let words = if matches!(name, "a_caller_from" | "of" | "about") { "woord {}." } else { "woord." };
            assert_eq!(phrases.set(name, words), Ok(()), "{name}");
        }
        assert_eq!((phrases.about.as_ref(), phrases.decides.as_ref()), (" woord {}.", "woord."));
        for (name, words, fault) in [
            ("about", "belt", TemplateError::NoPlace),
            ("of", "{} {}", TemplateError::NoPlace),
            ("pain", "{}", TemplateError::Place),
            ("vip", "VIP", TemplateError::NoSentence),
            ("weather", "nat", TemplateError::Unknown),
        ] {
            assert_eq!(phrases.set(name, words), Err(fault), "{name}");
        }
        let mut book = Phrasebook::default();
        assert_eq!(book.of(dutch).a_caller, "A caller");
        book.put(dutch, phrases);
        assert_eq!(book.of(dutch).a_caller, "woord.");
        assert_eq!(book.of(Language::GERMAN).a_caller, "Jemand");
    }
}
