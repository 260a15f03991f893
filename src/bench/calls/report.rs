//! What was measured, against what is promised.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::account::Worked;
use super::load::{Outcome, Plan};
use crate::bench::figures::Spread;

/// The most that 1,000 calls may cost, in seconds of the processor: at few calls a second, and at 1,000.
const CPU_FEW_MAX: f64 = 0.5;
const CPU_MANY_MAX: f64 = 0.3;
/// From INVITE to INVITE at 200 calls a second, in milliseconds.
const THROUGH_P50_MAX: f64 = 0.2;
const THROUGH_P99_MAX: f64 = 0.45;
/// KiB that a call may cost while it is up.
const RESIDENT_MAX: f64 = 20.0;
/// What may be left of the memory of a burst: a fifth more than before it.
const LEFT_MAX: f64 = 1.2;
/// System calls of a call beyond one for each datagram, and beyond the media thread's own.
const SYSTEM_CALLS_MAX: f64 = 20.0;

/// One rate.
#[derive(Debug)]
pub(super) struct Rate {
    /// What was asked for.
    pub(super) plan: Plan,
    /// What became of it.
    pub(super) outcome: Outcome,
    /// What each thread of the daemon worked meanwhile, in seconds.
    pub(super) worked: Worked,
    /// What this tool worked itself, in seconds.
    pub(super) tool: f64,
    /// What each thread asked of the kernel; nothing where that cannot be counted here.
    pub(super) system_calls: Option<BTreeMap<String, u64>>,
}

/// The memory of a daemon that had calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// How many calls were up at a time.
    pub(super) calls: usize,
    /// Before them, while they were up, and when all that was known of them was forgotten; in KiB.
    pub(super) before: f64,
    /// See `before`.
    pub(super) held: f64,
    /// See `before`.
    pub(super) after: f64,
    /// Whether every one of them came up and ended.
    pub(super) is_whole: bool,
}

/// A figure with its promise; nothing is promised for some.
struct Line {
    name: String,
    value: String,
    asked: String,
    held: Option<bool>,
}

impl Rate {
    fn cpu(&self) -> f64 {
        self.worked.values().sum::<f64>() * 1e3 / self.plan.calls as f64
    }

    /// By which a rate is to be judged: it counts as few up to 200 calls a second.
    fn cpu_max(&self) -> f64 {
        if self.plan.rate >= 1_000 { CPU_MANY_MAX } else { CPU_FEW_MAX }
    }

    fn is_clean(&self) -> bool {
        let Outcome { failed, repeated, ringing_lost, done, .. } = &self.outcome;
        (*failed, *repeated, *ringing_lost, *done) == (0, 0, 0, self.plan.calls)
    }

    /// System calls of a call beyond its datagrams, and without those of the media threads.
    fn beyond_datagrams(&self) -> Option<f64> {
        let counted = self.system_calls.as_ref()?;
        let own: u64 = counted.iter().filter(|(name, _)| !name.starts_with("media")).map(|(_, count)| count).sum();
        Some((own as f64 - self.outcome.datagrams as f64) / self.plan.calls as f64)
    }

    /// System calls of a call, by thread.
    fn counted(&self) -> String {
        let counted = self.system_calls.iter().flatten().filter(|(_, count)| **count > 0);
        let each = counted.map(|(thread, count)| format!("{thread} {:.1}", *count as f64 / self.plan.calls as f64));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Datagrams of a call.
    fn datagrams(&self) -> f64 {
        self.outcome.datagrams as f64 / self.plan.calls as f64
    }

    /// What became of calls that were only sent on, and how many times that the daemon took. Nothing is promised of it.
    fn beside(&self, daemon: &Rate) -> Vec<Line> {
        let Outcome { failed, repeated, ringing_lost, .. } = &self.outcome;
        let line = |what: &str, value: String| Line::new(format!("{} calls/s sent on: {what}", self.plan.rate), value, "", None);
        let times = |daemon: f64, bare: f64| format!("{:.1}", daemon / bare);
        let mut lines = vec![
            line("failed, sent again, 180 lost", format!("{failed}, {repeated}, {ringing_lost}")),
            line(
                "CPU-seconds per 1,000 calls, and how many times that the daemon takes",
                format!("{:.3}, {}", self.cpu(), times(daemon.cpu(), self.cpu())),
            ),
            line("CPU-seconds per 1,000 calls that this tool takes beside it", format!("{:.3}", self.tool_cpu())),
        ];
        let spread = |rate: &Rate| Spread::of(rate.outcome.through.iter().copied());
        if let (Some(bare), Some(daemon)) = (spread(self), spread(daemon)) {
            lines.push(line(
                "INVITE to INVITE, ms: p50, p99, max, and how many times p50 and p99 that the daemon takes",
                format!(
                    "{:.3}, {:.3}, {:.3}; {} and {}",
                    bare.p50,
                    bare.p99,
                    bare.max,
                    times(daemon.p50, bare.p50),
                    times(daemon.p99, bare.p99)
                ),
            ));
        }
        if self.system_calls.is_some() {
            lines.push(line("system calls per call", format!("{} (datagrams {:.1})", self.counted(), self.datagrams())));
        }
        lines
    }

    fn tool_cpu(&self) -> f64 {
        self.tool * 1e3 / self.plan.calls as f64
    }

    fn lines(&self) -> Vec<Line> {
        let Outcome { failed, repeated, ringing_lost, refused, .. } = &self.outcome;
        let name = |what: &str| format!("{} calls/s: {what}", self.plan.rate);
        let threads: Vec<String> = self
            .worked
            .iter()
            .filter(|(_, spent)| **spent * 1e3 / self.plan.calls as f64 > 0.001)
            .map(|(thread, spent)| format!("{thread} {:.3}", spent * 1e3 / self.plan.calls as f64))
            .collect();
        let refusal = refused.map_or(String::new(), |status| format!(" (the first one by {status})"));
        let clean = format!("{failed}{refusal}, {repeated}, {ringing_lost}");
        let mut lines = vec![
            Line::new(name("failed, sent again, 180 lost"), clean, "0, 0, 0", Some(self.is_clean())),
            Line::new(
                name("CPU-seconds per 1,000 calls"),
                format!("{:.3} ({})", self.cpu(), threads.join(", ")),
                &format!("≤ {}", self.cpu_max()),
                Some(self.cpu() <= self.cpu_max()),
            ),
        ];
        let tool = format!("{:.3}", self.tool_cpu());
        lines.push(Line::new(name("CPU-seconds per 1,000 calls that this tool takes beside it"), tool, "", None));
        let spread = Spread::of(self.outcome.through.iter().copied());
        let (value, held) = match spread {
            Some(Spread { p50, p99, max, .. }) => {
                (format!("{p50:.3}, {p99:.3}, {max:.3}"), p50 <= THROUGH_P50_MAX && p99 <= THROUGH_P99_MAX)
            }
            None => ("nothing".to_owned(), false),
        };
        let is_bound = self.plan.rate == 200;
        let asked = if is_bound { format!("p50 ≤ {THROUGH_P50_MAX}, p99 ≤ {THROUGH_P99_MAX}") } else { String::new() };
        lines.push(Line::new(name("INVITE to INVITE, ms: p50, p99, max"), value, &asked, is_bound.then_some(held)));
        if let Some(beyond) = self.beyond_datagrams() {
            let value = format!("{beyond:.1} (all: {}; datagrams {:.1})", self.counted(), self.datagrams());
            let held = beyond <= SYSTEM_CALLS_MAX;
            lines.push(Line::new(
                name("system calls per call beyond one per datagram, without media"),
                value,
                &format!("≤ {SYSTEM_CALLS_MAX}"),
                Some(held),
            ));
        }
        lines
    }
}

impl Memory {
    fn per_call(&self) -> f64 {
        (self.held - self.before) / self.calls as f64
    }

    fn lines(&self) -> Vec<Line> {
        let ratio = self.after / self.before;
        let is_back = self.is_whole && ratio <= LEFT_MAX;
        vec![
            Line::new(
                format!("{} calls up: KiB resident for each", self.calls),
                format!("{:.1} ({:.0} before, {:.0} with them)", self.per_call(), self.before, self.held),
                &format!("≤ {RESIDENT_MAX}"),
                Some(self.is_whole && self.per_call() <= RESIDENT_MAX),
            ),
            Line::new(
                "memory when they are forgotten, to before".to_owned(),
                format!("{ratio:.2} ({:.0} KiB)", self.after),
                &format!("≤ {LEFT_MAX}"),
                Some(is_back),
            ),
        ]
    }
}

impl Line {
    fn new(name: String, value: String, asked: &str, held: Option<bool>) -> Line {
        Line { name, value, asked: asked.to_owned(), held }
    }
}

/// Everything.
#[derive(Debug)]
pub(super) struct Report {
    /// One after the other: the daemon, and what the same calls took through a process that only sends datagrams on, if that was looked at.
    pub(super) rates: Vec<(Rate, Option<Rate>)>,
    /// If it was looked at.
    pub(super) memory: Option<Memory>,
}

impl Report {
    /// Whether all promises held.
    pub(super) fn ok(&self) -> bool {
        self.lines().iter().all(|line| line.held != Some(false))
    }

    fn lines(&self) -> Vec<Line> {
        let rates = self.rates.iter().flat_map(|(daemon, bare)| {
            let beside = bare.iter().flat_map(|bare| bare.beside(daemon));
            daemon.lines().into_iter().chain(beside)
        });
        rates.chain(self.memory.iter().flat_map(Memory::lines)).collect()
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for Line { name, value, asked, held } in self.lines() {
            let mark = match held {
                Some(true) => "ok  ",
                Some(false) => "MISS",
                None => "    ",
            };
            let asked = if asked.is_empty() { asked } else { format!("   [{asked}]") };
            text.push_str(&format!("{mark} {name}: {value}{asked}\n"));
        }
        text.push_str(if self.ok() { "Every promise held.\n" } else { "A promise was not kept.\n" });
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let lines = self
            .lines()
            .into_iter()
            .map(|Line { name, value, asked, held }| json!({"name": name, "value": value, "asked": asked, "ok": held}));
        json!({"figures": lines.collect::<Vec<Value>>(), "ok": self.ok()})
    }
}
