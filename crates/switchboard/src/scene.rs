//! The table of scenes: who hears whom, as data.

use std::sync::Arc;
use std::time::Duration;

use baton_contract::{CallId, LegRole};
use baton_media::{Clip, Command, Digits, Pair, PlayId, Playlist, Port, Scene, Source, Then};
use baton_transfer::SceneName;

use crate::call::Call;
use crate::leg::Sound;
use crate::switchboard::Switchboard;

/// How long the first key of the pair that hands a caller back waits for the second one, after the bridge.
pub(crate) const KEY_HELD: Duration = Duration::from_millis(1_500);

/// Names the ringback, so that it goes on undisturbed from scene to scene: no speech ever has this name.
const RINGBACK: PlayId = PlayId(u64::MAX);

/// What one party hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    Silence,
    Music,
    Ringback,
    /// What the AE's phone sends before its answer, else ringback.
    EarlyAe,
    Caller,
    Ai,
    Ae,
    /// The two others.
    Both,
}

/// One row: what the caller, the AI and the AE hear.
///
/// A party that is being told something hears that instead, and then what its row says.
const fn row(scene: SceneName) -> [Hears; 3] {
    match scene {
        SceneName::Conversation => [Hears::Ai, Hears::Caller, Hears::Silence],
        SceneName::ConsultMusic => [Hears::Music, Hears::Silence, Hears::Silence],
        SceneName::ConsultRingback => [Hears::Ringback, Hears::Silence, Hears::Silence],
        SceneName::ConsultAi => [Hears::Ai, Hears::Caller, Hears::Silence],
        SceneName::ConsultLive => [Hears::Music, Hears::Ae, Hears::Ai],
        SceneName::PassingOn => [Hears::EarlyAe, Hears::Silence, Hears::Silence],
        SceneName::Introduction => [Hears::Both, Hears::Both, Hears::Both],
        SceneName::Human => [Hears::Ae, Hears::Silence, Hears::Caller],
        SceneName::AeHolds | SceneName::Offering | SceneName::Rescue => [Hears::Music, Hears::Silence, Hears::Silence],
        SceneName::Voicemail => [Hears::Silence, Hears::Silence, Hears::Silence],
        SceneName::CallingBack => [Hears::Music, Hears::Silence, Hears::Music],
    }
}

/// Whether keys pass between the parties that hear each other.
const fn keys_pass(scene: SceneName) -> bool {
    match scene {
        SceneName::Conversation | SceneName::ConsultAi | SceneName::Human => true,
        SceneName::ConsultMusic
        | SceneName::ConsultRingback
        | SceneName::ConsultLive
        | SceneName::PassingOn
        | SceneName::Introduction
        | SceneName::AeHolds
        | SceneName::Offering
        | SceneName::Voicemail
        | SceneName::Rescue
        | SceneName::CallingBack => false,
    }
}

/// The row, unless this build has a fault put in on purpose.
fn seeded(scene: SceneName) -> [Hears; 3] {
    let faults = [
        (SceneName::Human, baton_time::bug!(75), [Hears::Ae, Hears::Caller, Hears::Caller]),
        (SceneName::ConsultMusic, baton_time::bug!(76), [Hears::Music, Hears::Silence, Hears::Caller]),
        (SceneName::ConsultMusic, baton_time::bug!(77), [Hears::Silence, Hears::Silence, Hears::Silence]),
        (SceneName::ConsultMusic, baton_time::bug!(78), [Hears::Ae, Hears::Silence, Hears::Silence]),
        (SceneName::Offering, baton_time::bug!(79), [Hears::Silence, Hears::Silence, Hears::Silence]),
        (SceneName::Rescue, baton_time::bug!(80), [Hears::Silence, Hears::Silence, Hears::Silence]),
        (SceneName::AeHolds, baton_time::bug!(81), [Hears::Silence, Hears::Silence, Hears::Silence]),
        (SceneName::Conversation, baton_time::bug!(82), [Hears::Silence, Hears::Caller, Hears::Silence]),
        (SceneName::ConsultMusic, baton_time::bug!(83), [Hears::Music, Hears::Ae, Hears::Silence]),
        (SceneName::ConsultLive, baton_time::bug!(98), [Hears::Ae, Hears::Ae, Hears::Ai]),
    ];
    let fault = faults.into_iter().find(|(name, is_on, _)| *is_on && *name == scene);
    fault.map_or_else(|| row(scene), |(_, _, heard)| heard)
}

impl Call {
    /// The scene as the media threads want it: for each leg that is up, what it hears now.
    fn media_scene(&self, ringback: &Arc<Clip>, held: Digits) -> Scene {
        let [caller, ai, ae] = seeded(self.scene);
        let pass = if keys_pass(self.scene) { Digits::Pass } else { Digits::Consume };
        let mut scene = Scene::new(self.scene_serial);
        if let Some(leg) = self.caller().filter(|leg| leg.is_up()) {
            let speech = self.caller_speech.as_ref().map(|speech| &speech.playlist);
            let source = self.source(caller, LegRole::Caller, speech, ringback);
            scene = scene.hear(leg.port(), source).keys(leg.port(), pass);
        }
        if let Some(leg) = self.ai().filter(|leg| leg.is_up()) {
            scene = scene.hear(leg.port(), self.source(ai, LegRole::Ai, None, ringback)).keys(leg.port(), pass);
        }
        if let Some(leg) = self.ae() {
            let speech = self.ae_speech.as_ref().filter(|(id, _)| *id == leg.id).map(|(_, speech)| &speech.playlist);
            let keys = if self.scene == SceneName::Human { held } else { Digits::Consume };
            scene = scene.hear(leg.port(), self.source(ae, LegRole::Ae, speech, ringback)).keys(leg.port(), keys);
        }
        scene
    }

    /// What follows a speech to the caller in this scene.
    pub(crate) fn after_caller_speech(&self) -> Then {
        match row(self.scene)[0] {
            Hears::Music | Hears::Ringback => Then::Music,
            Hears::Silence | Hears::EarlyAe | Hears::Caller | Hears::Ai | Hears::Ae | Hears::Both => Then::Silence,
        }
    }

    /// Whether the caller, after a speech that ended with `then`, hears something else. The scene may have changed since it began.
    pub(crate) fn caller_hears_more(&self, then: Then) -> bool {
        match then {
            Then::Music => row(self.scene)[0] != Hears::Music,
            Then::Silence => row(self.scene)[0] != Hears::Silence,
            Then::Repeat => true,
        }
    }

    /// Whether the AE, after a speech, hears something else than silence.
    pub(crate) fn ae_hears_more(&self) -> bool {
        row(self.scene)[2] != Hears::Silence
    }

    fn source(&self, hears: Hears, who: LegRole, speech: Option<&Playlist>, ringback: &Arc<Clip>) -> Source {
        if let Some(playlist) = speech {
            return Source::Play(playlist.clone());
        }
        let rings = || Source::Play(Playlist { id: RINGBACK, clips: vec![ringback.clone()], then: Then::Repeat });
        let from = |port: Option<Port>, otherwise: Source| port.map_or(otherwise, Source::Leg);
        match hears {
            Hears::Silence => Source::Silence,
            Hears::Music => Source::Music,
            Hears::Ringback => rings(),
            Hears::EarlyAe => {
                let early = self.ae_leg().and_then(|id| self.leg(id)).filter(|leg| leg.has_early_media());
                early.map_or_else(rings, |leg| Source::Leg(leg.port()))
            }
            Hears::Caller => from(self.talking(LegRole::Caller), Source::Silence),
            Hears::Ai => from(self.talking(LegRole::Ai), if who == LegRole::Caller { Source::Music } else { Source::Silence }),
            Hears::Ae => from(self.talking(LegRole::Ae), if who == LegRole::Caller { Source::Music } else { Source::Silence }),
            Hears::Both => {
                let others = [LegRole::Caller, LegRole::Ai, LegRole::Ae].into_iter().filter(|role| *role != who);
                let ports: Vec<Port> = others.filter_map(|role| self.talking(role)).collect();
                match (ports.as_slice(), who) {
                    ([], LegRole::Caller) => Source::Music,
                    ([], LegRole::Ai | LegRole::Ae) => Source::Silence,
                    ([only], _) => Source::Leg(*only),
                    ([_, _, ..], _) => Source::Mix(ports),
                }
            }
        }
    }

    /// The leg of this role that can be heard; an AI that has put its caller on hold, or from which no packets come, cannot.
    fn talking(&self, role: LegRole) -> Option<Port> {
        let leg = match role {
            LegRole::Caller => self.caller(),
            LegRole::Ai => self.ai().filter(|leg| !leg.holds() && leg.sound == Sound::Comes),
            LegRole::Ae => self.ae(),
        };
        leg.filter(|leg| leg.is_up()).map(crate::leg::Leg::port)
    }
}

impl Switchboard {
    /// Swaps the scene at the media threads for what the call's state says now.
    pub(crate) fn swap_scene(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.scene_serial += 1;
        let pair = self.settings.transfer.handback_key;
        let held = Digits::HoldPair(Pair { first: pair.first.sign(), then: pair.then.sign(), wait: KEY_HELD });
        let (room, scene) = (call.room, call.media_scene(&self.ringback, held));
        self.media(Command::Scene { room, scene });
        self.follow_recording(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_hears_the_consult_but_who_is_in_it_and_the_ae_hears_the_caller_only_after_accepting() {
        for scene in SceneName::ALL {
            let [caller, ai, ae] = row(scene);
            assert_ne!(ai, Hears::Music, "{scene:?}: the AI hears the music");
            if scene != SceneName::Voicemail {
                assert_ne!(caller, Hears::Silence, "{scene:?}: the caller hears nothing");
            }
            let accepted = matches!(scene, SceneName::Human | SceneName::Introduction);
            if !accepted {
                assert!(!matches!(ae, Hears::Caller | Hears::Both), "{scene:?}: the AE hears the caller");
                assert!(!matches!(caller, Hears::Ae | Hears::Both), "{scene:?}: the caller hears the AE");
            }
            if !matches!(scene, SceneName::ConsultLive | SceneName::Introduction) {
                assert!(!matches!(ai, Hears::Ae | Hears::Both), "{scene:?}: the AI hears the AE");
                assert_ne!(ae, Hears::Ai, "{scene:?}: the AE hears the AI");
            }
        }
    }

    #[test]
    fn a_live_briefing_is_between_the_ai_and_the_ae_alone() {
        assert_eq!(row(SceneName::ConsultLive), [Hears::Music, Hears::Ae, Hears::Ai]);
    }

    #[test]
    fn the_ai_is_heard_by_nobody_once_the_human_drives() {
        assert_eq!(row(SceneName::Human), [Hears::Ae, Hears::Silence, Hears::Caller]);
    }
}
