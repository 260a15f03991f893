//! What of a call is recorded, from scene to scene: a track for each leg, the consult apart.

use baton_contract::{CallId, LegId, LegRole, Problem, RecordingState, RecordingView, Reply};
use baton_media::{Command, TapId};
use baton_time::Now;
use baton_transfer::SceneName;

use crate::call::Call;
use crate::leg::Leg;
use crate::recording::{Recording, Tracked};
use crate::switchboard::Switchboard;
use crate::{Output, RecordCalls, RecordConsult, RecordFault, RecordKind, RecordOrder, Recorded, Track};

impl Switchboard {
    /// A track has ended, or could not be written: whatever it was for, the call goes on.
    pub(crate) fn on_recorded(&mut self, now: Now, tap: TapId, result: Result<Recorded, RecordFault>) {
        match &result {
            Ok(recorded) => tracing::debug!(tap = tap.0, ms = recorded.duration_ms, "recorded"),
            Err(fault) => tracing::warn!(tap = tap.0, %fault, "not recorded"),
        }
        if !self.answer_recorded(now, tap, &result) {
            self.message_recorded(now, tap, &result);
        }
    }

    /// Records a call, pauses that, or ends it.
    pub(crate) fn set_recording(&mut self, _now: Now, id: CallId, state: RecordingState) -> Result<Reply, Problem> {
        let allowed = self.settings.recording.calls != RecordCalls::Never;
        let usual = self.usual_recording(id);
        let Some(call) = self.calls.get_mut(&id) else {
            self.call_view(id)?;
            return Err(Problem::conflict("this call has ended"));
        };
        if !allowed && state != RecordingState::Off {
            return Err(Problem::conflict("there is no folder for recordings"));
        }
        let recording = call.recording.get_or_insert(usual);
        let what = match (recording.state, state) {
            (RecordingState::Off, RecordingState::On) => Some("started"),
            (RecordingState::Paused, RecordingState::On) => Some("resumed"),
            (RecordingState::On | RecordingState::Off, RecordingState::Paused) => Some("paused"),
            (RecordingState::On | RecordingState::Paused, RecordingState::Off) => Some("stopped"),
            (RecordingState::On, RecordingState::On)
            | (RecordingState::Paused, RecordingState::Paused)
            | (RecordingState::Off, RecordingState::Off) => None,
        };
        recording.state = state;
        self.follow_recording(id);
        self.tap_all(id);
        if let Some(what) = what {
            self.mark(id, what);
        }
        Ok(Reply::Recording(RecordingView { call: id, state }))
    }

    /// Opens and closes tracks so that they fit who is on the line, and writes boundaries down.
    pub(crate) fn follow_recording(&mut self, id: CallId) {
        let usual = self.usual_recording(id);
        let with_consult = self.settings.recording.consult == RecordConsult::Yes;
        let Some(call) = self.calls.get_mut(&id) else { return };
        let state = call.recording.get_or_insert(usual).state;
        let wanted: Vec<(LegId, Option<RecordKind>)> =
            call.legs.iter().map(|leg| (leg.id, call.track_of(leg, state, with_consult))).collect();
        let changed =
            wanted.into_iter().filter(|(leg, kind)| call.leg(*leg).is_some_and(|leg| leg.track.map(|track| track.kind) != *kind));
        for (leg, kind) in changed.collect::<Vec<_>>() {
            self.retrack(id, leg, kind);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let what = boundary(call.scene);
        let Some(recording) = call.recording.as_mut().filter(|recording| recording.tracks > 0) else { return };
        if recording.state != RecordingState::Off && std::mem::replace(&mut recording.marked, what) != what {
            self.mark(id, what);
        }
    }

    /// Ends the track of a leg, and begins another one.
    fn retrack(&mut self, id: CallId, leg: LegId, kind: Option<RecordKind>) {
        let transfer = self.running_id(id);
        let tap = TapId(self.next_ticket());
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (room, is_on, taking) = (call.room, call.is_recorded_now(), call.message.is_some());
        let Some(leg) = call.legs.iter_mut().find(|one| one.id == leg) else { return };
        let old = std::mem::replace(&mut leg.track, kind.map(|kind| Tracked { tap, kind }));
        let (port, role, leg) = (leg.port(), leg.role, leg.id);
        if let Some(recording) = &mut call.recording {
            recording.tracks += u32::from(kind.is_some());
        }
        if let Some(kind) = kind {
            let track = Track { tap, call: id, leg, role, kind, transfer };
            self.emit(Output::Record(RecordOrder::Open(track)));
        }
        if !(taking && role == LegRole::Caller) {
            self.media(Command::Tap { room, port, tap: kind.filter(|_| is_on).map(|_| tap) });
        }
        if let Some(old) = old {
            self.emit(Output::Record(RecordOrder::Close(old.tap)));
        }
    }

    /// Begins or ends copying what is said, as the recording is on or paused.
    fn tap_all(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let (room, is_on, taking) = (call.room, call.is_recorded_now(), call.message.is_some());
        let mut taps = Vec::new();
        for leg in call.legs.iter().filter(|leg| leg.is_live() && !(taking && leg.role == LegRole::Caller)) {
            let tap = leg.track.filter(|_| is_on).map(|track| track.tap);
            taps.extend(leg.track.map(|_| Command::Tap { room, port: leg.port(), tap }));
        }
        taps.into_iter().for_each(|tap| self.media(tap));
    }

    /// Ends whatever is still being written of a call that is over.
    pub(crate) fn end_recording(&mut self, call: &Call) {
        if call.recording.is_some_and(|recording| recording.tracks > 0) {
            self.emit(Output::Record(RecordOrder::CloseCall(call.id)));
        }
    }

    fn mark(&mut self, call: CallId, what: &'static str) {
        self.emit(Output::Record(RecordOrder::Mark { call, what }));
    }

    /// What holds for a call that nobody said anything about: a caller who said no is not recorded.
    fn usual_recording(&self, id: CallId) -> Recording {
        let consent = self.calls.get(&id).and_then(|call| call.context.consent.as_ref()).and_then(|consent| consent.recording);
        let state = match (self.settings.recording.calls, consent) {
            (RecordCalls::All, Some(true) | None) => RecordingState::On,
            (RecordCalls::All, Some(false)) | (RecordCalls::Never | RecordCalls::OnRequest, _) => RecordingState::Off,
        };
        Recording { state, tracks: 0, marked: "" }
    }
}

impl Call {
    /// Whether what is said is written down now.
    pub(crate) fn is_recorded_now(&self) -> bool {
        self.recording.is_some_and(|recording| recording.state == RecordingState::On)
    }

    /// On what kind of track a leg belongs now.
    fn track_of(&self, leg: &Leg, state: RecordingState, with_consult: bool) -> Option<RecordKind> {
        if state == RecordingState::Off || !leg.is_up() {
            return None;
        }
        let is_in_call = matches!(self.scene, SceneName::Human | SceneName::AeHolds | SceneName::Introduction);
        match leg.role {
            LegRole::Caller | LegRole::Ai => Some(RecordKind::Call),
            LegRole::Ae if self.ae_leg() == Some(leg.id) && is_in_call => Some(RecordKind::Call),
            // Somebody who was in the call and waits for its end stays where they are.
            LegRole::Ae if leg.track.is_some_and(|track| track.kind == RecordKind::Call) => Some(RecordKind::Call),
            LegRole::Ae => with_consult.then_some(RecordKind::Consult),
        }
    }
}

/// What a scene is in the words of a recording.
const fn boundary(scene: SceneName) -> &'static str {
    match scene {
        SceneName::Conversation => "conversation",
        SceneName::ConsultMusic | SceneName::ConsultAi | SceneName::ConsultRingback | SceneName::ConsultLive => "consult",
        SceneName::PassingOn => "passing_on",
        SceneName::Introduction => "introduction",
        SceneName::Human => "bridged",
        SceneName::AeHolds => "held",
        SceneName::Offering => "offering",
        SceneName::Voicemail => "message",
        SceneName::Rescue => "waiting",
        SceneName::CallingBack => "calling_back",
    }
}
