//! What outlives a process: its clock, its sockets, and the calls that are in its journal.

use std::os::fd::AsFd as _;

use anyhow::Context as _;
use baton_relay::Relay;
use baton_switchboard::{CallRecord, Input, Switchboard};
use baton_transfer::briefing::WORDS_PER_SECOND;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::bind;
use super::lock::{self, StoreLock};
use super::reload::Reloader;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Request, hold_ports};
use crate::journal::{self, Past, Recovery, TakenUp};
use crate::keeper::{Keeper, Kept};
use crate::voice::Voices;

/// How many ports are bound before the first call; no further ones are a reason not to start.
const PORTS_AT_FIRST: usize = 64;

/// What there is of an earlier process.
pub(super) struct Survived {
    pub(super) lock: Option<StoreLock>,
    pub(super) keeper: Keeper,
    pub(super) kept: Kept,
    pub(super) journal: journal::Open,
    pub(super) past: Past,
    pub(super) clock: Clock,
}

impl Survived {
    /// Looks for it. The sockets come first, and with them the word that the earlier process has left; then the lock: while it lives its journal is
    /// not ours.
    pub(super) fn find(config: &Config, keeper: Keeper) -> anyhow::Result<Survived> {
        let kept = keeper.take()?;
        let lock = lock::take(&config.store.url)?;
        let journal = journal::Open::beside(&config.store.url);
        let past = Past::read(journal.path());
        let clock = Clock::continuing(past.epoch_ns);
        if kept.len() > 0 || !past.calls.is_empty() {
            tracing::info!(sockets = kept.len(), calls = past.calls.len(), "taking over from an earlier process");
        }
        Ok(Survived { lock, keeper, kept, journal, past, clock })
    }
}

/// Calls of an earlier process that can be read.
pub(super) struct Readable {
    calls: Vec<(CallRecord, Vec<u8>)>,
    recovery: Recovery,
}

impl Readable {
    /// Reads the calls; one that cannot be read, or that has killed the process before, is put aside.
    pub(super) fn of(past: &mut Past, journal: &journal::Open) -> Readable {
        let mut recovery = Recovery::begin(journal.path());
        let mut calls = Vec::new();
        for (id, bytes) in std::mem::take(&mut past.calls) {
            if recovery.is_poison(&id) {
                recovery.put_aside(&id, &bytes, "taking it up has killed the process twice");
                continue;
            }
            match rmp_serde::from_slice::<CallRecord>(&bytes) {
                Ok(call) => calls.push((call, bytes)),
                Err(fault) => recovery.put_aside(&id, &bytes, &format!("it cannot be read: {fault}")),
            }
        }
        Readable { calls, recovery }
    }

    /// The ports of all legs.
    pub(super) fn ports(&self) -> Vec<u16> {
        self.calls.iter().flat_map(|(call, _)| call.ports()).collect()
    }

    /// How fast the voice speaks. With callers on the line nobody waits for a voice that must get ready first.
    pub(super) async fn pace(&self, voices: &Voices) -> f64 {
        if self.calls.is_empty() { voices.words_per_second().await } else { WORDS_PER_SECOND }
    }

    /// Takes them up, one by one, and whoever had registered. Yields what was read of each.
    pub(super) fn take_up(mut self, board: &mut Switchboard, past: Past, clock: Clock) -> TakenUp {
        if let Some(common) = &past.common {
            board.restore_common(common);
        }
        for record in past.phones.values() {
            board.restore_phones(clock.now().mono, record.clone());
        }
        let marks = past.marks();
        let poison = std::env::var("BATON_SELF_TEST").ok().and_then(|test| test.strip_prefix("poison:").map(str::to_owned));
        let mut calls = Vec::new();
        for (call, bytes) in self.calls {
            let name = call.id().to_string();
            self.recovery.begins(&name);
            if poison.as_deref().is_some_and(|from| call.from().contains(from)) {
                std::process::abort();
            }
            let id = board.restore(clock.now(), call, &marks);
            board.handle(clock.now(), Input::Wake);
            self.recovery.survived(&name);
            calls.push((id, bytes));
        }
        self.recovery.end();
        TakenUp { calls, phones: past.phones, marks }
    }
}

/// Takes the ports over that were held, binds those again that calls need, and yields those that are free: where there are none, some are bound.
pub(super) fn first_ports(
    config: &Config,
    (keeper, kept): (&Keeper, &mut Kept),
    relay: &Relay,
    readable: &Readable,
) -> anyhow::Result<Vec<u16>> {
    let range = config.media.ports.0..=config.media.ports.1;
    let adopted = relay.adopt(kept.range(config.media.address, range.clone()));
    let wanted = readable.ports();
    let mut bound = relay.bind_again(wanted.iter().copied());
    let mut free: Vec<u16> = adopted.into_iter().filter(|port| !wanted.contains(port)).collect();
    if free.is_empty() {
        free = relay.bind(range, PORTS_AT_FIRST)?;
        bound.extend(&free);
    }
    hold_ports(keeper, relay, &bound);
    Ok(free)
}

/// A listener that an earlier process had, or a new one; it never blocks.
pub(super) fn listener(
    keeper: &Keeper,
    kept: &mut Kept,
    address: std::net::SocketAddr,
) -> std::io::Result<std::net::TcpListener> {
    let listener = match kept.tcp(address) {
        Some(held) => held,
        None => bind::streams(address)?.into_std()?,
    };
    listener.set_nonblocking(true)?;
    keeper.hold(&[listener.as_fd()]);
    Ok(listener)
}

/// A UDP socket that an earlier process had, or a new one.
pub(super) fn datagrams(keeper: &Keeper, kept: &mut Kept, address: std::net::SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = match kept.udp(address) {
        Some(held) => held,
        None => bind::datagrams(address)?,
    };
    keeper.hold(&[socket.as_fd()]);
    Ok(socket)
}

/// Signals that do not end the daemon for good: listened for from the first moment on, because by default they would.
pub(super) struct Signals {
    leave: Signal,
    reload: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Signals> {
        let on = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Signals { leave: on(SignalKind::user_defined2())?, reload: on(SignalKind::hangup())? })
    }

    /// Does what they say from now on.
    pub(super) fn follow(self, reloader: Reloader) {
        let Signals { mut leave, reload } = self;
        let door = reloader.door.clone();
        tokio::spawn(reloader.run(reload));
        tokio::spawn(async move {
            // The calls are left to the process that comes next, which may be of another version.
            if leave.recv().await.is_some() && door.send(Request::Leave).is_err() {
                tracing::error!("the engine does not take the order to leave");
            }
        });
    }
}
