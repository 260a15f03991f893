//! What must hold in every world, looked at after every event: a small model of what Baton knows, and what it may do then.

mod datagrams;
mod dials;
mod later;
mod scenes;
mod texts;
mod told;

use std::time::Duration;

use baton_contract::{AeId, CallId, CallbackId, Mode, Record, TransferId};
use baton_media::{Port, Source};
use baton_switchboard::Recorded;
use baton_time::Mono;

use super::leg::{Leg, Phase};
use super::plan::{AI, Api, Rules};
use super::run::{Post, Run};
use super::ways::Timer;
use crate::Store;

pub(super) use dials::TRUNK_RING_MAX;
pub(super) use texts::Writer;

/// Within this a caller's hang-up reaches everybody.
const HANG_UP_MAX: Duration = Duration::from_millis(50);

/// An AE who is listening hears one sentence of at most two seconds first.
const PARTING_MAX: Duration = Duration::from_millis(2_200);

/// From the acceptance to the bridge, a store that is silent for half a second and a late packet included.
const BRIDGE_MAX: Duration = Duration::from_millis(1_700);

/// The same where the store refuses the acceptance at once.
const REFUSED_BRIDGE_MAX: Duration = Duration::from_millis(200);

/// An AI that says nothing for ten seconds has died; the next one has four to answer.
const ALONE_MAX: Duration = Duration::from_secs(25);

/// A session of 90 seconds that nobody refreshes is given up this long after its beginning (RFC 4028 §10).
const EXPIRED_AFTER: Duration = Duration::from_secs(58);

/// A transfer that never ends is stuck: its budget, an offer told five times and a recall are over by then.
const TRANSFER_MAX: Duration = Duration::from_secs(420);

/// An AI has four seconds to answer; after that the caller has an answer, whatever it is.
const CONNECTED_MAX: Duration = Duration::from_millis(4_500);

/// Whatever follows at once has happened by then, a store that answers included.
const NEXT_MAX: Duration = Duration::from_millis(60);

/// The AI is let go this soon after the bridge.
const LET_GO_MAX: Duration = Duration::from_millis(500);

/// Something to be looked at later.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Everybody else of this call has been let go.
    CallerGone(CallId),
    /// So has the AE who was listening.
    Parted(CallId),
    /// The phone has rung for as long as it may.
    Rung(usize),
    /// The AE has had as long as they may to accept.
    Accept(usize),
    /// The AE who has accepted hears the caller.
    Bridge(usize),
    /// The caller hears the AI again.
    WithAi(usize),
    /// The attempt that was refused has failed.
    Refused(usize),
    /// Somebody who asked was answered.
    Reply(u64),
    /// An INVITE that nobody answers was sent again.
    SentAgain(usize),
    /// The transfer is over.
    Ended(usize),
    /// After this attempt, the next.
    Next(usize, usize),
    /// Somebody is with the caller, or is looked for.
    Alone(usize),
    /// The transfer that was called off, as the answer said, is over.
    Cancelled(usize),
    /// The caller who has picked a slot has it, or was told why not.
    Picked(usize),
    /// The session was refreshed, or given up.
    Refreshed(usize, Timer),
    /// The callback that is due has been begun.
    Due(CallbackId),
    /// The caller has their final answer.
    Connected(usize),
    /// Somebody who asked while the store refuses was told so.
    Refusal(u64),
    /// The trunk has the caller of this transfer.
    PassedOn(usize),
    /// Whoever an attempt is for has been dialled.
    Dialled(usize, usize),
    /// The AI that has refused is not waited for.
    AiRefused(usize),
    /// The AIs of this call that were there before then have been let go.
    AiLetGo(CallId, Mono),
}

/// A transfer, as its events tell of it.
#[derive(Debug)]
pub(super) struct Told {
    id: TransferId,
    call: CallId,
    requested: Mono,
    attempts: Vec<Attempt>,
    bridged: Option<Mono>,
    accepted: Option<Mono>,
    ended: Option<String>,
    cancel_asked: bool,
    has_callback: bool,
    mode: Mode,
}

/// Who wants an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Plan,
    /// The AE who passes the caller on.
    Ae,
}

#[derive(Debug)]
struct Attempt {
    by: By,
    ae: usize,
    leg_id: String,
    leg: Option<usize>,
    failed: Option<(String, Mono)>,
    rang: Option<Mono>,
}

/// An attempt of a callback, which no transfer tells of.
#[derive(Debug)]
struct Tried {
    ae: usize,
    leg_id: String,
    leg: Option<usize>,
}

#[derive(Debug)]
struct CallTold {
    id: CallId,
    phone: usize,
    driver: String,
    ended: bool,
    gone: Option<Mono>,
    hung_up: bool,
    origin: Origin,
}

/// Who began a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Caller,
    /// Baton, for an AI that wants to speak to somebody.
    Placed,
    /// Baton, for a callback.
    Callback,
}

#[derive(Debug)]
struct Held {
    ae: AeId,
    transfer: TransferId,
    epoch: u64,
}

/// The model.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) fault: Option<String>,
    rules: Rules,
    accept_worst: Duration,
    calls: Vec<CallTold>,
    transfers: Vec<Told>,
    leases: Vec<Held>,
    epochs: Vec<(AeId, u64)>,
    callbacks: Vec<CallbackId>,
    seq: u64,
    pub(super) store_troubled: bool,
    pub(super) presence_changed: bool,
    pub(super) other_node: bool,
    /// The wall clock was set, or no new calls are taken: what is due may be late.
    pub(super) out_of_time: bool,
    /// A message of at least a second is there.
    message: bool,
    /// Callbacks in which caller and AE were connected.
    kept: Vec<CallbackId>,
    /// What was written.
    texts: Vec<texts::Written>,
    /// Whom callbacks have tried.
    tried: Vec<Tried>,
}

impl Watch {
    pub(super) fn new(rules: &Rules, accept_worst: Duration) -> Watch {
        Watch {
            fault: None,
            rules: rules.clone(),
            accept_worst,
            calls: Vec::new(),
            transfers: Vec::new(),
            leases: Vec::new(),
            epochs: Vec::new(),
            callbacks: Vec::new(),
            seq: 0,
            store_troubled: false,
            presence_changed: false,
            other_node: false,
            out_of_time: false,
            message: false,
            kept: Vec::new(),
            texts: Vec::new(),
            tried: Vec::new(),
        }
    }

    /// So many events were published before.
    pub(super) fn begins_at(&mut self, events: u64) {
        self.seq = events;
    }

    /// How many events were published.
    pub(super) fn events(&self) -> u64 {
        self.seq
    }

    /// Something does not hold; the first thing counts.
    pub(super) fn blame(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    pub(super) fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.blame(what());
        }
    }

    pub(super) fn call_of(&self, phone: usize) -> Option<CallId> {
        let of_phone = || self.calls.iter().filter(|call| call.phone == phone);
        of_phone().find(|call| !call.ended).or_else(|| of_phone().next()).map(|call| call.id)
    }

    /// The call that a leg of a caller belongs to: the one that they began, unless Baton has dialled them.
    fn call_of_leg(&mut self, leg: &Leg) -> Option<&mut CallTold> {
        let (phone, id) = (leg.who.phone, leg.call);
        self.calls.iter_mut().find(|call| match id {
            Some(id) => call.id == id,
            None => call.phone == phone && call.origin == Origin::Caller,
        })
    }

    /// Whether this call is a callback's.
    pub(super) fn is_called_back(&self, id: Option<CallId>) -> bool {
        self.calls.iter().any(|call| Some(call.id) == id && call.origin == Origin::Callback)
    }

    /// A message is at its end.
    pub(super) fn message_closed(&mut self, recorded: &Recorded) {
        self.message |= recorded.speech_ms >= 1_000;
    }

    pub(super) fn last_transfer(&self) -> Option<TransferId> {
        self.transfers.last().map(|told| told.id)
    }

    /// Calls whose caller's phone is dead: nobody would end them.
    pub(super) fn calls_of_the_dead(&self, dead: &[bool]) -> Vec<CallId> {
        self.calls.iter().filter(|call| !call.ended && dead[call.phone]).map(|call| call.id).collect()
    }

    pub(super) fn api_hangs_up(&mut self, id: CallId) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
            call.hung_up = true;
        }
    }

    fn transfer(&mut self, id: TransferId) -> Option<&mut Told> {
        self.transfers.iter_mut().find(|told| told.id == id)
    }

    /// A row that the store has taken.
    pub(super) fn record(&mut self, record: &Record) {
        match record {
            Record::Lease(row) => {
                let other = self.leases.iter().any(|held| held.ae == row.ae && held.transfer != row.transfer);
                let troubled = self.store_troubled; // A release that the store refused is followed by a lease with a higher epoch.
                self.must(!other || troubled, || format!("{} is leased twice (I9)", row.ae));
                let last = self.epochs.iter().rev().find(|(ae, _)| *ae == row.ae).map(|(_, epoch)| *epoch);
                self.must(last.is_none_or(|last| row.epoch > last), || format!("the epoch of {} does not rise (I9)", row.ae));
                self.epochs.push((row.ae.clone(), row.epoch));
                self.leases.retain(|held| held.ae != row.ae);
                self.leases.push(Held { ae: row.ae.clone(), transfer: row.transfer, epoch: row.epoch });
            }
            Record::Release { ae, epoch } => self.leases.retain(|held| held.ae != *ae || held.epoch != *epoch),
            Record::Callback(view) => self.callbacks.push(view.id),
            Record::Journal { .. } | Record::Call(_) | Record::Transfer(_) | Record::Audit(_) => {}
            Record::Claim { from, callback } => {
                let (from, to) = (*from, callback.progress.epoch);
                self.must(to > from, || format!("the epoch of a callback goes from {from} to {to} (I9)"));
            }
            Record::Outbox(_) | Record::Placed(_) | Record::Forget(_) => {}
        }
    }

    /// What must have come of everything at the end.
    pub(super) fn last_look(&mut self, legs: &[Leg], dead: &[bool], lossy: bool) {
        for leg in legs.iter().filter(|leg| !dead[leg.who.phone]) {
            let who = format!("leg {} of phone {}", leg.who.nth, leg.who.phone);
            let over = matches!(leg.phase, Phase::Over | Phase::Coming);
            self.must(lossy || !leg.is_overdue, || format!("{who} waits for an ACK that nothing keeps away (I5)"));
            if let Some(what) = leg.unheeded {
                self.blame(format!("{who}: {what} (I5)"));
            }
            self.must(over, || format!("{who} outlives its call: {:?} (I5, I6)", leg.phase));
            self.must(
                lossy || leg.refer.accepted.is_none() || leg.refer.last.is_some() || leg.facts.bye_in.is_some() || leg.muted,
                || format!("{who}: its REFER was accepted and never came to an end"),
            );
        }
        if let ([told], Some(leg), false) =
            (&self.transfers[..], legs.iter().find(|leg| leg.who.phone == AI && leg.refer.last.is_some()), lossy)
        {
            let fits: &[u16] = match told.ended.as_deref() {
                Some("bridged" | "referred") => &[200],
                Some("caller_abandoned" | "cancelled") => &[487],
                Some("callback_scheduled" | "voicemail") => &[480],
                _ => &[480, 486, 487, 503, 603],
            };
            let (last, outcome) = (leg.refer.last.unwrap_or(0), told.ended.clone());
            self.must(fits.contains(&last), || format!("the last NOTIFY says {last} where the outcome is {outcome:?}"));
        }
        for at in 0..self.transfers.len() {
            let ended = self.transfers[at].ended.is_some();
            self.must(ended, || "a transfer has no outcome at the end (I14)".to_owned());
        }
        let open = self.calls.iter().any(|call| !call.ended);
        self.must(!open, || "a call has not ended at the end (I6)".to_owned());
        let held = self.leases.first().map(|held| held.ae.clone());
        if let (Some(ae), false) = (held, self.store_troubled) {
            self.blame(format!("{ae} is still leased at the end (I9)"));
        }
    }
}

impl Run<'_> {
    fn call(&self, id: Option<CallId>) -> Option<&CallTold> {
        self.watch.calls.iter().find(|call| Some(call.id) == id)
    }

    /// Whether this caller is being told which keys mean which slot.
    fn is_offered(&self, at: usize) -> bool {
        let names = |source: &Source| match source {
            Source::Play(list) => list.clips.iter().any(|clip| clip.name() == "PressOneFor"),
            Source::Silence | Source::Music | Source::Leg(_) | Source::Mix(_) => false,
        };
        self.rooms.line(Port(self.legs[at].port)).is_some_and(|line| names(&line.hears))
    }

    /// A transfer was called off, and the answer says so.
    pub(super) fn watch_cancelled(&mut self, id: TransferId) {
        if let Some(at) = self.watch.transfers.iter().position(|told| told.id == id) {
            self.post(Duration::from_secs(5), Post::Check(Check::Cancelled(at)));
        }
    }

    /// A key has reached Baton.
    pub(super) fn key(&mut self, at: usize, digit: char) {
        let now = self.now.mono;
        let is_caller = self.is_caller(self.legs[at].who.phone);
        if is_caller && digit == '1' && self.is_offered(at) && !self.legs[at].facts.is_closed() && self.watch.transfers.len() == 1
        {
            self.post(Duration::from_secs(8), Post::Check(Check::Picked(0)));
        }
        let facts = self.facts(at);
        if facts.is_closed() {
            return;
        }
        match digit {
            // A caller confirms what they were called for; the others are asked by other words.
            '1' if is_caller => {
                facts.accepts.get_or_insert(now);
            }
            _ if is_caller => {}
            '1' if facts.declines.is_none() && facts.accepts.is_none() => {
                facts.accepts = Some(now);
                // A store that says no is not waited for.
                let is_refused = self.store == Store::Refuses && !self.is_store_silent();
                let within = if is_refused { REFUSED_BRIDGE_MAX } else { BRIDGE_MAX };
                self.post(within, Post::Check(Check::Bridge(at)));
            }
            '2' | '3' if facts.accepts.is_none() => facts.declines = Some(now),
            _ => {}
        }
    }

    /// An order through the API that says what a key would.
    pub(super) fn watch_order(&mut self, api: Api, id: TransferId) {
        let now = self.now.mono;
        let Some(told) = self.watch.transfer(id) else { return };
        match api {
            Api::Accept => {
                let leg = told.attempts.last().and_then(|attempt| attempt.leg);
                if let Some(at) = leg.filter(|at| self.legs[*at].facts.answered.is_some()) {
                    self.facts(at).accepts.get_or_insert(now);
                }
            }
            Api::Cancel => told.cancel_asked = true,
            Api::Decline { .. }
            | Api::Transfer { .. }
            | Api::HangUp
            | Api::Presence(..)
            | Api::Pick
            | Api::Promise { .. }
            | Api::Move { .. }
            | Api::Uncallback
            | Api::HandBack
            | Api::Drive(_)
            | Api::Proceed
            | Api::Text(_)
            | Api::Place => {}
        }
    }
}
