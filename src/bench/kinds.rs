//! The kinds of transfers of a mixed run: what each party does, how it is asked for, and how it has to come out.

use baton_party::{Cue, Dice, KeyPath, Pilot, Step};

use super::scripts::{ACCEPTS, ASKS, HEARS_AE, HEARS_CALLER, PATIENCE_MS, TOGETHER_MS, ai, between, caller};

/// What everybody in a call is told when its transfer is asked for.
pub(super) const GO: &str = "go";
/// The note of an AE whose phone rings.
const RINGS: &str = "rings";
/// The note of an AE who is busy.
const BUSY: &str = "busy";
/// What is said into a voicemail.
pub(super) const MESSAGE: &str = "message";
/// When whoever was asked to leave a message speaks: the sentence before the tone is over by then.
const AFTER_THE_TONE_MS: u64 = 6_000;

/// A kind of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Briefed, accepted by key, bridged.
    Warm,
    /// The AE declines by key; the caller is with the AI again.
    Declined,
    /// The AE is busy; the caller picks a time by key.
    Busy,
    /// The caller hangs up while the phone rings.
    Abandoned,
    /// Asked for by REFER.
    Referred,
    /// The AI has gone before the AE answers.
    AiLeft,
    /// Without a briefing.
    Cold,
    /// The caller leaves a message.
    Voicemail,
    /// After the bridge the AE hands the caller back to a fresh AI.
    HandedBack,
}

impl Kind {
    /// All of them, in the order in which they take turns.
    pub(super) const ALL: [Kind; 9] = [
        Kind::Warm,
        Kind::Declined,
        Kind::Busy,
        Kind::Abandoned,
        Kind::Referred,
        Kind::AiLeft,
        Kind::Cold,
        Kind::Voicemail,
        Kind::HandedBack,
    ];

    /// Its name in a report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Warm => "warm",
            Kind::Declined => "declined",
            Kind::Busy => "busy",
            Kind::Abandoned => "abandoned",
            Kind::Referred => "by REFER",
            Kind::AiLeft => "AI left",
            Kind::Cold => "cold",
            Kind::Voicemail => "voicemail",
            Kind::HandedBack => "handed back",
        }
    }

    /// The outcome that the transfer must have.
    pub(super) const fn outcome(self) -> &'static str {
        match self {
            Kind::Warm | Kind::Referred | Kind::AiLeft | Kind::Cold | Kind::HandedBack => "bridged",
            Kind::Declined => "returned_to_ai",
            Kind::Busy => "callback_scheduled",
            Kind::Abandoned => "caller_abandoned",
            Kind::Voicemail => "voicemail",
        }
    }

    /// The mode that is asked for; `None`: the AI asks, by REFER.
    pub(super) const fn mode(self) -> Option<&'static str> {
        match self {
            Kind::Referred => None,
            Kind::Cold => Some("cold"),
            Kind::Voicemail => Some("voicemail"),
            Kind::Warm | Kind::Declined | Kind::Busy | Kind::Abandoned | Kind::AiLeft | Kind::HandedBack => Some("warm"),
        }
    }

    /// What the caller does.
    pub(super) fn caller(self, dialled: &str, dice: &mut Dice) -> Vec<Step> {
        let bridged = caller(dialled, dice);
        let asked = bridged.iter().position(|step| *step == Step::note(ASKS)).map_or(0, |place| place + 1);
        let begin = bridged[..asked].to_vec();
        let then = match self {
            Kind::Warm | Kind::Referred | Kind::AiLeft | Kind::Cold => return bridged,
            Kind::Declined => vec![told("declined"), hears(Pilot::Ai), Step::pause(TOGETHER_MS), Step::HangUp],
            Kind::Busy => vec![told(BUSY), Step::pause(1_500), info('1'), gone()],
            Kind::Abandoned => vec![told(RINGS), between(dice, 100, 600), Step::HangUp],
            Kind::Voicemail => {
                let [says, has_said] = Step::speak(MESSAGE);
                vec![told(GO), Step::pause(AFTER_THE_TONE_MS), says, has_said, info('#'), gone()]
            }
            Kind::HandedBack => {
                vec![
                    hears(Pilot::Ae),
                    Step::note(HEARS_AE),
                    told("hands-back"),
                    hears(Pilot::Ai),
                    Step::pause(TOGETHER_MS),
                    Step::HangUp,
                ]
            }
        };
        [begin, then].concat()
    }

    /// What the AI does; `to`: whom it names in a REFER.
    pub(super) fn ai(self, to: &str) -> Vec<Step> {
        let mut steps = ai();
        let last = steps.len() - 1;
        match self {
            Kind::Referred => {
                steps.insert(last, told(GO));
                steps.insert(last + 1, Step::Refer { to: format!("sip:{to}@baton.example"), headers: Vec::new() });
            }
            Kind::AiLeft => steps.splice(last.., [told(RINGS), Step::HangUp]).for_each(drop),
            Kind::Warm | Kind::Declined | Kind::Busy | Kind::Abandoned | Kind::Cold | Kind::Voicemail | Kind::HandedBack => {}
        }
        steps
    }

    /// What the AE does.
    pub(super) fn ae(self, dice: &mut Dice) -> Vec<Step> {
        let bridged = super::scripts::ae(dice);
        let ring = vec![bridged[0].clone(), bridged[1].clone(), Step::note(RINGS)];
        match self {
            Kind::Warm | Kind::Referred => bridged,
            Kind::AiLeft => [ring, vec![Step::pause(300)], bridged[2..].to_vec()].concat(),
            Kind::Declined => {
                let mut steps = bridged;
                let accepts = steps.iter().position(|step| *step == Step::note(ACCEPTS)).unwrap_or(0);
                steps.splice(accepts.., [info('2'), Step::note("declined"), gone()]);
                steps
            }
            Kind::Busy => vec![ring[0].clone(), Step::note(BUSY), Step::Refuse { status: 486 }],
            Kind::Abandoned => [ring, vec![gone()]].concat(),
            Kind::Voicemail => Vec::new(),
            Kind::Cold => {
                let take = vec![between(dice, 200, 600), Step::note(ACCEPTS), Step::Answer, hears(Pilot::Caller)];
                [ring, take, vec![Step::note(HEARS_CALLER), gone()]].concat()
            }
            Kind::HandedBack => {
                let mut steps = bridged;
                let last = steps.len() - 1;
                let back = [told(HEARS_AE), Step::pause(300), info('*'), Step::pause(300), Step::note("hands-back"), info('9')];
                steps.splice(last..last, back);
                steps
            }
        }
    }

    /// What the AI does that is called a second time; nothing, where none is.
    pub(super) fn ai_again(self) -> Vec<Step> {
        if self == Kind::HandedBack { ai() } else { Vec::new() }
    }
}

fn told(note: &str) -> Step {
    Step::wait_for(Cue::Told(note.to_owned()), 4 * PATIENCE_MS)
}

fn hears(pilot: Pilot) -> Step {
    Step::wait_for(Cue::Hears(pilot), 2 * PATIENCE_MS)
}

fn gone() -> Step {
    Step::wait_for(Cue::Gone, 2 * PATIENCE_MS)
}

fn info(key: char) -> Step {
    Step::Press { key, by: KeyPath::Info }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_somebody_who_ends_it() {
        let mut dice = Dice::new(1);
        for kind in Kind::ALL {
            let caller = kind.caller("bench-1", &mut dice);
            assert!(matches!(caller.last(), Some(Step::HangUp | Step::WaitFor { cue: Cue::Gone, .. })), "{kind:?}");
            assert_eq!(kind.ai_again().is_empty(), kind != Kind::HandedBack);
            assert_eq!(kind.ae(&mut dice).is_empty(), kind == Kind::Voicemail);
        }
    }

    #[test]
    fn only_an_ai_that_refers_asks_by_itself() {
        for kind in Kind::ALL {
            let refers = kind.ai("ae-000").iter().any(|step| matches!(step, Step::Refer { .. }));
            assert_eq!(refers, kind.mode().is_none());
        }
    }
}
