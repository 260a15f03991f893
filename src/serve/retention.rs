//! Forgets what is older than the configuration keeps: rows of the store, and folders of recordings.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use baton_contract::{At, CallId, CommitLevel, Forget, Record};
use baton_store::{Batch, Store, WhenLate};

use crate::clock::Clock;
use crate::config::Config;
use crate::webhook::Receipts;

/// How often it is looked what is too old.
const EVERY: Duration = Duration::from_secs(60);

/// Rows of each kind that are forgotten at a time, so that no call waits for it.
const AT_ONCE: u32 = 200;

/// How long an idempotency key is remembered.
const KEYS_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// What is kept, and how long.
pub(super) struct Retention {
    pub(super) store: Arc<Store>,
    pub(super) receipts: Arc<Receipts>,
    pub(super) clock: Clock,
    rows: Option<Duration>,
    recordings: Option<(PathBuf, Duration)>,
}

impl Retention {
    /// As the configuration says.
    pub(super) fn new(config: &Config, store: Arc<Store>, receipts: Arc<Receipts>, clock: Clock) -> Retention {
        let recordings = config.recording.dir.clone().zip(config.recording.keep);
        Retention { store, receipts, clock, rows: config.store.keep, recordings }
    }

    /// Looks every minute, for ever.
    pub(super) async fn run(self) {
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.forget_rows().await;
            if let Some((folder, keep)) = self.recordings.clone() {
                let now = u64::try_from(self.clock.now().wall.as_micros()).unwrap_or(0);
                let now = SystemTime::UNIX_EPOCH + Duration::from_micros(now);
                let swept = tokio::task::spawn_blocking(move || sweep(&folder, keep, now)).await;
                match swept {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "recordings of calls are no longer kept"),
                    Err(fault) => tracing::error!(%fault, "old recordings are not taken away"),
                }
            }
        }
    }

    async fn forget_rows(&self) {
        let now = self.clock.now().wall;
        let before = |kept: Duration| At(now - kept);
        let what = Forget { calls_before: self.rows.map(before), keys_before: before(KEYS_KEPT), limit: AT_ONCE };
        let (ticket, written) = self.receipts.ticket();
        let records = vec![Record::Forget(what)];
        let submitted = self.store.submit(Batch { ticket, level: CommitLevel::Process, when_late: WhenLate::Refuse, records });
        if submitted.is_err() {
            self.receipts.forget(ticket);
        } else if !written.await.unwrap_or(false) {
            tracing::warn!("the store has not forgotten what is old; it will be asked again");
        }
    }
}

/// Takes away the folders of calls in which nothing was written for so long; says how many.
fn sweep(folder: &Path, keep: Duration, now: SystemTime) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let is_old = |entry: &fs::DirEntry| {
        let is_of_a_call = entry.file_name().to_str().is_some_and(|name| name.parse::<CallId>().is_ok());
        let changed = entry.metadata().ok().filter(fs::Metadata::is_dir).and_then(|about| about.modified().ok());
        is_of_a_call && changed.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > keep))
    };
    let mut count = 0;
    for entry in entries.filter_map(Result::ok).filter(is_old) {
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => count += 1,
            Err(fault) => tracing::warn!(%fault, "an old recording stays"),
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_calls_that_are_too_old_are_taken_away() {
        let folder = std::env::temp_dir().join(format!("baton-retention-{}", std::process::id()));
        let call = "c_01a1ff58f7ab7c00a2c0b1a6ac9cf18e";
        for name in [call, "notes"] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("caller.wav"), b"RIFF").unwrap();
        }
        let day = Duration::from_secs(86_400);
        let now = fs::metadata(folder.join(call)).unwrap().modified().unwrap();
        assert_eq!(sweep(&folder, day, now), 0, "it is fresh");
        assert_eq!(sweep(&folder, day, now + 2 * day), 1);
        assert!(!folder.join(call).exists() && folder.join("notes").exists(), "what is no call's is not ours");
        assert_eq!(sweep(&folder.join("nowhere"), day, now), 0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
