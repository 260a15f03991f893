//! The metronome: a thread on each processor that does nothing but wake four times a millisecond. When it is late, this machine stood still (a
//! virtual one does, when its host has other things to do), and neither the daemon nor the parties could help it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use baton_time::Mono;
use rustix::event::{Timespec, poll};
use rustix::thread::{CpuSet, sched_setaffinity};
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

use super::trial::Stall;
use crate::clock::Clock;

/// How often it wakes.
const BEAT: Duration = Duration::from_micros(250);
/// What is later than this is written down.
const LATE: Duration = Duration::from_micros(250);
/// It comes before everybody else, the media threads among them, where this machine allows it: under `SCHED_FIFO` it waits for nobody but
/// the kernel and the host. Elsewhere its nice value puts it before what is not.
const REALTIME: u8 = 50;
const NICE: i32 = -20;

/// The threads.
pub(super) struct Metronome {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Stall>>>,
}

impl Metronome {
    /// Starts beating, on every processor that this process may use.
    pub(super) fn start(clock: Clock) -> Metronome {
        let over = Arc::new(AtomicBool::new(false));
        let count = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count).map(|processor| {
            let over = Arc::clone(&over);
            thread::spawn(move || beat(clock, processor, &over))
        });
        Metronome { threads: threads.collect(), over }
    }

    /// Stops, and says when which processor stood still, in order of time, each moment once.
    pub(super) fn stop(self) -> Vec<Stall> {
        self.over.store(true, Ordering::Relaxed);
        let stalls = self.threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default());
        united(stalls.collect())
    }
}

fn beat(clock: Clock, processor: usize, over: &AtomicBool) -> Vec<Stall> {
    let mut alone = CpuSet::new();
    alone.set(processor);
    if let Err(error) = sched_setaffinity(None, &alone) {
        tracing::debug!(%error, processor, "the metronome has no place of its own");
    }
    come_first();
    let mut stalls = Vec::new();
    let mut due = clock.now().mono + BEAT;
    while !over.load(Ordering::Relaxed) {
        let left = due.since(clock.now().mono);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
        if let Err(error) = poll(&mut [], Some(&timeout)) {
            tracing::trace!(%error, "the beat was interrupted");
        }
        let was = clock.now().mono;
        if was.since(due) > LATE {
            stalls.push(Stall { due, was });
        }
        due = (due + BEAT).max(was);
    }
    stalls
}

fn come_first() {
    if is_realtime() {
        return;
    }
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the metronome has no precedence over others");
    }
}

fn is_realtime() -> bool {
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let Ok(first) = ThreadPriorityValue::try_from(REALTIME) else { return false };
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(first), fifo).is_ok()
}

/// Moments that overlap are one.
fn united(mut stalls: Vec<Stall>) -> Vec<Stall> {
    stalls.sort_by_key(|stall| stall.due);
    let mut whole: Vec<Stall> = Vec::new();
    for stall in stalls {
        match whole.last_mut().filter(|last| stall.due <= last.was) {
            Some(last) => last.was = last.was.max(stall.was),
            None => whole.push(stall),
        }
    }
    whole
}

/// How much of the time between two instants the machine stood still; `stalls` are in order and do not overlap.
pub(super) fn stood_still(stalls: &[Stall], from: Mono, to: Mono) -> Duration {
    let first = stalls.partition_point(|stall| stall.was <= from);
    let within = stalls.iter().skip(first).take_while(|stall| stall.due < to);
    within.map(|stall| stall.was.min(to).since(stall.due.max(from))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stall(due: u64, was: u64) -> Stall {
        Stall { due: Mono::from_millis(due), was: Mono::from_millis(was) }
    }

    #[test]
    fn moments_of_two_processors_are_counted_once() {
        let stalls = united(vec![stall(40, 50), stall(10, 20), stall(15, 25), stall(12, 14)]);
        assert_eq!(stalls, [stall(10, 25), stall(40, 50)]);
        let still = |from, to| stood_still(&stalls, Mono::from_millis(from), Mono::from_millis(to)).as_millis();
        assert_eq!((still(0, 100), still(20, 45), still(26, 39), still(50, 90)), (25, 10, 0, 0));
    }

    #[test]
    fn it_beats_until_it_is_stopped() {
        let metronome = Metronome::start(Clock::start());
        thread::park_timeout(Duration::from_millis(20));
        let stalls = metronome.stop();
        assert!(stalls.iter().all(|stall| stall.was > stall.due));
    }
}
