//! What an AE is told about the caller, in their language.

use baton_contract::AeId;

use super::case::{Rendering, Turn};
use crate::briefing::{self, Briefing};
use crate::{Action, Callee, Language};

impl Turn<'_> {
    /// Has the briefing spoken in the language of whoever is dialled, unless that is under way or done.
    pub(crate) fn brief(&mut self, to: &Callee) {
        let ae = match to {
            Callee::Ae(ae) => Some(ae),
            Callee::Outside(_) => None,
        };
        let language = self.language_of(ae);
        if self.case.spoken_in != Some(language) {
            self.case.spoken_in = Some(language);
            self.case.briefing = Rendering::Pending;
            let words = self.words(language);
            self.act(Action::Render(words));
        }
    }

    /// The language of an AE; words that were handed in are in the one that everybody speaks.
    pub(crate) fn language_of(&self, ae: Option<&AeId>) -> Language {
        match self.case.begin.briefing {
            Some(_) => self.settings.language,
            None => self.settings.language_of(ae.and_then(|ae| self.roster.find(ae))),
        }
    }

    fn words(&self, language: Language) -> Briefing {
        let (begin, longest) = (&self.case.begin, self.settings.briefing_max);
        let given = begin.briefing.as_deref();
        let given = given.and_then(|text| briefing::given(text, language, begin.words_per_second, longest));
        given.unwrap_or_else(|| {
            let (reason, pace) = (begin.reason.as_deref(), begin.words_per_second);
            briefing::compose_in(&self.settings.phrases, language, &begin.context, reason, &begin.from, pace, longest)
        })
    }
}
