//! What there is before the first instant of a world: who takes part, and by which rules.

use std::time::Duration;

use baton_party::Step;

use super::Wiring;

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives twice.
    Twice,
    /// It arrives late by so much.
    Late(Duration),
}

/// What the store does with commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It writes them.
    Well,
    /// It refuses them.
    Refuses,
    /// It takes them in and never answers.
    Silent,
}

/// An AE of the world.
#[derive(Debug, Clone)]
pub struct Ae {
    /// Their id; also the user that their phone answers to.
    pub id: String,
    /// Who is tried after them.
    pub backup: Option<String>,
    /// What their phone does; none: there is no phone.
    pub script: Option<Vec<Step>>,
    /// When they work, in New York.
    pub hours: String,
    /// The language in which they are spoken to, where it is not everybody's.
    pub language: Option<baton_transfer::Language>,
}

impl Ae {
    /// An AE who always works; without a script there is no phone.
    pub fn new(id: &str, script: Option<Vec<Step>>) -> Ae {
        Ae { id: id.to_owned(), backup: None, script, hours: "Mon-Sun 00:00-24:00".to_owned(), language: None }
    }

    /// With somebody who is tried after them.
    #[must_use]
    pub fn with_backup(self, id: &str) -> Ae {
        Ae { backup: Some(id.to_owned()), ..self }
    }
}

/// What a world begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The caller's script.
    pub caller: Vec<Step>,
    /// The AI's script.
    pub ai: Vec<Step>,
    /// What the AI does when it is called once more in the same call.
    pub ai_again: Vec<Step>,
    /// The AEs.
    pub aes: Vec<Ae>,
    /// Groups of them: name and members.
    pub groups: Vec<(String, Vec<String>)>,
    /// The trunk, the AI and the route.
    pub wiring: Wiring,
    /// The rules of a transfer.
    pub transfer: baton_transfer::Settings,
    /// How the caller's trunk passes callers on.
    pub cold: baton_switchboard::ColdWay,
    /// The AE behind whose phone all the outside world is: numbers at their host are dialled.
    pub outside: Option<String>,
    /// What is recorded.
    pub recording: baton_switchboard::RecordingSettings,
    /// How many legs can have media at the same time.
    pub ports: u16,
    /// From where everything random comes.
    pub seed: u64,
}

impl Setup {
    /// The usual settings, with these AEs, where nobody has a script.
    pub fn of(aes: Vec<Ae>) -> Setup {
        Setup {
            caller: Vec::new(),
            ai: Vec::new(),
            ai_again: Vec::new(),
            aes,
            groups: Vec::new(),
            wiring: Wiring::default(),
            transfer: baton_transfer::Settings::default(),
            cold: baton_switchboard::ColdWay::Bridge,
            outside: None,
            recording: baton_switchboard::RecordingSettings::default(),
            ports: 200,
            seed: 7,
        }
    }
}
