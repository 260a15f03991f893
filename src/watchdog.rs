//! Tells the service manager that the engine lives, for as long as it does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_time::Mono;

use crate::clock::Clock;

/// The engine beats at least once a second; this long without a beat and the watchdog is no longer fed.
const BEAT_MAX: Duration = Duration::from_secs(3);

/// When the engine was last seen alive.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    /// The engine lives.
    pub(crate) fn beat(&self, now: Mono) {
        self.0.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Whether the engine has been seen lately.
    pub(crate) fn is_alive(&self, now: Mono) -> bool {
        now.since(Mono::from_micros(self.0.load(Ordering::Relaxed))) < BEAT_MAX
    }
}

/// Feeds systemd's watchdog, where it asked for that, until the task is dropped.
pub(crate) async fn feed(clock: Clock, pulse: std::sync::Arc<Pulse>) {
    let mut micros = 0;
    if !sd_notify::watchdog_enabled(false, &mut micros) {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_micros(micros / 2).max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        if pulse.is_alive(clock.now().mono) {
            notify(&[sd_notify::NotifyState::Watchdog]);
        } else {
            tracing::error!("the engine has not been seen for 3 s");
        }
    }
}

/// Tells the service manager something, where there is one.
pub(crate) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(fault) = sd_notify::notify(false, states) {
        tracing::debug!(%fault, "no service manager");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_has_not_beaten_for_three_seconds_is_not_alive() {
        let pulse = Pulse::default();
        pulse.beat(Mono::from_millis(1_000));
        assert!(pulse.is_alive(Mono::from_millis(3_900)));
        assert!(!pulse.is_alive(Mono::from_millis(4_100)));
    }
}
