//! Commands and questions from outside, and their answers.

use baton_contract::{
    AeId, Afterwards, BriefingRequest, CallId, CallOutcome, CallView, Command, Context, DrainView, EventKind, Meanwhile, Mode,
    Presence, Problem, Reply, TransferId, TransferRequest,
};
use baton_time::Now;
use baton_transfer::{
    AfterAe, Begin, BriefingBy, Event, Fact, Options, Progress, SceneName, Target, Transfer, WhileDialing, Zone,
};
use serde_json::{Map, json};

use crate::Output;
use crate::call::{Asked, Phase, Referrer, Running};
use crate::destinations::{Denied, Over};
use crate::switchboard::{DRAIN_RETRY_AFTER, Switchboard};

/// How many idempotency keys a call remembers.
const KEYS_MAX: usize = 32;

/// The longest context that is taken, as JSON, in bytes.
const CONTEXT_BYTES_MAX: usize = 256 * 1024;

/// What a REFER hears first.
pub(crate) const TRYING: Progress = Progress { status: 100, phrase: "Trying", outcome: None, last: false };

/// A transfer as it is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) target: Target,
    pub(crate) mode: Mode,
    pub(crate) reason: Option<String>,
    pub(crate) context: Option<Context>,
    pub(crate) briefing: Option<String>,
    pub(crate) wishes: Wishes,
}

/// What one transfer is to do otherwise than the settings say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    introduce: Option<bool>,
    while_dialing: Option<WhileDialing>,
    after_ae: Option<AfterAe>,
    briefing_by: Option<BriefingBy>,
}

impl Wishes {
    fn laid_over(self, usual: Options) -> Options {
        Options {
            introduce: self.introduce.unwrap_or(usual.introduce),
            while_dialing: self.while_dialing.unwrap_or(usual.while_dialing),
            after_ae: self.after_ae.unwrap_or(usual.after_ae),
            briefing: self.briefing_by.unwrap_or(usual.briefing),
            accept: usual.accept,
        }
    }
}

impl Switchboard {
    /// Somebody asks for something; the answer may have to wait for the store.
    pub(crate) fn on_ask(&mut self, now: Now, ticket: u64, command: Command) {
        let result = match command {
            Command::RequestTransfer { call, request, idempotency_key } => {
                let _span = self.span(call, None).entered();
                self.request_transfer(now, ticket, call, *request, idempotency_key)
            }
            Command::NewCallback(new) => later(self.new_callback(now, ticket, *new)),
            Command::UpdateCallback { id, update } => later(self.update_callback(now, ticket, id, update)),
            Command::CancelCallback(id) => later(self.cancel_callback(now, ticket, id)),
            Command::Calls => Some(Ok(Reply::Calls(self.call_views()))),
            Command::Call(id) => Some(self.call_view(id).map(|view| Reply::Call(Box::new(view)))),
            Command::PlaceCall { request, idempotency_key } => self.place_call(now, ticket, *request, idempotency_key),
            Command::HangUp(id) => Some(self.hang_up(now, id)),
            Command::Transfer(id) => Some(self.transfer_reply(id)),
            Command::CancelTransfer(id) => Some(self.tell_transfer(now, id, &CANCEL, Event::Cancel)),
            Command::Accept(id) => Some(self.tell_transfer(now, id, &ACCEPT, Event::Accept)),
            Command::Decline { transfer, reason, retry_after } => {
                let retry_after = retry_after.map(|minutes| std::time::Duration::from_secs(u64::from(minutes) * 60));
                Some(self.tell_transfer(now, transfer, &DECLINE, Event::Decline { reason, retry_after }))
            }
            Command::Proceed(id) => Some(self.tell_transfer(now, id, &PROCEED, Event::AiDone)),
            Command::HandBack { call, note } => Some(self.hand_back(now, call, note)),
            Command::SetDriver { call, driver } => Some(self.set_driver(now, call, driver)),
            Command::Texts(call) => Some(self.texts(call)),
            Command::SendText { call, text } => Some(self.send_text(now, call, text)),
            Command::Context(id) => Some(self.context(id).map(|context| Reply::Context(Box::new(context)))),
            Command::Pop(id) => Some(self.pop(id)),
            Command::PutContext { call, context } => Some(self.put_context(call, *context)),
            Command::SetRecording { call, state } => Some(self.set_recording(now, call, state)),
            Command::Aes => Some(Ok(Reply::Aes(self.roster.views(now)))),
            Command::SetPresence { ae, presence } => Some(self.set_presence(now, &ae, presence)),
            Command::Slots { ae, timezone } => Some(self.slots(now, &ae, timezone.as_deref())),
            Command::Callbacks => Some(Ok(Reply::Callbacks(self.callback_views()))),
            Command::Callback(id) => Some(self.callback_view(id).map(|view| Reply::Callback(Box::new(view)))),
            Command::CallbackCalendar(id) => {
                let callback = self.callback_view(id);
                Some(callback.map(|view| Reply::Calendar(baton_transfer::callback::ics(&view, &self.roster))))
            }
            Command::Trunks => Some(Ok(Reply::Trunks(self.trunk_views(now)))),
            Command::Drain(on) => Some(Ok(self.drain(on))),
            Command::Draining => Some(Ok(self.draining())),
        };
        if let Some(result) = result {
            self.emit(Output::Answer { ticket, result });
        }
    }

    fn drain(&mut self, on: bool) -> Reply {
        self.agent.set_accepting(!on, DRAIN_RETRY_AFTER);
        self.draining()
    }

    fn draining(&self) -> Reply {
        Reply::Drain(DrainView { draining: !self.agent.is_accepting(), calls: self.calls.len() })
    }

    /// Newest first, ended ones last.
    fn call_views(&self) -> Vec<CallView> {
        let live = self.calls.values().rev().map(|call| call.view(None));
        live.chain(self.ended.views()).collect()
    }

    pub(crate) fn call_view(&self, id: CallId) -> Result<CallView, Problem> {
        let live = self.calls.get(&id).map(|call| call.view(None));
        live.or_else(|| self.ended.view(id)).ok_or_else(|| Problem::not_found("call", &id.to_string()))
    }

    fn hang_up(&mut self, now: Now, id: CallId) -> Result<Reply, Problem> {
        if self.calls.contains_key(&id) {
            let _span = self.span(id, None).entered();
            self.tell(now, id, Event::Cancel);
            // A transfer that can no longer be called off lets go of its AE.
            self.tell(now, id, Event::CallerGone);
            if self.calls.get(&id).is_some_and(|call| matches!(call.phase, Phase::Placing | Phase::Connecting(_))) {
                self.conclude(id, CallOutcome::Cancelled, None, "hung up through the API");
            }
            self.end_call(now, id);
        }
        self.call_view(id).map(|view| Reply::Call(Box::new(view)))
    }

    fn transfer_reply(&self, id: TransferId) -> Result<Reply, Problem> {
        let live = self.transfers.get(&id).and_then(|call| self.calls.get(call)).and_then(|call| call.transfer_view(id));
        let view = live.or_else(|| self.ended.by_transfer(id).map(|(.., view)| view.clone()));
        let view = view.or_else(|| self.try_of_callback(id).map(|(view, ..)| view));
        view.map(|view| Reply::Transfer(Box::new(view))).ok_or_else(|| Problem::not_found("transfer", &id.to_string()))
    }

    /// Tells a running transfer something; 409 where it does not stand where that would do anything.
    fn tell_transfer(&mut self, now: Now, id: TransferId, order: &Order, event: Event) -> Result<Reply, Problem> {
        if let Some(answer) = self.tell_try(now, id, &event) {
            return answer;
        }
        let call = self.transfers.get(&id).copied().filter(|call| self.running_id(*call) == Some(id));
        let running = call.and_then(|call| self.calls.get(&call)).and_then(|call| call.transfer.as_ref());
        let (Some(call), Some(running)) = (call, running) else {
            self.transfer_reply(id)?;
            return Err(Problem::conflict("this transfer is over"));
        };
        if !(order.fits)(&running.transfer) {
            return Err(Problem::conflict(order.otherwise));
        }
        let _span = self.span(call, None).entered();
        self.tell(now, call, event);
        self.transfer_reply(id)
    }

    fn context(&self, id: CallId) -> Result<Context, Problem> {
        let live = self.calls.get(&id).map(|call| call.context.clone());
        let context = live.or_else(|| self.ended.context(id));
        context.ok_or_else(|| Problem::not_found("call", &id.to_string()))
    }

    fn pop(&self, id: TransferId) -> Result<Reply, Problem> {
        let missing = || Problem::not_found("transfer", &id.to_string());
        if let Some(call) = self.transfers.get(&id).and_then(|call| self.calls.get(call)) {
            let transfer = call.transfer_view(id).ok_or_else(missing)?;
            let (call, context) = (Box::new(call.view(None)), Box::new(call.context.clone()));
            return Ok(Reply::Pop { transfer: Box::new(transfer), call, context });
        }
        if let Some((transfer, call, context)) = self.try_of_callback(id) {
            return Ok(Reply::Pop { transfer: Box::new(transfer), call: Box::new(call), context: Box::new(context) });
        }
        let (call, story, transfer) = self.ended.by_transfer(id).ok_or_else(missing)?;
        let (call, context) = (Box::new(self.ended.view(call).ok_or_else(missing)?), Box::new(story.context.clone()));
        Ok(Reply::Pop { transfer: Box::new(transfer.clone()), call, context })
    }

    fn put_context(&mut self, id: CallId, context: Context) -> Result<Reply, Problem> {
        check_size(&context)?;
        match self.calls.get_mut(&id) {
            Some(call) => {
                call.context.merge(context);
                check_size(&call.context)?;
                Ok(Reply::Context(Box::new(call.context.clone())))
            }
            None => {
                self.call_view(id)?;
                Err(Problem::conflict("this call has ended"))
            }
        }
    }

    fn set_presence(&mut self, now: Now, ae: &AeId, presence: Presence) -> Result<Reply, Problem> {
        if !self.roster.set_presence(ae, presence) {
            return Err(Problem::not_found("AE", ae.as_str()));
        }
        let mut data = Map::new();
        data.insert("ae".into(), json!(ae));
        data.insert("presence".into(), json!(presence));
        self.publish(now, EventKind::PresenceChanged, None, None, data);
        let view = self.roster.view(now, ae).ok_or_else(|| Problem::not_found("AE", ae.as_str()))?;
        Ok(Reply::Ae(Box::new(view)))
    }

    fn slots(&self, now: Now, ae: &AeId, timezone: Option<&str>) -> Result<Reply, Problem> {
        if self.roster.find(ae).is_none() {
            return Err(Problem::not_found("AE", ae.as_str()));
        }
        let zone = timezone.map(|name| name.parse::<Zone>().map_err(|fault| Problem::invalid("timezone", fault.to_string())));
        let zone = zone.transpose()?;
        let window = &self.settings.transfer.callback.window;
        Ok(Reply::Slots(baton_transfer::callback::slots(&self.roster, now, ae, zone.as_ref(), window)))
    }

    /// The answer, or none where it is given once the request is on disk.
    fn request_transfer(
        &mut self,
        now: Now,
        ticket: u64,
        id: CallId,
        request: TransferRequest,
        key: Option<String>,
    ) -> Option<Result<Reply, Problem>> {
        let known = key.as_ref().and_then(|key| {
            let call = self.calls.get(&id)?;
            call.keys.iter().find(|(held, _)| held == key).map(|(_, transfer)| *transfer)
        });
        if let Some(transfer) = known {
            return Some(self.transfer_reply(transfer));
        }
        if let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut())
            && running.transfer.outcome().is_none()
        {
            if matches!(running.asked, Asked::Promised) {
                return Some(Ok(Reply::Transfer(Box::new(running.view()))));
            }
            running.askers.push(ticket);
            return None;
        }
        match self.check_request(now, id, request) {
            Ok(wanted) => {
                let transfer = self.begin_transfer(now, id, wanted, Some(ticket), None);
                let call = self.calls.get_mut(&id);
                if let (Some(key), Some(transfer), Some(call)) = (key, transfer, call) {
                    if call.keys.len() >= KEYS_MAX {
                        call.keys.remove(0);
                    }
                    call.keys.push((key, transfer));
                }
                None
            }
            Err(problem) => Some(Err(problem)),
        }
    }

    fn check_request(&self, now: Now, id: CallId, request: TransferRequest) -> Result<Wanted, Problem> {
        let Some(call) = self.calls.get(&id) else {
            self.call_view(id)?;
            return Err(Problem::conflict("this call has ended"));
        };
        match (&call.phase, &call.transfer) {
            (Phase::Active, None) => {}
            (Phase::Active, Some(_)) => return Err(Problem::conflict("the caller is with a human already")),
            (Phase::Placing | Phase::Connecting(_), _) => return Err(Problem::conflict("the caller is not up yet")),
            (Phase::Ending, _) => return Err(Problem::conflict("this call is ending")),
        }
        if let Some(context) = &request.context {
            check_size(context)?;
        }
        let target = self.target_of(request.to.as_deref(), request.mode.unwrap_or_default())?;
        let mode = request.mode.unwrap_or_else(|| self.mode_for(now, &target, &call.context, request.context.as_ref()));
        let (briefing, briefing_by) = match request.briefing {
            Some(BriefingRequest::Text(text)) => (Some(text), Some(BriefingBy::Voice)),
            Some(BriefingRequest::Ai) => (None, Some(BriefingBy::Ai)),
            None => (None, None),
        };
        let wishes = Wishes {
            introduce: request.introduce,
            while_dialing: request.while_dialing.map(|meanwhile| match meanwhile {
                Meanwhile::Music => WhileDialing::Music,
                Meanwhile::Ai => WhileDialing::Ai,
                Meanwhile::Ringback => WhileDialing::Ringback,
            }),
            after_ae: request.after_ae.map(|afterwards| match afterwards {
                Afterwards::End => AfterAe::End,
                Afterwards::Ai => AfterAe::Ai,
            }),
            briefing_by,
        };
        Ok(Wanted { target, mode, reason: request.reason, context: request.context, briefing, wishes })
    }

    /// The kind of a transfer that does not say; somebody outside takes no message and keeps no hours.
    fn mode_for(&self, now: Now, target: &Target, known: &Context, told: Option<&Context>) -> Mode {
        let mut context = known.clone();
        told.cloned().into_iter().for_each(|told| context.merge(told));
        let mode = self.settings.transfer.choices.mode(&self.roster, now, target, &context);
        match (mode, target) {
            (Mode::Scheduled | Mode::Voicemail, Target::Outside(_)) => Mode::Warm,
            (mode, _) => mode,
        }
    }

    /// Whom a request means: one of our people, or somebody outside to whom a caller may be passed on.
    fn target_of(&self, to: Option<&str>, mode: Mode) -> Result<Target, Problem> {
        let Some(to) = to else { return Ok(Target::Anyone) };
        if let Some(target) = self.roster.target(to) {
            return Ok(target);
        }
        match (self.settings.destination(to, Over::Any), mode) {
            (Ok(_), Mode::Warm | Mode::Cold) => Ok(Target::Outside(to.to_owned())),
            (Ok(_), Mode::Scheduled | Mode::Voicemail) | (Err(Denied::NotANumber), _) => Err(Problem::unknown_target(to)),
            (Err(denied), _) => {
                self.dial_reject("api", denied);
                Err(Problem::invalid("to", denied.to_string()))
            }
        }
    }

    /// Begins a transfer, or joins the one that runs; whoever asked hears of it once it is on disk.
    pub(crate) fn begin_transfer(
        &mut self,
        now: Now,
        id: CallId,
        wanted: Wanted,
        asker: Option<u64>,
        referrer: Option<Referrer>,
    ) -> Option<TransferId> {
        if let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) {
            running.askers.extend(asker);
            running.referrers.extend(referrer);
            if let Some(referrer) = referrer.filter(|_| matches!(running.asked, Asked::Promised)) {
                self.answer_refer(now, referrer, 202);
                self.notify(now, referrer, &TRYING);
            }
            return self.running_id(id);
        }
        self.end_rest(now, id);
        let transfer_id = TransferId::new(&mut self.ids, now.wall);
        let cold_by = self.cold_by(self.calls.get(&id)?);
        let call = self.calls.get_mut(&id)?;
        if let Some(context) = wanted.context {
            call.context.merge(context);
        }
        let reason = wanted.reason.or_else(|| call.context.reason.clone());
        let begin = Begin {
            id: transfer_id,
            call: id,
            mode: wanted.mode,
            options: wanted.wishes.laid_over(self.settings.transfer.options()),
            cold_by,
            target: wanted.target,
            reason,
            context: call.context.clone(),
            from: call.human().to_owned(),
            briefing: wanted.briefing,
            words_per_second: self.settings.words_per_second,
            ai_up: call.ai().is_some_and(crate::leg::Leg::is_up),
        };
        let transfer = Transfer::begin(now, begin, &self.settings.transfer, &mut self.roster, &mut self.ids);
        call.transfer = Some(Box::new(Running {
            transfer,
            askers: asker.into_iter().collect(),
            referrers: referrer.into_iter().collect(),
            moving: None,
            replaces: None,
            pickers: Vec::new(),
            text: None,
            spoken: None,
            asked: Asked::Pending(Vec::new()),
        }));
        self.transfers.insert(transfer_id, id);
        tracing::info!(transfer = %transfer_id, "transfer requested");
        self.perform(now, id);
        Some(transfer_id)
    }

    /// Whoever picked a slot through the API hears of it once it is on disk.
    pub(crate) fn answer_pickers(&mut self, id: CallId, fact: Fact, written: bool) {
        if fact != Fact::Callback {
            return;
        }
        let Some(running) = self.calls.get_mut(&id).and_then(|call| call.transfer.as_mut()) else { return };
        let pickers = std::mem::take(&mut running.pickers);
        let callback = running.view().callback.and_then(|callback| self.callbacks.get(&callback)).cloned();
        for ticket in pickers {
            let result = match (&callback, written) {
                (Some(callback), true) => Ok(Reply::Callback(Box::new(callback.clone()))),
                (_, _) => Err(Problem::unavailable("the callback could not be put on record")),
            };
            self.emit(Output::Answer { ticket, result });
        }
    }
}

/// An order to a transfer: where it fits, and what is said where it does not.
struct Order {
    fits: fn(&Transfer) -> bool,
    otherwise: &'static str,
}

const ACCEPT: Order = Order { fits: Transfer::can_be_accepted, otherwise: "no AE is on the line who could accept" };
const DECLINE: Order = Order { fits: Transfer::can_be_declined, otherwise: "no AE is being asked who could decline" };
const PROCEED: Order = Order { fits: awaits_ai, otherwise: "the AI neither briefs an AE nor introduces one" };
const CANCEL: Order = Order { fits: Transfer::can_be_cancelled, otherwise: "this transfer can no longer be called off" };

/// Whether the AI speaks to the AE, so that it can be done with that.
fn awaits_ai(transfer: &Transfer) -> bool {
    matches!(transfer.scene(), SceneName::ConsultLive | SceneName::Introduction)
}

/// The answer comes once the store has written, but a refusal at once.
fn later(taken: Result<(), Problem>) -> Option<Result<Reply, Problem>> {
    taken.err().map(Err)
}

pub(crate) fn check_size(context: &Context) -> Result<(), Problem> {
    let bytes = serde_json::to_vec(context).map_or(usize::MAX, |json| json.len());
    if bytes > CONTEXT_BYTES_MAX {
        return Err(Problem::invalid(
            "context",
            format!("{bytes} bytes are more than the {CONTEXT_BYTES_MAX} that a context may have"),
        ));
    }
    Ok(())
}
