//! The table of scenes: who hears whom, as data.

use std::time::Duration;

use baton_contract::CallId;
use baton_media::{Command, Digits, Playlist, Port, Scene, Source, Then};
use baton_transfer::SceneName;

use crate::call::Call;
use crate::switchboard::Switchboard;

/// How long a `*` of the AE waits for a `9` after the bridge.
const STAR_HELD: Duration = Duration::from_millis(1_500);

/// What one party hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    Silence,
    Music,
    Caller,
    Ai,
    Ae,
}

/// One row: what the caller, the AI and the AE hear.
///
/// A party that is being told something hears that instead, and then what its row says.
const fn row(scene: SceneName) -> [Hears; 3] {
    match scene {
        SceneName::Conversation => [Hears::Ai, Hears::Caller, Hears::Silence],
        SceneName::ConsultMusic | SceneName::ConsultRingback => [Hears::Music, Hears::Silence, Hears::Silence],
        SceneName::ConsultAi => [Hears::Ai, Hears::Caller, Hears::Silence],
        SceneName::ConsultLive | SceneName::PassingOn | SceneName::Introduction => [Hears::Music, Hears::Silence, Hears::Silence],
        SceneName::Human => [Hears::Ae, Hears::Silence, Hears::Caller],
        SceneName::AeHolds | SceneName::Offering | SceneName::Voicemail | SceneName::Rescue => {
            [Hears::Music, Hears::Silence, Hears::Silence]
        }
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

impl Call {
    /// The scene as the media threads want it: for each leg that is up, what it hears now.
    pub(crate) fn media_scene(&self) -> Scene {
        let [caller, ai, ae] = row(self.scene);
        let pass = if keys_pass(self.scene) { Digits::Pass } else { Digits::Consume };
        let mut scene = Scene::new(self.scene_serial);
        if let Some(leg) = self.caller().filter(|leg| leg.is_up()) {
            let source = self.source(caller, self.caller_speech.as_ref().map(|speech| &speech.playlist));
            scene = scene.hear(leg.port(), source).keys(leg.port(), pass);
        }
        if let Some(leg) = self.ai().filter(|leg| leg.is_up()) {
            scene = scene.hear(leg.port(), self.source(ai, None)).keys(leg.port(), pass);
        }
        if let Some(leg) = self.ae() {
            let speech = self.ae_speech.as_ref().filter(|(id, _)| *id == leg.id).map(|(_, speech)| &speech.playlist);
            let keys = if self.scene == SceneName::Human { Digits::HoldStar(STAR_HELD) } else { Digits::Consume };
            scene = scene.hear(leg.port(), self.source(ae, speech)).keys(leg.port(), keys);
        }
        scene
    }

    /// What follows a speech to the caller in this scene.
    pub(crate) fn after_caller_speech(&self) -> Then {
        match row(self.scene)[0] {
            Hears::Music => Then::Music,
            Hears::Silence | Hears::Caller | Hears::Ai | Hears::Ae => Then::Silence,
        }
    }

    fn source(&self, hears: Hears, speech: Option<&Playlist>) -> Source {
        if let Some(playlist) = speech {
            return Source::Play(playlist.clone());
        }
        let from = |port: Option<Port>, otherwise| port.map_or(otherwise, Source::Leg);
        match hears {
            Hears::Silence => Source::Silence,
            Hears::Music => Source::Music,
            Hears::Caller => from(self.caller().filter(|leg| leg.is_up()).map(crate::leg::Leg::port), Source::Silence),
            Hears::Ai => from(self.ai().filter(|leg| leg.is_up()).map(crate::leg::Leg::port), Source::Music),
            Hears::Ae => from(self.ae().map(crate::leg::Leg::port), Source::Music),
        }
    }
}

impl Switchboard {
    /// Swaps the scene at the media threads for what the call's state says now.
    pub(crate) fn swap_scene(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.scene_serial += 1;
        let (room, scene) = (call.room, call.media_scene());
        self.media(Command::Scene { room, scene });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_hears_the_consult_but_the_ae_and_the_ae_hears_the_caller_only_as_their_human() {
        for scene in SceneName::ALL {
            let [caller, ai, ae] = row(scene);
            assert_ne!(ai, Hears::Ae, "{scene:?}: the AI hears the AE");
            assert_ne!(ai, Hears::Music, "{scene:?}: the AI hears the music");
            assert_ne!(caller, Hears::Silence, "{scene:?}: the caller hears nothing");
            assert_ne!(ae, Hears::Ai, "{scene:?}: the AE hears the AI");
            if scene != SceneName::Human {
                assert!(matches!(ae, Hears::Silence | Hears::Music), "{scene:?}");
                assert_ne!(caller, Hears::Ae, "{scene:?}");
            }
        }
    }

    #[test]
    fn the_ai_is_heard_by_nobody_once_the_human_drives() {
        assert_eq!(row(SceneName::Human), [Hears::Ae, Hears::Silence, Hears::Caller]);
    }
}
