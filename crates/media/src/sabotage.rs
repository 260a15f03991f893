//! The self-test of the demo: faults put in on purpose, all in one place, to prove that its checks find them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;

use crate::leg::Sound;
use crate::{Clip, Port, Role, Scene, Source};

/// A fault put in on purpose, to prove that the demo's checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The caller hears the AE while the AE hears the briefing.
    LeakConsult,
    /// The AI is heard by the caller for 500 ms after the bridge.
    AiLingers,
    /// The first six packets to the caller at each cut-over to a leg are lost.
    DropCutover,
    /// Music is digital silence.
    Silence,
}

/// What a sabotaged room remembers.
#[derive(Debug)]
pub(crate) struct Saboteur {
    kind: Sabotage,
    /// What the AI said last, in its own codec.
    said: VecDeque<u8>,
    until: Option<Mono>,
    echo: Vec<u8>,
}

impl Saboteur {
    pub(crate) fn new(kind: Sabotage) -> Saboteur {
        Saboteur { kind, said: VecDeque::new(), until: None, echo: Vec::new() }
    }

    /// The music that is played in place of `music`.
    pub(crate) fn music(&self, music: Arc<Clip>) -> Arc<Clip> {
        match self.kind {
            Sabotage::Silence => Arc::new(Clip::new("silence", vec![0; 8_000])),
            Sabotage::LeakConsult | Sabotage::AiLingers | Sabotage::DropCutover => music,
        }
    }

    /// The scene that is played in place of `scene`.
    pub(crate) fn scene(&mut self, now: Mono, scene: Scene, legs: &[(Port, Role)]) -> Scene {
        let of = |role| legs.iter().find(|(_, is)| *is == role).map(|(port, _)| *port);
        let (Some(caller), Some(ae)) = (of(Role::Caller), of(Role::Ae)) else { return scene };
        if scene.hears.get(&caller) == Some(&Source::Leg(ae)) {
            self.until.get_or_insert(now + LINGERS);
        } else {
            self.until = None;
        }
        let is_briefed = matches!(scene.hears.get(&ae), Some(Source::Play(_)));
        if self.kind == Sabotage::LeakConsult && is_briefed { scene.hear(caller, Source::Leg(ae)) } else { scene }
    }

    /// How many packets to a leg that hears another one from here on are lost.
    pub(crate) fn lose(&self, role: Role) -> u8 {
        if self.kind == Sabotage::DropCutover && role == Role::Caller { PACKETS_LOST } else { 0 }
    }

    /// Takes note of what the AI says.
    pub(crate) fn heard(&mut self, role: Role, sound: &Sound<'_>) {
        if self.kind == Sabotage::AiLingers && role == Role::Ai {
            self.said.extend(sound.rtp.payload);
            let surplus = self.said.len().saturating_sub(SAID_MAX);
            self.said.drain(..surplus);
        }
    }

    /// What the caller hears in place of the AE's sound.
    pub(crate) fn instead<'a>(&'a mut self, now: Mono, from: Role, to: Role, sound: &Sound<'a>) -> Sound<'a> {
        let lingers = self.kind == Sabotage::AiLingers && self.until.is_some_and(|until| now < until);
        let length = sound.rtp.payload.len();
        if !lingers || from != Role::Ae || to != Role::Caller || self.said.len() < length {
            return *sound;
        }
        self.echo = self.said.drain(..length).collect();
        self.said.extend(&self.echo);
        let mut instead = *sound;
        instead.rtp.payload = &self.echo;
        instead
    }
}

/// How long the AI lingers.
const LINGERS: Duration = Duration::from_millis(500);
/// How many octets of the AI are remembered: 500 ms.
const SAID_MAX: usize = 4_000;
/// How many packets are lost at a cut-over: 120 ms, more than the phase of the frames and a slow machine may take.
const PACKETS_LOST: u8 = 6;
