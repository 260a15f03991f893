//! What must hold of who hears whom.

use baton_contract::Mode;
use baton_media::{Command, Port, Role, Source};
use baton_transfer::BriefingBy;

use crate::chance::leg::Leg;
use crate::chance::plan::FIRST_AE;
use crate::chance::run::Run;

impl Run<'_> {
    /// Who hears whom from now on.
    pub(in crate::chance) fn watch_scene(&mut self, command: &Command) {
        let Command::Scene { room, scene } = command else { return };
        for (port, source) in &scene.hears {
            let Some(role) = self.role_of(*port) else { continue };
            let heard: &[Port] = match source {
                Source::Leg(one) => std::slice::from_ref(one),
                Source::Mix(several) => several,
                Source::Play(list) => {
                    self.told(role, list.clips.iter().map(|clip| clip.name().to_owned()).collect());
                    &[]
                }
                Source::Silence | Source::Music => &[],
            };
            for other in heard {
                let Some(line) = self.rooms.line(*other) else { continue };
                let wrong_room = line.room != *room;
                let other_role = line.role;
                self.watch.must(!wrong_room, || "somebody of another call is heard".to_owned());
                self.may_hear(role, *port, other_role, *other);
            }
            let speaks = self.leaves_message(*port);
            self.watch.must(role != Role::Caller || *source != Source::Silence || speaks, || {
                "the caller hears silence (I1)".to_owned()
            });
        }
        let hears = |role: Role, of: Role| {
            scene.hears.iter().any(|(port, source)| {
                self.role_of(*port) == Some(role) && matches!(source, Source::Leg(other) if self.role_of(*other) == Some(of))
            })
        };
        let two = hears(Role::Caller, Role::Ae) && (hears(Role::Ai, Role::Caller) || hears(Role::Ai, Role::Ae));
        let two = two && !self.watch.rules.ways.introduce;
        self.watch.must(!two, || "the AI hears what a human drives (I3)".to_owned());
    }

    /// Whether this caller leaves a message, or is about to.
    fn leaves_message(&self, port: Port) -> bool {
        // Ports are used again, and a caller who has not got our answer yet knows of none.
        let is_theirs = |leg: &&Leg| leg.port == port.0 && self.is_caller(leg.who.phone) && !leg.facts.is_closed();
        let leg = self.legs.iter().rev().find(is_theirs);
        let Some(leg) = leg else { return self.watch.transfers.iter().any(|told| told.mode == Mode::Voicemail) };
        let call = leg.call.or_else(|| self.watch.calls.iter().find(|call| call.phone == leg.who.phone).map(|call| call.id));
        self.watch.transfers.iter().any(|told| Some(told.call) == call && told.mode == Mode::Voicemail)
    }

    fn may_hear(&mut self, role: Role, port: Port, other: Role, other_port: Port) {
        let ae = match (role, other) {
            (Role::Caller, Role::Ae) => other_port,
            (Role::Ae, Role::Caller) => port,
            (Role::Ai, Role::Ae) | (Role::Ae, Role::Ai) => {
                let ways = self.watch.rules.ways;
                let meet = ways.introduce || ways.briefing == BriefingBy::Ai;
                return self.watch.must(meet, || "AI and AE hear each other (I4)".to_owned());
            }
            (_, _) => {
                self.watch.must(role != other, || "somebody hears another one of their kind".to_owned());
                return;
            }
        };
        let now = self.now.mono;
        if role == Role::Caller && self.is_passed_on(ae) {
            return;
        }
        let accepts = self.legs.iter().any(|leg| {
            leg.port == ae.0 && leg.who.phone >= FIRST_AE && leg.facts.accepts.is_some() && !leg.facts.was_closed(now)
        });
        self.watch.must(accepts, || "caller and AE hear each other before the AE has accepted (I2, I4)".to_owned());
    }

    /// Whether a caller who is passed on without a briefing may hear this phone before its answer.
    fn is_passed_on(&self, ae: Port) -> bool {
        let legs = self.legs.iter().enumerate().filter(|(_, leg)| leg.port == ae.0);
        legs.rev().take(1).any(|(at, leg)| {
            leg.facts.answered.is_none()
                && self
                    .watch
                    .transfers
                    .iter()
                    .any(|told| told.mode == Mode::Cold && told.attempts.iter().any(|attempt| attempt.leg == Some(at)))
        })
    }

    /// What is said to whom.
    fn told(&mut self, role: Role, clips: Vec<String>) {
        let has = |name: &str| clips.iter().any(|clip| clip == name);
        let wrong = match role {
            Role::Caller => has("briefing") || has("ToAcceptPress") || has("CallerWaiting"),
            Role::Ae => has("NobodyFree") || has("OneMoment") || has("WeWillCallYou"),
            Role::Ai => true,
        };
        self.watch.must(!wrong, || format!("{role:?} is told {clips:?} (I4)"));
        if has("WeWillCallYou") || has("CallbackNoted") {
            let written = !self.watch.callbacks.is_empty();
            self.watch.must(written, || "a callback is promised that is not on disk (I8)".to_owned());
        }
    }
}
