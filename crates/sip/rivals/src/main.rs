//! The codec beside three others, in one run: a whole INVITE is read, what routing needs is read out of it as values, and a 100 is written.
//!
//! `cargo run --release` prints messages per second, allocations and the ratio to the fastest rival; it fails if a bar is missed. Rounds
//! alternate between the codecs and are measured in time of the processor, so that a noisy machine is noisy for all of them; the median round
//! counts. With the name of a codec as argument only that one works, for a profiler; with a number behind it, on so many messages.

mod baton;
mod rsip04;
mod rsipstack07;
mod sipx;

use std::alloc::System;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An INVITE as a trunk sends it.
const INVITE: &[u8] = include_bytes!("../invite.sip");

/// How long one codec works in one round.
const ROUND: Duration = Duration::from_millis(40);
const ROUNDS: usize = 41;
/// How much faster than sipx-sip Baton has to be.
const RATIO_MIN: f64 = 6.5;
/// How often Baton may allocate for one message and its answer.
const ALLOCATIONS_MAX: usize = 8;

/// A host as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    Name(&'a str),
    Ip(IpAddr),
}

/// What routing needs to know of a request; every codec fills in the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// Transport, host, port and branch of the topmost Via.
    pub via: (&'a str, Host<'a>, Option<u16>, &'a str),
    /// User and host of From, and its tag.
    pub from: (&'a str, Host<'a>, &'a str),
    /// User and host of To; it has no tag yet.
    pub to: (&'a str, Host<'a>, Option<&'a str>),
    pub call_id: &'a str,
    pub cseq: (u32, &'a str),
    /// User and host of the Contact.
    pub contact: (&'a str, Host<'a>),
    /// Hosts of the Routes.
    pub routes: [Host<'a>; 2],
    pub max_forwards: u8,
    pub content_length: usize,
}

/// What all of them must find.
const EXPECTED: Known<'static> = Known {
    via: ("UDP", Host::Name("edge7.carrier.example"), Some(5060), "z9hG4bK-524287-1---a7c1f0b83d2e4c95"),
    from: ("+15550123", Host::Name("carrier.example"), "8f3a1c77"),
    to: ("+15550100", Host::Name("baton.example"), None),
    call_id: "7c0d2f9e41b84d6f9a3b5e@edge7.carrier.example",
    cseq: (4711, "INVITE"),
    contact: ("+15550123", Host::Ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)))),
    routes: [Host::Name("baton.example"), Host::Name("core.baton.example")],
    max_forwards: 68,
    content_length: 337,
};

/// A codec: reads the message, hands what it knows to `look`, answers with the 100 that it wrote.
type Work = fn(&bytes::Bytes, &mut dyn FnMut(&Known<'_>)) -> Vec<u8>;

struct Codec {
    name: &'static str,
    work: Work,
    round_trip: fn(&bytes::Bytes) -> bool,
}

const CODECS: [Codec; 4] = [
    Codec { name: "baton-sip", work: baton::work, round_trip: baton::round_trip },
    Codec { name: "sipx-sip 1.0.1", work: sipx::work, round_trip: sipx::round_trip },
    Codec { name: "rsipstack 0.7.14", work: rsipstack07::work, round_trip: rsipstack07::round_trip },
    Codec { name: "rsip 0.4.0", work: rsip04::work, round_trip: rsip04::round_trip },
];

fn main() -> ExitCode {
    let message = bytes::Bytes::from_static(INVITE);
    println!("an INVITE of {} bytes; {ROUNDS} rounds of {} ms each\n", message.len(), ROUND.as_millis());
    for codec in &CODECS {
        let mut seen = 0;
        let answer = (codec.work)(&message, &mut |known| {
            assert_eq!(*known, EXPECTED, "{}", codec.name);
            seen += 1;
        });
        assert_eq!(seen, 1, "{}", codec.name);
        assert_answer(codec.name, &answer);
    }
    if let Some(only) = std::env::args().nth(1) {
        let codec = CODECS.iter().find(|codec| codec.name.starts_with(&only)).expect("the name of a codec");
        match std::env::args().nth(2) {
            Some(count) => (0..count.parse().expect("a number of messages")).for_each(|_: u32| one(codec.work, &message)),
            None => (0..ROUNDS * 4).for_each(|_| {
                black_box(round(codec.work, &message));
            }),
        }
        return ExitCode::SUCCESS;
    }
    let mut rates = [const { Vec::new() }; CODECS.len()];
    for _ in 0..ROUNDS {
        for (codec, rates) in CODECS.iter().zip(&mut rates) {
            rates.push(round(codec.work, &message));
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    println!("{:<18}{:>12}{:>12}{:>12}   byte-exact", "codec", "msg/s", "µs/msg", "allocations");
    for (codec, rate) in CODECS.iter().zip(&rates) {
        let exact = if (codec.round_trip)(&message) { "yes" } else { "no" };
        println!("{:<18}{rate:>12.0}{:>12.2}{:>12}   {exact}", codec.name, 1e6 / rate, allocations(codec.work, &message));
    }
    let ratio = rates[0] / rates[1];
    let allocated = allocations(baton::work, &message);
    println!("\nbaton-sip : sipx-sip = {ratio:.2} (asked: {RATIO_MIN}), {allocated} allocations (at most {ALLOCATIONS_MAX})");
    let holds = ratio >= RATIO_MIN && allocated <= ALLOCATIONS_MAX && baton::round_trip(&message);
    println!("{}", if holds { "Every bar held." } else { "A bar was missed." });
    ExitCode::from(u8::from(!holds))
}

/// Every codec must have written a 100 that is one: what it has to repeat is there, in any form.
fn assert_answer(name: &str, answer: &[u8]) {
    let text = std::str::from_utf8(answer).expect(name);
    assert!(text.starts_with("SIP/2.0 100 Trying\r\n"), "{name}: {text}");
    for part in [EXPECTED.via.3, EXPECTED.from.2, EXPECTED.call_id, "4711 INVITE", "z9hG4bK-core-22", "\r\n\r\n"] {
        assert!(text.contains(part), "{name} lost {part}: {text}");
    }
}

fn round(work: Work, message: &bytes::Bytes) -> f64 {
    let start = worked();
    let mut done = 0_u32;
    while worked() - start < ROUND {
        for _ in 0..64 {
            one(work, message);
        }
        done += 64;
    }
    f64::from(done) / (worked() - start).as_secs_f64()
}

fn one(work: Work, message: &bytes::Bytes) {
    black_box(work(black_box(message), &mut |known| {
        black_box(known);
    }));
}

/// How long this thread has been running: what other programs do on the processor meanwhile does not count.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn allocations(work: Work, message: &bytes::Bytes) -> usize {
    let region = Region::new(ALLOCATOR);
    let answer = work(message, &mut |known| {
        black_box(known);
    });
    let change = region.change();
    drop(answer);
    change.allocations + change.reallocations
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
