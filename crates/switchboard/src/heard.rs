//! What the media threads tell: keys, speeches, switches and silences.

use baton_contract::{CallId, LegId, LegRole};
use baton_time::Now;
use baton_transfer::{Event as Told, LegEnd, SceneName};

use crate::keys::KeyBy;
use crate::leg::Sound;
use crate::switchboard::Switchboard;

/// A silence of this length after the bridge means that the AE's phone is gone, in milliseconds.
const AE_LOST_MS: u64 = 10_000;

/// A silence of this length makes the caller hear music where the AI should speak, in milliseconds.
const AI_SILENT_MS: u64 = 1_000;

impl Switchboard {
    /// Something that the media threads tell.
    pub(crate) fn on_media(&mut self, now: Now, event: baton_media::Event) {
        use baton_media::Event as Media;
        let span = self.rooms.get(&event.room()).map(|call| self.span(*call, None));
        let _inside = span.as_ref().map(tracing::Span::enter);
        match event {
            Media::Digit { room, port, digit, at } => {
                if let Some((id, leg)) = self.leg_at(room, port) {
                    self.on_digit(now, id, leg, digit, at, KeyBy::Rtp);
                }
            }
            Media::PlayStarted { room, port, play, .. } => self.on_play(now, room, port, play, Played::Started),
            Media::PlayEnded { room, port, play, .. } => self.on_play(now, room, port, play, Played::Ended),
            Media::Switched { room, port, serial, live: true, .. } => self.on_switched(now, room, port, serial),
            Media::Lost { room, port, silent_ms } => self.on_rtp_lost(now, room, port, silent_ms),
            Media::BindFailed { room, port, error } => {
                tracing::error!(room = room.0, port = port.0, %error, "no media port");
            }
            Media::Closed { .. } if self.settings.sabotage == Some(crate::settings::Sabotage::KeepPorts) => {}
            Media::Closed { port, .. } => self.ports.give_back(port.0),
            Media::FirstPacket { room, port, at } => self.on_first_packet(room, port, at),
            Media::Quiet { room, port, .. } => {
                if let Some((id, _)) = self.leg_at(room, port) {
                    self.end_message(id);
                }
            }
            Media::Back { room, port, .. } => self.on_rtp_back(room, port),
            Media::Switched { live: false, .. } => {}
        }
    }

    fn leg_at(&self, room: baton_media::RoomId, port: baton_media::Port) -> Option<(CallId, LegId)> {
        let call = self.calls.get(self.rooms.get(&room)?)?;
        let leg = call.legs.iter().find(|leg| leg.is_live() && leg.port() == port)?;
        Some((call.id, leg.id))
    }

    fn on_play(&mut self, now: Now, room: baton_media::RoomId, port: baton_media::Port, play: baton_media::PlayId, how: Played) {
        let Some((id, leg)) = self.leg_at(room, port) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let is_this = |speech: &crate::call::Speech| speech.playlist.id == play;
        let say = if call.caller_speech.as_ref().is_some_and(is_this) {
            let said = call.caller_speech.as_ref().map(|speech| (speech.say, speech.playlist.then));
            let say = said.map(|(say, _)| say);
            if how == Played::Ended {
                call.caller_speech = None;
                if said.is_some_and(|(_, then)| call.caller_hears_more(then)) {
                    self.swap_scene(id);
                }
            }
            say
        } else if call.ae_speech.as_ref().is_some_and(|(to, speech)| *to == leg && is_this(speech)) {
            let say = call.ae_speech.as_ref().map(|(_, speech)| speech.say);
            if how == Played::Ended {
                call.ae_speech = None;
                if call.ae_hears_more() {
                    self.swap_scene(id);
                }
            }
            say
        } else {
            None
        };
        if let Some(say) = say {
            self.tell(now, id, if how == Played::Ended { Told::SpeechEnded(say) } else { Told::SpeechStarted(say) });
        }
    }

    /// The caller hears a leg: the bridge has taken hold where that is the AE.
    fn on_switched(&mut self, now: Now, room: baton_media::RoomId, port: baton_media::Port, serial: u64) {
        let Some((id, leg)) = self.leg_at(room, port) else { return };
        let Some(call) = self.calls.get(&id) else { return };
        let to_caller = call.caller().is_some_and(|caller| caller.id == leg);
        if to_caller && call.scene == SceneName::Human && serial == call.scene_serial {
            self.tell(now, id, Told::Switched);
        }
    }

    /// Packets come again: a caller who heard music in place of the AI hears the AI.
    fn on_rtp_back(&mut self, room: baton_media::RoomId, port: baton_media::Port) {
        let Some((id, leg_id)) = self.leg_at(room, port) else { return };
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(leg_id)) else { return };
        if std::mem::replace(&mut leg.sound, Sound::Comes) == Sound::Missing {
            self.swap_scene(id);
        }
    }

    /// The first packet of a leg has come: early media is heard from here on.
    fn on_first_packet(&mut self, room: baton_media::RoomId, port: baton_media::Port, at: baton_time::Mono) {
        let Some((id, leg)) = self.leg_at(room, port) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let is_passing_on = call.scene == SceneName::PassingOn;
        if let Some(leg) = call.leg_mut(leg) {
            leg.heard_at = Some(at);
        }
        if is_passing_on {
            self.swap_scene(id);
        }
    }

    fn on_rtp_lost(&mut self, now: Now, room: baton_media::RoomId, port: baton_media::Port, silent_ms: u64) {
        let Some((id, leg_id)) = self.leg_at(room, port) else { return };
        let Some(leg) = self.calls.get(&id).and_then(|call| call.leg(leg_id)).filter(|leg| leg.is_up() && !leg.holds()) else {
            return;
        };
        match leg.role {
            LegRole::Ae if silent_ms >= AE_LOST_MS => {
                tracing::warn!(leg = %leg_id, silent_ms, "the AE's media is lost");
                self.tell(now, id, Told::LegGone { leg: leg_id, why: LegEnd::Lost });
            }
            LegRole::Ai if silent_ms >= AI_SILENT_MS => self.ai_is_silent(now, id, leg_id, silent_ms),
            LegRole::Ae | LegRole::Ai | LegRole::Caller => {}
        }
    }
}

/// What became of a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Played {
    Started,
    Ended,
}
