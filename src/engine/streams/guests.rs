//! Who may open connections to us, and how many. Whoever floods us finds a closed door; others find an open one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_sip::network_of;
use baton_switchboard::Network;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many connections that others have opened may be open at a time.
const ALL_MAX: usize = 1_024;

/// How many of them may be nobody's: there is always room for those whom we know.
const STRANGERS_MAX: usize = 768;

/// How many of them may have said nothing yet. One more, and the oldest of them makes room.
const SILENT_MAX: usize = 256;

/// How many may come from one network that is nobody's.
const SOURCE_MAX: usize = 128;

/// How many of those may have said nothing yet.
const SOURCE_SILENT_MAX: usize = 16;

/// How many a network that is nobody's may open at once, and how many of those it gets back in a second: each costs us a handshake.
const BURST_MAX: u32 = 40;
const PER_SECOND: u32 = 10;

/// How many networks are told apart; more of them than this are one.
const SOURCES_MAX: usize = 4_096;

/// The line about one network is written so often at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);

/// Addresses that belong to trunks, AIs and AEs: only the limit of all concerns them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(pub(crate) Vec<Network>);

impl Known {
    fn has(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.0.iter().any(|net| net.contains(address))
    }
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many of all.
    Full,
    /// There are too many of them.
    TooMany,
    /// They come too fast.
    TooFast,
}

impl Refusal {
    /// The word in the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::Full => "full",
            Refusal::TooMany | Refusal::TooFast => "connections",
        }
    }
}

/// Everybody who is in.
pub(super) struct Guests {
    known: Known,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    next: u64,
    all: usize,
    /// Those who have said nothing yet, the oldest first.
    silent: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    sources: BTreeMap<IpAddr, Source>,
}

/// One network.
#[derive(Default)]
struct Source {
    open: usize,
    silent: usize,
    /// When it may open as many at once as ever.
    full_at: Option<Instant>,
    complained_at: Option<Instant>,
}

impl Source {
    /// Whether it need not be remembered.
    fn is_forgotten(&self, now: Instant) -> bool {
        let is_past = |at: Option<Instant>, rest: Duration| at.is_none_or(|at| at + rest <= now);
        self.open == 0 && is_past(self.full_at, Duration::ZERO) && is_past(self.complained_at, COMPLAIN_EVERY)
    }
}

impl Guests {
    pub(super) fn new(known: Known) -> Guests {
        Guests { known, book: Mutex::default() }
    }

    /// Lets somebody in, or does not.
    pub(super) fn admit(this: &Arc<Guests>, address: IpAddr) -> Result<Place, Refusal> {
        let (source, is_known) = (network_of(address), this.known.has(address));
        let now = Instant::now();
        let mut book = this.book.lock();
        if book.all >= if is_known { ALL_MAX } else { STRANGERS_MAX } {
            return Err(Refusal::Full);
        }
        if !is_known {
            book.source(source, now).enter(now)?;
        }
        let entry = book.source(source, now);
        entry.open += 1;
        entry.silent += 1;
        book.all += 1;
        book.next += 1;
        let (number, evicted) = (book.next, Arc::new(Notify::new()));
        if book.silent.len() >= SILENT_MAX
            && let Some((_, (its, oldest))) = book.silent.pop_first()
        {
            book.known_source(its).speaks();
            oldest.notify_one();
        }
        book.silent.insert(number, (source, evicted.clone()));
        Ok(Place { guests: this.clone(), source, number, evicted })
    }

    /// The line that fail2ban reads, if the last one about this network is not too fresh. Nobody complains about those whom we know.
    pub(super) fn complain(&self, address: IpAddr, reason: &'static str) {
        if self.known.0.iter().any(|net| net.contains(address)) {
            tracing::info!(%address, reason, "a peer's connection is refused");
            return;
        }
        let now = Instant::now();
        let mut book = self.book.lock();
        let source = book.source(network_of(address), now);
        if source.complained_at.is_none_or(|at| at + COMPLAIN_EVERY <= now) {
            source.complained_at = Some(now);
            tracing::warn!("sip-reject src={address} reason={reason}");
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let book = self.book.lock();
        (book.all, book.silent.len(), book.sources.len())
    }
}

impl Book {
    /// The entry that was made on entering.
    fn known_source(&mut self, source: IpAddr) -> &mut Source {
        let source = if self.sources.contains_key(&source) { source } else { ALL_OTHERS };
        self.sources.entry(source).or_default()
    }

    fn source(&mut self, source: IpAddr, now: Instant) -> &mut Source {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.retain(|_, known| !known.is_forgotten(now));
        }
        let source = if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) { ALL_OTHERS } else { source };
        self.sources.entry(source).or_default()
    }
}

/// Those who are too many to be told apart.
const ALL_OTHERS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

impl Source {
    /// One of them no longer says nothing.
    fn speaks(&mut self) {
        self.silent = self.silent.saturating_sub(1);
    }

    fn enter(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.open >= SOURCE_MAX || self.silent >= SOURCE_SILENT_MAX {
            return Err(Refusal::TooMany);
        }
        let cost = Duration::from_secs(1) / PER_SECOND;
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + cost;
        if full_at > now + cost * BURST_MAX {
            return Err(Refusal::TooFast);
        }
        self.full_at = Some(full_at);
        Ok(())
    }
}

/// A place in the book, given back when it is dropped.
pub(super) struct Place {
    guests: Arc<Guests>,
    source: IpAddr,
    number: u64,
    evicted: Arc<Notify>,
}

impl Place {
    /// Tells when somebody else needs the place more.
    pub(super) fn evicted(&self) -> Arc<Notify> {
        self.evicted.clone()
    }

    /// They have said something.
    pub(super) fn proven(&self) {
        let mut book = self.guests.book.lock();
        if book.silent.remove(&self.number).is_some() {
            book.known_source(self.source).speaks();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.proven();
        let mut book = self.guests.book.lock();
        book.all = book.all.saturating_sub(1);
        let source = book.known_source(self.source);
        source.open = source.open.saturating_sub(1);
    }
}
