//! Which kind of transfer a request becomes that does not say: a decision table over urgency, availability, hours, and what the caller would like.

use baton_contract::{Context, Mode};
use baton_time::Now;

use crate::plan::Plan;
use crate::{Roster, Target};

/// How soon a human is needed: `urgency` in the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Another day will do.
    Low,
    /// As usual; what counts where nothing, or nothing that is known, is said.
    #[default]
    Normal,
    /// At once.
    High,
}

/// What the caller would like: `preference` in the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// To speak to somebody now.
    Now,
    /// To be called back.
    Callback,
    /// To leave a message.
    Message,
}

/// One row of the table. What it does not ask for may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// How urgent it has to be.
    pub urgency: Option<Urgency>,
    /// What the caller has to prefer.
    pub preference: Option<Preference>,
    /// Whether somebody of the plan must, or must not, be free to be rung now.
    pub available: Option<bool>,
    /// Whether now must, or must not, be within the hours of somebody of the plan.
    pub open: Option<bool>,
    /// What the transfer is then.
    pub mode: Mode,
}

/// The table: the first row that fits decides, and where none does the transfer is a warm one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices(Vec<Choice>);

/// What the table looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    urgency: Urgency,
    preference: Option<Preference>,
    available: bool,
    open: bool,
}

impl Urgency {
    /// Every one, with its name.
    pub const NAMES: [(&'static str, Urgency); 3] = [("low", Urgency::Low), ("normal", Urgency::Normal), ("high", Urgency::High)];
}

impl Preference {
    /// Every one, with its name.
    pub const NAMES: [(&'static str, Preference); 3] =
        [("now", Preference::Now), ("callback", Preference::Callback), ("message", Preference::Message)];
}

impl Choices {
    /// These rows, in this order.
    pub fn new(rows: Vec<Choice>) -> Choices {
        Choices(rows)
    }

    /// The kind of a transfer to this target, for a caller of whom this is known.
    pub fn mode(&self, roster: &Roster, now: Now, target: &Target, context: &Context) -> Mode {
        let facts = Facts::of(roster, now, target, context);
        self.0.iter().find(|choice| choice.fits(facts)).map_or(Mode::Warm, |choice| choice.mode)
    }
}

/// Callers who would rather be called back, or leave a message, are taken at their word.
impl Default for Choices {
    fn default() -> Choices {
        let preferring =
            |preference, mode| Choice { urgency: None, preference: Some(preference), available: None, open: None, mode };
        Choices(vec![preferring(Preference::Callback, Mode::Scheduled), preferring(Preference::Message, Mode::Voicemail)])
    }
}

impl Choice {
    /// Whether it asks for nothing.
    pub fn is_always(&self) -> bool {
        *self == Choice { urgency: None, preference: None, available: None, open: None, mode: self.mode }
    }

    fn fits(&self, facts: Facts) -> bool {
        self.urgency.is_none_or(|urgency| urgency == facts.urgency)
            && self.preference.is_none_or(|preference| Some(preference) == facts.preference)
            && self.available.is_none_or(|available| available == facts.available)
            && self.open.is_none_or(|open| open == facts.open)
    }
}

impl Facts {
    /// Somebody outside, of whom nothing is known, counts as free and open.
    fn of(roster: &Roster, now: Now, target: &Target, context: &Context) -> Facts {
        let said =
            |key: &str| context.other.get(key).and_then(|value| value.as_str()).map(|text| text.trim().to_ascii_lowercase());
        let outside = matches!(target, Target::Outside(_));
        let plan = Plan::new(roster, target, context);
        Facts {
            urgency: said("urgency").and_then(|text| named(&Urgency::NAMES, &text)).unwrap_or_default(),
            preference: said("preference").and_then(|text| named(&Preference::NAMES, &text)),
            available: outside || plan.aes.iter().any(|ae| roster.is_free(now, ae)),
            open: outside || plan.aes.iter().any(|ae| roster.is_open(now, ae)),
        }
    }
}

fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use baton_contract::Presence;
    use baton_time::{Mono, Wall};
    use serde_json::json;

    use super::*;
    use crate::AeSettings;
    use crate::roster::tests::ae;

    /// Thursday, 1970-01-01, in UTC.
    const NOON: Now = Now { mono: Mono::ZERO, wall: Wall::from_seconds(12 * 3_600) };
    const NIGHT: Now = Now { mono: Mono::ZERO, wall: Wall::from_seconds(2 * 3_600) };

    /// Two AEs from nine to five.
    fn roster() -> Roster {
        let by_day = |id| AeSettings { hours: "Mon-Fri 09:00-17:00".parse().unwrap(), ..ae(id, None) };
        Roster::new(vec![by_day("a"), by_day("b")], vec![])
    }

    const ANY: Choice = Choice { urgency: None, preference: None, available: None, open: None, mode: Mode::Warm };

    fn context(urgency: &str, preference: &str) -> Context {
        serde_json::from_value(json!({"urgency": urgency, "preference": preference})).unwrap()
    }

    #[test]
    fn without_a_table_the_caller_s_wish_decides() {
        let choices = Choices::default();
        let modes = [
            ("", Mode::Warm),
            ("now", Mode::Warm),
            ("Callback ", Mode::Scheduled),
            ("message", Mode::Voicemail),
            ("?", Mode::Warm),
        ];
        for (wish, mode) in modes {
            assert_eq!(choices.mode(&roster(), NOON, &Target::Anyone, &context("", wish)), mode, "{wish}");
        }
        let number = serde_json::from_value(json!({"preference": 7})).unwrap();
        assert_eq!(choices.mode(&roster(), NOON, &Target::Anyone, &number), Mode::Warm);
    }

    #[test]
    fn the_first_row_that_fits_decides_and_each_column_counts() {
        let choices = Choices::new(vec![
            Choice { urgency: Some(Urgency::High), mode: Mode::Warm, ..ANY },
            Choice { open: Some(false), mode: Mode::Voicemail, ..ANY },
            Choice { available: Some(false), preference: Some(Preference::Now), mode: Mode::Cold, ..ANY },
            Choice { available: Some(false), mode: Mode::Scheduled, ..ANY },
        ]);
        let (mut busy, free) = (roster(), roster());
        for id in busy.ids().to_vec() {
            busy.set_presence(&id, Presence::Dnd);
        }
        let mode = |roster: &Roster, now, urgency, wish| choices.mode(roster, now, &Target::Anyone, &context(urgency, wish));
        assert_eq!(mode(&free, NOON, "", ""), Mode::Warm);
        assert_eq!(mode(&free, NIGHT, "low", ""), Mode::Voicemail);
        assert_eq!(mode(&free, NIGHT, "high", ""), Mode::Warm);
        assert_eq!(mode(&busy, NOON, "normal", "now"), Mode::Cold);
        assert_eq!(mode(&busy, NOON, "normal", ""), Mode::Scheduled);
        let outside = Target::Outside("sip:desk@example.com".to_owned());
        assert_eq!(choices.mode(&busy, NIGHT, &outside, &context("", "")), Mode::Warm, "of somebody outside nothing is known");
    }
}
