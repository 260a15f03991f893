//! A local receiver of webhooks, as a server behind them would be: it takes connections side by side and answers at once. It knows when each
//! event came, so that the way from a change to whoever hears of it can be measured.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use baton_time::{Mono, Now};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::figures::Spread;
use crate::clock::Clock;
use crate::demo::conductor::SeenEvent;

/// The most that the way from a change to the receiver may take in 99 of 100 cases, in milliseconds.
const BAR_MS: f64 = 50.0;
/// The longest body that is taken.
const BODY_BYTES_MAX: usize = 1 << 20;

/// An event that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    seq: u64,
    call: Option<String>,
    happened: Mono,
    came: Mono,
}

/// The receiver; it ends when it is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    clock: Clock,
    start: Now,
    deliveries: Mutex<Vec<Delivery>>,
    /// Those who are connected; none once it ends.
    streams: Mutex<Option<Vec<TcpStream>>>,
}

impl Receiver {
    /// Listens on loopback; `start` is when the clock was read first.
    pub(super) fn start(clock: Clock, start: Now) -> io::Result<Receiver> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { clock, start, deliveries: Mutex::default(), streams: Mutex::new(Some(Vec::new())) });
        let door = Arc::clone(&shared);
        let thread = thread::Builder::new().name("receiver".to_owned()).spawn(move || door.listen(&listener))?;
        Ok(Receiver { address, shared, thread: Some(thread) })
    }

    /// What a daemon must be told of it.
    pub(super) fn configuration(&self) -> String {
        format!("\n[[webhook]]\nurl = \"http://{}/events\"\nsecret = \"bench\"\nallow_private = true\n", self.address)
    }

    /// How many events have come.
    pub(super) fn count(&self) -> usize {
        self.shared.deliveries.lock().len()
    }

    /// Ends it; yields what came, in that order.
    pub(super) fn end(mut self) -> Vec<Delivery> {
        self.stop();
        std::mem::take(&mut *self.shared.deliveries.lock())
    }

    fn stop(&mut self) {
        for stream in self.shared.streams.lock().take().into_iter().flatten() {
            if let Err(error) = stream.shutdown(Shutdown::Both) {
                tracing::trace!(%error, "it has gone already");
            }
        }
        // A last visitor wakes the door, which sees then that nobody is to come in any more.
        let knocked = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| knocked)
            && thread.join().is_err()
        {
            tracing::error!("the receiver of webhooks has failed");
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn listen(self: Arc<Shared>, listener: &TcpListener) {
        for stream in listener.incoming().filter_map(Result::ok) {
            let Ok(kept) = stream.try_clone() else { continue };
            match self.streams.lock().as_mut() {
                Some(streams) => streams.push(kept),
                None => return,
            }
            let shared = Arc::clone(&self);
            let serve = move || {
                if let Err(error) = shared.serve(stream) {
                    tracing::trace!(%error, "a sender has gone");
                }
            };
            if let Err(error) = thread::Builder::new().name("receiving".to_owned()).spawn(serve) {
                tracing::error!(%error, "no thread for a sender");
            }
        }
    }

    /// Takes one request after the other.
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(body) = next_body(&mut reader)? {
            let came = self.clock.now().mono;
            let seen = std::str::from_utf8(&body).ok().and_then(|text| SeenEvent::read(text, self.start));
            if let Some(SeenEvent { at, event }) = seen {
                let (seq, call) = (event["seq"].as_u64().unwrap_or(0), event["call"].as_str().map(str::to_owned));
                self.deliveries.lock().push(Delivery { seq, call, happened: at, came });
            }
            // Only now: the next event of the call may come by another connection as soon as this one is answered.
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        }
        Ok(())
    }
}

/// The body of the next request; none where the sender has no more.
fn next_body(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let (mut line, mut length) = (String::new(), 0);
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    while !line.trim().is_empty() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
        reader.read_line(&mut line)?;
    }
    let mut body = vec![0; length.min(BODY_BYTES_MAX)];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}

/// What came of the webhooks of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Webhooks {
    /// From an event to its arrival, in milliseconds; none: nothing came.
    spread: Option<Spread>,
    faults: Vec<String>,
}

impl Webhooks {
    /// Holds what came against the numbers of the events that were told.
    pub(super) fn of(told: &[u64], came: &[Delivery]) -> Webhooks {
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        let mut out_of_turn = 0;
        for one in came {
            *times.entry(one.seq).or_default() += 1;
            if let Some(call) = &one.call {
                let before = last.insert(call, one.seq).unwrap_or(0);
                out_of_turn += usize::from(before > one.seq);
            }
        }
        let missing = told.iter().filter(|seq| !times.contains_key(seq)).count();
        let more = times.values().filter(|times| **times > 1).count();
        let mut faults = Vec::new();
        for (count, what) in [(missing, "never came"), (more, "came more than once"), (out_of_turn, "came out of turn")] {
            if count > 0 {
                faults.push(format!("webhooks: {count} of {} events {what}", told.len()));
            }
        }
        let millis = |one: &Delivery| one.came.since(one.happened).as_secs_f64() * 1e3;
        let spread = Spread::of(came.iter().map(millis));
        match spread {
            Some(Spread { p99, .. }) if p99 <= BAR_MS => {}
            Some(Spread { p99, .. }) => {
                faults.push(format!("webhooks: 99 of 100 came within {p99:.1} ms; {BAR_MS} ms is the bar"))
            }
            None => faults.push("webhooks: nothing came".to_owned()),
        }
        Webhooks { spread, faults }
    }

    /// What is wrong.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// A line of the table.
    pub(super) fn row(&self) -> String {
        let Some(Spread { count, p50, p99, max }) = self.spread else { return "webhooks: nothing came\n".to_owned() };
        format!("change → webhook, ms: {count} events, p50 {p50:.1}, p99 {p99:.1} (bar {BAR_MS}), max {max:.1}\n")
    }

    /// The same for machines.
    pub(super) fn json(&self) -> Value {
        let spread = self
            .spread
            .map(|spread| json!({"events": spread.count, "p50_ms": spread.p50, "p99_ms": spread.p99, "max_ms": spread.max}));
        json!({"bar_p99_ms": BAR_MS, "came": spread})
    }
}

/// How long is waited for the last events.
pub(super) const LAST_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(seq: u64, call: &str, took_ms: u64) -> Delivery {
        let happened = Mono::from_micros(seq * 1_000);
        Delivery { seq, call: Some(call.to_owned()), happened, came: happened + Duration::from_millis(took_ms) }
    }

    #[test]
    fn what_is_missing_double_out_of_turn_or_late_is_found() {
        let all: Vec<Delivery> = (1..=200).map(|seq| delivery(seq, if seq % 2 == 0 { "c_2" } else { "c_1" }, 3)).collect();
        let told = Vec::from_iter(1..=200);
        assert_eq!(Webhooks::of(&told, &all).faults(), [""; 0]);
        assert_eq!(Webhooks::of(&told, &all[1..]).faults(), ["webhooks: 1 of 200 events never came"]);
        let twice = [&all[..], &all[199..]].concat();
        assert_eq!(Webhooks::of(&told, &twice).faults(), ["webhooks: 1 of 200 events came more than once"]);
        let mut swapped = all.clone();
        swapped.swap(10, 12);
        assert_eq!(Webhooks::of(&told, &swapped).faults(), ["webhooks: 1 of 200 events came out of turn"]);
        let mut late = all.clone();
        late[..3].iter_mut().for_each(|one| one.came = one.happened + Duration::from_millis(51));
        assert_eq!(Webhooks::of(&told, &late).faults(), ["webhooks: 99 of 100 came within 51.0 ms; 50 ms is the bar"]);
        assert_eq!(Webhooks::of(&[], &[]).faults(), ["webhooks: nothing came"]);
    }

    #[test]
    fn requests_on_one_connection_are_read_one_by_one() {
        let text = "POST /events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST / HTTP/1.1\r\ncontent-length:3\r\n\r\nabc";
        let mut reader = BufReader::new(text.as_bytes());
        assert_eq!(next_body(&mut reader).unwrap().as_deref(), Some(&b"{}"[..]));
        assert_eq!(next_body(&mut reader).unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(next_body(&mut reader).unwrap(), None);
    }
}
