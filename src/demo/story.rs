//! The stories: who takes part, what each of them does, and how it has to come out.

mod modes;

use std::time::Duration;

use baton_party::{Cue, KeyPath, Pilot, Step};

/// A story.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it shows, in a few words.
    pub(crate) title: &'static str,
    /// What happens, in a sentence or two.
    pub(crate) tells: &'static str,
    /// The number that is dialled, or shown to whom we call: tells the AI which story it is in.
    pub(crate) dialled: &'static str,
    /// The caller's number.
    pub(crate) caller_number: &'static str,
    /// Who begins.
    pub(crate) begins: Begins,
    /// How the AI asks for a human.
    pub(crate) ask: Ask,
    /// The outcome that the transfer must have; of a callback: its state.
    pub(crate) outcome: &'static str,
    /// The note with which caller and AE are together, and alone.
    pub(crate) joined: &'static str,
    /// How each attempt must end, in order.
    pub(crate) attempts: &'static [(&'static str, &'static str)],
    /// Who may be rung.
    pub(crate) aes: Vec<Ae>,
    /// What the caller does.
    pub(crate) caller: Vec<Step>,
    /// What the AI does; nothing, where none takes part.
    pub(crate) ai: Vec<Step>,
    /// What the AI does once it is called a second time; nothing, where it is not.
    pub(crate) ai_again: Vec<Step>,
}

/// Who begins a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// The caller calls.
    Caller,
    /// The daemon calls the caller for an AI: `POST /v1/calls`.
    Outbound,
    /// A callback is due: `POST /v1/callbacks`, so many seconds ahead.
    Callback {
        /// How many.
        in_seconds: i64,
    },
}

/// How the AI asks for a human.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// Not at all: what it knows is told at its note `knows`, and the rest is Baton's own decision.
    NotAtAll {
        /// What it knows, as JSON.
        context: &'static str,
    },
    /// By the REST API.
    Rest {
        /// What is asked for beside the target: `{"mode": "warm"}`.
        wish: &'static str,
        /// Whom it asks for.
        to: &'static str,
        /// Why.
        reason: &'static str,
        /// What it knows, as JSON.
        context: &'static str,
    },
    /// By SIP REFER alone.
    Refer,
}

/// An AE.
#[derive(Debug, Clone)]
pub(crate) struct Ae {
    /// The id in the configuration.
    pub(crate) id: &'static str,
    /// The name that is spoken and shown.
    pub(crate) name: &'static str,
    /// The AE's pilot.
    pub(crate) pilot: Pilot,
    /// Who is next.
    pub(crate) backup: Option<&'static str>,
    /// How long their phone may ring.
    pub(crate) ring_max: Option<&'static str>,
    /// The number by which they can be named.
    pub(crate) number: Option<&'static str>,
    /// When they work.
    pub(crate) hours: &'static str,
    /// What they do.
    pub(crate) steps: Vec<Step>,
}

/// A warm transfer, and nothing else.
const WARM: &str = r#"{"mode": "warm"}"#;

/// Always at work: the demo runs at any hour.
const ALWAYS: &str = "Mon-Sun 00:00-24:00";

impl Story {
    /// All of them.
    pub(crate) fn all() -> Vec<Story> {
        let main = vec![warm(), backup(), callback(), decline(), abandon(), refer()];
        [main, modes::all()].concat()
    }

    /// Whether caller and AE are to be brought together by a transfer.
    pub(crate) fn bridges(&self) -> bool {
        self.outcome == "bridged"
    }

    /// Every step of everybody.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        let aes = self.aes.iter().flat_map(|ae| &ae.steps);
        self.caller.iter().chain(&self.ai).chain(&self.ai_again).chain(aes)
    }

    /// The AE who is to take the call.
    pub(crate) fn taker(&self) -> Option<&Ae> {
        let (id, _) = self.attempts.iter().find(|(_, outcome)| *outcome == "accepted")?;
        self.aes.iter().find(|ae| ae.id == *id)
    }
}

/// Says a line to its end, tells the others that it is said, and leaves a breath.
fn say(line: &str) -> Vec<Step> {
    let [begin, end] = Step::speak(line);
    vec![begin, end, Step::note(line), Step::pause(200)]
}

/// Waits until somebody has told something.
fn told(note: &str) -> Vec<Step> {
    vec![Step::wait_for(Cue::Told(note.to_owned()), 50_000), Step::pause(100)]
}

fn hears(pilot: Pilot) -> Vec<Step> {
    vec![Step::wait_for(Cue::Hears(pilot), 20_000)]
}

fn gone() -> Vec<Step> {
    vec![Step::wait_for(Cue::Gone, 50_000)]
}

/// The caller dials, hears the AI and states what is wanted.
fn calls(dialled: &str, first_line: &str) -> Vec<Step> {
    let dial = vec![Step::call(format!("sip:{dialled}@baton.example")), Step::wait_for(Cue::Up, 8_000), Step::note("up")];
    [dial, hears(Pilot::Ai), told("ava-hello"), say(first_line)].concat()
}

/// The AI takes the call and greets.
fn greets() -> Vec<Step> {
    let take = vec![
        Step::wait_for(Cue::Invited, 8_000),
        Step::Ring { status: 180 },
        Step::pause(120),
        Step::Answer,
        Step::wait_for(Cue::Hears(Pilot::Caller), 5_000),
    ];
    [take, say("ava-hello")].concat()
}

/// The AI announces the transfer, asks for it, and stays until it is hung up on.
fn hands_over(line: &str) -> Vec<Step> {
    [say(line), vec![Step::note("ask")], gone()].concat()
}

/// The AE's phone rings once the screen-pop has been read.
fn rings(id: &str, for_ms: u64) -> Vec<Step> {
    let read = Cue::Told(format!("popped {id}"));
    let pop = vec![Step::wait_for(Cue::Invited, 50_000), Step::note("invited"), Step::wait_for(read, 3_000)];
    let ring = vec![Step::Ring { status: 180 }, Step::note("rings"), Step::pause(for_ms)];
    [pop, ring].concat()
}

/// The AE picks up, listens to the briefing for a while, says something and presses a key.
fn decides(pickup: &str, listens_ms: u64, decision: &str, note: &str, key: char) -> Vec<Step> {
    let pick_up = vec![Step::Answer, Step::note("answers")];
    let press = vec![Step::note(note), Step::Press { key, by: KeyPath::Rfc4733 }];
    [pick_up, say(pickup), vec![Step::pause(listens_ms)], say(decision), press].concat()
}

fn ae(id: &'static str, name: &'static str, pilot: Pilot, steps: Vec<Step>) -> Ae {
    Ae { id, name, pilot, backup: None, ring_max: None, number: None, hours: ALWAYS, steps }
}

fn warm() -> Story {
    let caller = [
        calls("+15550101", "jamie-pricing"),
        told("ava-pricing"),
        say("jamie-person"),
        hears(Pilot::Ae),
        told("michael-pricing"),
        say("jamie-no-repeat"),
        told("michael-offer"),
        say("jamie-thank-you"),
        vec![Step::HangUp],
    ];
    let ai = [greets(), told("jamie-pricing"), say("ava-pricing"), told("jamie-person"), hands_over("ava-bring-michael")];
    let michael = [
        rings("michael-warm", 900),
        decides("michael-pickup", 4_000, "michael-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("michael-pricing"),
        told("jamie-no-repeat"),
        say("michael-offer"),
        gone(),
    ];
    Story {
        name: "warm",
        title: "a warm transfer",
        tells: "The caller asks for a person. Michael hears the briefing, presses 1, and goes on where the AI stopped.",
        dialled: "+15550101",
        caller_number: "+15550121",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: WARM,
            to: "michael-warm",
            reason: "explicit_request",
            context: include_str!("contexts/warm.json"),
        },
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("michael-warm", "accepted")],
        aes: vec![Ae { number: Some("+15550141"), ..ae("michael-warm", "Michael", Pilot::Ae, michael.concat()) }],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn backup() -> Story {
    let caller = [
        calls("+15550102", "jamie-security"),
        hears(Pilot::Backup),
        told("sara-security"),
        say("jamie-right"),
        told("sara-report"),
        say("jamie-thanks-sara"),
        vec![Step::HangUp],
    ];
    let ai = [greets(), told("jamie-security"), hands_over("ava-security")];
    let michael = [rings("michael-backup", 0), gone()];
    let sara = [
        rings("sara-backup", 900),
        decides("sara-pickup", 4_000, "sara-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("sara-security"),
        told("jamie-right"),
        say("sara-report"),
        gone(),
    ];
    Story {
        name: "backup",
        title: "the backup takes it",
        tells: "Michael does not pick up. After four seconds his phone stops ringing and Sara's begins; she takes the call.",
        dialled: "+15550102",
        caller_number: "+15550122",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: WARM,
            to: "michael-backup",
            reason: "explicit_request",
            context: include_str!("contexts/backup.json"),
        },
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("michael-backup", "no_answer"), ("sara-backup", "accepted")],
        aes: vec![
            Ae {
                backup: Some("sara-backup"),
                ring_max: Some("4s"),
                ..ae("michael-backup", "Michael", Pilot::Ae, michael.concat())
            },
            ae("sara-backup", "Sara", Pilot::Backup, sara.concat()),
        ],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn callback() -> Story {
    let caller = [
        calls("+15550103", "jamie-import"),
        told("offering"),
        vec![Step::pause(8_000), Step::note("picks"), Step::Press { key: '1', by: KeyPath::Rfc4733 }],
        say("jamie-first-one"),
        told("callback.scheduled"),
        vec![Step::pause(400), Step::Say("jamie-talk-then".to_owned()), Step::note("jamie-talk-then")],
        gone(),
    ];
    let ai = [greets(), told("jamie-import"), hands_over("ava-import")];
    let michael = [rings("michael-callback", 700), vec![Step::Refuse { status: 486 }]];
    let sara = [rings("sara-callback", 900), vec![Step::Refuse { status: 486 }]];
    Story {
        name: "callback",
        title: "nobody is free",
        tells: "Both phones are busy. Baton offers two times, the caller presses 1, and the promise is on disk before it is spoken.",
        dialled: "+15550103",
        caller_number: "+15550123",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: WARM,
            to: "michael-callback",
            reason: "confidence",
            context: include_str!("contexts/callback.json"),
        },
        outcome: "callback_scheduled",
        joined: "accepts",
        attempts: &[("michael-callback", "busy"), ("sara-callback", "busy")],
        aes: vec![
            Ae { backup: Some("sara-callback"), ..ae("michael-callback", "Michael", Pilot::Ae, michael.concat()) },
            ae("sara-callback", "Sara", Pilot::Backup, sara.concat()),
        ],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn decline() -> Story {
    let caller = [
        calls("+15550104", "jamie-contract"),
        told("transfer.ended"),
        told("ava-back"),
        say("jamie-fine"),
        told("ava-bye"),
        vec![Step::HangUp],
    ];
    let ai = [
        greets(),
        told("jamie-contract"),
        say("ava-contract"),
        vec![Step::note("ask")],
        told("transfer.ended"),
        hears(Pilot::Caller),
        say("ava-back"),
        told("jamie-fine"),
        say("ava-bye"),
        gone(),
    ];
    let sara = [rings("sara-decline", 900), decides("sara-pickup", 2_500, "sara-no", "declines", '2'), gone()];
    Story {
        name: "decline",
        title: "the AE declines",
        tells: "Sara has no backup and presses 2. The caller is with the AI again and never hears why.",
        dialled: "+15550104",
        caller_number: "+15550124",
        begins: Begins::Caller,
        ask: Ask::Rest { wish: WARM, to: "sara-decline", reason: "policy", context: include_str!("contexts/decline.json") },
        outcome: "returned_to_ai",
        joined: "accepts",
        attempts: &[("sara-decline", "declined")],
        aes: vec![ae("sara-decline", "Sara", Pilot::Backup, sara.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn abandon() -> Story {
    let caller = [
        calls("+15550105", "jamie-invoice"),
        told("rings"),
        vec![Step::pause(1_200)],
        say("jamie-must-run"),
        vec![Step::note("leaves"), Step::HangUp],
    ];
    let ai = [greets(), told("jamie-invoice"), hands_over("ava-invoice")];
    let michael = [rings("michael-abandon", 0), told("leaves"), vec![Step::wait_for(Cue::Gone, 2_000)]];
    Story {
        name: "abandon",
        title: "the caller leaves",
        tells: "The caller hangs up while Michael's phone rings. It stops at once.",
        dialled: "+15550105",
        caller_number: "+15550125",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: WARM,
            to: "michael-abandon",
            reason: "explicit_request",
            context: include_str!("contexts/abandon.json"),
        },
        outcome: "caller_abandoned",
        joined: "accepts",
        attempts: &[("michael-abandon", "caller_gone")],
        aes: vec![ae("michael-abandon", "Michael", Pilot::Ae, michael.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn refer() -> Story {
    let caller = [
        calls("+15550106", "jamie-upgrade"),
        hears(Pilot::Ae),
        told("michael-upgrade"),
        say("jamie-fifty"),
        told("michael-done"),
        say("jamie-service"),
        gone(),
    ];
    let refer_to = "sip:+15550146@baton.example?X-Baton-Summary=Jamie%20from%20NovaCorp%20has%20run%20out%20of%20seats%20and%20wants%20to%20upgrade.";
    let refer = vec![Step::note("ask"), Step::Refer { to: refer_to.to_owned(), headers: Vec::new() }];
    let ai = [greets(), told("jamie-upgrade"), say("ava-upgrade"), refer, gone()];
    let michael = [
        rings("michael-refer", 900),
        decides("michael-pickup", 3_500, "michael-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("michael-upgrade"),
        told("jamie-fifty"),
        say("michael-done"),
        told("jamie-service"),
        vec![Step::HangUp],
    ];
    Story {
        name: "refer",
        title: "an AI that can only REFER",
        tells: "The AI knows nothing but SIP REFER, and gets the whole warm transfer, with its progress by NOTIFY.",
        dialled: "+15550106",
        caller_number: "+15550126",
        begins: Begins::Caller,
        ask: Ask::Refer,
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("michael-refer", "accepted")],
        aes: vec![Ae { number: Some("+15550146"), ..ae("michael-refer", "Michael", Pilot::Ae, michael.concat()) }],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

/// How long a whole run may take; what is not over by then has failed.
pub(crate) const CURTAIN: Duration = Duration::from_secs(58);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_numbers_and_pilots_are_each_somebody_s_own() {
        let stories = Story::all();
        let names: BTreeSet<_> = stories.iter().map(|story| story.name).collect();
        let numbers: BTreeSet<_> = stories.iter().flat_map(|story| [story.dialled, story.caller_number]).collect();
        let ids: BTreeSet<_> = stories.iter().flat_map(|story| story.aes.iter().map(|ae| ae.id)).collect();
        let aes: usize = stories.iter().map(|story| story.aes.len()).sum();
        assert_eq!((names.len(), numbers.len(), ids.len()), (stories.len(), 2 * stories.len(), aes));
        for story in &stories {
            let pilots: BTreeSet<_> = story.aes.iter().map(|ae| ae.pilot).collect();
            assert_eq!(pilots.len(), story.aes.len(), "{}", story.name);
        }
    }

    #[test]
    fn nobody_waits_for_a_line_that_nobody_says() {
        for story in Story::all() {
            let notes: BTreeSet<_> =
                story.steps().filter_map(|step| if let Step::Note(note) = step { Some(note.as_str()) } else { None }).collect();
            let from_outside = ["offering", "recording", "callback.scheduled", "transfer.ended", "transfer.requested"];
            for step in story.steps() {
                if let Step::WaitFor { cue: Cue::Told(note), .. } = step {
                    assert!(
                        notes.contains(note.as_str()) || from_outside.contains(&note.as_str()) || note.starts_with("popped "),
                        "{}: {note}",
                        story.name
                    );
                }
            }
        }
    }

    #[test]
    fn every_line_is_shipped() {
        for story in Story::all() {
            for step in story.steps() {
                if let Step::Say(line) = step {
                    assert!(crate::voice::lines::line(line).is_some(), "{line}");
                }
            }
        }
    }

    #[test]
    fn contexts_are_json_and_only_the_one_who_accepts_is_the_taker() {
        for story in Story::all() {
            let is_object = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object());
            match story.ask {
                Ask::Rest { context, wish, .. } => assert!(is_object(context) && is_object(wish), "{}", story.name),
                Ask::NotAtAll { context } => assert!(is_object(context), "{}", story.name),
                Ask::Refer => {}
            }
            assert_eq!(story.taker().is_some(), story.bridges() || story.outcome == "kept");
            let joined = |step: &Step| *step == Step::note(story.joined);
            assert!(story.taker().is_none() || story.steps().any(joined), "{}: nobody notes {}", story.name, story.joined);
        }
    }
}
