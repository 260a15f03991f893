//! SIGHUP: the configuration is read anew and taken as a whole, or the old one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use baton_switchboard::{NotReloaded, Reload};
use parking_lot::Mutex;
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;

use super::plan;
use crate::config::Config;
use crate::engine::{Door, Request};
use crate::metrics::Metrics;
use crate::tls::Tls;
use crate::voice::{self, Voices};
use crate::watchdog;

/// What it takes to read the configuration anew.
pub(super) struct Reloader {
    pub(super) door: Door,
    pub(super) voices: Arc<Voices>,
    pub(super) metrics: Arc<Mutex<Metrics>>,
    /// Certificates, where anything is spoken under TLS.
    pub(super) tls: Option<Arc<Tls>>,
    /// None where the daemon runs without a file.
    pub(super) file: Option<PathBuf>,
}

impl Reloader {
    /// Reloads with every signal.
    pub(super) async fn run(self, mut told: Signal) {
        while told.recv().await.is_some() {
            watchdog::notify(&[sd_notify::NotifyState::Reloading]);
            match self.reload().await {
                Ok(summary) => tracing::info!(summary, "configuration reloaded"),
                Err(fault) => tracing::error!("the configuration is not taken, the old one stays: {fault:#}"),
            }
            watchdog::notify(&[sd_notify::NotifyState::Ready]);
        }
    }

    async fn reload(&self) -> anyhow::Result<String> {
        let file = self.file.as_deref().ok_or_else(|| anyhow!("the daemon runs without a file"))?;
        let config = read(file)?;
        let spoken = plan::Spoken { prompts: voice::prompts(), words_per_second: self.voices.words_per_second().await };
        let runtime = tokio::runtime::Handle::current();
        let resolved = tokio::task::spawn_blocking(move || {
            let names = crate::resolve::Names::new(&config.sip.nameservers);
            runtime.block_on(plan::settings(&config, &names, spoken, None)).map(|settings| (settings, config))
        });
        let (settings, config) = resolved.await.context("names cannot be resolved")??;
        let certificates = self.tls.as_ref().map(|tls| tls.read().map(|fresh| (tls, fresh))).transpose()?;
        let (summary, aes) = (config.summary(), config.aes.clone());
        let (answer, taken) = oneshot::channel();
        let reload = Box::new(Reload { settings, aes: config.aes, groups: config.groups });
        self.door.send(Request::Reload(reload, answer)).map_err(|_| anyhow!("the engine is busy"))?;
        let taken: Result<(), NotReloaded> = taken.await.context("the engine has ended")?;
        taken?;
        if let Some((tls, fresh)) = certificates {
            tls.take(fresh);
        }
        self.metrics.lock().set_roster(&aes);
        Ok(summary)
    }
}

fn read(file: &Path) -> anyhow::Result<Config> {
    Config::load(file).map_err(|faults| anyhow!("{faults}"))
}
