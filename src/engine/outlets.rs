//! Where the switchboard's outputs go.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use baton_contract::{At, CallbackId, CallbackView, CommitLevel, Event, Problem, Record, Reply};
use baton_media::Fate;
use baton_relay::Relay;
use baton_sip::{Transmit, Transport};
use baton_store::{Batch, Refusal, Store, WhenLate};
use baton_switchboard::Spoken;
use baton_time::Mono;
use baton_transfer::Language;
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot};

use super::linger::{Linger, Listeners, Lot};
use super::sockets::Sockets;
use super::streams::Connections;
use super::{Door, Recordings, Request};
use crate::capture::Tap;
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::voice::Voices;
use crate::webhook::{Hooks, TICKETS_FROM};

/// Tickets of commits that nobody waits for begin here, far above those of the switchboard.
const UNWATCHED: u64 = 1 << 63;

/// From here on nobody listens to what they bring either.
const UNHEARD: u64 = UNWATCHED | 1 << 61;
const _: () = assert!(UNHEARD < TICKETS_FROM, "answers to others must not be taken for answers to couriers");

/// What media threads need not know at once they are told at multiples of this.
const MEDIA_LATER: Duration = Duration::from_millis(50);

/// How many ports are bound at a time.
const PORTS_AT_ONCE: usize = 128;

/// How often, and how far apart, it is looked whether the store has answered everything.
const LEAVE_LOOKS: u32 = 250;
const LEAVE_LOOK: Duration = Duration::from_millis(2);

/// The hands of the engine.
pub(crate) struct Outlets {
    pub(crate) relay: Relay,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) store: Arc<Store>,
    pub(crate) voices: Arc<Voices>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) metrics: Arc<Mutex<Metrics>>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) door: Door,
    /// Who is to hear of events beside those who listen.
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) recordings: Recordings,
    /// Who looks on at what is spoken in SIP.
    pub(crate) tap: Tap,
    pub(crate) streams: Connections,
    /// Who holds our sockets beside us.
    pub(crate) keeper: Keeper,
    askers: BTreeMap<u64, oneshot::Sender<Result<Reply, Problem>>>,
    asked: u64,
    unwatched: u64,
    /// Records that nobody waits for.
    linger: Linger,
    /// When media threads are told what they have not been woken for.
    ring_at: Option<Mono>,
    /// Events whose audit lines have not been handed to the store, in their order.
    fresh: Vec<Event>,
    /// Events that wait for their audit lines to be on record, so that nobody who reads the past first misses one.
    held: BTreeMap<u64, Vec<Event>>,
}

impl Outlets {
    /// Nobody has asked for anything yet.
    #[expect(clippy::too_many_arguments, reason = "each hand is named once, where everything is opened")]
    pub(crate) fn new(
        relay: Relay,
        ports: RangeInclusive<u16>,
        store: Arc<Store>,
        voices: Arc<Voices>,
        events: broadcast::Sender<Event>,
        metrics: Arc<Mutex<Metrics>>,
        runtime: tokio::runtime::Handle,
        door: Door,
        hooks: Arc<Hooks>,
        recordings: Recordings,
        tap: Tap,
        streams: Connections,
    ) -> Outlets {
        let askers = BTreeMap::new();
        let (fresh, held) = (Vec::new(), BTreeMap::new());
        Outlets {
            relay,
            ports,
            store,
            voices,
            events,
            metrics,
            runtime,
            door,
            hooks,
            recordings,
            tap,
            streams,
            keeper: Keeper::Nobody,
            askers,
            asked: 0,
            unwatched: 0,
            linger: Linger::default(),
            ring_at: None,
            fresh,
            held,
        }
    }

    /// Remembers who asked; yields the ticket of the answer.
    pub(crate) fn expect(&mut self, asker: oneshot::Sender<Result<Reply, Problem>>) -> u64 {
        self.asked += 1;
        self.askers.insert(self.asked, asker);
        self.asked
    }

    /// Counts what media threads tell.
    pub(crate) fn count_media(&self, event: &baton_media::Event) {
        if let baton_media::Event::Switched { live: true, gap_us: Some(gap), .. } = event {
            self.metrics.lock().observe("baton_bridge_gap_seconds", &[], Duration::from_micros(*gap).as_secs_f64());
        }
    }

    /// Tells a media thread something: with the others of this turn, or a moment later where that is soon enough.
    pub(crate) fn tell_media(&mut self, now: Mono, command: baton_media::Command) {
        if let Err(fault) = self.relay.leave(command) {
            tracing::error!(%fault, "the media threads are behind");
        }
        self.ring_at.get_or_insert(now.rounded_up(MEDIA_LATER));
    }

    /// Sends a SIP message; false where its stream is gone or cannot keep up.
    pub(crate) fn transmit(&mut self, sockets: &Sockets, transmit: &Transmit) -> bool {
        match transmit.transport {
            Transport::Udp => match sockets.send(transmit.local, transmit.remote, &transmit.bytes) {
                Ok(()) => true,
                Err(fault) => {
                    tracing::debug!(%fault, remote = %transmit.remote, "cannot send");
                    // A full buffer or a refusal is a lost datagram: the transaction sends again.
                    true
                }
            },
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => self.streams.send(transmit),
        }
    }

    /// Hands records to the store, or lets them wait a moment where nobody waits for them; false where it refuses at once, so that no answer
    /// will come.
    pub(crate) fn commit(&mut self, now: Mono, ticket: Option<u64>, level: CommitLevel, mut records: Vec<Record>) -> bool {
        let due = self.hooks.due(&records);
        let is_heard = !due.is_empty() || self.events.receiver_count() > 0;
        let listeners = if is_heard { Listeners::Some } else { Listeners::None };
        records.extend(due);
        self.tap.recorded(&records);
        if ticket.is_none() && Linger::takes(&records) {
            self.linger.put(now, listeners, level, records);
            self.settle(now);
            return true;
        }
        // What waits was there first.
        self.submit_lingering();
        self.submit(ticket, Lot { level, listeners, records })
    }

    /// Hands over what has waited long enough.
    pub(crate) fn settle(&mut self, now: Mono) {
        if self.linger.is_due(now) {
            self.submit_lingering();
        }
        if self.ring_at.take_if(|at| *at <= now).is_some() {
            self.relay.ring_for_all();
        }
    }

    /// When [`Outlets::settle`] is wanted.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        [self.linger.until(), self.ring_at].into_iter().flatten().min()
    }

    /// Hands over all that waits.
    pub(crate) fn submit_lingering(&mut self) {
        if let Some(lot) = self.linger.take() {
            self.submit(None, lot);
        }
    }

    /// Waits until the store has answered all that was handed over, for a moment at most; the process is about to be replaced.
    pub(crate) fn leave(&mut self) {
        self.submit_lingering();
        for _ in 0..LEAVE_LOOKS {
            if self.store.health().queued == 0 {
                return;
            }
            std::thread::park_timeout(LEAVE_LOOK);
        }
        tracing::error!("the store has not answered to its end");
    }

    /// What nobody waits for has happened, whatever the store says: it keeps that until it can write it.
    fn submit(&mut self, ticket: Option<u64>, Lot { level, listeners, records }: Lot) -> bool {
        let when_late = if ticket.is_some() { WhenLate::Refuse } else { WhenLate::Keep };
        let ticket = ticket.unwrap_or_else(|| {
            self.unwatched += 1;
            match listeners {
                Listeners::Some => UNWATCHED + self.unwatched,
                Listeners::None => UNHEARD + self.unwatched,
            }
        });
        let told = records.iter().filter(|record| matches!(record, Record::Audit(_))).count().min(self.fresh.len());
        if told > 0 {
            let events = self.fresh.drain(..told).collect();
            self.held.insert(ticket, events);
        }
        match self.store.submit(Batch { ticket, level, when_late, records }) {
            Ok(()) => true,
            Err(refusal) => {
                tracing::error!(refusal = refusal.name(), "the store refuses a commit");
                self.let_go(ticket, Err(refusal));
                false
            }
        }
    }

    /// Tells everyone the events whose audit lines are on record; it is no fault if nobody listens. Those that the store refuses for good
    /// are told to nobody: who follows hears what is in the trail, no less and no more.
    pub(crate) fn let_go(&mut self, ticket: u64, result: Result<(), Refusal>) {
        let events = self.held.remove(&ticket).unwrap_or_default();
        if let Err(refusal) = result {
            if !events.is_empty() {
                tracing::error!(refusal = refusal.name(), count = events.len(), "events are lost");
                self.metrics.lock().add("baton_events_lost_total", &[("reason", refusal.name())], events.len() as f64);
            }
            return;
        }
        if !events.is_empty() {
            self.hooks.ring();
        }
        for event in events {
            if self.events.send(event).is_err() {
                tracing::trace!("nobody listens to events");
            }
        }
    }

    /// Whether events wait for their lines to be on record.
    pub(crate) fn has_untold(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether a ticket is one that nobody waits for.
    pub(crate) fn is_unwatched(ticket: u64) -> bool {
        ticket > UNWATCHED
    }

    /// Whether nobody listens to what a ticket brings either: the engine need not be woken for it.
    pub(crate) fn is_unheard(ticket: u64) -> bool {
        ticket > UNHEARD
    }

    /// Counts an event; it is told once its audit line is on record.
    pub(crate) fn publish(&mut self, event: Event) {
        tell(&event);
        self.metrics.lock().on_event(&event);
        self.fresh.push(event);
    }

    /// Speaks a briefing, elsewhere.
    pub(crate) fn render(&self, ticket: u64, language: Language, full: String, short: String) {
        let (voices, door) = (self.voices.clone(), self.door.clone());
        self.runtime.spawn(async move {
            let patience = voices.patience();
            let (whole, first) = tokio::join!(voices.render_in(language, &full, patience), async {
                if short == full { None } else { Some(voices.render_in(language, &short, patience).await) }
            });
            let first = first.unwrap_or_else(|| whole.clone());
            let spoken = match (whole, first) {
                (Ok(full), Ok(short)) => Some(Spoken { full: full.clip, short: short.clip }),
                (Err(fault), _) | (_, Err(fault)) => {
                    tracing::warn!(%fault, "no voice for the briefing");
                    None
                }
            };
            if door.send(Request::Rendered { ticket, spoken }).is_err() {
                tracing::error!("the engine takes no briefing");
            }
        });
    }

    /// Reads the callbacks that come next, elsewhere.
    pub(crate) fn page_callbacks(&self, before: At) {
        let (store, door) = (self.store.clone(), self.door.clone());
        self.runtime.spawn(async move {
            match store.callbacks_due(before).await {
                Ok(rows) => hand_in(&door, rows),
                Err(fault) => tracing::error!(%fault, "the callbacks that come next cannot be read"),
            }
        });
    }

    /// Reads one callback, elsewhere.
    pub(crate) fn read_callback(&self, id: CallbackId) {
        let (store, door) = (self.store.clone(), self.door.clone());
        self.runtime.spawn(async move {
            match store.callback(id).await {
                Ok(row) => hand_in(&door, row.into_iter().collect()),
                Err(fault) => tracing::error!(%fault, callback = %id, "a callback cannot be read"),
            }
        });
    }

    /// RTP packets since the start: fate, direction, count.
    pub(crate) fn rtp_counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let tally = self.relay.tally();
        let one = |fate: &Fate| {
            let (direction, name) = fate.labels();
            (name, direction, tally.of(*fate))
        };
        Fate::ALL.iter().map(one).collect()
    }

    /// Binds more ports.
    pub(crate) fn more_ports(&self) -> Vec<u16> {
        match self.relay.bind(self.ports.clone(), PORTS_AT_ONCE) {
            Ok(ports) => {
                hold_ports(&self.keeper, &self.relay, &ports);
                ports
            }
            Err(fault) => {
                tracing::warn!(%fault, "no more media ports");
                Vec::new()
            }
        }
    }

    /// Answers whoever asked; they may have gone.
    pub(crate) fn answer(&mut self, ticket: u64, result: Result<Reply, Problem>) {
        let asker = self.askers.remove(&ticket);
        if asker.is_some_and(|asker| asker.send(result).is_err()) {
            tracing::debug!(ticket, "whoever asked has gone");
        }
    }
}

/// A line for each event of a call's life. Names and numbers stay out of it.
fn tell(event: &Event) {
    let text = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str);
    let (call, transfer) = (event.call.map(tracing::field::display), event.transfer.map(tracing::field::display));
    let (ae, outcome, stage) = (text("ae"), text("outcome"), text("stage"));
    tracing::info!(call, transfer, ae, outcome, stage, event = event.kind.name(), "event");
}

fn hand_in(door: &Door, rows: Vec<CallbackView>) {
    if door.send(Request::Callbacks(rows)).is_err() {
        tracing::error!("the engine takes no callbacks");
    }
}

/// Has the sockets of ports held that were just bound.
pub(crate) fn hold_ports(keeper: &Keeper, relay: &Relay, ports: &[u16]) {
    if matches!(keeper, Keeper::Nobody) {
        return;
    }
    for group in ports.chunks(PORTS_AT_ONCE / 2) {
        let mut copies: Vec<std::os::fd::OwnedFd> = Vec::with_capacity(group.len() * 2);
        for port in group {
            relay.show(*port, |pair| copies.extend(pair.iter().filter_map(|socket| socket.try_clone_to_owned().ok())));
        }
        let sockets: Vec<_> = copies.iter().map(std::os::fd::AsFd::as_fd).collect();
        keeper.hold(&sockets);
    }
}
