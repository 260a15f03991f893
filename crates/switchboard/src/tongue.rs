//! In which language somebody is spoken to.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_contract::LegId;
use baton_media::Clip;
use baton_transfer::{Language, Line};

use crate::call::Call;
use crate::settings::Settings;
use crate::switchboard::Switchboard;

impl Settings {
    /// The recordings of `lines`, in this language if it has every one of them, else in English: nobody hears half a sentence in one
    /// language and half in another. A tone is the same in all of them.
    pub(crate) fn clips(&self, language: Language, lines: &[Line]) -> Vec<Arc<Clip>> {
        let own = self.tongues.get(&language);
        let in_own = |line: &Line| {
            let lines = if *line == Line::Beep { Some(&*self.prompts) } else { own };
            lines?.get(line).cloned()
        };
        let all: Option<Vec<Arc<Clip>>> = own.and_then(|_| lines.iter().map(in_own).collect());
        all.unwrap_or_else(|| lines.iter().filter_map(|line| self.prompts.get(line).cloned()).collect())
    }
}

impl Switchboard {
    /// The caller's language: what is known of them says it, else the route of the call.
    pub(crate) fn caller_language(&self, call: &Call) -> Language {
        let told = call.context.caller.as_ref().and_then(|caller| caller.language.as_deref());
        let told = told.and_then(|tag| Language::of_tag(tag).ok()).filter(|language| self.speaks(*language));
        let of_route = || self.settings.route_for(call.ours(), &call.trunk).and_then(|route| route.language);
        told.or_else(of_route).unwrap_or(self.settings.transfer.language)
    }

    /// The language of a leg of ours: the AE's, where it is one.
    pub(crate) fn leg_language(&self, call: &Call, leg: LegId) -> Language {
        call.leg(leg).and_then(|leg| leg.language).unwrap_or(self.settings.transfer.language)
    }

    fn speaks(&self, language: Language) -> bool {
        language == Language::ENGLISH || self.settings.tongues.contains_key(&language)
    }

    /// Further recordings of a language are there.
    pub(crate) fn learn(&mut self, language: Language, clips: BTreeMap<Line, Arc<Clip>>) {
        self.settings.tongues.entry(language).or_default().extend(clips);
    }
}
