//! What wakes a media thread: a bell that others ring, and an alarm.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};

/// Rung by other threads.
#[derive(Debug)]
pub(crate) struct Bell {
    bell: OwnedFd,
    /// It has been rung and not been heard yet: nobody need ask the kernel to ring it again.
    is_ringing: AtomicBool,
    /// Something was left since the thread has looked last.
    is_waiting: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Bell { bell, is_ringing: AtomicBool::new(false), is_waiting: AtomicBool::new(false) })
    }

    /// Something was left that can wait until the thread is awake, or until [`Bell::ring_if_waiting`].
    pub(crate) fn leave(&self) {
        self.is_waiting.store(true, Ordering::SeqCst);
    }

    /// Wakes the thread if something waits for it.
    pub(crate) fn ring_if_waiting(&self) {
        if self.is_waiting.load(Ordering::SeqCst) {
            self.ring();
        }
    }

    /// The thread is about to look what was left.
    pub(crate) fn look(&self) {
        self.is_waiting.store(false, Ordering::SeqCst);
    }

    /// Wakes the thread; once is as good as often.
    pub(crate) fn ring(&self) {
        if !self.is_ringing.swap(true, Ordering::SeqCst) {
            // It can only fail when it has been rung 2^64 times and not been heard: then it is ringing.
            rustix::io::write(&self.bell, &1u64.to_ne_bytes()).ok();
        }
    }

    /// The thread has heard it; it looks for its orders after this.
    pub(crate) fn silence(&self) {
        rustix::io::read(&self.bell, &mut [0u8; 8]).ok();
        self.is_ringing.store(false, Ordering::SeqCst);
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Rings at a time, to the microsecond as far as the machine can.
#[derive(Debug)]
pub(crate) struct Alarm(OwnedFd);

impl Alarm {
    pub(crate) fn new() -> io::Result<Alarm> {
        Ok(Alarm(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?))
    }

    /// Rings after `span`, or not at all.
    pub(crate) fn set(&self, span: Option<Duration>) -> io::Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A span of nothing would take the alarm away.
        let value = span.map_or(zero, |span| {
            let span = span.max(Duration::from_nanos(1));
            Timespec { tv_sec: span.as_secs() as i64, tv_nsec: span.subsec_nanos().into() }
        });
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
        Ok(())
    }

    pub(crate) fn silence(&self) {
        rustix::io::read(&self.0, &mut [0u8; 8]).ok();
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
