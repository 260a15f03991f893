//! Where SIP, media and transfers meet: told what came in, answers with what is to be done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use baton_contract::{
    AeId, At, CallId, CallView, CallbackId, CallbackView, CommitLevel, Event, EventKind, IdSource, LegId, LegRole, PopLink,
    Record, TransferId,
};
use baton_media::{Clip, RoomId, TapId};
use baton_sip::{PingId, ReferId, SessionId, SubscriptionId, UserAgent};
use baton_time::{Deadline, Mono, Now, Timers};
use baton_transfer::{Fact, Roster, Transfer};
use serde_json::{Map, Value};

use crate::callbacks::Runs;
use crate::calls::Calls;
use crate::capacity::Load;
use crate::complaints::Complaints;
use crate::crowd::Standing;
use crate::destinations::Destination;
use crate::ended::Ended;
use crate::invited::Invited;
use crate::phones::Watched;
use crate::placing::Placed;
use crate::restore::Unsaid;
use crate::watch::Watch;
use crate::{Input, Output, Settings, Why};
use serde::{Deserialize, Serialize};

/// The stock of free ports is filled up when it falls below this many: what a thousand calls a second take in 48 ms, so that a machine that did not run for a
/// moment has ports for all who come at once then.
const PORTS_LOW: usize = 96;

/// Made once: it is the same for everybody.
static RINGBACK: LazyLock<Arc<Clip>> = LazyLock::new(|| Arc::new(baton_media::ringback()));

/// The reason in the log and in the metric where an INVITE comes from nobody we know.
pub(crate) const UNKNOWN_PEER: &str = "unknown-peer";

/// What has to be there before the first call: state that outlives the process, and everything random.
#[derive(Debug)]
pub struct Begin {
    /// The SIP user agent.
    pub agent: UserAgent,
    /// The AEs, with the leases that were on record.
    pub roster: Roster,
    /// Where ids come from.
    pub ids: IdSource,
    /// Signs screen-pop links.
    pub links: PopLink,
    /// Callbacks that are still to be kept.
    pub callbacks: Vec<CallbackView>,
    /// The number of the last event on record.
    pub last_event_seq: u64,
}

/// All calls of this daemon.
#[derive(Debug)]
pub struct Switchboard {
    pub(crate) settings: Settings,
    pub(crate) agent: UserAgent,
    pub(crate) roster: Roster,
    pub(crate) ids: IdSource,
    pub(crate) links: PopLink,
    pub(crate) calls: Calls,
    pub(crate) ended: Ended,
    pub(crate) callbacks: BTreeMap<CallbackId, CallbackView>,
    /// Which leg a session carries.
    pub(crate) sessions: BTreeMap<SessionId, (CallId, LegId)>,
    /// Legs that we are ending, until the far end has agreed.
    pub(crate) leaving: BTreeMap<SessionId, Leaving>,
    /// Transfers that are over but for what the far ends of their legs still have to say.
    pub(crate) lingering: BTreeMap<TransferId, Transfer>,
    pub(crate) rooms: BTreeMap<RoomId, CallId>,
    pub(crate) transfers: BTreeMap<TransferId, CallId>,
    /// Callbacks that are waited for or carried out.
    pub(crate) runs: Runs,
    /// What depends on a commit that has not been acknowledged.
    pub(crate) commits: BTreeMap<u64, Waiting>,
    pub(crate) renders: BTreeMap<u64, (CallId, TransferId)>,
    pub(crate) ports: Ports,
    /// What AEs were being told when the earlier process died.
    pub(crate) unsaid: BTreeMap<CallId, Unsaid>,
    /// What each trunk carries, in the order of the settings.
    pub(crate) loads: Vec<Load>,
    /// What is known of each trunk, in the order of the settings.
    pub(crate) watches: Vec<Watch>,
    /// Which trunk was asked whether it is there.
    pub(crate) pings: BTreeMap<PingId, usize>,
    /// Whose phone tells its dialogs.
    pub(crate) subscriptions: BTreeMap<SubscriptionId, AeId>,
    /// What is known of the phones of AEs.
    pub(crate) watched: BTreeMap<AeId, Watched>,
    /// Calls that a trunk was asked to take over.
    pub(crate) releases: BTreeMap<ReferId, (CallId, usize)>,
    /// INVITEs of AIs that ask for a human.
    pub(crate) invited: BTreeMap<SessionId, Invited>,
    /// Calls that were placed with an idempotency key.
    pub(crate) placed: Placed,
    /// Whose REFERs of ours are under way.
    pub(crate) referrals: BTreeMap<ReferId, CallId>,
    /// Which call a message belongs to.
    pub(crate) messages: BTreeMap<TapId, CallId>,
    /// What a caller hears while somebody's phone rings.
    pub(crate) ringback: Arc<Clip>,
    timers: Timers<Alarm>,
    outputs: VecDeque<Output>,
    audits: Vec<Record>,
    event_seq: u64,
    tickets: u64,
    pub(crate) room_count: u64,
    /// How many INVITEs came from nobody we know.
    pub(crate) unknown_peers: u64,
    pub(crate) complaints: Complaints,
    /// Since when more has come in than is worked off.
    pub(crate) standing: Standing,
}

/// A leg that we are ending.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Leaving {
    pub(crate) call: CallId,
    pub(crate) leg: LegId,
    pub(crate) role: LegRole,
    /// The transfer that dialled it.
    pub(crate) transfer: Option<TransferId>,
    /// The callback that dialled it.
    pub(crate) callback: Option<CallbackId>,
}

/// Ports that are bound and free.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    free: VecDeque<u16>,
    /// Whether more were asked for: they have not come yet, or there are none.
    asked: bool,
}

/// Who waits for a commit.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A transfer, for this fact; with the callback that it promises.
    Transfer(CallId, TransferId, Fact, Option<Box<CallbackView>>),
    /// A call that is to be placed, and who asked for it.
    Placed { call: CallId, to: Box<Destination>, askers: Vec<u64> },
    /// Somebody who asked for a callback or changed one.
    Callback { asker: u64, callback: Box<CallbackView>, is_new: bool },
    /// The run of a callback, for its commit of this number.
    Run { callback: CallbackId, number: u32 },
}

/// What an alarm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Alarm {
    /// An AI must have answered.
    Ai(CallId),
    /// Whom we call must have answered.
    Caller(CallId),
    /// Whoever has answered our call has heard nothing for long enough.
    Quiet(CallId),
    /// A message has reached its limit.
    Message(CallId),
    /// A key of the AE has waited for another one.
    Key(CallId),
    /// The call's transfer wants to be woken.
    Transfer(CallId),
    /// The run of a callback wants to be woken.
    Callback(CallbackId),
    /// The store is asked for the callbacks that come next.
    Page,
    /// A trunk is asked whether it is there.
    Look(usize),
    /// It is looked whether a call can be let go.
    Release(CallId),
}

impl Alarm {
    /// Whose alarm it is, where it is a call's.
    fn call(self) -> Option<CallId> {
        match self {
            Alarm::Ai(call)
            | Alarm::Caller(call)
            | Alarm::Quiet(call)
            | Alarm::Message(call)
            | Alarm::Key(call)
            | Alarm::Transfer(call)
            | Alarm::Release(call) => Some(call),
            Alarm::Callback(_) | Alarm::Page | Alarm::Look(_) => None,
        }
    }
}

impl Switchboard {
    /// A switchboard without calls.
    pub fn new(settings: Settings, begin: Begin) -> Switchboard {
        let mut begin = begin;
        for callback in &begin.callbacks {
            begin.roster.book(&callback.ae, callback.at);
        }
        let callbacks = begin.callbacks.into_iter().map(|callback| (callback.id, callback)).collect();
        let loads = settings.trunks.iter().map(|_| Load::default()).collect();
        let watches = settings.trunks.iter().map(|_| Watch::default()).collect();
        Switchboard {
            settings,
            agent: begin.agent,
            roster: begin.roster,
            ids: begin.ids,
            links: begin.links,
            calls: Calls::default(),
            ended: Ended::default(),
            callbacks,
            sessions: BTreeMap::new(),
            leaving: BTreeMap::new(),
            lingering: BTreeMap::new(),
            rooms: BTreeMap::new(),
            transfers: BTreeMap::new(),
            runs: Runs::default(),
            commits: BTreeMap::new(),
            renders: BTreeMap::new(),
            ports: Ports::default(),
            unsaid: BTreeMap::new(),
            loads,
            watches,
            pings: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            watched: BTreeMap::new(),
            releases: BTreeMap::new(),
            invited: BTreeMap::new(),
            placed: Placed::default(),
            referrals: BTreeMap::new(),
            messages: BTreeMap::new(),
            ringback: RINGBACK.clone(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            audits: Vec::new(),
            event_seq: begin.last_event_seq,
            tickets: 0,
            room_count: 0,
            unknown_peers: 0,
            complaints: Complaints::default(),
            standing: Standing::default(),
        }
    }

    /// Takes in what has happened. What is to be done waits at [`Switchboard::poll`].
    pub fn handle(&mut self, now: Now, input: Input) {
        self.look_at_clocks(now);
        match input {
            Input::Callbacks(rows) => self.on_rows(now, rows),
            Input::Sip(incoming) => {
                self.agent.set_crowd(self.crowd_for(incoming.remote));
                self.agent.receive(now.mono, incoming);
            }
            Input::ConnectionClosed { connection, remote } => self.agent.connection_closed(now.mono, connection, remote),
            Input::SendFailed { transport, remote } => self.agent.send_failed(now.mono, transport, remote),
            Input::Media(event) => self.on_media(now, event),
            Input::Ask { ticket, command } => self.on_ask(now, ticket, *command),
            Input::Committed(ticket) => self.on_committed(now, ticket, true),
            Input::CommitRefused(ticket) => self.on_committed(now, ticket, false),
            Input::Rendered { ticket, spoken } => self.on_rendered(now, ticket, spoken),
            Input::WrittenDown { ticket, text } => self.on_written_down(now, ticket, text),
            Input::Prompts { language, clips } => self.learn(language, clips),
            Input::Recorded { tap, result } => self.on_recorded(now, tap, result),
            Input::Transcribed { transfer, text } => self.on_transcribed(now, transfer, text),
            Input::Ports(ports) => self.ports.put(ports),
            Input::Drain { retry_after } => self.agent.set_accepting(false, retry_after),
            Input::HangUpAll => {
                self.unregister_all(now);
                self.hang_up_all(now);
            }
            Input::Up => self.begin_watching(now),
            Input::Resolved { whom, hops } => self.on_resolved(now, &whom, hops),
            Input::Wake => {}
        }
        self.wake(now);
        while let Some(event) = self.agent.poll_event() {
            self.on_sip(now, event);
        }
        self.flush(now);
    }

    /// The next thing to be done; call until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(transmit) = self.agent.poll_transmit() {
            return Some(Output::Transmit(transmit));
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Wake`] is wanted at the latest, and why.
    pub fn poll_timeout(&self) -> Option<(Deadline, Why)> {
        let sip = self.agent.poll_timeout().map(|(at, why)| (at, Why::Sip(why)));
        let own = self.timers.next().map(|(at, alarm)| {
            let why = match alarm {
                Alarm::Ai(_) | Alarm::Quiet(_) => Why::AiMustAnswer,
                Alarm::Caller(_) => Why::CallerMustAnswer,
                Alarm::Message(_) => Why::MessageIsLong,
                Alarm::Key(_) => Why::KeyIsHeld,
                Alarm::Transfer(call) => self.transfer_why(*call),
                Alarm::Callback(_) | Alarm::Page => Why::Callback,
                Alarm::Look(_) | Alarm::Release(_) => Why::Trunk,
            };
            (at, why)
        });
        let soonest = match (sip, own) {
            (Some(sip), Some(own)) => Some(if own.0 < sip.0 { own } else { sip }),
            (one, None) | (None, one) => one,
        };
        soonest.map(|(at, why)| (Deadline::Mono(at), why))
    }

    /// Whether no call is left.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether any transfer is between its request and its outcome.
    pub fn has_transfers_in_flight(&self) -> bool {
        self.calls.values().any(|call| call.transfer.as_ref().is_some_and(|running| running.transfer.outcome().is_none()))
    }

    /// The SIP user agent, for its counts.
    pub fn agent(&self) -> &UserAgent {
        &self.agent
    }

    /// SIP requests that were not let in, by the name of the reason.
    pub fn rejected(&self) -> Vec<(&'static str, u64)> {
        let mut rejected = self.agent.counts().rejected();
        rejected.push((UNKNOWN_PEER, self.unknown_peers));
        rejected
    }

    /// What the gauges show.
    pub fn gauges(&self, now: Now) -> crate::Gauges {
        crate::Gauges::count(self, now)
    }

    fn transfer_why(&self, call: CallId) -> Why {
        let running = self.calls.get(&call).and_then(|call| call.transfer.as_ref());
        running.and_then(|running| running.transfer.poll_timeout()).map_or(Why::AiMustAnswer, |(_, why)| Why::Transfer(why))
    }

    fn wake(&mut self, now: Now) {
        if self.agent.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.agent.on_timeout(now.mono);
        }
        while let Some((_, alarm)) = self.timers.pop_due(now.mono) {
            let span = alarm.call().map(|call| self.span(call, None));
            let _inside = span.as_ref().map(tracing::Span::enter);
            match alarm {
                Alarm::Callback(id) => self.tell_run(now, id, baton_transfer::CallbackEvent::Wake),
                Alarm::Page => self.page(now, true),
                Alarm::Ai(call) => self.ai_took_too_long(now, call),
                Alarm::Caller(call) => self.caller_took_too_long(now, call),
                Alarm::Quiet(call) => self.quiet_for_long(call),
                Alarm::Message(call) => self.end_message(call),
                Alarm::Key(call) => self.held_for_long(call),
                Alarm::Look(place) => self.look(now, place),
                Alarm::Release(call) => self.release(now, call),
                Alarm::Transfer(call) => self.tell(now, call, baton_transfer::Event::Wake),
            }
        }
    }

    /// Writes the audit lines of one input together, and asks for ports where they run low.
    fn flush(&mut self, _now: Now) {
        if !self.audits.is_empty() {
            let records = std::mem::take(&mut self.audits);
            self.outputs.push_back(Output::Commit { ticket: None, level: CommitLevel::Power, records });
        }
        if self.ports.run_low() {
            self.outputs.push_back(Output::WantPorts);
        }
    }

    pub(crate) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn media(&mut self, command: baton_media::Command) {
        self.outputs.push_back(Output::Media(command));
    }

    pub(crate) fn next_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Sets or takes away the alarm of a call's transfer, as the transfer wants it.
    pub(crate) fn set_transfer_alarm(&mut self, now: Now, call: CallId) {
        let running = self.calls.get(&call).and_then(|call| call.transfer.as_ref());
        match running.and_then(|running| running.transfer.poll_timeout()) {
            Some((deadline, _)) => self.timers.set(Alarm::Transfer(call), deadline.mono(now)),
            None => {
                self.timers.clear(&Alarm::Transfer(call));
            }
        }
    }

    /// Sets or takes away the alarm of a callback's run.
    pub(crate) fn set_run_alarm(&mut self, id: CallbackId, at: Option<Mono>) {
        match at {
            Some(at) => self.timers.set(Alarm::Callback(id), at),
            None => {
                self.timers.clear(&Alarm::Callback(id));
            }
        }
    }

    /// The alarms of a call.
    pub(crate) fn alarms_of(&self, id: CallId) -> Vec<(Alarm, Mono)> {
        let all = [Alarm::Ai(id), Alarm::Caller(id), Alarm::Quiet(id)];
        all.into_iter().filter_map(|alarm| self.timers.get(&alarm).map(|at| (alarm, at))).collect()
    }

    pub(crate) fn set_alarm_again(&mut self, alarm: Alarm, at: Mono) {
        self.timers.set(alarm, at);
    }

    pub(crate) fn set_page_alarm(&mut self, at: Mono) {
        self.timers.set(Alarm::Page, at);
    }

    pub(crate) fn set_ai_alarm(&mut self, call: CallId, at: Mono) {
        self.timers.set(Alarm::Ai(call), at);
    }

    pub(crate) fn set_quiet_alarm(&mut self, call: CallId, at: Mono) {
        self.timers.set(Alarm::Quiet(call), at);
    }

    pub(crate) fn clear_quiet_alarm(&mut self, call: CallId) {
        self.timers.clear(&Alarm::Quiet(call));
    }

    pub(crate) fn set_caller_alarm(&mut self, call: CallId, at: Mono) {
        self.timers.set(Alarm::Caller(call), at);
    }

    pub(crate) fn clear_caller_alarm(&mut self, call: CallId) {
        self.timers.clear(&Alarm::Caller(call));
    }

    pub(crate) fn set_key_alarm(&mut self, call: CallId, at: Mono) {
        self.timers.set(Alarm::Key(call), at);
    }

    pub(crate) fn clear_key_alarm(&mut self, call: CallId) {
        self.timers.clear(&Alarm::Key(call));
    }

    pub(crate) fn set_message_alarm(&mut self, call: CallId, at: Mono) {
        self.timers.set(Alarm::Message(call), at);
    }

    pub(crate) fn clear_message_alarm(&mut self, call: CallId) {
        self.timers.clear(&Alarm::Message(call));
    }

    pub(crate) fn set_look_alarm(&mut self, trunk: usize, at: Mono) {
        self.timers.set(Alarm::Look(trunk), at);
    }

    pub(crate) fn set_release_alarm(&mut self, call: CallId, at: Mono) {
        self.timers.set(Alarm::Release(call), at);
    }

    pub(crate) fn clear_ai_alarm(&mut self, call: CallId) {
        self.timers.clear(&Alarm::Ai(call));
    }

    /// Tells everyone, and the audit trail.
    pub(crate) fn publish(
        &mut self,
        now: Now,
        kind: EventKind,
        call: Option<CallId>,
        transfer: Option<TransferId>,
        data: Map<String, Value>,
    ) {
        self.event_seq += u64::from(!baton_time::bug!(86));
        let id = format!("e_{:016x}{:016x}", self.ids.bits(), self.ids.bits());
        let event = Event { id, seq: self.event_seq, at: At(now.wall), kind, call, transfer, data };
        tracing::debug!(kind = kind.name(), call = call.map(tracing::field::display), "event");
        self.audits.push(Record::Audit(Box::new(event.clone())));
        self.outputs.push_back(Output::Publish(Box::new(event)));
    }

    /// Writes the call as it stands; nobody waits for it.
    pub(crate) fn record_call(&mut self, view: CallView) {
        let records = vec![Record::Call(Box::new(view))];
        self.outputs.push_back(Output::Commit { ticket: None, level: CommitLevel::Process, records });
    }

    /// Log lines inside of this span carry the call, the leg and the transfer that they are about.
    pub(crate) fn span(&self, call: CallId, leg: Option<LegId>) -> tracing::Span {
        let transfer = self.running_id(call).map(tracing::field::display);
        tracing::info_span!("in", %call, leg = leg.map(tracing::field::display), transfer)
    }

    pub(crate) fn call_of(&self, session: SessionId) -> Option<(CallId, LegId)> {
        self.sessions.get(&session).copied()
    }
}

impl Ports {
    /// Takes a free port.
    pub(crate) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Puts free ports in; the one that was used last is used again last.
    pub(crate) fn put(&mut self, ports: Vec<u16>) {
        self.asked = ports.is_empty();
        self.free.extend(ports);
    }

    /// Gives one back.
    pub(crate) fn give_back(&mut self, port: u16) {
        self.asked = false;
        self.free.push_back(port);
    }

    /// How many there are.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    fn run_low(&mut self) -> bool {
        let low = self.free.len() < PORTS_LOW && !self.asked;
        self.asked |= low;
        low
    }
}

/// What Retry-After says while no new calls are taken.
pub const DRAIN_RETRY_AFTER: Duration = Duration::from_secs(30);

/// What Retry-After says where something has run out.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);
