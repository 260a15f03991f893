//! Callbacks that are due: what their runs are told, and what they want done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_contract::{
    AeId, At, CallId, CallView, CallbackId, CallbackOutcome, CallbackState, CallbackView, Context, Driver, EventKind, LegId,
    LegRole, Mode, Outcome, Problem, Reply, StagesMs, TransferId, TransferState, TransferView,
};
use baton_media::{Clip, Playlist, TapId, Then};
use baton_time::Now;
use baton_transfer::{
    CallbackAction, CallbackEvent, CallbackRun, Cause, Event as Told, Language, LegEnd, Line, NoBriefing, Said, SayId, SceneName,
    Unchanged,
};

use crate::beginning::Beginning;
use crate::call::{Phase, Speech};
use crate::deeds::reason_of;
use crate::destinations::Over;
use crate::outbound::{CallerDial, Opening};
use crate::switchboard::{Switchboard, Waiting};
use crate::{Output, Spoken};

/// Callbacks that lie further ahead than this are left to the store.
const HORIZON: Duration = Duration::from_secs(86_400);

/// How often the store is asked for what comes next.
const PAGE_EVERY: Duration = Duration::from_secs(30 * 60);

/// How often callbacks are looked at that wait because no new calls are taken.
const DRAINED_EVERY: Duration = Duration::from_secs(5);

/// How many callbacks that are over are kept in memory.
const OVER_MAX: usize = 1_000;

/// A wall clock that moves by more than this against the other one was set by somebody.
const STEP: Duration = Duration::from_millis(100);

/// The caller's leg is ended by the run; this much later it would be in any case.
const RING_MARGIN: Duration = Duration::from_secs(5);

/// The callbacks that are being waited for or carried out.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(super) runs: BTreeMap<CallbackId, CallbackRun>,
    /// Who waits for a change of which.
    askers: BTreeMap<CallbackId, Vec<u64>>,
    renders: BTreeMap<u64, Rendering>,
    pub(super) spoken: BTreeMap<CallbackId, Spoken>,
    /// The configured greeting and message, once they are rendered.
    greeting: Option<Arc<Clip>>,
    message: Option<Arc<Clip>>,
    /// What callers have answered, on its way to the disk: whose it is; nobody's where it is not wanted any more.
    pub(super) answers: BTreeMap<TapId, Option<CallbackId>>,
    /// What is being written down, by the ticket.
    pub(super) texts: BTreeMap<u64, CallbackId>,
    /// Both clocks when they were looked at last.
    seen: Option<Now>,
}

/// What is being rendered.
#[derive(Debug, Clone, Copy)]
enum Rendering {
    Briefing(CallbackId),
    /// The greeting, and the message.
    Greetings,
}

impl Runs {
    /// The run of a callback.
    pub(crate) fn find(&self, id: CallbackId) -> Option<&CallbackRun> {
        self.runs.get(&id)
    }

    /// Takes up the run of a callback whose call is up.
    pub(crate) fn take_back(&mut self, id: CallbackId, run: CallbackRun) {
        self.runs.insert(id, run);
    }
}

impl Switchboard {
    /// Looks after the clocks: at the first look everything begins, and when somebody has set the wall clock everything is looked at anew.
    pub(crate) fn look_at_clocks(&mut self, now: Now) {
        let Some(seen) = self.runs.seen.replace(now) else { return self.begin_runs(now) };
        if !is_set(seen, now) {
            // Small differences add up until they count.
            self.runs.seen = Some(seen);
            return;
        }
        tracing::info!("the wall clock was set");
        let ids: Vec<CallbackId> = self.runs.runs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.tell_run(now, id, CallbackEvent::Wake));
    }

    /// Whether somebody has set the wall clock since it was looked at last.
    pub fn is_clock_set(&self, now: Now) -> bool {
        self.runs.seen.is_some_and(|seen| is_set(seen, now))
    }

    fn begin_runs(&mut self, now: Now) {
        let settings = &self.settings.transfer.callback;
        if settings.greeting.is_some() || settings.message.is_some() {
            let (full, short) = (settings.greeting.clone().unwrap_or_default(), settings.message.clone().unwrap_or_default());
            let ticket = self.next_ticket();
            self.runs.renders.insert(ticket, Rendering::Greetings);
            let language = self.settings.transfer.language;
            self.emit(Output::Render { ticket, full, short, language });
        }
        self.page(now, false);
    }

    /// What is due within the horizon is held here; further ones come from the store in time.
    pub(crate) fn page(&mut self, now: Now, ask: bool) {
        self.set_page_alarm(now.mono + PAGE_EVERY);
        let over: Vec<CallbackId> = self.runs.runs.iter().filter(|(_, run)| run.is_over()).map(|(id, _)| *id).collect();
        for id in over {
            self.runs.runs.remove(&id);
        }
        let ids: Vec<CallbackId> = self.callbacks.keys().copied().collect();
        ids.into_iter().for_each(|id| self.take_up(now, id));
        if ask {
            self.emit(Output::WantCallbacks { before: At(now.wall + HORIZON) });
        }
    }

    /// Begins the run of a callback that is open and due within the horizon.
    pub(crate) fn take_up(&mut self, now: Now, id: CallbackId) {
        let Some(view) = self.callbacks.get(&id) else { return };
        let open = matches!(view.state, CallbackState::Scheduled | CallbackState::Running);
        if open && view.due_at().0 <= now.wall + HORIZON {
            self.take_up_now(now, id);
        }
    }

    /// Begins the run of a callback however far ahead it lies, because somebody wants to change it.
    pub(crate) fn take_up_now(&mut self, now: Now, id: CallbackId) {
        let Some(view) = self.callbacks.get(&id).filter(|_| !self.runs.runs.contains_key(&id)) else { return };
        let (row, seed, pace) = (view.clone(), self.ids.bits(), self.settings.words_per_second);
        let run = CallbackRun::new(now, row, pace, &self.settings.transfer, &mut self.roster, seed);
        self.runs.runs.insert(id, run);
        self.perform_run(now, id);
    }

    /// Rows as the store has them now.
    pub(crate) fn on_rows(&mut self, now: Now, rows: Vec<CallbackView>) {
        for row in rows {
            let id = row.id;
            if self.runs.runs.contains_key(&id) {
                self.tell_run(now, id, CallbackEvent::Row(Box::new(row)));
            } else {
                self.show(row);
                self.take_up(now, id);
            }
        }
    }

    /// Somebody wants a change; they are answered when it is on record.
    pub(crate) fn ask_run(&mut self, now: Now, id: CallbackId, asker: u64, change: baton_transfer::Change) {
        self.runs.askers.entry(id).or_default().push(asker);
        self.tell_run(now, id, CallbackEvent::Change(change));
    }

    /// Whether a call is one that a run looks after: then it ends when the run says so.
    pub(crate) fn is_of_a_run(&self, id: CallId) -> bool {
        let run = self.callback_of(id).and_then(|callback| self.runs.runs.get(&callback));
        run.is_some_and(|run| run.call() == Some(id) && run.has_call())
    }

    pub(crate) fn callback_of(&self, id: CallId) -> Option<CallbackId> {
        match self.calls.get(&id).map(|call| &call.beginning) {
            Some(Beginning::Callback(callback)) => Some(*callback),
            Some(Beginning::Inbound | Beginning::Outbound(_)) | None => None,
        }
    }

    /// The callback whose try holds this transfer.
    fn callback_by_transfer(&self, transfer: TransferId) -> Option<CallbackId> {
        let holds = |view: &&CallbackView| view.progress.attempts.iter().any(|attempt| attempt.transfer == transfer);
        self.callbacks.values().find(holds).map(|view| view.id)
    }

    /// The try of a callback as a transfer: for the AE's screen-pop, and for whoever accepts without a key.
    pub(crate) fn try_of_callback(&self, transfer: TransferId) -> Option<(TransferView, CallView, Context)> {
        let view = self.callbacks.get(&self.callback_by_transfer(transfer)?)?;
        let attempt = view.progress.attempts.iter().find(|attempt| attempt.transfer == transfer)?;
        let live = self.calls.get(&attempt.call).map(|call| call.view(None));
        let call = live.or_else(|| self.ended.view(attempt.call))?;
        let (state, outcome) = match attempt.outcome {
            None => (TransferState::Dialing, None),
            Some(CallbackOutcome::Connected) => (TransferState::Bridged, Some(Outcome::Bridged)),
            Some(CallbackOutcome::Cancelled) => (TransferState::Ended, Some(Outcome::Cancelled)),
            Some(_) => (TransferState::Ended, Some(Outcome::Failed)),
        };
        let shown = TransferView {
            id: transfer,
            call: attempt.call,
            mode: Mode::Scheduled,
            state,
            outcome,
            class: None,
            say_to_caller: None,
            reason: Some("callback".to_owned()),
            requested_at: attempt.started_at,
            stages_ms: StagesMs::default(),
            ai_drop_ms: None,
            attempts: attempt.aes.clone(),
            callback: Some(view.id),
            message: None,
        };
        Some((shown, call, view.context.clone()))
    }

    /// The AE of a callback accepts or declines without a key; none where this transfer is no callback's.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these two are asked by this door")]
    pub(crate) fn tell_try(&mut self, now: Now, transfer: TransferId, event: &Told) -> Option<Result<Reply, Problem>> {
        if self.transfers.contains_key(&transfer) {
            return None;
        }
        let id = self.callback_by_transfer(transfer)?;
        let listens = self.runs.runs.get(&id).is_some_and(CallbackRun::can_be_accepted);
        let event = match event {
            Told::Accept if listens => CallbackEvent::Accept,
            Told::Decline { reason, .. } if listens => CallbackEvent::Decline { reason: reason.clone() },
            // Nothing else can be asked of a callback by this door.
            _ => return Some(Err(Problem::conflict("no AE is on the line who is being asked"))),
        };
        self.tell_run(now, id, event);
        let (view, ..) = self.try_of_callback(transfer)?;
        Some(Ok(Reply::Transfer(Box::new(view))))
    }

    /// What happens on the legs of a call that has no transfer: a callback's run hears of it.
    pub(crate) fn tell_callback(&mut self, now: Now, call: CallId, event: Told) {
        let Some(id) = self.callback_of(call) else { return };
        let caller = self.calls.get(&call).and_then(|call| call.caller()).map(|leg| leg.id);
        if let Some(event) = translated(event, caller) {
            self.tell_run(now, id, event);
        }
    }

    /// The last leg of a call has gone.
    pub(crate) fn callback_call_is_over(&mut self, now: Now, callback: CallbackId, call: CallId) {
        if self.runs.runs.get(&callback).is_some_and(|run| run.call() == Some(call)) {
            self.tell_run(now, callback, CallbackEvent::CallOver);
        }
    }

    pub(crate) fn tell_run(&mut self, now: Now, id: CallbackId, event: CallbackEvent) {
        let idle_and_drained = !self.agent.is_accepting() && matches!(event, CallbackEvent::Wake);
        let Some(run) = self.runs.runs.get_mut(&id) else { return };
        if idle_and_drained && run.is_idle() {
            return self.set_run_alarm(id, Some(now.mono + DRAINED_EVERY));
        }
        if let Some(why) = run.on(now, event, &self.settings.transfer, &mut self.roster) {
            tracing::debug!(callback = %id, state = run.state(), why, "ignored");
        }
        self.perform_run(now, id);
    }

    fn perform_run(&mut self, now: Now, id: CallbackId) {
        while let Some(action) = self.runs.runs.get_mut(&id).and_then(CallbackRun::poll) {
            self.act_for_run(now, id, action);
        }
        let Some(run) = self.runs.runs.get(&id) else { return };
        let (view, deadline) = (run.view().clone(), run.poll_timeout(&self.settings.transfer.callback));
        self.set_run_alarm(id, deadline.map(|(at, _)| at.mono(now)));
        self.show(view);
    }

    /// Takes the row for what the API shows, and the AE's time with it.
    pub(crate) fn show(&mut self, view: CallbackView) {
        if let Some(before) = self.callbacks.get(&view.id) {
            if before.progress.epoch == view.progress.epoch && *before == view {
                return;
            }
            self.roster.unbook(&before.ae, before.at);
        }
        if matches!(view.state, CallbackState::Scheduled | CallbackState::Running) {
            self.roster.book(&view.ae, view.at);
        }
        self.callbacks.insert(view.id, view);
        let is_over = |view: &&CallbackView| !matches!(view.state, CallbackState::Scheduled | CallbackState::Running);
        if self.callbacks.len() > OVER_MAX
            && let over = self.callbacks.values().filter(is_over)
            && over.clone().count() > OVER_MAX
            && let Some(oldest) = over.map(|view| view.id).next()
        {
            self.callbacks.remove(&oldest);
        }
    }

    fn act_for_run(&mut self, now: Now, id: CallbackId, action: CallbackAction) {
        match action {
            CallbackAction::Commit { number, level, records } => {
                let ticket = self.next_ticket();
                self.commits.insert(ticket, Waiting::Run { callback: id, number });
                self.emit(Output::Commit { ticket: Some(ticket), level, records });
            }
            CallbackAction::Reload => self.emit(Output::WantCallback(id)),
            CallbackAction::DialAe { call, transfer, leg, ae } => self.dial_ae_for(now, id, (call, transfer), leg, &ae),
            CallbackAction::DialCaller { leg, to } => self.dial_caller_for(now, id, leg, &to),
            CallbackAction::HangUp { leg, cause } => self.hang_up_for(now, id, leg, cause),
            CallbackAction::Scene(scene) => self.scene_for(now, id, scene),
            CallbackAction::SayToAe { leg, say, speech } => self.say_for(now, id, Some(leg), say, &speech),
            CallbackAction::SayToCaller { say, speech } => self.say_for(now, id, None, say, &speech),
            CallbackAction::Render(briefing) => {
                let ticket = self.next_ticket();
                self.runs.renders.retain(|_, asked| !matches!(asked, Rendering::Briefing(held) if *held == id));
                self.runs.renders.insert(ticket, Rendering::Briefing(id));
                self.emit(Output::Render { ticket, full: briefing.full, short: briefing.short, language: briefing.language });
            }
            CallbackAction::Report(kind, data) => {
                let attempt = self.runs.runs.get(&id).and_then(|run| run.view().progress.attempts.last());
                let (call, transfer) = match attempt {
                    Some(attempt) => (Some(attempt.call), Some(attempt.transfer)),
                    None => (self.callbacks.get(&id).and_then(|view| view.call), None),
                };
                if kind == EventKind::DriverChanged
                    && let Some(call) = call.and_then(|call| self.calls.get_mut(&call))
                {
                    call.driver = Driver::Human;
                }
                let mut data = data;
                if let Some(transfer) = transfer {
                    data.insert("transfer".to_owned(), serde_json::json!(transfer));
                }
                self.publish(now, kind, call, None, data);
            }
            CallbackAction::Listen { longest, silence_max } => self.listen_for(now, id, longest, silence_max),
            CallbackAction::StopListening => self.stop_listening(id),
            CallbackAction::HandOver { ae, leg, epoch } => self.hand_over(now, id, &ae, leg, epoch),
            CallbackAction::Changed(result) => self.answer_changed(id, result),
            CallbackAction::EndCall => {
                self.runs.spoken.remove(&id);
                if let Some(call) = self.call_for(id) {
                    self.end_call(now, call);
                }
            }
        }
    }

    /// The call of a run's try, while it is there.
    pub(crate) fn call_for(&self, id: CallbackId) -> Option<CallId> {
        let call = self.runs.runs.get(&id)?.call()?;
        self.calls.contains_key(&call).then_some(call)
    }

    fn dial_ae_for(&mut self, now: Now, id: CallbackId, (call, transfer): (CallId, TransferId), leg: LegId, ae: &AeId) {
        if !self.calls.contains_key(&call) {
            let Some(view) = self.runs.runs.get(&id).map(|run| run.view().clone()) else { return };
            let place = self.callback_trunk().unwrap_or_default();
            let trunk = self.settings.trunks.get(place);
            let from = trunk.and_then(|trunk| trunk.number.clone()).unwrap_or_else(|| "callback".to_owned());
            let opening = Opening {
                id: Some(call),
                from,
                to: view.caller.clone(),
                trunk: trunk.map(|trunk| trunk.name.clone()).unwrap_or_default(),
                beginning: Beginning::Callback(id),
                phase: Phase::Placing,
            };
            self.open_call(now, opening);
            if let Some(call) = self.calls.get_mut(&call) {
                call.context = view.context;
                call.driver = Driver::Paused;
                call.scene = SceneName::Offering;
            }
        }
        let dialling = self.consult_dialling(now, call, ae, transfer);
        let dialled = dialling.and_then(|to| self.dial_leg(now, call, LegRole::Ae, Some(leg), to));
        match (dialled, self.calls.get_mut(&call)) {
            (Some(_), Some(call)) => {
                call.consult = Some(leg);
                call.ae_speech = None;
                let language = self.roster.find(ae).and_then(|ae| ae.language);
                call.leg_mut(leg).iter_mut().for_each(|leg| leg.language = language);
            }
            (_, _) => {
                let phrase = "No port, no address or no room for another call".to_owned();
                self.tell_run(now, id, CallbackEvent::Refused { leg, status: 503, phrase });
            }
        }
    }

    /// The configured trunk for callbacks, by its place.
    fn callback_trunk(&self) -> Option<usize> {
        let name = self.settings.transfer.callback.trunk.as_ref()?;
        self.settings.trunks.iter().position(|trunk| trunk.name == *name)
    }

    /// Which trunks callbacks go by.
    pub(crate) fn callbacks_go_over(&self) -> Over {
        self.callback_trunk().map_or(Over::Any, Over::Trunk)
    }

    fn dial_caller_for(&mut self, now: Now, id: CallbackId, leg: LegId, to: &str) {
        let Some(call) = self.call_for(id) else { return };
        let ring_max = Some(self.settings.transfer.callback.ring_max + RING_MARGIN);
        let dialled = match self.settings.destination(to, self.callbacks_go_over()) {
            Ok(to) => {
                let trunk = self.settings.trunks[to.trunk].name.clone();
                if let Some(call) = self.calls.get_mut(&call) {
                    call.trunk = trunk;
                }
                let dial = CallerDial { leg: Some(leg), to, ring_max, headers: Vec::new() };
                self.dial_caller(now, call, dial).map(drop).map_err(|why| (503, why.to_string()))
            }
            Err(denied) => Err((403, denied.to_string())),
        };
        if let Err((status, phrase)) = dialled {
            self.tell_run(now, id, CallbackEvent::Refused { leg, status, phrase });
        }
    }

    fn hang_up_for(&mut self, now: Now, id: CallbackId, leg: LegId, cause: Cause) {
        let Some(call) = self.call_for(id) else { return };
        self.clear_caller_alarm(call);
        self.end_leg(now, call, leg, Some(reason_of(cause)));
        if let Some(call) = self.calls.get_mut(&call).filter(|call| call.consult == Some(leg)) {
            call.consult = None;
            call.ae_speech = None;
        }
    }

    fn scene_for(&mut self, now: Now, id: CallbackId, scene: SceneName) {
        let Some(call_id) = self.call_for(id) else { return };
        if let Some(call) = self.calls.get_mut(&call_id).filter(|_| scene == SceneName::Human) {
            call.phase = Phase::Active;
            call.ae_speech = None;
        }
        self.set_scene(now, call_id, scene);
    }

    fn say_for(&mut self, now: Now, id: CallbackId, ae: Option<LegId>, say: SayId, speech: &[Said]) {
        let Some(call_id) = self.call_for(id) else { return };
        let Some(call) = self.calls.get(&call_id) else { return };
        let language = ae.map_or_else(|| self.caller_language(call), |leg| self.leg_language(call, leg));
        let clips = self.clips_for(id, language, speech);
        let Some(call) = self.calls.get_mut(&call_id) else { return };
        let then = match (ae, call.scene) {
            (None, _) | (Some(_), SceneName::CallingBack) => Then::Music,
            (Some(_), _) => Then::Silence,
        };
        let playlist = Playlist { id: call.next_play(), clips, then };
        let is_empty = playlist.clips.is_empty();
        let speech = Speech { say, playlist };
        match ae {
            Some(leg) => call.ae_speech = (!is_empty).then_some((leg, speech)),
            None => call.caller_speech = (!is_empty).then_some(speech),
        }
        self.swap_scene(call_id);
        if is_empty {
            self.tell_run(now, id, CallbackEvent::SpeechEnded(say));
        }
    }

    /// The recordings of a speech. Texts that are configured are in one language; to somebody of another one the shipped line is said.
    fn clips_for(&self, id: CallbackId, language: Language, speech: &[Said]) -> Vec<Arc<Clip>> {
        let is_common = language == self.settings.transfer.language;
        let own = |said: &Said| match said {
            Said::Line(_) => None,
            Said::Briefing => self.runs.spoken.get(&id).map(|spoken| spoken.full.clone()),
            Said::Greeting => self.runs.greeting.clone().filter(|_| is_common),
            Said::Message => self.runs.message.clone().filter(|_| is_common),
        };
        let line = |said: &Said| match said {
            Said::Line(line) => Some(*line),
            Said::Briefing => None,
            Said::Greeting => Some(Line::ThisIsYourCallback),
            Said::Message => Some(Line::WeTriedToCall),
        };
        let lines: Vec<Line> = speech.iter().filter(|said| own(said).is_none()).filter_map(line).collect();
        let mut lines = self.settings.clips(language, &lines).into_iter();
        speech.iter().filter_map(|said| own(said).or_else(|| line(said).and_then(|_| lines.next()))).collect()
    }

    /// Something was rendered for a callback; false where it was for somebody else.
    pub(crate) fn rendered_for_run(&mut self, now: Now, ticket: u64, spoken: Option<&Spoken>) -> bool {
        match self.runs.renders.remove(&ticket) {
            None => false,
            Some(Rendering::Greetings) => {
                let rules = &self.settings.transfer.callback;
                let of = |wanted: &Option<String>, clip: fn(&Spoken) -> &Arc<Clip>| {
                    spoken.filter(|_| wanted.is_some()).map(|spoken| clip(spoken).clone())
                };
                self.runs.greeting = of(&rules.greeting, |spoken| &spoken.full);
                self.runs.message = of(&rules.message, |spoken| &spoken.short);
                true
            }
            Some(Rendering::Briefing(id)) => {
                if let Some(spoken) = spoken {
                    self.runs.spoken.insert(id, spoken.clone());
                }
                let result = if spoken.is_some() { Ok(()) } else { Err(NoBriefing) };
                self.tell_run(now, id, CallbackEvent::Rendered(result));
                true
            }
        }
    }

    fn answer_changed(&mut self, id: CallbackId, result: Result<(), Unchanged>) {
        let view = self.runs.runs.get(&id).map(|run| run.view().clone());
        for ticket in self.runs.askers.remove(&id).unwrap_or_default() {
            let result = match (result, &view) {
                (Ok(()), Some(view)) => Ok(Reply::Callback(Box::new(view.clone()))),
                (Ok(()), None) => Err(Problem::not_found("callback", &id.to_string())),
                (Err(why), _) => Err(problem(why)),
            };
            self.emit(Output::Answer { ticket, result });
        }
    }
}

fn is_set(seen: Now, now: Now) -> bool {
    let expected = seen.wall + now.mono.since(seen.mono);
    let off = if expected > now.wall { expected.since(now.wall) } else { now.wall.since(expected) };
    off >= STEP
}

/// What the legs of a callback's call tell, as its run hears it.
fn translated(event: Told, caller: Option<LegId>) -> Option<CallbackEvent> {
    if let Told::Trying { leg } = event {
        return Some(CallbackEvent::Trying { leg });
    }
    if let Told::Ringing { leg, status } = event {
        return Some(CallbackEvent::Ringing { leg, status });
    }
    if let Told::Answered { leg } = event {
        return Some(CallbackEvent::Answered { leg });
    }
    if let Told::Refused { leg, status, phrase } = event {
        return Some(CallbackEvent::Refused { leg, status, phrase });
    }
    if let Told::LegGone { leg, why } = event {
        return Some(CallbackEvent::Gone { leg, why });
    }
    if let Told::Key { leg, key } = event {
        return Some(CallbackEvent::Key { leg, key });
    }
    match (event, caller) {
        (Told::CallerKey(key), Some(leg)) => Some(CallbackEvent::Key { leg, key }),
        (Told::CallerGone, Some(leg)) => Some(CallbackEvent::Gone { leg, why: LegEnd::HungUp }),
        (Told::SpeechEnded(say), _) => Some(CallbackEvent::SpeechEnded(say)),
        (Told::Switched, _) => Some(CallbackEvent::Switched),
        (_, _) => None,
    }
}

fn problem(why: Unchanged) -> Problem {
    match why {
        Unchanged::Store => Problem::unavailable("the store does not take promises right now"),
        Unchanged::Connected => Problem::conflict("caller and AE are on the line"),
        Unchanged::Over => Problem::conflict("this callback is over"),
        Unchanged::Elsewhere => Problem::conflict("another node is carrying this callback out"),
        Unchanged::Busy => Problem::conflict("another change of this callback is on its way; ask again in a moment"),
    }
}
