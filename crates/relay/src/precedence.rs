//! What media threads have before all others: a packet that leaves late is a gap that somebody hears.

use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// Their priority under `SCHED_FIFO`: the lowest that puts them before every ordinary thread. A unit of systemd allows it with
/// `LimitRTPRIO=`.
const REALTIME: u8 = 10;

/// Their nice value where that is refused.
const NICE: i32 = -11;

/// Which precedence a thread was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// `SCHED_FIFO`: it runs as soon as it is woken.
    Realtime,
    /// A nice value: it runs soon.
    Nice,
    /// As every other thread.
    None,
}

/// Gives this thread the best that the system allows. With a single processor that is a nice value: a flood of packets must not keep the
/// signalling from running.
pub(crate) fn take() -> Precedence {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if processors > 1 && realtime() {
        return Precedence::Realtime;
    }
    match rustix::process::setpriority_process(None, NICE) {
        Ok(()) => Precedence::Nice,
        Err(error) => {
            tracing::debug!(%error, "the media threads have no precedence over others");
            Precedence::None
        }
    }
}

fn realtime() -> bool {
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let Ok(value) = ThreadPriorityValue::try_from(REALTIME) else { return false };
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), fifo);
    set.is_ok() && thread_schedule_policy() == Ok(fifo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_what_it_says_it_was_given() {
        let (precedence, policy) = std::thread::spawn(|| (take(), thread_schedule_policy())).join().unwrap();
        let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        assert_eq!(policy == Ok(fifo), precedence == Precedence::Realtime, "{precedence:?} {policy:?}");
    }
}
